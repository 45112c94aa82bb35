"""Back to Gamma: Newton's iteration in the directions normal to it, on the unit sphere.

theta <- (theta - N diag(1/lambda) N^T grad L)/|...|, with N, lambda the top ``rank`` eigenpairs of the spherical
Hessian (of J^T J, where there are residuals: Gauss-Newton, which is Newton on Gamma).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.objective import Objective, as_objective, once_for_each_loss
from sharpflow.numerics.spectrum.dense import (
    Frame,
    curvature_slope,
    fitting,
    frame,
    normal_rank,
    tangent_log_gradient,
    top_eigenvector,
    unit_vector,
)
from sharpflow.theory.loss import Loss

__all__ = ["Normal", "Retraction", "analyse", "retract"]

configure()

Array = jax.Array

# Quadratic convergence: from a distance of 0.3 the errors are 0.1, 1e-2, 1e-4, 1e-8, 1e-16; one more for cubic
# terms of size 1.
NEWTON_STEPS = 6
# Steps with the normal directions of a point close by, which cost one gradient each. Each gains the factor d that
# Newton's own step from a distance d gained: 1e-2 becomes 1e-14 in these, and the normal directions, most of the work,
# are taken twice.
CHORDS = 6
# They go on while each is so much shorter than the one before.
SHRINKS = 0.3
# A step that is rounding.
STANDS = 1e-13
# Points worked off together: one program for the records of a run and for whatever else is asked of its loss.
BLOCK = 400


class Retraction(NamedTuple):
    """A point of Gamma near theta (to second order in the distance, the nearest).

    Attributes:
        point: (D,) unit vector.
        distance: |theta - point|.
        residual: |grad L(point)|/lambda_1, the remaining distance to Gamma; not small where Newton failed.
    """

    point: Any  # traced inside programs, NumPy's outside
    distance: Any
    residual: Any


class Normal(NamedTuple):
    """The retraction of a point, and the spectrum there.

    Attributes:
        retraction: see `Retraction`.
        sharpness, second: lambda_1 and lambda_2 (0 where there is one normal direction only).
        top: (D,) v_1, its sign fixed.
        log_gradient: (D,) g = grad_Gamma log lambda_1.
        mixed: sum_j <grad (v_1^T H v_1), n_j>^2/(lambda_1 mu_j) over the other normal eigenpairs (mu_j, n_j); 0 where
            there are none.
    """

    retraction: Retraction
    sharpness: Any
    second: Any
    top: Any
    log_gradient: Any
    mixed: Any = None


def _towards(f: Frame, gradient: Array, /) -> Array:
    """How far Newton's step goes (D,), by the normal directions ``f``."""
    size = jnp.maximum(jnp.abs(f.values), 1e-14 * jnp.abs(f.values[0]))  # a sign would send saddles uphill
    return f.vectors @ ((f.vectors.T @ gradient) / size)


def _chords(objective: Objective, theta: Array, f: Frame, first: Array, /, chords: int) -> Array:
    """On from theta (D,), where a step of length ``first`` led, by the normal directions of where it began."""

    def going(carry: tuple[Any, ...]) -> Array:
        _, last, shrinks, i = carry
        on: Array = (i < chords) & shrinks & (last > STANDS)
        return on

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        z, last, _, i = carry
        step = _towards(f, jax.grad(objective.function)(z))
        length = jnp.linalg.norm(step)
        shrinks = length < SHRINKS * last
        return jnp.where(shrinks, objective.onto(z - step), z), length, shrinks, i + 1

    begin = (theta, first, jnp.ones((), bool), jnp.zeros((), int))
    out: Array = jax.lax.while_loop(going, advance, begin)[0]
    return out


def retract_traced(
    objective: Objective, theta: Array, /, rank: int, steps: int = NEWTON_STEPS, chords: int = CHORDS
) -> tuple[Retraction, Frame]:
    """`retract` for tracing, with the frame at the point reached: at most ``steps`` frames besides that."""
    theta = objective.onto(theta)

    def going(carry: tuple[Any, ...]) -> Array:
        *_, moved, i = carry
        on: Array = (i <= steps) & ~(moved <= STANDS)
        return on

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        # The last round only takes the frame: so the program holds the Hessian once, and compiles in half the time.
        z, _, _, i = carry
        f = frame(objective, z, rank)
        step = _towards(f, f.gradient)
        moved = jnp.where(i < steps, jnp.linalg.norm(step), 0.0)
        new = jnp.where(moved <= STANDS, z, objective.onto(z - step))  # nan goes on
        return _chords(objective, new, f, moved, chords) if chords else new, f, moved, i + 1

    shape = jax.eval_shape(lambda z: frame(objective, z, rank), theta)
    empty: Frame = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape)
    begin = (theta, empty, jnp.full((), jnp.inf, theta.dtype), jnp.zeros((), int))
    point, f, _, _ = jax.lax.while_loop(going, advance, begin)
    residual = jnp.linalg.norm(f.gradient) / jnp.abs(f.values[0])
    return Retraction(point, jnp.linalg.norm(theta - point), residual), f


def analyse_traced(objective: Objective, theta: Array, /, rank: int) -> Normal:
    """`analyse` for tracing, at one point."""
    retraction, f = retract_traced(objective, theta, rank)
    second = f.values[1] if rank > 1 else jnp.zeros(())
    slope = curvature_slope(objective, retraction.point, f.vectors[:, 0])
    log_gradient = tangent_log_gradient(objective, retraction.point, f, slope)
    mixed = mixed_term(f, slope)
    return Normal(retraction, f.values[0], second, top_eigenvector(f), log_gradient, mixed)


def mixed_term(f: Frame, slope: Array, /) -> Array:
    """sum_j <slope, n_j>^2/(lambda_1 mu_j); see `Normal`."""
    return jnp.sum((f.vectors[:, 1:].T @ slope) ** 2 / (f.values[0] * f.values[1:]))


@once_for_each_loss
def analysis(objective: Objective, rank: int, /) -> Compiled:
    """`analyse_traced` of a batch (B, D), compiled once for each B."""
    return Compiled(lambda points: jax.vmap(lambda theta: analyse_traced(objective, theta, rank))(points))


def analyse(
    objective: Objective, points: Any, /, *, rank: int, block: int = BLOCK, done: Callable[[int], None] | None = None
) -> Normal:
    """Retraction and spectrum of N points (N, D), worked off in blocks of one compiled size; arrays (N, ...).

    ``done`` is called with the number of points there are after each block.
    """
    array = np.asarray(points, dtype=float)
    count, block = len(array), fitting(objective, block)
    padded = np.concatenate([array, np.repeat(array[-1:], -count % block, axis=0)])
    parts = []
    for first in range(0, len(padded), block):
        parts.append(jax.tree.map(np.asarray, analysis(objective, rank)(padded[first : first + block])))
        if done is not None:
            done(min(first + block, count))
    joined: Normal = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
    return joined


def retract(subject: Loss | Objective, point: Any, /, *, rank: int | None = None) -> Retraction:
    """The point of Gamma next to ``point`` (D,), by Newton's iteration; a failure shows in ``residual``."""
    objective = as_objective(subject)
    theta = unit_vector(objective, point)
    rank = normal_rank(objective, theta) if rank is None else rank
    result: Retraction = jax.tree.map(np.asarray, _retraction(objective, rank)(theta))
    return result


@once_for_each_loss
def _retraction(objective: Objective, rank: int) -> Compiled:
    return Compiled(lambda theta: retract_traced(objective, theta, rank)[0])
