"""True where gradient flow rests at a point, judged by the loss that is left over, and how a stiff flow gets there.

The quadratic model at theta falls by 1/2 g^T (H + mu)^{-1} g below L(theta), g = grad L. Measured by |g|/lambda_1
alone a soft valley with steep walls looks like rest anywhere on its floor: there |g| is small beside lambda_1, and not
beside the curvature along the valley.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.objective import Objective, once_for_each_loss
from sharpflow.numerics.spectrum.dense import spherical_hessian
from sharpflow.numerics.spectrum.eigenpairs import hessian_product

__all__ = ["DENSE", "ON_MINIMA", "curved", "left_over", "rests", "stiff_flow"]

configure()

Array = jax.Array

# A displacement of this size along v_1 leaves lambda_1/2 times its square over; rounding of a unit vector has 1e-16.
ON_MINIMA = 1e-9
# Of the way down: what is left over at rest. Where minima are flat gradient flow creeps, and leaves some 1e-8.
LEFT = 1e-6
# mu in units of lambda_1: rounding of g along the kernel, 1e-16 lambda_1, then leaves 1e-20 lambda_1 over.
KERNEL = 1e-12
PRODUCTS = 300
# A round moves by so much at most, so that the path is that of gradient flow to a per cent; from pole to pole it takes
# some three hundred.
STRIDE, ROUNDS = 0.01, 600
# An eigenproblem of D x D takes 30 ms.
DENSE = 400
# h is made longer where a round went well, and shorter where it did not.
LONGER, SHORTER = 2.0, 0.3
# Of lambda_1: eigenvalues, and parts of g along them, that are rounding.
NOTHING = 1e-11, 1e-14


@once_for_each_loss
def _left_over(objective: Objective) -> Compiled:
    def dense(theta: Array, scale: Array) -> Array:
        values, vectors = jnp.linalg.eigh(spherical_hessian(objective, theta))
        along = vectors.T @ jax.grad(objective.function)(theta)
        # On a ridge between two valleys the way down is as far as it would be up.
        return jnp.sum(along**2 / jnp.maximum(jnp.abs(values), KERNEL * scale)) / 2

    def left(theta: Array, scale: Array) -> Array:
        gradient, product = jax.grad(objective.function)(theta), hessian_product(objective, theta)
        step, _ = jax.scipy.sparse.linalg.cg(
            lambda v: product(v) + KERNEL * scale * v, -gradient, tol=1e-6, maxiter=PRODUCTS
        )
        return jnp.maximum(jnp.abs(gradient @ step), gradient @ gradient / scale) / 2

    return Compiled(dense if objective.residuals is None and objective.dimension <= DENSE else left)


def left_over(objective: Objective, theta: np.ndarray, scale: Any, /) -> float:
    """How far L would fall from a unit vector (D,), by its quadratic model; from below where that takes many products.

    ``scale`` is lambda_1 there, or near it.
    """
    return float(_left_over(objective)(theta, np.float64(scale)))


def rests(left: float, scale: float, fall: float, /) -> bool:
    """True where what is left over is nothing beside the ``fall`` of L so far, or rounding of the point."""
    return bool(left <= LEFT * max(fall, 0.0) + scale * ON_MINIMA**2 / 2)


@once_for_each_loss
def _curved(objective: Objective) -> Compiled:
    def count(theta: Array) -> Array:
        if objective.residuals is None:
            values = jnp.linalg.eigvalsh(spherical_hessian(objective, theta))
        else:  # J J^T: the residuals that are left bend L along the kernel of J, too, by no more than themselves
            jacobian = jax.jacrev(objective.residuals)(theta)
            values = jnp.linalg.eigvalsh(jacobian @ jacobian.T)
        return jnp.sum(values > NOTHING[0] * jnp.max(jnp.abs(values)))

    return Compiled(count)


def curved(objective: Objective, theta: np.ndarray, /) -> int:
    """The number of directions at the end of a `stiff_flow` (D,) in which L is curved by more than rounding.

    Of residuals, as they are where they vanish: at most as many as there are.
    """
    return int(_curved(objective)(theta))


@once_for_each_loss
def stiff_flow(objective: Objective) -> Compiled:
    """(theta (D,), lambda_1) -> where gradient flow leads, by linearly implicit Euler steps (1/h + H) s = -g.

    Steep walls cost nothing: h grows until a step is Newton's. Takes an eigenproblem of D x D each.
    """

    def going(carry: tuple[Array, ...]) -> Array:
        _, _, h, i, rest = carry
        on: Array = (i < ROUNDS) & ~rest & (h > 0)
        return on

    def advance(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        theta, value, h, i, _ = carry
        values, vectors = jnp.linalg.eigh(spherical_hessian(objective, theta))
        size = jnp.max(jnp.abs(values))
        along = vectors.T @ jax.grad(objective.function)(theta)
        along = jnp.where((jnp.abs(values) < NOTHING[0] * size) & (jnp.abs(along) < NOTHING[1] * size), 0.0, along)
        step = -vectors @ (along / jnp.maximum(1 / h + values, 0.5 / h))
        length = jnp.linalg.norm(step)
        new = objective.onto(theta + step)
        lower = objective.function(new)
        good = (length <= STRIDE) & (lower <= value + 4 * jnp.finfo(theta.dtype).eps * jnp.abs(value))
        rest = jnp.sum(along**2 / jnp.maximum(jnp.abs(values), KERNEL * size)) <= size * (ON_MINIMA / 10) ** 2
        h = jnp.where(good, LONGER, SHORTER) * h
        h = jnp.where(h * size < 1e-6, 0.0, h)
        return jnp.where(good, new, theta), jnp.where(good, lower, value), h, i + 1, rest

    def run(theta: Array, scale: Array) -> Array:
        begin: tuple[Array, ...] = (
            theta,
            objective.function(theta),
            1 / scale,
            jnp.zeros((), int),
            jnp.zeros((), bool),
        )
        out: Array = jax.lax.while_loop(going, advance, begin)[0]
        return out

    return Compiled(run)
