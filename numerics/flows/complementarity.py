"""Several eigenvalues at the edge: the covariance of the oscillation, by complementarity.

0 <= Sigma, Z = M(Sigma) - Q >= 0, <Sigma, Z> = 0 over symmetric k x k matrices (>= 0: positive semidefinite), with
M(Sigma)_ij = 4 tr(Sigma) delta_ij + sum_kl <A_ij, A_kl> Sigma_kl: the conditions of the convex problem
min 1/2 <Sigma, M Sigma> - <Q, Sigma> over Sigma >= 0. Sigma is in units of the rate, and Q = 2 I on the edge.

Solved by smoothing: with Y symmetric and p_mu(y) = (y + sqrt(y^2 + 4 mu^2))/2 of its eigenvalues, Sigma = p_mu(Y) and
Z = s p_mu(-Y) are positive definite with Sigma Z = s mu^2, the central path of interior-point methods. Newton's method
on M(Sigma) - Q = Z while mu falls to 0 takes three or four steps from a neighbouring solution, and some ten from none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.spectrum.symmetric import pairs, to_matrix, to_vector
from sharpflow.theory.errors import InputError

__all__ = ["CONVERGED", "MAX_EDGES", "EdgeSolution", "edge_covariance", "solve_edge"]


configure()

Array = jax.Array

MAX_EDGES = 16
# In units of |Q|: a step of the flow is off by far more.
KKT = 1e-11
# What may be left of it: ten times as much, as rounding may stop Newton's method short.
CONVERGED = 1e-10
NEWTON_STEPS = 60
HALVINGS = 12


class EdgeSolution(NamedTuple):
    """Sigma and what the next solve can start from.

    Attributes:
        sigma: (k, k) positive semidefinite.
        slack: (k, k), Z = M(Sigma) - Q.
        seed: (k, k), Y; a start for a neighbouring problem.
        residual: |M(Sigma) - Q - Z|/|Q| with Z >= 0 and Sigma Z = 0 exactly: the error in the conditions.
        steps: Newton steps taken.
        converged: whether the residual is at most `CONVERGED`.
    """

    sigma: Array
    slack: Array
    seed: Array
    residual: Array
    steps: Array
    converged: Array


def _smoothed(values: Array, mu: Array) -> Array:
    """p_mu of eigenvalues (k,)."""
    root = jnp.sqrt(values**2 + 4 * mu**2)
    # (y + root)/2 cancels for y < 0.
    return jnp.where(values > 0, (values + root) / 2, 2 * mu**2 / jnp.maximum(root - values, 1e-300))


def _slopes(values: Array, mu: Array) -> Array:
    """Divided differences (k, k) of p_mu."""
    root = jnp.sqrt(values**2 + 4 * mu**2)
    sums = jnp.maximum(root[:, None] + root[None, :], 1e-300)
    return (1 + (values[:, None] + values[None, :]) / sums) / 2


def solve_edge(gram: Array, linear: Array, seed: Array, /) -> EdgeSolution:
    """Sigma, for tracing.

    Args:
        gram: (m, m) positive semidefinite, m = k(k+1)/2: M in the coordinates of `to_vector`.
        linear: (k, k), Q.
        seed: (k, k), Y of a neighbouring problem, or zeros.
    """
    k = linear.shape[0]
    m = k * (k + 1) // 2
    size = jnp.linalg.norm(linear)
    q = to_vector(linear) / size
    scale = jnp.maximum(jnp.trace(gram) / m, 1e-12)
    matrix = gram / scale  # Y, Sigma in units of size/scale: then Z = p(-Y) has the unit size
    unit = jnp.eye(m)
    basis = jax.vmap(lambda e: to_matrix(e, k))(unit)

    zero = jnp.zeros(())

    def miss(y: Array, values: Array, vectors: Array, mu: Array) -> Array:
        plus = to_vector((vectors * _smoothed(values, mu)) @ vectors.T)
        return matrix @ plus - q - (plus - to_vector(y))

    def going(carry: Any) -> Array:
        *_, error, steps = carry
        return (error > KKT) & (steps < NEWTON_STEPS)

    def advance(carry: Any) -> Any:
        y, values, vectors, mu, _, steps = carry
        value = miss(y, values, vectors, mu)
        turned = _slopes(values, mu) * (vectors.T @ basis @ vectors)
        derivative = jax.vmap(to_vector)(vectors @ turned @ vectors.T).T
        d = to_matrix(jnp.linalg.solve((matrix - unit) @ derivative + unit, -value), k)
        norm = jnp.linalg.norm(value)

        def trial(length: Array) -> tuple[Any, ...]:
            new = y + length * d
            at, axes = jnp.linalg.eigh(new)
            return new, at, axes, jnp.linalg.norm(miss(new, at, axes, mu))

        def worse(state: tuple[Any, ...]) -> Array:
            *_, here, length, tried = state
            return ~(here <= (1 - 1e-4 * length) * norm) & (tried < HALVINGS)  # the first time, at inf, always

        def halve(state: tuple[Any, ...]) -> tuple[Any, ...]:
            *_, length, tried = state
            return *trial(length / 2), length / 2, tried + 1

        # From twice the whole step, so that trials are compiled once.
        before = (y, values, vectors, jnp.full((), jnp.inf), jnp.full((), 2.0), jnp.full((), -1))
        new, *pair, here, _, tried = jax.lax.while_loop(worse, halve, before)
        stuck = tried == HALVINGS
        y, values, vectors = (jnp.where(stuck, *both) for both in zip((y, values, vectors), (new, *pair), strict=True))
        # Near the central path go down it, faster and faster; away from it stay; where Newton is stuck go back up.
        down = jnp.where(here < 0.5 * mu, jnp.minimum(0.2 * mu, mu**1.5), mu)
        mu = jnp.where(stuck, jnp.minimum(30 * mu + 1e-12, 10.0), down)
        return y, values, vectors, mu, jnp.linalg.norm(miss(y, values, vectors, zero)), steps + 1

    y = seed * scale / size
    values, vectors = jnp.linalg.eigh(y)
    error = jnp.linalg.norm(miss(y, values, vectors, zero))
    begin = (y, values, vectors, jnp.minimum(error, 1.0) ** 2, error, jnp.zeros((), int))
    y, values, vectors, _, error, steps = jax.lax.while_loop(going, advance, begin)
    sigma = (vectors * jnp.maximum(values, 0.0)) @ vectors.T
    seed = y * size / scale
    return EdgeSolution(sigma * size / scale, (sigma - y) * size, seed, error, steps, error <= CONVERGED)


_solve = Compiled(solve_edge)


def edge_covariance(log_gradients: object, linear: object = None, /, *, seed: object = None) -> EdgeSolution:
    """Sigma (k, k) from A (k, k, D) and Q (default 2 I).

    ``log_gradients[i, j]`` is A_ij = P_T grad(v_i^T H v_j)/lambda_1, symmetric in i and j.

    Raises:
        InputError: the shapes do not fit, more than `MAX_EDGES` eigenvalues, or numbers that are not finite.
    """
    a = np.asarray(log_gradients, dtype=float)
    if a.ndim != 3 or a.shape[0] != a.shape[1] or not 1 <= a.shape[0] <= MAX_EDGES:
        raise InputError(f"log_gradients must have the shape (k, k, D), k at most {MAX_EDGES}; it is {a.shape}.")
    k = a.shape[0]
    q = 2 * np.eye(k) if linear is None else np.asarray(linear, dtype=float)
    y = np.zeros((k, k)) if seed is None else np.asarray(seed, dtype=float)
    for name, value in (("linear", q), ("seed", y)):
        if value.shape != (k, k) or not np.allclose(value, value.T):
            raise InputError(f"{name} must be a symmetric ({k}, {k}) matrix.")
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(q)) and np.all(np.isfinite(y))):
        raise InputError("log_gradients, linear and seed must be finite.")
    if not np.allclose(a, a.transpose(1, 0, 2)):
        raise InputError("log_gradients must be symmetric: A_ij = A_ji.")
    i, j, weight = pairs(k)
    rows = a[i, j] * weight[:, None]
    trace = np.where(i == j, 1.0, 0.0)
    found: EdgeSolution = jax.tree.map(np.asarray, _solve(rows @ rows.T + 4 * np.outer(trace, trace), q, y))
    return found
