"""Derivations restated for the kernel of the proof assistant Coq (Rocq), which accepts or rejects them."""
