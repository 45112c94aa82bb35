"""The result of `compare`: numbers at the end, series on the way, and how they are written to files."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.trajectory import Trajectory
from sharpflow.theory.errors import InputError

__all__ = ["Comparison", "DescentSummary", "EdgeSeries", "FlowSummary", "OnsetSummary", "OscillationSeries", "plain"]


# In units of intrinsic_lr: the largest distance of a right flow that was measured, on networks, is 3.6 (docs/edges.md).
APART = 5.0


@brief
@dataclass(frozen=True, eq=False)
class DescentSummary:
    """Gradient descent at its end; means are over its last whole period.

    Attributes:
        end: (D,) the last theta, raw, with its oscillation.
        steps: iterations run.
        mean_square_oscillation: mean of |theta - retraction|^2.
        mean_edge: mean of effective_lr*lambda_1; ``None`` for a rule without effective_lr.
        period: in iterations; ``None`` where the oscillation is at rest or the rule has none.
        sharpness: mean of lambda_1 at the retraction.
    """

    end: np.ndarray
    steps: int
    mean_square_oscillation: float
    mean_edge: float | None
    period: float | None
    sharpness: float


@brief
@dataclass(frozen=True, eq=False)
class FlowSummary:
    """The flow at its end: a unit vector (D,), lambda_1 there, and the number of eigenvalues at the edge."""

    end: np.ndarray
    sharpness: float
    edge_count: int


@brief
@dataclass(frozen=True, eq=False)
class EdgeSeries:
    """Several eigenvalues at the edge, at the N times of a `Comparison`; nan where it is not known.

    Attributes:
        spectrum, flow_spectrum: (N, r) top eigenvalues at the retraction of theta, and along the flow.
        flow_effective_lr: (N,) of the flow.
        mean_square, flow_mean_square: (N,) mean |theta - zeta|^2 over the steps since the record before, from the mean
            of |grad L|^2 (which is lambda_1^2 times as large); and rate tr Sigma of the flow.
        excess_loss, flow_excess_loss: (N,) mean loss above min L over the same steps; and rate lambda_1 tr Sigma/2.
    """

    spectrum: np.ndarray
    flow_spectrum: np.ndarray
    flow_effective_lr: np.ndarray
    mean_square: np.ndarray
    flow_mean_square: np.ndarray
    excess_loss: np.ndarray
    flow_excess_loss: np.ndarray


@brief
@dataclass(frozen=True, eq=False)
class OscillationSeries:
    """The oscillation at the end of a run, at M iterations ``steps``; nan where it was not predicted.

    Attributes:
        x, predicted_x: (M,) |theta - retraction|, and |x| of `sharpflow.numerics.predictions.resolved`.
        edge, predicted_edge: (M,) effective_lr*lambda_1.
    """

    steps: np.ndarray
    x: np.ndarray
    predicted_x: np.ndarray
    edge: np.ndarray
    predicted_edge: np.ndarray


@dataclass(frozen=True)
class OnsetSummary:
    """The delay until the oscillation sets in, predicted by `onset` and measured; nan where it does not come.

    Attributes:
        size: |x| that counts as set in, the equilibrium's at the start.
        displacement: |x| at the start, the perturbation's part along v_1 included.
        predicted, measured: flow time at which |x|, and |theta - zeta| at a record, reach ``size``; the measured one is
            late by up to the time between two records.
        predicted_edge, largest_edge: effective_lr*lambda_1 at the predicted time, and the largest of the records.
        distance_before, distance_after: the largest |theta - zeta(tau)| up to the measured onset, which is the delay's,
            and from then on.
    """

    size: float
    displacement: float
    predicted: float
    measured: float
    predicted_edge: float
    largest_edge: float
    distance_before: float
    distance_after: float


@brief
@dataclass(frozen=True, eq=False)
class Comparison:
    """Gradient descent and the flow at N common flow times (those of recorded even steps).

    Attributes:
        loss, rule, rate, intrinsic_lr, time, start, amplitude: what was compared; start in the chart, or in R^D.
        gd, flow: the two at their ends.
        times: (N,) flow time.
        distance: (N,) |theta_t - zeta(tau)|, chordal, theta raw; nan after the flow's end.
        distance_on_minima: (N,) the same with theta retracted to Gamma first.
        sharpness, edge: (N,) lambda_1 at the retraction of theta, and effective_lr times it.
        flow_sharpness: (N,) lambda_1 along the flow.
        points, minima_points, flow_points: (N, D) theta, its retraction, and zeta.
        effective_lr, gd_loss: (N,) along gradient descent.
        seconds: running time of gd and of flow, compiled, and of compile.
        result, message: how it ended, and details.
        edge_value: effective_lr*lambda_1 at the edge of this rule.
        edges: of several eigenvalues, where the flow is that of `sharpflow.numerics.flows.edge_flow`; else ``None``.
        perturbation: length of the random step that was added to the start.
        oscillation: of the last periods, measured and predicted, where that was asked for; else ``None``.
        groups: of weights that are not all scale-invariant: leaves, size, kind, learning_rate, weight_decay and
            max_distance of each group; else ``None``. Points hold the invariant ones as a unit vector, and the rest
            raw.
        onset: the delay until the oscillation sets in, for gradient descent with weight decay; else ``None``.
    """

    loss: str
    rule: str
    rate: float
    intrinsic_lr: float
    time: float
    start: tuple[float, ...]
    amplitude: float
    gd: DescentSummary
    flow: FlowSummary
    times: np.ndarray
    distance: np.ndarray
    distance_on_minima: np.ndarray
    sharpness: np.ndarray
    edge: np.ndarray
    flow_sharpness: np.ndarray
    points: np.ndarray
    minima_points: np.ndarray
    flow_points: np.ndarray
    effective_lr: np.ndarray
    gd_loss: np.ndarray
    seconds: Mapping[str, float]
    result: RESULTS
    message: str = ""
    edge_value: float = 2.0
    edges: EdgeSeries | None = None
    perturbation: float = 0.0
    oscillation: OscillationSeries | None = None
    onset: OnsetSummary | None = None
    groups: tuple[Mapping[str, Any], ...] | None = None

    @property
    def max_distance(self) -> float:
        """The largest |theta_t - zeta(tau)| recorded while both exist; nan where nothing was."""
        return _largest(self.distance)

    @property
    def max_distance_on_minima(self) -> float:
        """The same with theta retracted to Gamma first."""
        return _largest(self.distance_on_minima)

    @property
    def agreement(self) -> str:
        """Agreement of gradient descent with the flow: agrees, apart, or unknown.

        A run that was successful, to its end, may be apart. The distance is O(intrinsic_lr) with a constant of some
        tenths to `APART`; `order` tells that from a distance that does not fall with the rate.
        """
        # Weights that are no unit vector have a length of their own.
        size = 1.0 if self.groups is None or not len(self.points) else float(np.linalg.norm(self.points[0]))
        far = self.max_distance / (self.intrinsic_lr * size)
        return "unknown" if math.isnan(far) else "agrees" if far <= APART else "apart"

    def gd_trajectory(self) -> Trajectory:
        """Gradient descent as a `Trajectory`; sharpness is that of its retraction."""
        return Trajectory(
            times=self.times, points=self.points, effective_lr=self.effective_lr, sharpness=self.sharpness,
            loss=self.gd_loss, result=self.result, metadata=self._metadata("gradient descent"),
        )  # fmt: skip

    def flow_trajectory(self) -> Trajectory:
        """The flow as a `Trajectory`, as far as it exists."""
        alive = np.all(np.isfinite(self.flow_points), axis=1)
        nothing = np.full(int(alive.sum()), np.nan)
        return Trajectory(
            times=self.times[alive], points=self.flow_points[alive], effective_lr=nothing,
            sharpness=self.flow_sharpness[alive], loss=nothing.copy(), result=self.result,
            metadata=self._metadata("flow"),
        )  # fmt: skip

    def _metadata(self, kind: str) -> dict[str, str | float]:
        return {"kind": kind, "subject": self.loss, "rule": self.rule, "rate": self.rate, "time": self.time}

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json.dumps` writes: numbers that do not exist are null, never NaN."""
        gd, flow = self.gd, self.flow
        found: dict[str, Any] = plain(
            {
                "loss": self.loss,
                "rule": self.rule,
                "rate": self.rate,
                "intrinsic_lr": self.intrinsic_lr,
                "time": self.time,
                "start": list(self.start),
                "amplitude": self.amplitude,
                "gd": {
                    "end": gd.end,
                    "steps": gd.steps,
                    "mean_square_oscillation": gd.mean_square_oscillation,
                    "mean_edge": gd.mean_edge,
                    "period": gd.period,
                    "sharpness": gd.sharpness,
                },
                "flow": {"end": flow.end, "sharpness": flow.sharpness, "edge_count": flow.edge_count},
                "max_distance": self.max_distance,
                "max_distance_on_minima": self.max_distance_on_minima,
                "times": self.times,
                "distance": self.distance,
                "sharpness": self.sharpness,
                "edge": self.edge,
                "edges": None if self.edges is None else vars(self.edges),
                "perturbation": self.perturbation,
                "oscillation": None if self.oscillation is None else vars(self.oscillation),
                "onset": None if self.onset is None else vars(self.onset),
                "groups": None if self.groups is None else list(self.groups),
                "seconds": dict(self.seconds),
                "result": self.result.value,
                "agreement": self.agreement,
                "message": self.message or ("" if self.result.ok else self.result.advice),
            }
        )
        return found

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """One line for each time: time, distance, distance_on_minima, sharpness, edge, flow_sharpness."""
        names = ("times", "distance", "distance_on_minima", "sharpness", "edge", "flow_sharpness")
        try:
            with Path(path).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["time", *names[1:]])
                rows = zip(*(getattr(self, name) for name in names), strict=True)
                writer.writerows(["" if math.isnan(v) else repr(float(v)) for v in row] for row in rows)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}.") from error


def _largest(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else math.nan


def plain(value: Any) -> Any:
    """The same in Python's own types, with None for what is not finite."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None
