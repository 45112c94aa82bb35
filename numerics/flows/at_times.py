"""The flow next to gradient descent: in the chart of the loss, or on the implicit manifold where it has none."""

from __future__ import annotations

import contextlib
import time as clock
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpflow.numerics.flows.chart_flow import DESCENT, Coefficient, compiled_flow
from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.flows.manifold_flow import compiled_manifold_flow, manifold_flow
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.loss import Loss

if TYPE_CHECKING:
    from sharpflow.theory.chart.flow import SharpnessFlow

__all__ = ["FlowRun", "derived_flow", "run_chart_flow", "run_edge_flow", "run_manifold_flow"]

# Ten times what a built-in family takes; beyond, the flow on the implicit manifold needs no formula.
DERIVATION_SECONDS = 30.0


@dataclass(frozen=True)
class FlowRun:
    """The flow at the times asked for.

    Attributes:
        points: (N, D) unit vectors, nan after the flow's end.
        sharpness: (N,) lambda_1 there.
        end, end_sharpness: the last point there is, (D,), and lambda_1 at it.
        time: flow time reached.
        result: how it ended.
        seconds, compile_seconds: of a run of the compiled program, and of compiling it.
        edge_count: eigenvalues at the edge at the end.
        spectrum, effective_lr, mean_square: (N, r), (N,), (N,) of a flow with several eigenvalues at the edge: the top
            ones, effective_lr, and tr Sigma; else ``None``.
    """

    points: np.ndarray
    sharpness: np.ndarray
    end: np.ndarray
    end_sharpness: float
    time: float
    result: RESULTS
    seconds: float
    compile_seconds: float
    edge_count: int = 1
    spectrum: np.ndarray | None = None
    effective_lr: np.ndarray | None = None
    mean_square: np.ndarray | None = None


# Losses whose flow was asked for, with what came of it.
_DERIVED: dict[Loss, SharpnessFlow | None] = {}
REMEMBERED = 64


def derived_flow(loss: Loss, /, *, seconds: float = DERIVATION_SECONDS) -> SharpnessFlow | None:
    """What the exact wing derives for gradient descent with weight decay; ``None`` where there is none in time.

    Remembered, so that the first call decides how long the exact wing may take.
    """
    from sharpflow.theory.chart.flow import sharpness_flow

    if loss not in _DERIVED:
        found = None
        with contextlib.suppress(NoClosedForm, TimeLimitExceeded), time_limit(seconds):
            found = sharpness_flow(loss)
        if len(_DERIVED) >= REMEMBERED:
            _DERIVED.pop(next(iter(_DERIVED)))
        _DERIVED[loss] = found
    return _DERIVED[loss]


def run_chart_flow(
    flow: SharpnessFlow, start: tuple[float, ...], times: np.ndarray, /, *,
    coefficient: Coefficient | None = DESCENT, drift: Callable[[Any, Any], Any] | None = None,
) -> FlowRun:  # fmt: skip
    """The chart flow at rising flow times (N,); ``coefficient`` (a, b, c) puts a/(b + c K^2) for 2/(4 + K^2).

    Without it ``drift`` does, a function of K^2 and lambda_1.
    """
    compiled = compiled_flow(flow) if coefficient is not None else compiled_flow(flow, drift)
    coefficient = DESCENT if coefficient is None else coefficient
    before, started = compiled.compile_seconds, clock.perf_counter()
    solution = compiled.integrate(start, float(times[-1]), coefficient)
    at = solution.evaluate(np.append(times, solution.time))
    seconds = clock.perf_counter() - started - (compiled.compile_seconds - before)
    return FlowRun(
        at.points[:-1], at.sharpness[:-1], at.points[-1], float(at.sharpness[-1]), solution.time, solution.result,
        seconds, compiled.compile_seconds,
    )  # fmt: skip


def run_manifold_flow(
    objective: Objective, start: np.ndarray, times: np.ndarray, /, *, rank: int, drift: Callable[[Any, Any], Any]
) -> FlowRun:
    """The flow on the implicit manifold at rising flow times (N,), from a point of Gamma (D,)."""
    records = 400
    end_time = float(times[-1])
    program = compiled_manifold_flow(objective, rank=rank, drift=drift, records=records)
    before, started = program.seconds, clock.perf_counter()
    path = manifold_flow(objective, start, time=end_time, drift=drift, rank=rank, records=records)
    seconds = clock.perf_counter() - started - (program.seconds - before)
    # Between records, time/400 apart, a cubic through the records and their speeds is exact to 1e-9 for speeds
    # under 1/2.
    points, sharpness = _interpolate(path.times, path.points, times), _interpolate(path.times, path.sharpness, times)
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    if path.result is RESULTS.DIVERGED and len(path) < 2:
        raise InputError(
            f"{objective.name!r}: the flow is not defined at the start (its sharpness has no gradient there)."
        )
    return FlowRun(
        points, sharpness, path.end, float(path.sharpness[-1]), float(path.times[-1]), path.result, seconds,
        program.seconds,
    )  # fmt: skip


def run_edge_flow(
    objective: Objective, start: np.ndarray, times: np.ndarray, /, *, rank: int | None, tolerance: float
) -> FlowRun:
    """The flow with any number of eigenvalues at the edge at rising flow times (N,), from a point of Gamma (D,).

    ``rank`` as in `sharpflow.numerics.flows.edge_flow.edge_flow`.
    """
    path = edge_flow(objective, start, time=float(times[-1]), rank=rank, tolerance=tolerance)
    points, spectrum, effective_lr = path.at(times)
    return FlowRun(
        points, spectrum[:, 0], path.points[-1], float(path.sharpness[-1]), float(path.times[-1]), path.result,
        path.seconds, path.compile_seconds, int(path.edge_count[-1]), spectrum, effective_lr,
        np.interp(times, path.times, path.mean_square, right=np.nan),
    )  # fmt: skip


def _interpolate(known: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``values`` (M, ...) known at ``known`` (M,), at ``times`` (N,) by a cubic spline; nan outside."""
    from scipy.interpolate import CubicSpline

    if len(known) < 4:
        result = np.full((len(times), *values.shape[1:]), np.nan)
        result[times <= known[0]] = values[0]
        return result
    spline = CubicSpline(known, values)(times)
    spline[times > known[-1] * (1 + 1e-12)] = np.nan
    out: np.ndarray = spline
    return out
