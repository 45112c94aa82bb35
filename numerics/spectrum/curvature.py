"""How the curvature in given directions changes: grad(v_i^T H v_j), the v held fixed, without third derivatives stored.

Reverse over forward: with residuals, where H = J^T J on Gamma, v_i^T H v_j = <J v_i, J v_j>, and one backward pass
through J v_i for each pair suffices; without, one through the second derivative.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sharpflow.numerics.objective import Objective
from sharpflow.numerics.spectrum.symmetric import pairs

__all__ = ["curvature_gradients"]

Array = jax.Array


def curvature_gradients(objective: Objective, theta: Array, vectors: Array, /) -> Array:
    """grad(v_i^T H v_j) of the columns v of ``vectors`` (D, k), for i <= j: (k(k+1)/2, D).

    Rows off the diagonal carry a factor sqrt 2, as `sharpflow.numerics.spectrum.symmetric.pairs` says.
    """
    i, j, weight = pairs(vectors.shape[1])
    columns = vectors.T
    if objective.residuals is not None:
        residuals = objective.residuals

        def along(z: Array, v: Array) -> Array:
            out: Array = jax.jvp(residuals, (z,), (v,))[1]
            return out

        moved = jax.vmap(along, (None, 0))(theta, columns)  # (k, n): J v_j

        def row(v: Array) -> Array:
            _, pull = jax.vjp(lambda z: along(z, v), theta)
            return jax.vmap(lambda u: pull(u)[0])(moved)

        halves = jax.vmap(row)(columns)  # (k, k, D): grad of J v_i against J v_j
        rows: Array = jnp.asarray(weight)[:, None] * (halves + halves.transpose(1, 0, 2))[i, j]
        return rows

    def curvature(z: Array, a: Array, b: Array) -> Array:
        def slope(y: Array) -> Array:
            out: Array = jax.jvp(objective.function, (y,), (a,))[1]
            return out

        out: Array = jax.jvp(slope, (z,), (b,))[1]
        return out

    rows = jnp.asarray(weight)[:, None] * jax.vmap(jax.grad(curvature), (None, 0, 0))(theta, columns[i], columns[j])
    return rows
