"""One step of the flow with several eigenvalues at the edge: pure functions for `edge_flow` to compile.

With E = effective_lr H/2 in the top eigenvectors v_1 ... v_k of H, dE/d tau = 2 I - M(Sigma) at the edge. In R^D
(`sharpflow.numerics.weights.coordinates`) effective_lr stays, weight decay pulls at the weights themselves, M has no
trace term and dE/d tau = -<A, R y> - M(Sigma): the radius is then one of the directions of Gamma. A step h takes
Sigma constant, A at its middle, and asks for E <= I at its end: the complementarity problem of
`sharpflow.numerics.flows.complementarity` with Q = 2 I + (E - I)/h, E at the beginning. So eigenvalues join and leave
without events, an edge that was missed by O(h^3) is met in the next step, and the step is of second order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.flows.complementarity import solve_edge
from sharpflow.numerics.minima.normals import Normals
from sharpflow.numerics.spectrum.curvature import curvature_gradients
from sharpflow.numerics.spectrum.symmetric import pairs, to_matrix, to_vector

__all__ = ["StepState", "Stepper"]

Array = jax.Array

LARGEST_STEP, SMALLEST_STEP = 0.1, 1e-7
# Chord iterations back to Gamma: a step leaves it by h^2, and each gains a factor h. The middle of a step may stay off
# by h^2, unless normal directions are told from the others by their curvature alone.
CHORDS = 3
# An eigenvalue just outside of the k carried may not come nearer to the edge than this part of it.
MARGIN = 0.02
# A normal direction whose curvature falls to this part of lambda_1 is none: the rank of the Hessian has dropped.
LOST_RANK = 1e-9
# The end of a step misses the edge by its third power; what is beyond by a tenth was overlooked before.
BEYOND = 0.1


class StepState(NamedTuple):
    """The state that the next step needs.

    Attributes:
        time: flow time.
        step, last: the step to try, and the one taken last (0 before the first).
        point: (D,) on Gamma.
        log_lr: log effective_lr.
        here: what is known of the normal directions at the point.
        seed: (k, k), a start for the next complementarity problem, in the eigenvectors of ``here``.
        sigma: (k, k) Sigma at the point.
        drift: (D,) d zeta/d tau at the point.
        rejected: tries given up so far.
        unsolved: (4,) of the kinds `sharpflow.numerics.minima.normals.SOLVED`, what was left of problems that no step
        was short enough
            to solve; 0 while all is well.
    """

    time: Array
    step: Array
    last: Array
    point: Array
    log_lr: Array
    here: Any
    seed: Array
    sigma: Array
    drift: Array
    rejected: Array
    unsolved: Array


class Stepper:
    """The step for one way to find normal directions, carrying k eigenvalues."""

    def __init__(self, normals: Normals) -> None:
        self.normals, self.objective = normals, normals.objective
        self.k = normals.k
        i, j, _ = pairs(self.k)
        self._trace = np.where(i == j, 1.0, 0.0)

    def edge(self, here: Any, log_lr: Array) -> Array:
        """(k,) eigenvalues of E = effective_lr H/2; the edge is at 1."""
        return jnp.exp(log_lr) * here.values[: self.k] / 2

    def _back(self, z: Array, near: Any, count: Array) -> tuple[Array, Array]:
        """``count`` steps of `Normals.newton`, and the residual of what was not solved."""

        def advance(_: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            y, unsolved = carry
            y, more = self.normals.newton(y, near)
            return y, jnp.maximum(unsolved, more)

        out: tuple[Array, Array] = jax.lax.fori_loop(0, count, advance, (z, jnp.zeros(())))
        return out

    def _push(self, z: Array, here: Any, edge: Array, within: Array, seed: Array) -> tuple[Array, Any, Array]:
        """The drift (D,) and Sigma at z, where E is to be at most I after a time ``within``; what was not solved."""
        vectors = here.vectors[:, : self.k]
        rows, unsolved = self.normals.tangent(z, here, curvature_gradients(self.objective, z, vectors))
        rows = rows / here.values[0]
        identity = jnp.eye(self.k)
        missing = (edge - identity) / within
        if self.objective.decay is None:
            quadratic = rows @ rows.T + 4 * np.outer(self._trace, self._trace)
            found = solve_edge(quadratic, 2 * identity + missing, seed)
            return -to_vector(found.sigma) @ rows, found, unsolved
        pull, off = self.normals.tangent(z, here, self.objective.pulled(z)[None])
        found = solve_edge(rows @ rows.T, missing - to_matrix(rows @ pull[0], self.k), seed)
        return -to_vector(found.sigma) @ rows - pull[0], found, jnp.maximum(unsolved, off)

    def growth(self, sigma: Array) -> Array:
        """d log effective_lr/d tau."""
        return 2 - 4 * jnp.trace(sigma) if self.objective.decay is None else jnp.zeros(())

    def begin(self, point: Array, log_lr: Array, time: Array, step: Array) -> StepState:
        """The state at a point of Gamma (D,), with Sigma and the drift not known yet."""
        here = self.normals.at(point, self.normals.guess(point))
        nothing = jnp.zeros((self.k, self.k))
        unsolved = jnp.zeros(4).at[1].set(self.normals.unsolved(here))
        return StepState(
            time, step, jnp.zeros(()), point, log_lr, here, nothing, nothing, jnp.zeros_like(point), jnp.zeros((), int),
            unsolved,
        )  # fmt: skip

    def advance(self, s: StepState, end: Array, tolerance: Array) -> tuple[StepState, Array, Array]:
        """The state after one try, whether it was accepted, and the residual of its complementarity problems."""
        k, normals = self.k, self.normals
        h = jnp.minimum(s.step, end - s.time)
        # A short step after a long one need not mend the long one's error of the edge at once.
        within = jnp.maximum(h, s.last)

        def stage(carry: Any, second: Array) -> tuple[Any, Any]:
            """The middle of the step, then its end: in a scan, so that the costly part is compiled once."""
            drift, sigma, seed, near = carry
            log_lr = s.log_lr + jnp.where(second, h * self.growth(sigma), 0.0)
            moved = self.objective.onto(s.point + jnp.where(second, h, h / 2) * drift)
            z, off = self._back(moved, near, jnp.where(second | (not normals.complete), CHORDS, 0))
            here = normals.at(z, normals.searching(near, second & (s.time + h >= end)))
            turn = here.vectors[:, :k].T @ near.vectors[:, :k]
            turn = turn @ (3 * jnp.eye(k) - turn.T @ turn) / 2  # a rotation again, up to h^4
            # For the middle the edge at the beginning of the step, in the eigenvectors of its middle.
            before = (turn * self.edge(s.here, s.log_lr)) @ turn.T
            edge = jnp.where(second, jnp.diag(self.edge(here, log_lr)), before)
            drift, found, inside = self._push(z, here, edge, within, turn @ seed @ turn.T)
            beyond = jnp.where(second, self.edge(here, log_lr)[0] - 1, 0.0)
            unsolved = jnp.stack([
                jnp.where(found.converged, 0.0, found.residual),
                normals.unsolved(here),
                jnp.maximum(off, inside),
                jnp.where(beyond > BEYOND, beyond, 0.0),
            ])  # fmt: skip
            return (drift, found.sigma, found.seed, here), (z, log_lr, drift, found.residual, unsolved)

        begin = (s.drift, s.sigma, s.seed, s.here)
        (after, sigma, seed, here), (points, log_lrs, drifts, residuals, unsolved) = jax.lax.scan(
            stage, begin, jnp.array([False, True])
        )
        # The bend of the drift over the step: what Simpson's rule and the midpoint rule differ by. The first step has
        # no drift to begin with, and is short instead.
        error = jnp.where(s.last > 0, h * jnp.linalg.norm(s.drift - 2 * drifts[0] + after) / 6, 0.0)
        error = jnp.where(jnp.all(jnp.isfinite(after)), error, jnp.inf)  # tries smaller ones before it gives up
        left = jnp.max(unsolved, axis=0)
        # So does what was not solved: from a point nearer by it may be. nan is left to the test of the whole state.
        solved = ~jnp.any(left > 0)
        error = jnp.where(solved, error, jnp.inf)
        shortest = h <= SMALLEST_STEP
        accept = (error <= tolerance) | (shortest & solved)
        factor = jnp.clip(0.9 * jnp.maximum(error / tolerance, 1e-6) ** (-1 / 3), 0.2, 2.0)
        taken = StepState(
            s.time + h, jnp.minimum(h * factor, LARGEST_STEP), h, points[1], log_lrs[1], here, seed, sigma, after,
            s.rejected, jnp.zeros_like(left),
        )  # fmt: skip
        kept = s._replace(
            step=h * jnp.minimum(factor, 0.5), rejected=s.rejected + 1, unsolved=jnp.where(shortest, left, 0.0)
        )
        new: StepState = jax.tree.map(lambda a, b: jnp.where(accept, a, b), taken, kept)
        return new, accept, jnp.max(residuals)

    def crowded(self, s: StepState) -> Array:
        """True where the last eigenvalue carried is near the edge, so that the next may be, too."""
        if self.normals.exhausts:
            return jnp.zeros((), bool)
        return self.edge(s.here, s.log_lr)[self.k - 1] > 1 - MARGIN

    def lost(self, s: StepState) -> Array:
        """True where a normal direction has gone flat."""
        return self.normals.complete & (s.here.values[-1] < LOST_RANK * s.here.values[0])

    def finite(self, s: StepState) -> Array:
        """True where the state is made of numbers."""
        return jnp.isfinite(s.log_lr) & jnp.all(jnp.isfinite(s.point)) & jnp.all(jnp.isfinite(s.here.values))
