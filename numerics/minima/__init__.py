"""The manifold Gamma of minimizers, and the ways back to it."""
