"""Gradient descent against the central flow: a comparison where there is no manifold of minimizers.

Both set off from the same point, on the edge: theta_0 = normalise(theta + A x v_1) with effective_lr*lambda_1 = 2 at
theta, x^2 = rate tr Sigma what the flow has when the oscillation sets in. There is no Gamma to retract to: the
spectrum is that halfway from one iterate to the next, where little is left of the oscillation, and what is named after
the minima is nan.
"""

from __future__ import annotations

import math
import time as clock
from typing import Any

import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.comparison.result import Comparison, DescentSummary, EdgeSeries, FlowSummary
from sharpflow.numerics.comparison.setting import Setting
from sharpflow.numerics.descent.descent import descend, prepare
from sharpflow.numerics.flows.central_flow import LARGEST, CentralPath, central_flow
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import worst
from sharpflow.numerics.spectrum.dense import eigenvalues, fix_sign, spherical_hessian, unit_vector

__all__ = ["central_comparison", "may_compare", "oscillation_of"]

RECORDS = 400
# Eigenvalues that are reported.
SPECTRUM = 8
# A Hessian that vanishes is rounding.
FLAT = 1e-12
# Rate 1e-8 has oscillations of 1e-4.
RESTING = 1e-6


def may_compare(objective: Objective, start: Any) -> bool:
    """True where there is an edge at the start, and few enough weights."""
    if not 3 <= objective.dimension <= LARGEST:
        return False
    theta = unit_vector(objective, objective.start if start is None else start, "start")
    return float(eigenvalues(objective, theta)[0]) > FLAT


def _rests(objective: Objective, theta: np.ndarray) -> bool:
    """True where |grad L|/lambda_1 is nothing beside any oscillation."""
    return float(np.linalg.norm(objective.gradient(theta))) < RESTING * float(eigenvalues(objective, theta)[0])


def oscillation_of(flow: CentralPath) -> float:
    """tr Sigma where it has set in first; 1/2, the most there can be on Gamma, where it never does."""
    known = flow.mean_square
    there = known[known > 1e-3]
    return float(there[0]) if len(there) else 0.5


def central_comparison(
    objective: Objective, start: Any, setting: Setting, /, *, message: str, rest: np.ndarray | None = None
) -> Comparison:
    """`sharpflow.numerics.comparison.compare.compare` for gradient descent with weight decay, without minima.

    Args:
        message: why there are none.
        rest: (D,) where gradient flow ended: taken in place of a start that the flow does not leave, if L rests there.
    """
    rule, rate, time = setting.rule, setting.rate, setting.time
    theta = unit_vector(objective, objective.start if start is None else start, "start")
    first = central_flow(objective, theta, rate=rate, time=time) if may_compare(objective, theta) else None  # compiles
    where = ""
    if (first is None or first.time == 0) and rest is not None and _rests(objective, rest):
        # Down a slope a flow that spans many iterations bends within one of them.
        where, theta = " from there", unit_vector(objective, rest, "rest")
        first = central_flow(objective, theta, rate=rate, time=time)
    assert first is not None  # one of the two has an edge
    flow = central_flow(objective, theta, rate=rate, time=time)
    # Off Gamma grad L turns the eigenvectors of the whole Hessian towards theta; those on the sphere are asked for.
    top = np.asarray(fix_sign(jnp.linalg.eigh(spherical_hessian(objective, jnp.asarray(theta)))[1][:, -1]))
    noise = generator(setting.seed).standard_normal(len(theta))
    moved = theta + setting.amplitude * math.sqrt(rate * oscillation_of(flow)) * top
    moved = moved + setting.perturbation * noise / np.linalg.norm(noise)
    every = 2 * max(1, math.ceil(time / rate / 2 / RECORDS))
    options: dict[str, Any] = {
        "start": moved,
        "effective_lr": float(flow.effective_lr[0]),
        "rate": rate,
        "every": every,
    }
    descent = prepare(objective, rule, records=RECORDS, means=True)
    descend(objective, rule, records=RECORDS, means=True, **options)  # compiles
    began = clock.perf_counter()
    run = descend(objective, rule, records=RECORDS, means=True, **options)
    taken = clock.perf_counter() - began
    inside = run.steps * rate <= time * (1 + 1e-12)
    alive = inside & np.all(np.isfinite(run.points), axis=1)
    times, points, effective_lr, loss = (a[alive] for a in (run.steps * rate, run.points, run.effective_lr, run.loss))
    at = flow.at(times)
    after = points - effective_lr[:, None] * np.array([np.asarray(objective.gradient(z)) for z in points])
    halfway = points + after / np.linalg.norm(after, axis=1, keepdims=True)
    spectrum = np.array([eigenvalues(objective, z)[:SPECTRUM] for z in halfway])
    nowhere = np.full_like(points, np.nan)
    return Comparison(
        loss=objective.name, rule=rule.name, rate=float(rate), intrinsic_lr=setting.intrinsic_lr,
        time=float(time), start=tuple(float(v) for v in theta), amplitude=float(setting.amplitude),
        gd=DescentSummary(
            # No period is told apart here, over which the edge could be averaged.
            points[-1], int(run.steps[alive][-1]), math.nan, None, None, float(spectrum[-1, 0]),
        ),
        flow=FlowSummary(flow.end, float(flow.sharpness[-1]), int(flow.edge_count[-1])),
        times=times, distance=np.linalg.norm(points - at.points, axis=1), distance_on_minima=nowhere[:, 0],
        sharpness=spectrum[:, 0], edge=effective_lr * spectrum[:, 0], flow_sharpness=at.sharpness,
        points=points, minima_points=nowhere, flow_points=at.points, effective_lr=effective_lr, gd_loss=loss,
        seconds={"gd": taken, "flow": flow.seconds, "compile": first.compile_seconds + descent.compile_seconds},
        result=worst(run.result, flow.result), perturbation=setting.perturbation,
        message=f"{message.rstrip('.')}; compared with the central flow{where}{flow.message and f': {flow.message}'}",
        edges=_edges(objective, flow, run.means, alive, times, spectrum, at),
    )  # fmt: skip


def _edges(
    objective: Objective, flow: CentralPath, means: Any, alive: np.ndarray, times: np.ndarray, spectrum: np.ndarray,
    at: Path,
) -> EdgeSeries:  # fmt: skip
    """Measured between records: |grad L|^2 above its value at the flow, and the loss above the least of the flow."""
    least = float(flow.loss.min())
    at_flow = np.array([float(np.sum(np.square(objective.gradient(z)))) for z in flow.points])

    def averaged(name: str) -> np.ndarray:
        """Of the steps up to each record; nan at the first."""
        return np.concatenate([[np.nan], means[name]])[: len(alive)][alive]

    def between(values: np.ndarray) -> np.ndarray:
        return np.interp(times, flow.times, values, right=np.nan)

    return EdgeSeries(
        spectrum=spectrum, flow_spectrum=at.spectrum[:, :SPECTRUM], flow_effective_lr=at.effective_lr,
        mean_square=(averaged("gradient_squared") - between(at_flow)) / at.sharpness**2,
        flow_mean_square=flow.rate * at.mean_square, excess_loss=averaged("loss") - least,
        flow_excess_loss=between(flow.mean_loss) - least,
    )  # fmt: skip
