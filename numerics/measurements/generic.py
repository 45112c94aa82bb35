"""A scale-invariant loss that belongs to no family: L(w) = sum_k a_k tanh(b_k + m_k w/|w|), D = 10.

Statements about every loss in every dimension are measured on it: nothing but scale invariance and smoothness is
special
about it, and it shares no code with the built-in families.
"""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp

from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective

__all__ = ["generic_objective"]

DIMENSION = 10
TERMS = 6


@lru_cache(maxsize=8)
def generic_objective(seed: int = 0, /) -> Objective:
    """The loss drawn by a seed, with a start drawn by it too."""
    random = generator(seed)
    directions = tuple(tuple(row) for row in 2 * random.standard_normal((TERMS, DIMENSION)))
    offsets, heights = tuple(random.standard_normal(TERMS)), tuple(random.standard_normal(TERMS))

    def function(w: jax.Array) -> jax.Array:
        theta = w / jnp.sqrt(w @ w)
        return jnp.asarray(heights) @ jnp.tanh(jnp.asarray(offsets) + jnp.asarray(directions) @ theta)

    return Objective(function=function, start=random.standard_normal(DIMENSION), name="generic")
