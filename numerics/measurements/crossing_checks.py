"""Measurements on the crossing losses: two eigenvalues at the edge, sharpness, a slope, and the hidden exit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.descent.descent import descend
from sharpflow.numerics.flows.central_flow import central_flow
from sharpflow.numerics.measurements.crossing import START, broken, symmetric, tilted
from sharpflow.numerics.predictions.delay import bifurcation_delay
from sharpflow.theory.rule import Rule

__all__ = ["Crossing", "Exit", "Tilted", "down_a_slope", "hidden_exit", "through_the_crossing"]


class Crossing(NamedTuple):
    """Gradient descent through the crossing.

    Attributes:
        distance: the largest to the flow, in units of intrinsic_lr.
        edge_count: eigenvalues at the edge at the end of the flow.
        rise: the largest rise of log lambda_1 between two records of the flow.
        result: how the comparison ended.
    """

    distance: float
    edge_count: int
    rise: float
    result: str


def through_the_crossing(rule: Rule, /, *, rate: float, time: float) -> Crossing:
    """On the loss without a symmetry, from before a = b to well after."""
    run = compare(broken, rule=rule, rate=rate, time=time)
    rise = float(np.max(np.diff(np.log(run.flow_sharpness))))
    return Crossing(run.max_distance / run.intrinsic_lr, run.flow.edge_count, rise, run.result.value)


class Tilted(NamedTuple):
    """Gradient descent where there is no manifold of minimizers: largest distances in units of intrinsic_lr.

    Attributes:
        central: to the central flow.
        without_slope: to that of the loss without its slope, which is the flow along its minima.
        without_oscillation: to gradient flow with the schedule of weight decay.
    """

    central: float
    without_slope: float
    without_oscillation: float


def down_a_slope(rule: Rule, /, *, rate: float, time: float) -> Tilted:
    """On the loss with a slope, from the edge; nan where a flow failed."""
    zeta = START / np.linalg.norm(START)
    flows = [central_flow(tilted, zeta, rate=rate, time=time), central_flow(broken, zeta, rate=rate, time=time),
             central_flow(tilted, zeta, rate=rate, time=time, oscillating=False)]  # fmt: skip
    run = descend(
        tilted, rule, start=zeta + rate**0.5 * np.array([0, 0, 0, 0.7, 0.05]),
        effective_lr=float(flows[0].effective_lr[0]), rate=rate, every=2 * max(1, int(time / rate / 800)),
        records=400,
    )  # fmt: skip
    times = run.steps * rate
    inside = times <= time
    far = [np.linalg.norm(run.points - flow.at(times).points, axis=1)[inside].max() for flow in flows]
    return Tilted(*(float(distance / (2 * rate) ** 0.5) for distance in far))


class Exit(NamedTuple):
    """When u, which a symmetry hides, is back at its first size: flow times; and effective_lr*b there, predicted."""

    measured: float
    predicted: float
    entry: float
    overshoot: float


def hidden_exit(rule: Rule, /, *, rate: float, seed: float = 1e-3, time: float = 3.0) -> Exit:
    """On the symmetric loss, with u = ``seed`` at the start; nan where it does not come back."""
    inside = np.array([True, True, True, True, False])
    delay = bifurcation_delay(symmetric, inside, rate=rate, time=time, seed=seed)
    x, y, _, _, _ = START / np.linalg.norm(START)
    start = START / np.linalg.norm(START) + np.array([0, 0, 0, 0.7 * rate**0.5, seed])
    run = descend(
        symmetric, rule, start=start, effective_lr=2 / (3 + x**2 - y**2), rate=rate, every=2,
        records=round(time / rate / 2),
    )  # fmt: skip
    hidden = np.abs(run.points[:, 4])
    low = int(np.argmin(hidden))
    back = np.flatnonzero(hidden[low:] >= seed)
    measured = float(run.steps[low + back[0]] * rate) if len(back) else float("nan")
    return Exit(measured, delay.exit, delay.entry, delay.overshoot)
