"""A search of the whole sphere for something lower than Gamma: by value, by descent from many places, and by BFGS."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.inspection.loss import Finding, readable
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective

__all__ = ["lowest_point"]

Array = jax.Array

DIRECTIONS = 4096
# Half of the descents set off from the lowest directions, half from any: the lowest ones are mostly next to Gamma, and
# a basin with steep walls is high at random.
DESCENTS = 64
# Steps of a descent: as many as fit into so many seconds, up to so many.
SECONDS, STEPS = 0.5, 200
# Descents end near a minimum or in a valley; so many of the lowest go on by BFGS.
POLISHED = 6
# A step that gets lower is made longer, another one shorter.
LONGER, SHORTER = 1.5, 0.25


@lru_cache(maxsize=64)
def _values(objective: Objective) -> Compiled:
    return Compiled(jax.vmap(objective.function))


@lru_cache(maxsize=64)
def _descents(objective: Objective) -> Compiled:
    """(starts (N, D), steps) -> unit vectors (N, D) and values (N,) after so many steps of descent."""
    both = jax.vmap(jax.value_and_grad(objective.function))

    def run(starts: Array, steps: Array) -> tuple[Array, Array]:
        def advance(_: Any, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            theta, value, gradient, step = carry
            moved = theta - step[:, None] * gradient
            moved = moved / jnp.linalg.norm(moved, axis=1, keepdims=True)
            new, slope = both(moved)
            # Comparisons with nan are false: where L has no value or no slope, the step was too long.
            lower = (new < value) & jnp.all(jnp.isfinite(slope), axis=1)
            pick = lower[:, None]
            step = jnp.where(lower, LONGER, SHORTER) * step
            return jnp.where(pick, moved, theta), jnp.where(lower, new, value), jnp.where(pick, slope, gradient), step

        value, gradient = both(starts)
        first = 0.1 / jnp.maximum(jnp.linalg.norm(gradient, axis=1), jnp.finfo(starts.dtype).tiny)
        theta, value, *_ = jax.lax.fori_loop(0, steps, advance, (starts, value, gradient, first))
        return theta, value

    return Compiled(run)


def lowest_point(
    objective: Objective, level: float, /, *, known: np.ndarray | None = None, seed: int = 0
) -> Finding:  # fmt: skip
    """How far L gets below ``level`` anywhere on the sphere, and where.

    Looked at are `DIRECTIONS` random directions and the minima that are ``known`` (N, D) besides Gamma; `DESCENTS`
    descents set off from some of the directions, and BFGS from the lowest of all.
    """
    from scipy.optimize import minimize

    random = generator(seed, stream=5)
    everywhere = random.standard_normal((DIRECTIONS, objective.dimension))
    everywhere /= np.linalg.norm(everywhere, axis=1, keepdims=True)
    values = _finite(_values(objective)(everywhere))
    starts = everywhere[np.concatenate([np.argsort(values)[: DESCENTS // 2], np.arange(DESCENTS // 2)])]
    descend = _descents(objective)
    descend(starts, np.int64(0))  # compiled and paged in before the clock runs
    begin = time.perf_counter()
    descend(starts, np.int64(2))
    each = (time.perf_counter() - begin) / 2
    ends, end_values = descend(starts, np.int64(min(STEPS, SECONDS / max(each, 1e-9))))
    places = [everywhere, np.asarray(ends)]
    levels = [values, _finite(end_values)]
    if known is not None and len(known):
        places.append(known)
        levels.append(_finite([float(objective.value(w)) for w in known]))
    places_all, all_values = np.concatenate(places), np.concatenate(levels)
    order = np.argsort(all_values)
    best, where = float(all_values[order[0]]), places_all[order[0]]
    for k in order[:POLISHED]:
        end = minimize(
            lambda w: float(objective.value(w)), places_all[k], jac=lambda w: np.asarray(objective.gradient(w)),
            method="BFGS", options={"maxiter": 60},
        )  # fmt: skip
        if np.isfinite(end.fun) and end.fun < best:
            best, where = float(end.fun), end.x / np.linalg.norm(end.x)
    worst = level - best

    def lower(w: np.ndarray) -> bool:
        return level - float(objective.value(w)) > 0.5 * worst

    point = readable(where, lower) if worst > 1e-9 else where
    return Finding(worst, {"w": point, "L(w)": float(objective.value(point)), "L on Gamma": level})


def _finite(values: Any) -> np.ndarray:
    """Values (N,), inf where they are no numbers."""
    array = np.asarray(values, dtype=float)
    return np.where(np.isfinite(array), array, np.inf)
