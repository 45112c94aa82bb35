"""Derivatives of a loss along lines: d^k/ds^k L(w + s u) at s = 0, k = 1 ... 4."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.objective import Objective

__all__ = ["ORDERS", "line_derivatives", "line_derivatives_traced"]

Array = jax.Array

ORDERS = 4
# Points worked off together; one program for each loss.
BLOCK = 256


def line_derivatives_traced(objective: Objective, point: Array, direction: Array, /) -> Array:
    """(4,) at a point (D,) along a direction (D,), for tracing.

    Forwards, and each derivative with all before it: backwards, or one by one, they take much longer to compile.
    """

    def with_next(f: Callable[[Any], tuple[Array, ...]]) -> Callable[[Any], tuple[Array, ...]]:
        def both(s: Any) -> tuple[Array, ...]:
            values, slopes = jax.jvp(f, (s,), (jnp.ones_like(s),))
            return *values, slopes[-1]

        return both

    f: Callable[[Any], tuple[Array, ...]] = lambda s: (objective.function(point + s * direction),)  # noqa: E731  of a chain
    for _ in range(ORDERS):
        f = with_next(f)
    return jnp.stack(f(jnp.zeros(()))[1:])


@lru_cache(maxsize=64)
def _compiled(objective: Objective) -> Compiled:
    return Compiled(jax.vmap(lambda point, direction: line_derivatives_traced(objective, point, direction)))


def line_derivatives(objective: Objective, points: np.ndarray, along: np.ndarray, /) -> np.ndarray:
    """(N, 4) at points (N, D) along directions (N, D)."""
    count = len(points)
    fill = -count % BLOCK
    padded = [np.concatenate([a, np.repeat(a[-1:], fill, axis=0)]) for a in (points, along)]
    parts = [
        np.asarray(_compiled(objective)(padded[0][k : k + BLOCK], padded[1][k : k + BLOCK]))
        for k in range(0, count + fill, BLOCK)
    ]
    return np.concatenate(parts)[:count]
