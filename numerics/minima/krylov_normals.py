"""The normal directions of Gamma where no frame of them fits: block Lanczos, and conjugate gradients.

P_T u = u - H^+ H u, and Newton's step is -H^+ grad L. H^+ is taken as (H + mu)^{-1}, mu a small part of lambda_1: a
direction of less curvature counts as one of Gamma, and one of more is solved for up to mu/lambda (twice, hence up to
its square). The top k eigenvectors are taken out first. Memory is some 40 vectors of length D.

From the eigenvectors of the step before, Lanczos's method sees no other that nothing couples to them. So the next pairs
below the k are carried along, and a random vector is added at every search: what rises from below is followed from far
off. Every so many searches, and at the end of a flow, one starts from random vectors alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sharpflow.numerics.objective import Objective
from sharpflow.numerics.residuals import residual_count
from sharpflow.numerics.spectrum.eigenpairs import LEAST, block_eigenpairs, hessian_product

__all__ = ["KrylovNormals", "Searched", "frames_fit"]

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
# Pairs carried below the k, and random vectors with each search; of so many searches one is all random. The second of
# the pairs gathers what random vectors show, search after search.
GUARD, FRESH, COLD = 2, 1, 64


class Searched(NamedTuple):
    """theta (D,) with its top eigenpairs: values (k,), vectors (D, k), guard (D, g) those that follow, roughly.

    ``unsolved`` is the residual of the k over lambda_1 where it is too large, else 0. ``searches`` counts, and after
    ``cold`` the next starts from random vectors alone.
    """

    theta: Array
    values: Array
    vectors: Array
    guard: Array
    unsolved: Array
    searches: Array
    cold: Array


class KrylovNormals:
    """`sharpflow.numerics.minima.normals.Normals` by Hessian products alone, for any number of normal directions."""

    exhausts = complete = False

    def __init__(self, objective: Objective, k: int, /, *, eigenpairs: Any = EIGENPAIRS) -> None:
        """``eigenpairs``: largest residual of a pair over lambda_1; eigenvalues are off by its square over the gap."""
        self.objective, self.k, self.eigenpairs = objective, k, eigenpairs
        # Less where there is no room: a block is of less than half the dimension.
        self.guard = min(GUARD, max((objective.dimension - 1) // 2 - k - FRESH, 0))
        self.fresh = min(FRESH, max((objective.dimension - 1) // 2 - k - self.guard, 0))

    def guess(self, theta: Array) -> Searched:
        """Random vectors, always the same: only the first search sees them."""
        shape, kind = theta.shape[0], theta.dtype
        nothing = jnp.zeros((shape, self.k), kind), jnp.zeros((shape, self.guard), kind)
        zero = jnp.zeros((), int)
        return Searched(theta, jnp.ones(self.k, kind), *nothing, jnp.zeros((), kind), zero, jnp.ones((), bool))

    def at(self, theta: Array, near: Searched) -> Searched:
        """The top eigenpairs, from those of a point close by."""
        width = self.k + self.guard
        key = jax.random.fold_in(jax.random.key(0), near.searches)
        guess = jax.random.uniform(key, (theta.shape[0], width + self.fresh), theta.dtype, -1.0, 1.0)
        known = jnp.concatenate([near.vectors, near.guard], axis=1)
        guess = guess.at[:, :width].set(jnp.where(near.cold, guess[:, :width], known))
        found = block_eigenpairs(
            hessian_product(self.objective, theta), self.objective.radial(theta), guess, jnp.asarray(self.eigenpairs),
            count=self.k, max_products=MAX_PRODUCTS, guard=self.guard, least=LEAST,
        )  # fmt: skip
        residual = jnp.max(found.residuals[: self.k]) / jnp.abs(found.values[0])
        searches = near.searches + 1
        return Searched(
            theta, found.values[: self.k], found.vectors[:, : self.k], found.vectors[:, self.k :],
            jnp.where(found.converged, 0.0, residual), searches, searches % COLD == 0,
        )  # fmt: skip

    def _passes(self, here: Searched, u: Array, *, divide: bool) -> tuple[Array, Array]:
        """The part of u (D,) normal to Gamma, off by (mu/lambda)^2 in each direction; divided by H if asked for.

        With it the largest residual |(H + mu) x - b|/|b| of a solution that did not converge, 0 where all did.

        Each pass is one solution of (H + mu) x = b, by the eigenpairs and by conjugate gradients for the rest, in a
        loop that is compiled once.
        """
        import lineax as lx  # type: ignore[import-untyped]  # half a second of imports, for what few runs ask for

        product, mu = hessian_product(self.objective, here.theta), FLAT * here.values[0]
        size = here.values[0] * jnp.linalg.norm(u)

        def deflated(v: Array) -> Array:
            out = product(v)
            return out - here.vectors @ (here.vectors.T @ out) + mu * v

        operator = lx.FunctionLinearOperator(deflated, jax.eval_shape(lambda: u), lx.positive_semidefinite_tag)

        def advance(i: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            normal, unsolved = carry
            last = i == PROJECTIONS
            right = jnp.where(last, normal, product(u - normal))
            inside = here.vectors.T @ right
            # What of the right side is below 1e-10 of the whole is rounding, and not solved for.
            floor = ROUNDING * jnp.where(last, jnp.linalg.norm(normal), size)
            # Its residual is not taken afresh now and then: one product less to compile, and 1e-7 is far from rounding.
            solver = lx.CG(rtol=SOLUTION, atol=floor, max_steps=MAX_STEPS, stabilise_every=None)
            rest = right - here.vectors @ inside
            solution = lx.linear_solve(operator, rest, solver, throw=False)
            found = solution.value
            failed = solution.result != lx.RESULTS.successful
            residual = jnp.linalg.norm(jax.lax.cond(failed, lambda: operator.mv(found) - rest, lambda: 0 * rest))
            residual = residual / jnp.maximum(jnp.linalg.norm(rest), floor)
            # Its own test is of each component, which is more than is needed.
            unsolved = jnp.maximum(unsolved, jnp.where(residual > 10 * SOLUTION, residual, 0.0))
            found = found + here.vectors @ (inside / (here.values + mu))
            return jnp.where(last, found, normal + found), unsolved

        count = PROJECTIONS + 1 if divide else PROJECTIONS
        out: tuple[Array, Array] = jax.lax.fori_loop(0, count, advance, (jnp.zeros_like(u), jnp.zeros((), u.dtype)))
        return out

    def unsolved(self, here: Searched) -> Array:
        """See `sharpflow.numerics.minima.normals.Normals`."""
        return here.unsolved

    def searching(self, near: Searched, last: Array) -> Searched:
        """See `sharpflow.numerics.minima.normals.Normals`: the last search is one that knows nothing."""
        return near._replace(cold=near.cold | last)

    def tangent(self, theta: Array, here: Searched, rows: Array) -> tuple[Array, Array]:
        """See `sharpflow.numerics.minima.normals.Normals`."""
        radial = self.objective.radial(theta)
        rows = rows - jnp.outer(rows @ radial, radial)
        normal, unsolved = jax.lax.map(lambda u: self._passes(here, u, divide=False), rows)
        return rows - normal, jnp.max(unsolved)

    def newton(self, theta: Array, here: Searched) -> tuple[Array, Array]:
        """See `sharpflow.numerics.minima.normals.Normals`."""
        # The part of the gradient along Gamma is of second order, and would be divided by mu: so the normal part only.
        gradient = jax.grad(self.objective.function)(theta)
        step, unsolved = self._passes(here, gradient, divide=True)
        return self.objective.onto(theta - step), unsolved


def frames_fit(objective: Objective, /) -> bool:
    """True where all normal eigenvectors are best had at once: a Gram matrix of the residuals, or a dense Hessian."""
    count = residual_count(objective)
    if count is None:
        return objective.dimension <= DENSE
    return count <= RESIDUALS and count * objective.dimension <= NUMBERS
