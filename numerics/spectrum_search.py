"""Where on Gamma the Hessian is nearest to losing rank, and where its two largest eigenvalues are nearest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numerics.chart_checks import embed
from numerics.inspection import Finding
from numerics.minima_sample import MinimaSample
from numerics.objective import Objective, as_objective
from theory.loss import Loss

__all__ = ["smallest_gap", "smallest_rank"]

Ratio = Callable[[np.ndarray], float]
# A search from each of so many of the lowest random points of the chart.
SEARCHES = 3


def smallest_rank(subject: Loss | Objective, sample: MinimaSample, /) -> Finding:
    """The smallest over Gamma of the smallest normal eigenvalue over lambda_1; negative where one is negative.

    The number of normal directions is that of the chart. Without a chart it is that of most points, and a point with
    fewer is the witness.
    """
    values = _spectrum(subject)
    if sample.chart is None:
        ranks = [int(np.sum(np.abs(v) > 1e-9 * np.abs(v).max())) for v in map(values, sample.points)]
        most = max(set(ranks), key=lambda rank: (ranks.count(rank), rank))
        return _smallest(subject, sample, lambda z: _ratio(values(z), most - 1))
    return _smallest(subject, sample, lambda z: _ratio(values(z), sample.rank - 1))


def smallest_gap(subject: Loss | Objective, sample: MinimaSample, /) -> Finding:
    """The smallest over Gamma of (lambda_1 - lambda_2)/lambda_1; 1 where Gamma has codimension one."""
    values = _spectrum(subject)

    def gap(z: np.ndarray) -> float:
        first, second = values(z)[:2]
        return float((first - second) / first)

    return _smallest(subject, sample, gap)


def _spectrum(subject: Loss | Objective) -> Callable[[np.ndarray], np.ndarray]:
    """The eigenvalues of the Hessian at a unit vector (D,), the largest first."""
    objective = as_objective(subject)
    return lambda z: np.linalg.eigvalsh(np.asarray(objective.hessian(z)))[::-1]


def _ratio(values: np.ndarray, index: int) -> float:
    # The radial direction contributes a 0 that is not normal: of the rest, the index-th from the top.
    if values[-1] < -1e-9 * abs(values).max():
        return float(values[-1] / abs(values).max())
    return float(values[index] / values[0])


def _smallest(subject: Loss | Objective, sample: MinimaSample, ratio: Ratio) -> Finding:
    found = np.array([ratio(z) for z in sample.points])
    k = int(found.argmin())
    best = Finding(float(found[k]), _witness(subject, sample.points[k], sample.chart[k] if sample.chart is not None
                                             else None))  # fmt: skip
    if not isinstance(subject, Loss) or sample.chart is None or best.value <= 0:
        return best
    from scipy.optimize import minimize

    low, high = sample.chart.min(axis=0), sample.chart.max(axis=0)
    for start in np.argsort(found)[:SEARCHES]:
        end = minimize(
            lambda p: ratio(embed(subject, np.clip(p, low, high)[None])[0]), sample.chart[start], method="Nelder-Mead",
            options={"maxfev": 60 * len(low), "xatol": 1e-7, "fatol": 1e-12},
        )  # fmt: skip
        if end.fun < best.value:
            chart = np.clip(end.x, low, high)
            best = Finding(float(end.fun), _witness(subject, embed(subject, chart[None])[0], chart))
    return best


def _witness(subject: Loss | Objective, point: np.ndarray, chart: np.ndarray | None) -> dict[str, np.ndarray]:
    spectrum = _spectrum(subject)(point)
    return ({} if chart is None else {"chart": chart}) | {"zeta": point, "eigenvalues": spectrum}
