"""Approximate wing: JAX runs what the exact wing derives.

The names of `sharpflow` that live in this wing are here too, and load on first use: importing this package loads no
JAX. Everything else is imported from its module.
"""

from sharpflow.theory.lazy import export

__all__, __getattr__, __dir__ = export(__name__)
