"""The sharpness-reduction flow with several eigenvalues at the edge, on the implicit manifold Gamma.

d zeta/d tau = -sum_ij Sigma_ij A_ij, d log effective_lr/d tau = 2 - 4 tr Sigma, A_ij = P_T grad(v_i^T H v_j)/lambda_1
with v_1 ... v_k, the top eigenvectors of the Hessian H, held fixed. Sigma (in units of the rate) is what keeps every
eigenvalue of effective_lr H/2 at or below 1 (`numerics.edge`). While one eigenvalue is at the edge this is
-2 g/(4 + |g|^2); below the edge zeta rests and effective_lr grows. No rate occurs: one step of the flow may span any
number of steps of gradient descent.
"""

from __future__ import annotations

import math
import time as clock
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numerics.compiled import Compiled
from numerics.config import configure
from numerics.edge import MAX_EDGES
from numerics.edge_step import Stepper, StepState
from numerics.krylov_normals import KrylovNormals, frames_fit
from numerics.manifold import NEWTON_STEPS
from numerics.normals import FrameNormals, Normals
from numerics.objective import Objective, as_objective, interpolating
from numerics.results import RESULTS
from numerics.spectrum import normal_rank, unit_vector
from numerics.trajectory import Trajectory
from theory.errors import InputError
from theory.loss import Loss

__all__ = ["EdgeFlow", "compiled_edge_flow", "edge_flow"]

configure()

Array = jax.Array

# Local error of a step, as a length on the sphere. Some 80 steps for three units of flow time, each within it, ended
# within 7e-4 of a run at 1e-8: half of intrinsic_lr at rate 1e-6, where gradient descent is 0.3 to 1 of it away.
TOLERANCE = 1e-4
# Eigenvalues carried to begin with; more when the last of them comes near the edge.
FIRST_COUNT = 4
# The first step is of first order, with an error of a tenth of its square or so.
FIRST_STEP = 1e-3
# An eigenvalue within this part of the edge counts as at it.
AT_EDGE = 0.01
# What is kept of one compiled stretch: so many steps, or so many numbers.
STEPS, NUMBERS = 256, 4_000_000
# Steps in all, tried or taken; each takes some 100 gradients.
MAX_STEPS = 100_000


@dataclass(frozen=True, eq=False)
class EdgeFlow:
    """The flow at its own N times (the start, and the end of each step).

    Attributes:
        times: (N,) flow time, rising from 0.
        points: (N, D) unit vectors zeta on Gamma.
        effective_lr: (N,).
        spectrum: (N, r) top eigenvalues of the spherical Hessian, falling; nan where fewer were known.
        sigma: (N, k, k) Sigma at each time, in units of the rate, in the top eigenvectors there (padded with 0).
        residual: the largest error in the conditions on Sigma.
        result, message: how it ended: successful, diverged, lost_rank, edges_exhausted, max_steps.
        rejected: tries given up for a smaller step.
        seconds, compile_seconds: running and compiling.
        name: of the objective.
    """

    times: np.ndarray
    points: np.ndarray
    effective_lr: np.ndarray
    spectrum: np.ndarray
    sigma: np.ndarray
    residual: float
    result: RESULTS
    message: str
    rejected: int
    seconds: float
    compile_seconds: float
    name: str = field(default="objective")

    @property
    def sharpness(self) -> np.ndarray:
        """(N,) lambda_1."""
        return self.spectrum[:, 0]

    @property
    def edge_count(self) -> np.ndarray:
        """(N,) how many eigenvalues have effective_lr*lambda_i within a hundredth of 2."""
        count: np.ndarray = np.sum(self.effective_lr[:, None] * self.spectrum > 2 * (1 - AT_EDGE), axis=1)
        return count

    @property
    def mean_square(self) -> np.ndarray:
        """(N,) tr Sigma: the mean of |theta - zeta|^2 over the oscillation, in units of the rate."""
        trace: np.ndarray = np.trace(self.sigma, axis1=1, axis2=2)
        return trace

    def at(self, times: Any, /) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """zeta (M, D), the spectrum (M, r) and effective_lr (M,) at flow times (M,); nan beyond the end.

        Between the steps by a monotone cubic, which keeps to the corners where an eigenvalue joins.
        """
        wanted = np.asarray(times, dtype=float)
        points, spectrum, log_lr = (
            _between(self.times, values, wanted) for values in (self.points, self.spectrum, np.log(self.effective_lr))
        )
        return points / np.linalg.norm(points, axis=1, keepdims=True), spectrum, np.exp(log_lr)

    def trajectory(self) -> Trajectory:
        """The path as a `Trajectory`."""
        return Trajectory(
            times=self.times, points=self.points, effective_lr=self.effective_lr, sharpness=self.sharpness,
            loss=np.full(len(self.times), np.nan), result=self.result,
            metadata={"subject": self.name, "kind": "edge flow"},
        )  # fmt: skip


def _between(known: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``values`` known at ``known`` (N,), at ``times`` (M,); nan outside, and where they are nan on either side."""
    from scipy.interpolate import PchipInterpolator

    if len(known) < 2:
        out = np.full((len(times), *values.shape[1:]), np.nan)
        out[times == known[0]] = values[0]
        return out
    if not np.isfinite(values).all():
        # Eigenvalues that were carried later on only: known from some step to the end.
        out = np.full((len(times), *values.shape[1:]), np.nan)
        for k, column in enumerate(values.T):
            there = np.isfinite(column)
            if there.any():
                within = times >= known[there][0]
                out[within, k] = _between(known[there], column[there], times[within])
        return out
    at: np.ndarray = PchipInterpolator(known, values)(np.minimum(times, known[-1]))
    at[(times > known[-1] * (1 + 1e-12)) | (times < 0)] = np.nan
    return at


def _buffer(dimension: int) -> int:
    return max(8, min(STEPS, NUMBERS // dimension))


def _trace(stepper: Stepper, buffer: int) -> Any:
    """Up to ``buffer`` steps, with a row for each: for `Compiled`."""

    def run(s: StepState, end: Array, tolerance: Array) -> tuple[Any, ...]:
        def row(s: StepState, residual: Array) -> tuple[Array, ...]:
            return s.time, s.point, s.log_lr, s.here.values, s.sigma, residual

        rows = jax.tree.map(
            lambda a: jnp.zeros((buffer, *jnp.shape(a)), jnp.result_type(a)), row(s, jnp.zeros(()))
        )  # fmt: skip

        def going(carry: tuple[Any, ...]) -> Array:
            s, count, tries, _ = carry
            well = stepper.finite(s) & ~stepper.crowded(s) & ~stepper.lost_rank(s)
            return (s.time < end) & (count < buffer) & (tries < 8 * buffer) & well

        def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            s, count, tries, rows = carry
            s, accept, residual = stepper.advance(s, end, tolerance)
            # A rejected try writes where the next one will write again.
            rows = jax.tree.map(lambda kept, new: kept.at[count].set(new), rows, row(s, residual))
            return s, count + accept, tries + 1, rows

        zero = jnp.zeros((), int)
        s, count, tries, rows = jax.lax.while_loop(going, advance, (s, zero, zero, rows))
        return s, count, tries, rows, (stepper.finite(s), stepper.crowded(s), stepper.lost_rank(s))

    return run


@dataclass(frozen=True)
class _Program:
    """The two programs of a flow: its begin, and a stretch of it."""

    begin: Compiled
    run: Compiled

    @property
    def seconds(self) -> float:
        return self.begin.seconds + self.run.seconds


def _normals(objective: Objective, rank: int | None, k: int) -> Normals:
    """By all normal eigenvectors where their number is given, else by Hessian products."""
    return KrylovNormals(objective, k) if rank is None else FrameNormals(objective, rank, k)


@lru_cache(maxsize=64)
def compiled_edge_flow(objective: Objective, /, *, rank: int | None, k: int) -> _Program:
    """The programs behind `edge_flow`, for those who time them; without a rank by Hessian products alone."""
    stepper = Stepper(_normals(objective, rank, k))
    return _Program(Compiled(stepper.begin), Compiled(_trace(stepper, _buffer(objective.dimension))))


@lru_cache(maxsize=64)
def _landing(objective: Objective, rank: int | None) -> Compiled:
    """The point of Gamma next to a point, |grad L|/lambda_1 there, and lambda_1."""
    normals = _normals(objective, rank, 1)

    def land(theta: Array) -> tuple[Array, Array, Array]:
        def advance(_: Any, carry: tuple[Array, Any]) -> tuple[Array, Any]:
            z, here = carry
            z = normals.newton(z, here)
            return z, normals.at(z, here)

        begin = (theta, normals.at(theta, normals.guess(theta)))
        point, here = jax.lax.fori_loop(0, NEWTON_STEPS, advance, begin)
        slope = jnp.linalg.norm(jax.grad(objective.function)(point))
        return point, slope / here.values[0], here.values[0]

    return Compiled(land)


def edge_flow(
    subject: Loss | Objective, start: Any = None, /, *, time: float, effective_lr: float | None = None,
    rank: int | None = None, count: int = FIRST_COUNT, tolerance: float = TOLERANCE, max_steps: int = MAX_STEPS,
) -> EdgeFlow:  # fmt: skip
    """zeta(tau), effective_lr and Sigma, 0 <= tau <= time (flow time), of gradient descent with weight decay.

    Args:
        subject: the loss; any number of eigenvalues may meet at the edge, up to 16.
        start: (D,), on Gamma or near it (brought there by Newton); default the objective's.
        time: flow time to go.
        effective_lr: at the start; default 2/lambda_1, the edge. Below it the flow waits, above it is an error.
        rank: number of normal directions, all of which are then computed at every step; default
            `numerics.spectrum.normal_rank` up to 400 weights or 1000 residuals, and none beyond: then everything is
            done by Hessian products, and a curvature below 1e-5 lambda_1 counts as none.
        count: eigenvalues carried to begin with; enlarged when the last comes near the edge.
        tolerance: local error of a step, a length on the sphere.
        max_steps: steps to try, in all (looked at every 256).

    Returns:
        the path; a run that failed ends at its last good step, and ``result`` says how.

    Raises:
        InputError: a number is out of range, the start is not near a manifold of minimizers, or beyond the edge.
    """
    objective = as_objective(subject)
    for name, value in (("time", time), ("tolerance", tolerance)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} = {value} must be positive and finite.")
    if not 1 <= count <= MAX_EDGES:
        raise InputError(f"count = {count} must be between 1 and {MAX_EDGES}.")
    zeta = unit_vector(objective, objective.start if start is None else start, "start")
    objective = interpolating(objective, zeta)
    if rank is None and frames_fit(objective):
        rank = normal_rank(subject if objective is subject else objective, zeta)
    point, residual, top = (np.asarray(a) for a in _landing(objective, rank)(zeta))
    # Newton that worked leaves rounding; 1e-6 is far above it and far below any oscillation.
    if not (float(residual) < 1e-6 and float(top) > 0):
        raise InputError(
            f"{objective.name!r}: the start is not near a manifold of minimizers (|grad L|/lambda_1 = "
            f"{float(residual):.1e} after Newton's iteration); take it there with relax() first."
        )
    runner = _Runner(objective, rank, point, float(time), float(tolerance), max_steps)
    return runner.run(count, _first_lr(objective, effective_lr, float(top)))


def _first_lr(objective: Objective, effective_lr: float | None, top: float) -> float:
    """effective_lr at the start: 2/lambda_1, or what was asked for, checked."""
    if effective_lr is None:
        return 2 / top
    if not (math.isfinite(effective_lr) and 0 < effective_lr <= 2 / top * (1 + 1e-6)):
        raise InputError(
            f"effective_lr = {effective_lr:g} must be positive and at most 2/lambda_1 = {2 / top:g} for "
            f"{objective.name!r}: beyond the edge gradient descent is thrown out, and no flow describes it."
        )
    return effective_lr


class _Runner:
    """Stretch after stretch, with more eigenvalues where they are needed."""

    def __init__(
        self, objective: Objective, rank: int | None, point: np.ndarray, time: float, tolerance: float, max_steps: int
    ) -> None:
        self.objective, self.rank, self.point = objective, rank, point
        self.time, self.tolerance = np.float64(time), np.float64(tolerance)
        self.rows: list[tuple[np.ndarray, ...]] = []
        self.seconds = self.compile_seconds = 0.0
        self.rejected = self.tries = 0
        self.max_steps = max_steps

    @property
    def _most(self) -> int:
        """Eigenvalues that may be carried at most."""
        return min(MAX_EDGES, self.objective.dimension // 3 if self.rank is None else self.rank)

    def run(self, count: int, effective_lr: float) -> EdgeFlow:
        log_lr, point, begun = math.log(effective_lr), self.point, np.float64(0.0)
        k = min(count, self._most)
        while True:
            s, flags = self._stretches(point, log_lr, begun, k)
            finite, crowded, lost = (bool(f) for f in flags)
            reached = float(s.time) >= self.time
            if crowded and finite and not lost and not reached and k < self._most:
                k = min(2 * k, self._most)
                point, log_lr, begun = np.asarray(s.point), float(s.log_lr), np.float64(s.time)
                continue
            return self._result(s, finite, lost, crowded and not reached, k)

    def _stretches(self, point: np.ndarray, log_lr: float, begun: np.float64, k: int) -> tuple[Any, Any]:
        program = compiled_edge_flow(self.objective, rank=self.rank, k=k)
        before = program.seconds
        first = np.float64(min(FIRST_STEP, math.sqrt(float(self.tolerance)) / 10, float(self.time) / 10))
        arguments = (point, np.float64(log_lr), begun, first)
        program.begin.prepare(*arguments)
        started = clock.perf_counter()
        s = program.begin(*arguments)
        jax.block_until_ready(s)
        self.seconds += clock.perf_counter() - started
        program.run.prepare(s, self.time, self.tolerance)
        self.compile_seconds += program.seconds - before
        if not self.rows:
            self.rows.append(
                jax.tree.map(lambda a: np.asarray(a)[None], (s.time, s.point, s.log_lr, s.here.values, s.sigma))
            )
        while True:
            started = clock.perf_counter()
            s, count, tries, rows, flags = program.run(s, self.time, self.tolerance)
            self.rows.append(tuple(np.asarray(a)[: int(count)] for a in rows))
            self.seconds += clock.perf_counter() - started
            self.tries += int(tries)
            finite, crowded, lost = (bool(f) for f in flags)
            over = float(s.time) >= self.time or int(count) == 0 or self.tries >= self.max_steps
            if over or not finite or crowded or lost:
                break
        self.rejected += int(s.rejected)
        return s, flags

    def _result(self, s: StepState, finite: bool, lost: bool, crowded: bool, k: int) -> EdgeFlow:
        if len(self.rows) > 1 and len(self.rows[1][0]) and self.rows[1][4].shape == (len(self.rows[1][0]), k, k):
            # At the start itself Sigma is that of the first (short) step.
            self.rows[0] = (*self.rows[0][:4], self.rows[1][4][:1])
        times, points, log_lr = (np.concatenate([row[i] for row in self.rows]) for i in range(3))
        widest = max(row[3].shape[1] for row in self.rows)
        spectrum = np.concatenate([
            np.pad(row[3], ((0, 0), (0, widest - row[3].shape[1])), constant_values=np.nan) for row in self.rows
        ])  # fmt: skip
        sigma = np.zeros((len(times), k, k))
        first = 0
        for row in self.rows:
            size = row[4].shape[1]
            sigma[first : first + len(row[4]), :size, :size] = row[4]
            first += len(row[4])
        residual = max((float(row[5].max()) for row in self.rows if len(row) > 5 and len(row[5])), default=0.0)
        good = np.isfinite(log_lr) & np.all(np.isfinite(points), axis=1)
        keep = np.cumprod(good).astype(bool)
        result, message = RESULTS.SUCCESSFUL, ""
        at = f"at flow time {times[keep][-1]:.4g}"
        if not finite or not keep.all():
            result, message = RESULTS.DIVERGED, f"not finite after flow time {times[keep][-1]:.4g}"
        elif lost:
            ratio = spectrum[-1, -1] / spectrum[-1, 0]
            result, message = RESULTS.LOST_RANK, f"{at} the smallest normal curvature is {ratio:.1e} of lambda_1"
        elif crowded:
            result, message = RESULTS.EDGES_EXHAUSTED, f"{at} {k} eigenvalues are at the edge"
        elif float(s.time) < self.time:
            result, message = RESULTS.MAX_STEPS, f"{at}, after {self.tries} tries"
        return EdgeFlow(
            times[keep], points[keep], np.exp(log_lr[keep]), spectrum[keep], sigma[keep], residual, result, message,
            self.rejected, self.seconds, self.compile_seconds, self.objective.name,
        )  # fmt: skip
