"""Symmetric k x k matrices as vectors of k (k + 1)/2 entries, with the norm kept."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.config import configure

__all__ = ["pairs", "to_matrix", "to_vector"]

configure()

Array = jax.Array


def pairs(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices i <= j of the k(k+1)/2 entries, and their weights: 1 on the diagonal, sqrt 2 off it."""
    i, j = np.triu_indices(k)
    return i, j, np.where(i == j, 1.0, math.sqrt(2))


def to_vector(matrix: Array) -> Array:
    """A symmetric matrix (k, k) as a vector (k(k+1)/2,) of the same norm."""
    i, j, weight = pairs(matrix.shape[0])
    return matrix[i, j] * weight


def to_matrix(vector: Array, k: int) -> Array:
    """The inverse of `to_vector`."""
    i, j, weight = pairs(k)
    half = jnp.zeros((k, k), vector.dtype).at[i, j].set(vector / weight)
    return half + half.T - jnp.diag(jnp.diag(half))
