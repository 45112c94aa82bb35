"""The normal directions of Gamma where no frame of them fits: block Lanczos, and conjugate gradients.

P_T u = u - H^+ H u, and Newton's step is -H^+ grad L. H^+ is taken as (H + mu)^{-1}, mu a small part of lambda_1: a
direction of less curvature counts as one of Gamma, and one of more is solved for up to mu/lambda (twice, hence up to
its square). The top k eigenvectors are taken out first. Memory is some 30 vectors of length D.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx  # type: ignore[import-untyped]
import numpy as np

from numerics.eigenpairs import block_eigenpairs, hessian_product
from numerics.objective import Objective

__all__ = ["KrylovNormals", "frames_fit"]

Array = jax.Array

# Of eigenpairs, relative to lambda_1, and of solutions: a step of the flow is off by 1e-5 and more.
EIGENPAIRS, SOLUTION = 1e-8, 1e-7
MAX_PRODUCTS, MAX_STEPS = 2000, 1000
# A dense eigenproblem of this size takes 30 ms, and a Gram matrix of so many residuals 150 ms; a Jacobian of so many
# numbers takes a gigabyte.
DENSE, RESIDUALS, NUMBERS = 400, 1000, 10**8
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

    def _solve(self, here: _Here, right: Array) -> Array:
        """(H + mu)^{-1} right, of (D,): the eigenpairs, and conjugate gradients for the rest."""
        product, mu = hessian_product(self.objective, here.theta), FLAT * here.values[0]
        inside = here.vectors.T @ right
        rest = right - here.vectors @ inside

        def deflated(v: Array) -> Array:
            out = product(v)
            return out - here.vectors @ (here.vectors.T @ out) + mu * v

        operator = lx.FunctionLinearOperator(deflated, jax.eval_shape(lambda: rest), lx.positive_semidefinite_tag)
        solver = lx.CG(rtol=SOLUTION, atol=0.0, max_steps=MAX_STEPS)
        found = lx.linear_solve(operator, rest, solver, throw=False)
        return found.value + here.vectors @ (inside / (here.values + mu))

    def _normal(self, here: _Here, u: Array) -> Array:
        """The part of u (D,) normal to Gamma; off by (mu/lambda)^2 in each direction."""
        product = hessian_product(self.objective, here.theta)
        first = self._solve(here, product(u))
        return first + self._solve(here, product(u - first))

    def tangent(self, theta: Array, here: _Here, rows: Array) -> Array:
        """See `numerics.normals.Normals`."""
        rows = rows - jnp.outer(rows @ theta, theta)
        return rows - jax.lax.map(lambda u: self._normal(here, u), rows)

    def newton(self, theta: Array, here: _Here) -> Array:
        """See `numerics.normals.Normals`."""
        # The part of the gradient along Gamma is of second order, and would be divided by mu.
        moved = theta - self._solve(here, self._normal(here, jax.grad(self.objective.function)(theta)))
        return moved / jnp.linalg.norm(moved)


def frames_fit(objective: Objective, /) -> bool:
    """Whether all normal eigenvectors are best had at once: a Gram matrix of the residuals, or a dense Hessian."""
    d = objective.dimension
    if objective.residuals is None:
        return d <= DENSE
    count = int(jax.eval_shape(objective.residuals, jax.ShapeDtypeStruct((d,), np.float64)).shape[0])
    return count <= RESIDUALS and count * d <= NUMBERS
