"""Back to Gamma: Newton's iteration in the directions normal to it, on the unit sphere.

theta <- (theta - N diag(1/lambda) N^T grad L)/|...|, with N, lambda the top ``rank`` eigenpairs of the spherical
Hessian (of J^T J, where there are residuals: Gauss-Newton, which is Newton on Gamma).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from numerics.compiled import Compiled
from numerics.config import configure
from numerics.objective import Objective, as_objective
from numerics.spectrum import Frame, fitting, frame, normal_rank, tangent_log_gradient, top_eigenvector, unit_vector
from theory.loss import Loss

__all__ = ["Normal", "Retraction", "analyse", "retract"]

configure()

Array = jax.Array

# Quadratic convergence: from a distance of 0.3 the errors are 0.1, 1e-2, 1e-4, 1e-8, 1e-16; one more for cubic
# terms of size 1.
NEWTON_STEPS = 6


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
    """What the neighbourhood of a point says: its retraction, and the spectrum there.

    Attributes:
        retraction: see `Retraction`.
        sharpness, second: lambda_1 and lambda_2 (0 where there is one normal direction only).
        top: (D,) v_1, its sign fixed.
        log_gradient: (D,) g = grad_Gamma log lambda_1.
    """

    retraction: Retraction
    sharpness: Any
    second: Any
    top: Any
    log_gradient: Any


def newton_step(theta: Array, f: Frame, /) -> Array:
    """One step towards Gamma, (D,) -> (D,), unit vectors both."""
    size = jnp.maximum(jnp.abs(f.values), 1e-14 * jnp.abs(f.values[0]))  # a sign would send saddles uphill
    moved = theta - f.vectors @ ((f.vectors.T @ f.gradient) / size)
    return moved / jnp.linalg.norm(moved)


def retract_traced(
    objective: Objective, theta: Array, /, rank: int, steps: int = NEWTON_STEPS
) -> tuple[Retraction, Frame]:
    """`retract` for tracing, with the frame at the point reached."""
    theta = theta / jnp.linalg.norm(theta)

    def advance(i: Any, carry: tuple[Array, Frame]) -> tuple[Array, Frame]:
        z, _ = carry
        f = frame(objective, z, rank)
        return jnp.where(i < steps, newton_step(z, f), z), f

    # The last round only takes the frame: so the program holds the Hessian once, and compiles in half the time.
    shape = jax.eval_shape(lambda z: frame(objective, z, rank), theta)
    empty: Frame = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape)
    point, f = jax.lax.fori_loop(0, steps + 1, advance, (theta, empty))
    residual = jnp.linalg.norm(f.gradient) / jnp.abs(f.values[0])
    return Retraction(point, jnp.linalg.norm(theta - point), residual), f


def analyse_traced(objective: Objective, theta: Array, /, rank: int) -> Normal:
    """`analyse` for tracing, at one point."""
    retraction, f = retract_traced(objective, theta, rank)
    second = f.values[1] if rank > 1 else jnp.zeros(())
    log_gradient = tangent_log_gradient(objective, retraction.point, f)
    return Normal(retraction, f.values[0], second, top_eigenvector(f), log_gradient)


@lru_cache(maxsize=64)
def analysis(objective: Objective, rank: int, /) -> Compiled:
    """`analyse_traced` of a batch (B, D), compiled once for each B."""
    return Compiled(lambda points: jax.vmap(lambda theta: analyse_traced(objective, theta, rank))(points))


def analyse(objective: Objective, points: Any, /, *, rank: int, block: int = 400) -> Normal:
    """Retraction and spectrum of N points (N, D), worked off in blocks of one compiled size; arrays (N, ...)."""
    array = np.asarray(points, dtype=float)
    count, block = len(array), fitting(objective, block)
    padded = np.concatenate([array, np.repeat(array[-1:], -count % block, axis=0)])
    parts = [analysis(objective, rank)(padded[i : i + block]) for i in range(0, len(padded), block)]
    joined: Normal = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
    return joined


def retract(subject: Loss | Objective, point: Any, /, *, rank: int | None = None) -> Retraction:
    """The point of Gamma next to ``point`` (D,), by `NEWTON_STEPS` Newton steps; a failure shows in ``residual``."""
    objective = as_objective(subject)
    theta = unit_vector(objective, point)
    rank = normal_rank(subject, theta) if rank is None else rank
    result: Retraction = jax.tree.map(np.asarray, _retraction(objective, rank)(theta))
    return result


@lru_cache(maxsize=64)
def _retraction(objective: Objective, rank: int) -> Compiled:
    return Compiled(lambda theta: retract_traced(objective, theta, rank)[0])
