"""The normal directions of Gamma where no frame of them fits: block Lanczos, and conjugate gradients.

P_T u = u - H^+ H u, and Newton's step is -H^+ grad L. H^+ is taken as (H + mu)^{-1}, mu a small part of lambda_1: a
direction of less curvature counts as one of Gamma, and one of more is solved for up to mu/lambda (twice, hence up to
its square). The top k eigenvectors are taken out first. Memory is some 30 vectors of length D.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx  # type: ignore[import-untyped]
import numpy as np

from numerics.eigenpairs import block_eigenpairs, hessian_product
from numerics.objective import Objective

__all__ = ["KrylovNormals", "frames_fit"]

Array = jax.Array

# Of eigenpairs, relative to lambda_1, and of solutions: a step of the flow is off by 1e-5 and more.
EIGENPAIRS, SOLUTION, ROUNDING = 1e-8, 1e-7, 1e-10
MAX_PRODUCTS, MAX_STEPS = 2000, 1000
# A dense eigenproblem of this size takes 30 ms, and a Gram matrix of so many residuals 150 ms; a Jacobian of so many
# numbers takes a gigabyte.
DENSE, RESIDUALS, NUMBERS = 400, 1000, 10**8
# Each takes the error of the normal part down by mu/lambda.
PROJECTIONS = 2
# mu/lambda_1. At a point off Gamma by 1e-9 the Hessian has eigenvalues of that size along it.
FLAT = 1e-5


class _Here(NamedTuple):
    """theta (D,) with its top eigenpairs: values (k,), vectors (D, k)."""

    theta: Array
    values: Array
    vectors: Array


class KrylovNormals:
    """`numerics.normals.Normals` by Hessian products alone, for any number of normal directions."""

    exhausts = complete = False

    def __init__(self, objective: Objective, k: int) -> None:
        self.objective, self.k = objective, k

    def guess(self, theta: Array) -> _Here:
        """Random vectors, always the same: only the first search sees them."""
        key = jax.random.key(0)
        vectors = jax.random.normal(key, (theta.shape[0], self.k), theta.dtype)
        return _Here(theta, jnp.ones(self.k, theta.dtype), vectors)

    def at(self, theta: Array, near: _Here) -> _Here:
        """The top eigenpairs, from those of a point close by; nan where they did not converge."""
        found = block_eigenpairs(
            hessian_product(self.objective, theta), theta, near.vectors, jnp.asarray(EIGENPAIRS), count=self.k,
            max_products=MAX_PRODUCTS,
        )  # fmt: skip
        values = jnp.where(found.converged, found.values, jnp.nan)
        return _Here(theta, values, found.vectors)

    def _passes(self, here: _Here, u: Array, *, divide: bool) -> Array:
        """The part of u (D,) normal to Gamma, off by (mu/lambda)^2 in each direction; divided by H if asked for.

        Each pass is one solution of (H + mu) x = b, by the eigenpairs and by conjugate gradients for the rest, in a
        loop that is compiled once.
        """
        product, mu = hessian_product(self.objective, here.theta), FLAT * here.values[0]
        size = here.values[0] * jnp.linalg.norm(u)

        def deflated(v: Array) -> Array:
            out = product(v)
            return out - here.vectors @ (here.vectors.T @ out) + mu * v

        operator = lx.FunctionLinearOperator(deflated, jax.eval_shape(lambda: u), lx.positive_semidefinite_tag)

        def advance(i: Any, normal: Array) -> Array:
            last = i == PROJECTIONS
            right = jnp.where(last, normal, product(u - normal))
            inside = here.vectors.T @ right
            # What of the right side is below 1e-10 of the whole is rounding, and not solved for.
            floor = ROUNDING * jnp.where(last, jnp.linalg.norm(normal), size)
            solver = lx.CG(rtol=SOLUTION, atol=floor, max_steps=MAX_STEPS)
            found = lx.linear_solve(operator, right - here.vectors @ inside, solver, throw=False).value
            found = found + here.vectors @ (inside / (here.values + mu))
            return jnp.where(last, found, normal + found)

        count = PROJECTIONS + 1 if divide else PROJECTIONS
        out: Array = jax.lax.fori_loop(0, count, advance, jnp.zeros_like(u))
        return out

    def tangent(self, theta: Array, here: _Here, rows: Array) -> Array:
        """See `numerics.normals.Normals`."""
        rows = rows - jnp.outer(rows @ theta, theta)
        return rows - jax.lax.map(lambda u: self._passes(here, u, divide=False), rows)

    def newton(self, theta: Array, here: _Here) -> Array:
        """See `numerics.normals.Normals`."""
        # The part of the gradient along Gamma is of second order, and would be divided by mu: so the normal part only.
        gradient = jax.grad(self.objective.function)(theta)
        moved = theta - self._passes(here, gradient, divide=True)
        return moved / jnp.linalg.norm(moved)


def frames_fit(objective: Objective, /) -> bool:
    """Whether all normal eigenvectors are best had at once: a Gram matrix of the residuals, or a dense Hessian."""
    d = objective.dimension
    if objective.residuals is None:
        return d <= DENSE
    count = int(jax.eval_shape(objective.residuals, jax.ShapeDtypeStruct((d,), np.float64)).shape[0])
    return count <= RESIDUALS and count * d <= NUMBERS
