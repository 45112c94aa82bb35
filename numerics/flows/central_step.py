"""One step of the central flow, away from Gamma: pure functions for `sharpflow.numerics.flows.central_flow` to compile.

The mean theta of the oscillating iterates obeys, a step of gradient descent,

    d theta/dt = -e P (grad L + sum_ij S_ij A_ij/2),        d log e/dt = 2 rate - e^2 |grad L|^2 - 4 tr S

with e = effective_lr, S (k, k) the covariance of the oscillation along the top eigenvectors v_i of P Hess L P, and
A_ij = P grad(v_i^T Hess L v_j). Over n steps from z the gradient is taken as linear about a point c close by,
G + H (theta - c), and solved exactly, however stiff it is:

    theta(n) - z = -Phi (G + H (z - c) + sum_ij S_ij A_ij/2),        Phi = (1 - exp(-n e H)) H^{-1}

so that E = e V^T H V/2 ends at E + (e/2) <A, theta(n) - z> + E d log e. That it ends at or below the identity is the
complementarity problem of `sharpflow.numerics.flows.complementarity` for S, with (e/4n) <A_ij, Phi A_kl> in place of
<A_ij, A_kl>: symmetric and positive. For n e H >> 1 normal to Gamma and n e H << 1 along it, Phi/n is e P_T, and this
is the step of `sharpflow.numerics.flows.edge_step`. c is the start of the step first, and then its middle: of second
order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.flows.complementarity import solve_edge
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.spectrum.curvature import curvature_gradients
from sharpflow.numerics.spectrum.dense import spherical_hessian
from sharpflow.numerics.spectrum.symmetric import pairs, to_matrix, to_vector

__all__ = ["CentralState", "CentralStepper", "phi_1"]

Array = jax.Array

LARGEST_STEP = 0.05
# In iterations: where even so short a step bends too much, the loss is not smooth there.
SHORTEST = 0.02
# An eigenvalue just outside of the k carried may not come nearer to the edge than this part of it.
MARGIN = 0.02


class Look(NamedTuple):
    """All that is known at a point theta (D,).

    Attributes:
        values, vectors: (D,), (D, D) eigenpairs of P Hess L P, falling; the radial one, 0, is among them.
        gradient: (D,) grad L in these vectors.
        rows: (k(k+1)/2, D) A_ij in these vectors, in the coordinates of
        `sharpflow.numerics.spectrum.symmetric.to_vector`.
    """

    values: Array
    vectors: Array
    gradient: Array
    rows: Array


class CentralState(NamedTuple):
    """The state that the next step needs; see `sharpflow.numerics.flows.edge_step.StepState`.

    Attributes:
        rate: eps.
        short: whether the last try was as short as is allowed, and bent too much all the same.
        unsolved: (1,) the residual of its complementarity problems, where that is what was too much; else 0.
    """

    time: Array
    step: Array
    last: Array
    point: Array
    log_lr: Array
    here: Look
    seed: Array
    sigma: Array
    rejected: Array
    rate: Array
    short: Array
    unsolved: Array


def phi_1(z: Array) -> Array:
    """(1 - exp(-z))/z."""
    small = jnp.abs(z) < 1e-8
    return jnp.where(small, 1 - z / 2, -jnp.expm1(-z) / jnp.where(small, 1.0, z))


class CentralStepper:
    """The step of a loss, carrying k eigenvalues; ``oscillating`` False leaves S = 0: gradient flow."""

    def __init__(self, objective: Objective, k: int, *, oscillating: bool = True) -> None:
        self.objective, self.k, self.oscillating = objective, k, oscillating
        i, j, _ = pairs(k)
        self._trace = np.where(i == j, 1.0, 0.0)

    def look(self, theta: Array) -> Look:
        """Everything at theta."""
        values, vectors = jnp.linalg.eigh(spherical_hessian(self.objective, theta))
        values, vectors = values[::-1], vectors[:, ::-1]
        rows = curvature_gradients(self.objective, theta, vectors[:, : self.k])
        rows = rows - jnp.outer(rows @ theta, theta)
        return Look(values, vectors, jax.grad(self.objective.function)(theta) @ vectors, rows @ vectors)

    def edge(self, here: Look, log_lr: Array) -> Array:
        """(k,) eigenvalues of E; the edge is at 1."""
        return jnp.exp(log_lr) * here.values[: self.k] / 2

    def solve(
        self, c: Look, force: Array, e: Array, edge: Array, s: CentralState, h: Array, seed: Array
    ) -> tuple[Any, Array]:
        """S over a step h about the look c, E at its beginning ``edge``; and the change of log e over h, S aside."""
        n = h / s.rate
        z = n * e * c.values
        phi = n * e * phi_1(z)
        identity = jnp.eye(self.k)
        spent = e**2 / s.rate * jnp.sum(force**2 * phi_1(2 * z))  # of |grad L|^2, which falls on the way
        quadratic = e / (4 * n) * (c.rows * phi) @ c.rows.T + 4 * np.outer(self._trace, self._trace)
        # A short step after a long one need not mend the long one's error of the edge at once.
        within = jnp.maximum(h, s.last)
        push = to_matrix(c.rows @ (phi * force), self.k)
        found = solve_edge(quadratic, edge * (2 - spent) + (edge - identity) / within - e / (2 * h) * push, seed)
        return found if self.oscillating else found._replace(sigma=0 * found.sigma), 2 - spent

    def move(self, c: Look, force: Array, e: Array, s: CentralState, h: Array, sigma: Array) -> Array:
        """The displacement (D,) over h, from where the gradient linearised about c is ``force``."""
        n = h / s.rate
        total = force + s.rate * to_vector(sigma) @ c.rows / 2
        return -c.vectors @ (n * e * phi_1(n * e * c.values) * total)

    def begin(self, point: Array, log_lr: Array, time: Array, step: Array, rate: Array) -> CentralState:
        """The state at a unit vector (D,), with S not known yet."""
        nothing = jnp.zeros((self.k, self.k))
        zero = jnp.zeros(())
        return CentralState(
            time, step, zero, point, log_lr, self.look(point), nothing, nothing, jnp.zeros((), int), rate,
            jnp.zeros((), bool), jnp.zeros(1),
        )  # fmt: skip

    def advance(self, s: CentralState, end: Array, tolerance: Array) -> tuple[CentralState, Array, Array]:
        """The state after one try, whether it was accepted, and the residual of its complementarity problems."""
        k = self.k
        h = jnp.minimum(s.step, end - s.time)

        def stage(carry: Any, second: Array) -> tuple[Any, Any]:
            """About the start, as far as the middle; about the middle, to the end: in a scan, compiled once."""
            here, point, log_lr, seed, edge = carry
            force = here.gradient + here.values * ((s.point - point) @ here.vectors)
            e = jnp.exp(log_lr)
            found, growth = self.solve(here, force, e, edge, s, h, seed)
            length = jnp.where(second, h, h / 2)
            new = _unit(s.point + self.move(here, force, e, s, length, found.sigma))
            whole = _unit(s.point + self.move(here, force, e, s, h, found.sigma))
            grown = growth - 4 * jnp.trace(found.sigma)
            look = self.look(new)
            turn = look.vectors[:, :k].T @ here.vectors[:, :k]
            turn = turn @ (3 * jnp.eye(k) - turn.T @ turn) / 2  # a rotation again, up to the square of the step
            seed, edge, sigma = (turn @ m @ turn.T for m in (found.seed, edge, found.sigma))
            out = (whole, h * grown, sigma, found.residual, found.converged)
            return (look, new, s.log_lr + length * grown, seed, edge), out

        start = jnp.diag(self.edge(s.here, s.log_lr))
        begin = (s.here, s.point, s.log_lr, s.seed, start)
        (here, point, log_lr, seed, _), (wholes, grown, sigmas, residuals, solved) = jax.lax.scan(
            stage, begin, jnp.array([False, True])
        )
        # The move about the start of the step against that about its middle: many times the error of the latter.
        error = jnp.linalg.norm(wholes[0] - point) + jnp.abs(grown[0] - grown[1])
        good = jnp.isfinite(error) & jnp.all(jnp.isfinite(here.values))
        # Where S is not needed (gradient flow) it need not be right.
        left = jnp.max(jnp.where(solved | (not self.oscillating), 0.0, residuals))
        error = jnp.where(good & ~(left > 0), error, jnp.inf)
        shortest = h <= SHORTEST * s.rate
        accept = error <= tolerance
        factor = jnp.clip(0.9 * jnp.sqrt(tolerance / jnp.maximum(error, 1e-6 * tolerance)), 0.2, 2.0)
        taken = CentralState(
            s.time + h, jnp.minimum(h * factor, LARGEST_STEP), h, point, log_lr, here, seed, sigmas[1], s.rejected,
            s.rate, jnp.zeros((), bool), jnp.zeros(1),
        )  # fmt: skip
        kept = s._replace(
            step=h * jnp.minimum(factor, 0.5), rejected=s.rejected + 1, short=shortest,
            unsolved=jnp.where(shortest, left, 0.0)[None],
        )  # fmt: skip
        new: CentralState = jax.tree.map(lambda a, b: jnp.where(accept, a, b), taken, kept)
        return new, accept, jnp.max(residuals)

    def crowded(self, s: CentralState) -> Array:
        """True where the last eigenvalue carried is near the edge, so that the next may be, too."""
        if not self.oscillating or self.k >= s.point.shape[0] - 1:
            return jnp.zeros((), bool)
        return self.edge(s.here, s.log_lr)[self.k - 1] > 1 - MARGIN

    def lost(self, s: CentralState) -> Array:
        """True where no step is short enough."""
        return s.short

    def finite(self, s: CentralState) -> Array:
        """True where the state is made of numbers."""
        return jnp.isfinite(s.log_lr) & jnp.all(jnp.isfinite(s.point)) & jnp.all(jnp.isfinite(s.here.values))


def _unit(vector: Array) -> Array:
    return vector / jnp.linalg.norm(vector)
