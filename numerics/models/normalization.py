"""Normalizations written out, without an epsilon: f(c a) = f(a) for c > 0, exactly.

Framework kernels have had wrong third derivatives, and an epsilon breaks scale invariance. Where a variance is exactly
zero the quotient is not a number: the network is not defined there.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["batch_norm", "group_norm", "layer_norm", "weight_norm"]

Array = jax.Array


def batch_norm(a: Array, examples: int | None = None) -> Array:
    """(a - mean)/std of a (n, ..., features), by feature: over everything else, the examples among it.

    Mean and deviation are those of the first ``examples`` alone (default all n), so that further examples, stacked
    below, are normalised as a test set is by full-batch training.
    """
    axes = tuple(range(a.ndim - 1)) or (0,)
    centred = a - jnp.mean(a[:examples], axis=axes, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred[:examples] ** 2, axis=axes, keepdims=True))


def layer_norm(a: Array) -> Array:
    """(a - mean)/std of a (n, ..., features), over all entries of each example."""
    axes = tuple(range(1, a.ndim))
    centred = a - jnp.mean(a, axis=axes, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, axis=axes, keepdims=True))


def group_norm(a: Array, groups: int) -> Array:
    """(a - mean)/std of a (n, ..., features), over all entries of an example in each of the groups of features."""
    split = a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups)
    axes = (*range(1, split.ndim - 2), split.ndim - 1)
    centred = split - jnp.mean(split, axis=axes, keepdims=True)
    return (centred / jnp.sqrt(jnp.mean(centred**2, axis=axes, keepdims=True))).reshape(a.shape)


def weight_norm(weights: Array) -> Array:
    """Each output's weights, of (..., in, out), divided by their length."""
    return weights / jnp.sqrt(jnp.sum(weights**2, axis=tuple(range(weights.ndim - 1)), keepdims=True))
