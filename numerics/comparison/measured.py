"""Read off gradient descent beside a flow: joined records, the edge, the onset, the resolved oscillation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sharpflow.numerics.comparison.result import (
    Comparison,
    DescentSummary,
    EdgeSeries,
    FlowSummary,
    OnsetSummary,
    OscillationSeries,
)
from sharpflow.numerics.comparison.setting import Setting
from sharpflow.numerics.descent.edge_run import EdgeRun, EdgeStart
from sharpflow.numerics.descent.oscillation import oscillation, window_mean
from sharpflow.numerics.flows.chart_flow import DESCENT
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.predictions.onset import Onset, onset
from sharpflow.numerics.predictions.resolved import resolved_flow
from sharpflow.numerics.results import RESULTS, worst
from sharpflow.numerics.spectrum.dense import top_eigenvalues

__all__ = ["edges", "join", "measure", "nothing", "onset_summary", "resolved"]

# Eigenvalues that are reported.
SPECTRUM = 8


def measure(
    objective: Objective, setting: Setting, begun: EdgeStart, run: EdgeRun, path: Path, at: Path, /, *,
    shown: tuple[float, ...], rank: int | None,
) -> Comparison:  # fmt: skip
    """Measure a finished run of gradient descent beside a flow: its ``path``, and ``at`` the records of the run.

    ``shown`` is the start as it is reported; without a ``rank`` only what Hessian products give is measured.
    """
    joined = join(objective, setting, run, path, at, shown=shown, foretell=rank is not None)
    rule, law = setting.rule, setting.law
    return replace(
        joined, edges=None if at.sigma is None else edges(objective, run, at, rank, setting.rate),
        oscillation=resolved(objective, setting, begun.zeta, run) if setting.resolve else None,
        # Without momentum x is multiplied by 1 - effective_lr*lambda_1, which at rest grows as in gradient descent.
        onset=onset_summary(begun, run, joined.distance, setting.rate, setting.amplitude)
        if not rule.state and law.edge == 2 and law.coefficient == DESCENT else None,
    )  # fmt: skip


def join(
    objective: Objective, setting: Setting, run: EdgeRun, path: Path, at: Path, /, *, shown: tuple[float, ...],
    foretell: bool = True,
) -> Comparison:  # fmt: skip
    """The distances, and both at their ends; see `measure`."""
    rule, law, rate = setting.rule, setting.law, setting.rate
    distance = np.linalg.norm(run.points - at.points, axis=1)
    on_minima = np.linalg.norm(run.normal.retraction.point - at.points, axis=1)
    edge = run.effective_lr * run.normal.sharpness
    tail_edge = run.tail_effective_lr * run.tail_normal.sharpness if rule.has_effective_lr else None
    last = oscillation(
        run.tail_steps, tail_edge if law.smooth else None, nominal=setting.period, intrinsic_lr=setting.intrinsic_lr
    )

    def mean(values: np.ndarray) -> float:
        return window_mean(run.tail_steps, values, last.first, last.last)

    mean_edge = None if tail_edge is None else mean(tail_edge)
    result = worst(run.result, path.result)
    # The mean over a period is the edge + O(intrinsic_lr^2), with a constant that grows with lambda_1 (some 1e3 on
    # real data). What left the edge, or never oscillated on it, is at 3/2 or half of it soon.
    if result.ok and law.smooth and mean_edge is not None and abs(mean_edge - law.edge) > 0.25 * law.edge:
        result = RESULTS.OFF_EDGE
    message = f"not finite from iteration {run.failed_at} on" if run.failed_at >= 0 else run.message
    if result is RESULTS.OFF_EDGE and foretell:
        message = _foretold(objective, setting, (run.steps * rate, at.points))
    if not path.result.ok:
        message = "; ".join(filter(None, [message, f"the flow ended at time {path.time:.6g}"]))
    # A flow of one eigenvalue has it at the edge of its rule, which need not be 2.
    count = 1 if path.sigma is None else int(path.edge_count[-1])
    return Comparison(
        loss=objective.name, rule=rule.name, rate=float(rate), intrinsic_lr=setting.intrinsic_lr,
        time=float(setting.time), start=shown, amplitude=float(setting.amplitude),
        gd=DescentSummary(
            end=run.points[-1], steps=int(run.steps[-1]),
            mean_square_oscillation=mean(run.tail_normal.retraction.distance**2), mean_edge=mean_edge,
            period=last.period, sharpness=mean(run.tail_normal.sharpness),
        ),
        flow=FlowSummary(end=path.end, sharpness=float(path.sharpness[-1]), edge_count=count),
        times=run.steps * rate, distance=distance, distance_on_minima=on_minima, sharpness=run.normal.sharpness,
        edge=edge, flow_sharpness=at.sharpness, points=run.points, minima_points=run.normal.retraction.point,
        flow_points=at.points, effective_lr=run.effective_lr, gd_loss=run.loss,
        seconds={"gd": run.seconds, "flow": path.seconds, "compile": run.compile_seconds + path.compile_seconds},
        result=result, message=message, edge_value=law.edge, perturbation=float(setting.perturbation),
    )  # fmt: skip


def edges(objective: Objective, run: EdgeRun, at: Path, rank: int | None, rate: float) -> EdgeSeries:
    """The series of several eigenvalues, of a flow that has them, at the records of the run."""
    spectrum, mean_square = at.spectrum[:, :SPECTRUM], at.mean_square
    minimum = float(objective.value(at.points[0]))
    known = run.spectrum
    if known is None:
        assert rank is not None  # without one the spectrum was found on the way
        known = top_eigenvalues(objective, run.normal.retraction.point, rank=rank)
    return EdgeSeries(
        spectrum=known[:, :SPECTRUM],
        flow_spectrum=spectrum, flow_effective_lr=at.effective_lr,
        mean_square=run.mean_gradient_squared / np.asarray(run.normal.sharpness) ** 2,
        flow_mean_square=rate * mean_square, excess_loss=run.mean_loss - minimum,
        flow_excess_loss=rate * spectrum[:, 0] * mean_square / 2,
    )  # fmt: skip


def onset_summary(begun: EdgeStart, run: EdgeRun, distance: np.ndarray, rate: float, amplitude: float) -> OnsetSummary:
    """When x has grown from what it is at the start to its equilibrium, predicted and measured."""
    displacement, size = abs(float((begun.point - begun.zeta) @ begun.top)), abs(begun.x / amplitude)
    if displacement > 0:
        foretold = onset(edge=2.0, rate=rate, displacement=displacement, size=size)
    else:  # below the rounding of zeta: nothing that could grow
        foretold = Onset(math.nan, math.nan, -math.inf)
    there = np.flatnonzero(np.asarray(run.normal.retraction.distance) >= size)
    first = int(there[0]) if len(there) else len(run.steps)
    measured = float(run.steps[first] * rate) if len(there) else math.nan
    before, after = (float(np.nanmax(part, initial=0.0)) for part in (distance[: first + 1], distance[first:]))
    after = after if len(there) else math.nan
    largest = float(np.nanmax(run.effective_lr * np.asarray(run.normal.sharpness)))
    return OnsetSummary(size, displacement, foretold.time, measured, foretold.edge, largest, before, after)


def resolved(objective: Objective, setting: Setting, zeta: np.ndarray, run: EdgeRun) -> OscillationSeries:
    """The tail of a run, and what the resolved oscillator says of it."""
    steps = run.tail_steps
    found = resolved_flow(
        objective, zeta, rule=setting.rule, rate=setting.rate, time=max(float(steps[-1]), 2.0) * setting.rate,
        amplitude=setting.amplitude, steps=steps,
    )  # fmt: skip
    missing = len(steps) - len(found.steps)
    x, edge = (np.append(values, np.full(missing, np.nan)) for values in (np.abs(found.x), found.edge))
    measured = run.tail_effective_lr * np.asarray(run.tail_normal.sharpness)
    return OscillationSeries(steps, np.asarray(run.tail_normal.retraction.distance), x, measured, edge)


def _foretold(objective: Objective, setting: Setting, flow: tuple[np.ndarray, np.ndarray]) -> str:
    """A sentence of the energy law on a run that left the edge; nothing where it does not foretell it."""
    from sharpflow.numerics.predictions.horizon import tracking_horizon

    found = tracking_horizon(objective, setting.rule, path=flow, amplitude=setting.amplitude)
    if not found.time < setting.time:
        return ""
    return (
        f"the energy law foretells it: c = {found.coefficient:.3g} at the start, and along the flow the oscillation "
        f"grows to ten times its equilibrium within flow time {found.time:.2g}"
    )


def nothing(
    objective: Objective, setting: Setting, start: tuple[float, ...], result: RESULTS, message: str, /
) -> Comparison:
    """A comparison that never began."""
    d = objective.dimension
    none, vector, table = np.zeros(0), np.full(d, np.nan), np.zeros((0, d))
    return Comparison(
        loss=objective.name, rule=setting.rule.name, rate=float(setting.rate), intrinsic_lr=setting.intrinsic_lr,
        time=float(setting.time), start=start, amplitude=float(setting.amplitude),
        gd=DescentSummary(vector, 0, math.nan, None, None, math.nan), flow=FlowSummary(vector, math.nan, 0),
        times=none, distance=none, distance_on_minima=none, sharpness=none, edge=none, flow_sharpness=none,
        points=table, minima_points=table, flow_points=table, effective_lr=none, gd_loss=none,
        seconds={"gd": 0.0, "flow": 0.0, "compile": 0.0}, result=result, message=message,
    )  # fmt: skip
