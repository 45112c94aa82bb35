"""Gradient descent set off on the edge of stability, and recorded: sparsely on the way, every step at the end.

theta_0 = normalise(zeta_0 + A x v_1) with effective_lr*lambda_1 = 2, x the equilibrium amplitude of the rule (for
gradient descent with weight decay x = sqrt(2 rate/(4 + K^2))).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from sharpflow.numerics.descent.descent import Descent, Iterates, parameters_of, prepare
from sharpflow.numerics.descent.forms import MINIMUM
from sharpflow.numerics.descent.law import Law
from sharpflow.numerics.minima.records import start_at_minima, take_back
from sharpflow.numerics.minima.retraction import Normal, Retraction, analyse, analysis
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.theory.errors import InputError
from sharpflow.theory.rule import Rule

__all__ = [
    "RECORDS", "EdgeRun", "EdgeStart", "begin_at_edge", "edge_start", "parameters_at", "run_from_edge", "stretches_of",
]  # fmt: skip

# One number of records for every run and every stretch of it: one program for each loss and rule, whatever the rate.
RECORDS = 400
# Analysis of the tail (a few eigenproblems for each point) takes so many of its steps, or up to twice as many, as the
# stride is odd: 320 a period. Twice as many change the mean square by 1e-6 of itself, and the period by 5e-5.
TAIL_POINTS = 800
# The same by Hessian products, each point some hundred of them; 160 a period are plenty to find it.
KRYLOV_TAIL_POINTS = 400
# Seconds after which fewer records are advised.
LONG = 60.0
# A point of Gamma evaluated in double precision is 1e-15 off; 1e-6 is far below any oscillation.
ON_MINIMA = 1e-6


@dataclass(frozen=True)
class EdgeStart:
    """Where gradient descent sets off: point (D,), effective_lr (``None`` for a rule without), zeta (D,) on Gamma.

    top, along: (D,) v_1 and g/|g| there; x: the displacement along v_1.
    """

    point: np.ndarray
    effective_lr: float | None
    zeta: np.ndarray
    sharpness: float
    log_gradient_squared: float
    top: np.ndarray
    along: np.ndarray
    x: float


@dataclass(frozen=True)
class EdgeRun:
    """Records at iterations ``steps`` (N,) (even) and, densely, ``tail_steps`` (M,) (of both parities).

    Attributes:
        points: (N, D) unit vectors theta, raw.
        normal: retraction and spectrum at the N points.
        effective_lr, loss: (N,), nan where the rule has no effective_lr.
        mean_loss, mean_gradient_squared: (N,) means over the steps since the record before; nan where not taken.
        tail_normal, tail_effective_lr: the same of the tail.
        result: successful, diverged, or left_minima; series end where a run failed.
        failed_at: first iteration that is not finite, or -1.
        seconds: running time of the descent alone.
        compile_seconds: of everything compiled here so far.
        spectrum: (N, r) top eigenvalues at the retractions, where they were found on the way; else ``None``.
        message: what did not converge, where the result is unconverged.
    """

    steps: np.ndarray
    points: np.ndarray
    normal: Normal
    effective_lr: np.ndarray
    loss: np.ndarray
    mean_loss: np.ndarray
    mean_gradient_squared: np.ndarray
    tail_steps: np.ndarray
    tail_normal: Normal
    tail_effective_lr: np.ndarray
    result: RESULTS
    failed_at: int
    seconds: float
    compile_seconds: float
    spectrum: np.ndarray | None = None
    message: str = ""


def edge_start(
    objective: Objective, rule: Rule, law: Law, /, *, zeta: np.ndarray, rank: int | None, rate: float,
    amplitude: float, perturbation: float = 0.0, seed: int = 0,
) -> EdgeStart:  # fmt: skip
    """The start next to zeta (D,) on Gamma; ``perturbation`` is the length of a random step added to it.

    Without a rank by Hessian products alone.

    Raises:
        InputError: zeta is no minimizer, or what it takes did not converge there.
    """
    if rank is None:
        found = start_at_minima(objective, zeta)
        if found.message:
            raise InputError(f"{objective.name!r}: {found.message}.")
        zeta, sharpness, top, log_gradient = found.point, found.sharpness, found.top, found.log_gradient
    else:
        normal = analyse(objective, zeta[None], rank=rank)
        _require_minimizer(objective, zeta, normal)
        zeta, sharpness = normal.retraction.point[0], float(normal.sharpness[0])
        top, log_gradient = normal.top[0], normal.log_gradient[0]
    squared = float(log_gradient @ log_gradient)
    x = amplitude * law.amplitude(squared, rate, sharpness)
    point = zeta + x * top
    along = log_gradient / max(math.sqrt(squared), 1e-300)
    if perturbation:
        random = generator(seed).standard_normal(len(zeta))
        point = point + perturbation * random / np.linalg.norm(random)
    effective_lr = law.edge / sharpness if law.smooth else None
    return EdgeStart(point / np.linalg.norm(point), effective_lr, zeta, sharpness, squared, top, along, float(x))


def _require_minimizer(objective: Objective, zeta: np.ndarray, normal: Normal) -> None:
    """zeta is its own retraction, and lambda_1 > 0 there."""
    moved = max(float(normal.retraction.distance[0]), float(normal.retraction.residual[0]))
    if moved < ON_MINIMA and float(normal.sharpness[0]) > 0:
        return
    slope = float(np.linalg.norm(objective.gradient(zeta)))
    largest = float(np.linalg.eigvalsh(np.asarray(objective.hessian(zeta)))[-1])
    where = f"the start ({', '.join(f'{v:.4g}' for v in zeta[:6])}{', ...' if len(zeta) > 6 else ''})"
    if slope > ON_MINIMA * max(abs(largest), 1.0) or largest > ON_MINIMA:
        raise InputError(
            f"{objective.name!r}: {where} is not on a manifold of minimizers: there |grad L| = {slope:.3g} and the "
            f"largest eigenvalue of the Hessian is {largest:.3g}. Check Minima.point, and every sign in it."
        )
    raise InputError(
        f"{objective.name!r}: the largest eigenvalue of the Hessian is {largest:.3g} at {where}: this is no "
        "minimum that gradient descent could leave at an edge. Check the sign of the loss, or of Minima.point."
    )


def stretches_of(total: int, tail: int) -> tuple[int, int]:
    """(every, reached): 400 records, every (even) steps apart, reach step ``reached``; the rest is dense."""
    every = 2 * ((total - tail) // (2 * RECORDS))
    return (every, every * RECORDS) if every >= 2 else (0, 0)


def parameters_at(objective: Objective, rule: Rule, rate: float, zeta: np.ndarray, /) -> dict[str, np.float64]:
    """The rule's parameters at a rate, with min L, which is L(zeta)."""
    return parameters_of(rule, rate, None) | {MINIMUM: np.float64(objective.value(zeta))}


def begin_at_edge(
    descent: Descent, law: Law, start: EdgeStart, parameters: Mapping[str, Any], /, *, rate: float
) -> tuple[Any, Any]:
    """Position and state, with momentum as the oscillation has it."""
    position, state = descent.begin(start.point, start.effective_lr, parameters)
    state = law.begin(
        state, position, zeta=start.zeta, top=start.top, along=start.along, x=start.x, rate=rate,
        log_gradient=math.sqrt(start.log_gradient_squared),
    )  # fmt: skip
    return position, state


def run_from_edge(
    objective: Objective, rule: Rule, law: Law, start: EdgeStart, /, *, rank: int | None, rate: float, total: int,
    tail: int, means: bool = False, records: int = RECORDS, progress: Callable[[str], None] | None = None,
) -> EdgeRun:  # fmt: skip
    """``total`` (even) steps from ``start``, the last ``tail`` or more of them recorded densely.

    Without a rank the records are taken back to Gamma by Hessian products alone.

    ``means`` asks for averages between the records, which cost a little time. Of the records ``records`` are taken
    back, and at most twice as many of the last steps; ``progress`` is told how far that is.
    """
    descent = prepare(objective, rule, records=RECORDS, means=means)
    parameters = parameters_at(objective, rule, rate, start.zeta)
    position, state = begin_at_edge(descent, law, start, parameters, rate=rate)
    descent.compile(position, state, parameters)
    started = time.perf_counter()
    every, reached = stretches_of(total, tail)
    sparse: Iterates | None = None
    if every:
        sparse = descent.run(position, state, parameters, every)
        position, state = sparse.position, sparse.state
    dense: list[Iterates] = []
    for first in range(reached, total, RECORDS):
        dense.append(descent.run(position, state, parameters, 1, first))
        position, state = dense[-1].position, dense[-1].state
    jax.block_until_ready(position)
    seconds = time.perf_counter() - started
    own = 2 * max(1, every // 2 or total // (2 * RECORDS))
    chunks = [*([sparse] if sparse else []), *dense]
    compiled = descent.compile_seconds
    return _collect(
        objective, (start.zeta, start.sharpness), chunks, bool(sparse), rank, total, own, seconds, compiled,
        records=records, progress=progress,
    )  # fmt: skip


def _join(chunks: list[Iterates], total: int) -> tuple[np.ndarray, ...]:
    """Steps, points, effective_lr and loss of consecutive chunks up to step ``total``, shared ends once."""
    parts = [[c.steps, c.points, c.effective_lr, c.loss] for c in chunks]
    columns = [np.concatenate([p[i][:-1] for p in parts] + [parts[-1][i][-1:]]) for i in range(4)]
    keep = columns[0] <= total
    return tuple(c[keep] for c in columns)


def _averages(chunks: list[Iterates], name: str, steps: np.ndarray, stride: int) -> np.ndarray:
    """Means over the steps since the one before, of ``steps`` (N,), rising; nan where they were not taken.

    The last may be next to the one before: its mean is over a ``stride``, as a few steps see a part of a period only.
    """
    out = np.full(len(steps), np.nan)
    known = [(c.steps, c.means[name]) for c in chunks if name in c.means]
    if not known or len(steps) < 2:
        return out
    at = np.concatenate([known[0][0][:1], *(own[1:] for own, _ in known)])
    total = np.concatenate([[0.0], *(np.diff(own) * values[: len(own) - 1] for own, values in known)])
    # Sums up to each recorded step, and their differences: a stretch with a nan in it has none.
    sums = np.cumsum(total)
    out[1:] = np.diff(sums[np.searchsorted(at, steps)]) / np.diff(steps)
    if steps[-1] - steps[-2] < stride:
        first = np.searchsorted(at, max(at[0], steps[-1] - stride), side="right") - 1
        last = np.searchsorted(at, steps[-1])
        out[-1] = (sums[last] - sums[first]) / (at[last] - at[first])
    return out


def _told(progress: Callable[[str], None], total: int) -> Callable[[int], None]:
    """Of the number of records taken back, a sentence that says how long the rest takes."""
    begun = time.perf_counter()

    def done(count: int) -> None:
        left = (time.perf_counter() - begun) * (total / count - 1)
        fewer = f"; records={RECORDS // 4} would take a quarter" if left > LONG else ""
        progress(f"the way back to the minima, {count} of {total} records, {left:.0f} s left{fewer}")

    return done


def _collect(
    objective: Objective, start: tuple[np.ndarray, float], chunks: list[Iterates], has_sparse: bool, rank: int | None,
    total: int, stride: int, seconds: float, descent_seconds: float, *, records: int,
    progress: Callable[[str], None] | None,
) -> EdgeRun:  # fmt: skip
    failures = [c.failed_at for c in chunks if 0 <= c.failed_at <= total]
    failed_at = failures[0] if failures else -1
    steps, points, effective_lr, loss = _join(chunks, total)
    finite = np.all(np.isfinite(points), axis=1)
    alive = int(np.argmin(finite)) if not finite.all() else len(steps)
    steps, points, effective_lr, loss = (a[: max(alive, 1)] for a in (steps, points, effective_lr, loss))
    dense_from = RECORDS if has_sparse else 0
    # Even steps about as far apart as the sparse records, and the very last.
    offset = steps - steps[min(dense_from, len(steps) - 1)]
    series = (np.arange(len(steps)) < dense_from) | (offset % stride == 0)
    series[-1] |= steps[-1] % 2 == 0
    if records < RECORDS and (known := np.flatnonzero(series)).size > records + 1:
        series[:] = False
        series[known[np.round(np.linspace(0, len(known) - 1, records + 1)).astype(int)]] = True
    mean_loss, mean_squared = (_averages(chunks, name, steps[series], stride) for name in ("loss", "gradient_squared"))
    tail = np.arange(dense_from, len(steps)) if len(steps) > dense_from else np.arange(len(steps))[-1:]
    # An odd stride sees even and odd steps alike.
    most = min(TAIL_POINTS if rank is not None else KRYLOV_TAIL_POINTS, 2 * records)
    tail = tail[:: -(2 * (len(tail) // (2 * most)) + 1)][::-1]
    both = np.concatenate([np.flatnonzero(series), tail])
    result = RESULTS.SUCCESSFUL if failed_at < 0 else RESULTS.DIVERGED
    count, spectrum, message = int(series.sum()), None, ""
    done = None if progress is None else _told(progress, len(both))
    normal: Normal
    if rank is None:
        found = take_back(objective, start, points[both], steps[both], done=done)
        retraction = Retraction(found.points, found.distance, found.residual)
        normal = Normal(retraction, found.spectrum[:, 0], found.spectrum[:, 1], None, None)
        spectrum, compiling = found.spectrum[:count], found.compile_seconds
        if result.ok and found.message:
            result, message = RESULTS.UNCONVERGED, found.message
        arrived = found.arrived
    else:
        normal = analyse(objective, points[both], rank=rank, done=done)
        compiling = analysis(objective, rank).seconds
        # Newton that arrived leaves rounding; 1e-6 is above it and far below any oscillation (rate 1e-8 has 1e-4).
        arrived = normal.retraction.residual < 1e-6
    first: Normal = jax.tree.map(lambda a: a[:count], normal)
    second: Normal = jax.tree.map(lambda a: a[count:], normal)
    if result.ok and not np.all(arrived):
        result = RESULTS.LEFT_MINIMA
    return EdgeRun(
        steps=steps[series], points=points[series], normal=first, effective_lr=effective_lr[series],
        loss=loss[series], mean_loss=mean_loss, mean_gradient_squared=mean_squared,
        tail_steps=steps[tail], tail_normal=second, tail_effective_lr=effective_lr[tail],
        result=result, failed_at=failed_at, seconds=seconds,
        compile_seconds=descent_seconds + compiling, spectrum=spectrum, message=message,
    )  # fmt: skip
