"""A point near Gamma taken to it, with the eigenpairs found there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.minima.krylov_normals import KrylovNormals
from sharpflow.numerics.minima.normals import FrameNormals, Normals
from sharpflow.numerics.minima.retraction import NEWTON_STEPS, STANDS
from sharpflow.numerics.objective import Objective

__all__ = ["LANDED", "landing", "normals_for"]

configure()

Array = jax.Array

# |grad L|/lambda_1 after Newton's iteration: where it worked it leaves rounding; this is far above that, and far below
# any oscillation.
LANDED = 1e-6


def normals_for(objective: Objective, rank: int | None, k: int) -> Normals:
    """By all normal eigenvectors where their number is given, else by Hessian products."""
    return KrylovNormals(objective, k) if rank is None else FrameNormals(objective, rank, k)


@lru_cache(maxsize=64)
def landing(objective: Objective, rank: int | None) -> Compiled:
    """The point of Gamma next to a point, |grad L|/lambda_1 there, and lambda_1."""
    normals = normals_for(objective, rank, 1)

    def land(theta: Array) -> tuple[Array, Array, Array]:
        def going(carry: tuple[Any, ...]) -> Array:
            *_, moved, i = carry
            return (i <= NEWTON_STEPS) & ~(moved <= STANDS)

        def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            # One search and one step in the program, which are most of it; the last time only the search is wanted.
            z, near, _, _, i = carry
            here = normals.at(z, near)
            new = jax.lax.cond(i < NEWTON_STEPS, lambda: normals.newton(z, here)[0], lambda: z)
            # Where no search begins at another, nothing is carried.
            return new, None if near is None else here, here.values[0], jnp.linalg.norm(new - z), i + 1

        inf, zero = jnp.full((), jnp.inf, theta.dtype), jnp.zeros((), int)
        begin = (theta, normals.guess(theta), inf, inf, zero)
        point, _, top, _, _ = jax.lax.while_loop(going, advance, begin)
        slope = jnp.linalg.norm(jax.grad(objective.function)(point))
        return point, slope / top, top

    return Compiled(land)
