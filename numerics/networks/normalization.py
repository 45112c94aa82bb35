"""Normalizations written out, without an epsilon: f(c a) = f(a) for c > 0, exactly.

Framework kernels have had wrong third derivatives, and an epsilon breaks scale invariance.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["batch_norm", "layer_norm", "weight_norm"]

Array = jax.Array


def _standardize(a: Array, axis: int) -> Array:
    centred = a - jnp.mean(a, axis=axis, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, axis=axis, keepdims=True))


def batch_norm(a: Array) -> Array:
    """(a - mean)/std over the examples, of a (n, ...)."""
    return _standardize(a, 0)


def layer_norm(a: Array) -> Array:
    """(a - mean)/std over the features of each example, of a (n, features)."""
    return _standardize(a, -1)


def weight_norm(weights: Array) -> Array:
    """Columns of weights (in, out) divided by their lengths."""
    return weights / jnp.linalg.norm(weights, axis=0, keepdims=True)
