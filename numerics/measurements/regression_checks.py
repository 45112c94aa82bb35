"""Batch-normalised regression on real data: the angle to the interpolant, and the kernel component of w."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.data.regression import regression_data
from sharpflow.numerics.descent.descent import parameters_of, prepare
from sharpflow.numerics.measurements.bn_regression import BatchNormRegression, bn_regression_objective
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = [
    "AngleSeries",
    "RealAngle",
    "angle_series",
    "kernel_decay",
    "real_angle",
    "real_regression",
    "tan_alpha_of_loss",
]

RECORDS = 200


@lru_cache(maxsize=8)
def real_regression(name: str = "breast-cancer", /, *, n: int | None = None, seed: int = 0) -> BatchNormRegression:
    """The regression of a data set of scikit-learn, made once."""
    return bn_regression_objective(*regression_data(name, n=n, seed=seed), name=name)


def tan_alpha_of_loss(loss: Loss, points: np.ndarray, /) -> np.ndarray:
    """tan of the angle of points (N, D) to the chart's point at p = 0, w*, by projection in R^D."""
    assert loss.minima is not None
    origin = np.array([float(e.subs({s: 0 for s in loss.minima.chart})) for e in loss.minima.point])
    unit = origin / np.linalg.norm(origin)
    along = points @ unit
    result: np.ndarray = np.linalg.norm(points - along[:, None] * unit, axis=1) / along
    return result


@dataclass(frozen=True)
class RealAngle:
    """tan(alpha)/tan(alpha_0) of gradient descent at the end, of ``examples`` x ``features`` real numbers."""

    ratio: float
    intrinsic_lr: float
    examples: int
    features: int


@dataclass(frozen=True, eq=False)
class AngleSeries:
    """tan(alpha) (N,) of gradient descent, retracted to Gamma, at flow times (N,); empty where the run failed."""

    name: str
    rate: float
    intrinsic_lr: float
    times: np.ndarray
    tan_alpha: np.ndarray
    examples: int
    features: int


@lru_cache(maxsize=8)
def _series(key: Identity[Rule], name: str, rate: float, time: float, seed: int) -> AngleSeries:
    regression = real_regression(name, seed=seed)
    run = compare(regression.objective, rule=key.value, rate=rate, time=time, start=regression.point(1.5, seed=seed))
    times, angles = np.zeros(0), np.zeros(0)
    if run.result.ok:
        times, angles = run.times, regression.tan_alpha(run.minima_points)
    examples, features = regression.features.shape
    return AngleSeries(name, rate, run.intrinsic_lr, times, angles, examples, features)


def angle_series(rule: Rule, name: str, /, *, rate: float, time: float, seed: int = 0) -> AngleSeries:
    """Gradient descent at the edge on a data set of scikit-learn, from tan(alpha_0) = 1.5; remembered."""
    return _series(Identity(rule), name, rate, time, seed)


def real_angle(rule: Rule, /, *, rate: float, time: float, seed: int = 0) -> RealAngle:
    """tan(alpha)/tan(alpha_0) at the end on the breast-cancer set; nan where the run failed."""
    series = angle_series(rule, "breast-cancer", rate=rate, time=time, seed=seed)
    ratio = float(series.tan_alpha[-1] / series.tan_alpha[0]) if len(series.times) else float("nan")
    return RealAngle(ratio, series.intrinsic_lr, series.examples, series.features)


def kernel_decay(rule: Rule, /, *, rate: float, steps: int, seed: int = 0) -> float:
    """max over t of |P w_t - (1 - rate)^t P w_0|/|P w_t|, P the projector on the kernel of X_c, the rule run on w."""
    regression = real_regression(seed=seed)
    objective = regression.objective
    descent = prepare(objective, rule, records=RECORDS, form="weights")
    numbers = parameters_of(rule, rate, None)
    top = float(
        np.linalg.eigvalsh(np.asarray(objective.hessian(objective.start)))[-1] * (objective.start @ objective.start)
    )
    run = descent.run(*descent.begin(objective.start, 0.5 / top, numbers), numbers, max(1, steps // RECORDS))
    w = run.points * np.sqrt(run.norm_squared)[:, None]
    inside = w @ regression.kernel
    expected = inside[0] * ((1 - rate) ** run.steps)[:, None]
    return float(np.max(np.linalg.norm(inside - expected, axis=1) / np.linalg.norm(inside, axis=1)))
