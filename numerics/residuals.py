"""Residuals r(w) with L = |r|^2/2: whether they vanish, and Gauss-Newton steps to where they do."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.objective import Objective, once_for_each_loss

__all__ = ["interpolating", "residual_count", "settle", "without_residuals", "zeros_nearby"]

configure()

# |residuals|/|J| at a minimizer, below which the Hessian is J^T J: their ratio is what it is off by, relatively, for
# second derivatives of the size of J. Newton leaves 1e-12.
VANISHED = 1e-7
# Errors of 0.1, 1e-2, 1e-4, 1e-8, 1e-16, and one more; a zero farther away than this is none of this point's.
GAUSS_NEWTON_STEPS, NEAR = 6, 0.1


@once_for_each_loss
def _vanishing(objective: Objective) -> Compiled:
    """|residuals|/|J|, of w (D,)."""

    def ratio(w: jax.Array) -> jax.Array:
        assert objective.residuals is not None
        return jnp.linalg.norm(objective.residuals(w)) / jnp.linalg.norm(jax.jacrev(objective.residuals)(w))

    return Compiled(ratio)


def residual_count(objective: Objective, /) -> int | None:
    """n, the number of residuals; ``None`` where there are none. Nothing is computed."""
    if objective.residuals is None:
        return None
    return int(jax.eval_shape(objective.residuals, jax.ShapeDtypeStruct((objective.dimension,), np.float64)).shape[0])


@lru_cache(maxsize=256)
def without_residuals(objective: Objective, /) -> Objective:
    """The same loss, its Hessian taken whole and not as J^T J, which it is where residuals vanish only."""
    return replace(objective, residuals=None)


@once_for_each_loss
def _gauss_newton(objective: Objective) -> Compiled:
    """A unit vector (D,) -> the zero of the residuals next to it, by steps -J^+ r on the sphere."""
    assert objective.residuals is not None
    residuals = objective.residuals

    def advance(_: Any, theta: jax.Array) -> jax.Array:
        r, jacobian = residuals(theta), jax.jacrev(residuals)(theta)
        values, left = jnp.linalg.eigh(jacobian @ jacobian.T)
        # Dependent residuals leave eigenvalues of rounding.
        inverse = jnp.where(values > 1e-10 * values[-1], 1 / values, 0.0)
        return objective.onto(theta - jacobian.T @ (left @ (inverse * (left.T @ r))))

    return Compiled(lambda theta: jax.lax.fori_loop(0, GAUSS_NEWTON_STEPS, advance, theta))


def settle(objective: Objective, point: np.ndarray, /) -> tuple[Objective, np.ndarray]:
    """`interpolating`, and where to begin near a unit vector (D,): where its residuals vanish, if they do close by.

    A point an oscillation away from Gamma has residuals, too, and says nothing about those at the minimum.
    """
    if interpolating(objective, point) is objective:
        return objective, point
    zero = np.asarray(_gauss_newton(objective)(point))
    if np.linalg.norm(zero - point) < NEAR and interpolating(objective, zero) is objective:
        return objective, zero
    return without_residuals(objective), point


def zeros_nearby(objective: Objective, points: np.ndarray, /) -> np.ndarray:
    """(N, D) the zero of the residuals next to each of N points; of residuals that vanish somewhere near."""
    step = _gauss_newton(objective)
    return np.stack([np.asarray(step(point / np.linalg.norm(point))) for point in points])


def interpolating(objective: Objective, point: Any, /) -> Objective:
    """The objective as it may be used at a minimizer (D,): without residuals where they do not vanish there.

    Only where they vanish is the Hessian J^T J, which is what residuals are used for.
    """
    if objective.residuals is None or float(_vanishing(objective)(point)) <= VANISHED:
        return objective
    return without_residuals(objective)
