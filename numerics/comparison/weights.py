"""Gradient descent on all weights of a network beside the flow of `sharpflow.numerics.flows.weights_flow`.

Both set off from the same point of Gamma on the edge, gradient descent with A times the oscillation that the flow has
when it sets in. Distances are those of weights: of unit vectors where they are scale-invariant, and of the weights
themselves where they are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sharpflow.numerics.comparison.measured import nothing
from sharpflow.numerics.comparison.result import Comparison, DescentSummary, EdgeSeries, FlowSummary
from sharpflow.numerics.comparison.setting import Setting
from sharpflow.numerics.descent.weights_descent import WeightsRun, descend_weights
from sharpflow.numerics.flows.edge_flow import TOLERANCE, run_flow
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.flows.weights_flow import of_weights, on_edge
from sharpflow.numerics.minima.krylov_normals import frames_fit
from sharpflow.numerics.minima.records import start_at_minima, take_back
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.minima.retraction import analyse
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.residuals import interpolating, without_residuals
from sharpflow.numerics.results import RESULTS, worst
from sharpflow.numerics.spectrum.dense import top_eigenvalues
from sharpflow.numerics.weights.coordinates import Coordinates

__all__ = ["weights_comparison"]

SPECTRUM = 8
# Times the start's length, which weights reach only where nothing holds them.
GROWN = 2.0
# Newton that arrived leaves rounding.
ARRIVED = 1e-6
# Periods at the end, and records at least, over which means are taken.
PERIODS, LEAST = 3.0, 20


def weights_comparison(own: Coordinates, start: Any, setting: Setting, begins: Callable[[str], None], /) -> Comparison:
    """`sharpflow.numerics.comparison.compare.compare` for gradient descent with weight decay on all weights."""
    objective, rate = own.objective, setting.rate
    if not frames_fit(own.scaled):
        own = replace(own, scaled=without_residuals(own.scaled))
    begins("gradient flow to the minima")
    y = own.from_weights(objective.vector(objective.start if start is None else start, "start"))
    relaxed = relax(own.scaled, y)
    shown = tuple(float(v) for v in own.shown(relaxed.point))
    if not relaxed.result.ok:
        message = relaxed.message
        # Where there are minima they are near the start in units of its length; without, weights go on growing.
        if relaxed.result is RESULTS.NOT_AT_MINIMA and np.linalg.norm(relaxed.point) > GROWN * np.linalg.norm(y):
            message = (
                f"{message.rstrip('.')}; weights that are not scale-invariant grow for ever under cross-entropy: take "
                "a loss with minima (squared, or label-smoothed cross-entropy)"
            )
        return nothing(objective, setting, shown, relaxed.result, message)
    own = replace(own, scaled=interpolating(own.scaled, relaxed.point))
    begins("how long the scale-invariant weights are at the edge")
    zeta = on_edge(own, relaxed.point)
    rank = relaxed.rank or None
    begins("the flow")
    tolerance = setting.tolerance or min(TOLERANCE / 10, setting.intrinsic_lr / 1000)
    # It ends where gradient descent does, whose iterations are whole and even.
    flow = run_flow(
        own.scaled, zeta, time=setting.iterations * rate, effective_lr=own.effective_lr, rank=rank, tolerance=tolerance
    )  # fmt: skip
    begins(f"gradient descent, {setting.iterations} iterations")
    run = descend_weights(
        own.scaled, _set_off(own, setting, flow, rank), effective_lr=own.effective_lr, rate=rate,
        iterations=setting.iterations, records=setting.records,
    )  # fmt: skip
    begins("the way back to the minima")
    return _joined(own, setting, flow, run, rank, shown)


def _set_off(own: Coordinates, setting: Setting, flow: Path, rank: int | None) -> np.ndarray:
    """Where gradient descent begins, y (D,): beside the flow's start, along v_1 and a little in every direction."""
    zeta = flow.points[0]
    if rank is None:
        top = start_at_minima(own.scaled, zeta).top
    else:
        top = np.asarray(analyse(own.scaled, zeta[None], rank=rank).top[0])
    known = flow.mean_square[flow.mean_square > 1e-3]
    size = float(known[0]) if len(known) else 0.5  # the most there can be on a sphere
    noise = generator(setting.seed).standard_normal(len(zeta))
    moved = zeta + setting.amplitude * math.sqrt(setting.rate * size) * top
    out: np.ndarray = moved + setting.perturbation * noise / np.linalg.norm(noise)
    return out


def _joined(
    own: Coordinates, setting: Setting, flow: Path, run: WeightsRun, rank: int | None, shown: tuple[float, ...]
) -> Comparison:
    rate, scaled = setting.rate, own.scaled
    if rank is None:
        found = take_back(scaled, (flow.points[0], float(flow.sharpness[0])), run.points, run.steps)
        minima, residual, spectrum, compiling = found.points, found.residual, found.spectrum, found.compile_seconds
    else:
        normal = analyse(scaled, run.points, rank=rank)
        minima, residual, compiling = normal.retraction.point, normal.retraction.residual, 0.0
        spectrum = top_eigenvalues(scaled, minima, rank=rank)
    times, flow = run.steps * rate, of_weights(own, flow)
    at = flow.at(times)
    points, on_minima, lr = own.shown(run.points), own.shown(minima), own.sphere_lr(run.points)
    share = lr / own.effective_lr
    spectrum = spectrum[:, :SPECTRUM] / share[:, None]
    edge = lr * spectrum[:, 0]
    last = max(LEAST, math.ceil(PERIODS * setting.period * rate / max(times[1] if len(times) > 1 else 1.0, 1e-300)))
    apart = points - at.points
    minimum = float(scaled.value(minima[0]))
    result = worst(
        RESULTS.DIVERGED if run.failed_at >= 0 else RESULTS.SUCCESSFUL, flow.result,
        RESULTS.LEFT_MINIMA if not np.all(np.asarray(residual) < ARRIVED) else RESULTS.SUCCESSFUL,
    )  # fmt: skip
    message = f"not finite from iteration {run.failed_at} on." if run.failed_at >= 0 else flow.message
    groups, where = [], dict(zip(own.leaves.names, own.leaves.slices, strict=True))
    for group in own.to_json():
        part = np.concatenate([np.r_[where[name]] for name in group["leaves"]])
        far = np.linalg.norm(apart[:, part], axis=1)
        told = {key: group[key] for key in ("leaves", "size", "kind", "learning_rate")}
        decay = group["decay"] * rate / group["learning_rate"]
        groups.append({**told, "weight_decay": decay, "max_distance": float(np.nanmax(far, initial=0.0))})
    return Comparison(
        loss=own.objective.name, rule=setting.rule.name, rate=float(rate), intrinsic_lr=setting.intrinsic_lr,
        time=float(setting.time), start=shown, amplitude=float(setting.amplitude),
        gd=DescentSummary(
            points[-1], int(run.steps[-1]), float(np.mean(np.sum((points - on_minima)[-last:] ** 2, axis=1))),
            float(np.mean(edge[-last:])), None, float(np.mean(spectrum[-last:, 0])),
        ),
        flow=FlowSummary(flow.end, float(flow.sharpness[-1]), int(flow.edge_count[-1])),
        times=times, distance=np.linalg.norm(apart, axis=1),
        distance_on_minima=np.linalg.norm(on_minima - at.points, axis=1), sharpness=spectrum[:, 0], edge=edge,
        flow_sharpness=at.sharpness, points=points, minima_points=on_minima, flow_points=at.points,
        effective_lr=lr, gd_loss=run.loss,
        seconds={"gd": run.seconds, "flow": flow.seconds,
                 "compile": run.compile_seconds + flow.compile_seconds + compiling},
        result=result, message=" ".join(part for part in (message, own.split) if part),
        edges=EdgeSeries(
            spectrum=spectrum, flow_spectrum=at.spectrum[:, :SPECTRUM], flow_effective_lr=at.effective_lr,
            mean_square=run.mean_gradient_squared / (spectrum[:, 0] * share) ** 2 * share,
            flow_mean_square=rate * at.mean_square, excess_loss=run.mean_loss - minimum,
            flow_excess_loss=rate * at.spectrum[:, 0] * at.mean_square / 2,
        ),
        perturbation=setting.perturbation, groups=tuple(groups),
    )  # fmt: skip
