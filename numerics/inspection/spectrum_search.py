"""Where on Gamma the Hessian is nearest to losing rank, and where its two largest eigenvalues are nearest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sharpflow.numerics.inspection.loss import Finding
from sharpflow.numerics.minima.chart import embed
from sharpflow.numerics.minima.sample import MinimaSample
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.theory.loss import Loss

__all__ = ["assumed_rank", "smallest_gap", "smallest_rank"]

Ratio = Callable[[np.ndarray], float]
# A search from each of so many of the lowest random points of the chart.
SEARCHES = 3
# An eigenvalue below this part of the largest is 0: rounding leaves 1e-15, a point found by gradient flow 1e-7.
FLAT = 1e-6


def smallest_rank(subject: Loss | Objective, sample: MinimaSample, /) -> Finding:
    """The smallest over Gamma of the normal eigenvalues, over the largest lambda_1; negative where one is negative."""
    values = _spectrum(subject)
    rank = assumed_rank(subject, sample)
    # lambda_1 itself may vanish somewhere: the largest of all points is the size.
    size = max(float(np.abs(values(z)).max()) for z in sample.points)
    return _smallest(subject, sample, lambda z: _lowest(values(z), max(rank, 1) - 1, size))


def assumed_rank(subject: Loss | Objective, sample: MinimaSample, /) -> int:
    """The number of directions normal to Gamma: that of the chart; without one, the largest rank of all points."""
    if sample.chart is not None:
        return sample.rank
    spectra = map(_spectrum(subject), sample.points)
    # A rank falls at special points and never rises there.
    return max(int(np.sum(np.abs(v) > FLAT * np.abs(v).max())) for v in spectra)


def smallest_gap(subject: Loss | Objective, sample: MinimaSample, /) -> Finding:
    """The smallest over Gamma of (lambda_1 - lambda_2)/lambda_1; 1 where Gamma has codimension one."""
    values = _spectrum(subject)

    def gap(z: np.ndarray) -> float:
        first, second = values(z)[:2]
        return float((first - second) / first) if first > 0 else 0.0

    return _smallest(subject, sample, gap)


def _spectrum(subject: Loss | Objective) -> Callable[[np.ndarray], np.ndarray]:
    """The eigenvalues of the Hessian at a unit vector (D,), the largest first."""
    objective = as_objective(subject)
    return lambda z: np.linalg.eigvalsh(np.asarray(objective.hessian(z)))[::-1]


def _lowest(values: np.ndarray, index: int, size: float) -> float:
    # The radial direction contributes a 0 that is not normal: of the rest, the index-th from the top.
    low = values[-1] if values[-1] < -FLAT * size else values[index]
    return float(low / size) if size > 0 else 0.0


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


def _witness(subject: Loss | Objective, point: np.ndarray, chart: np.ndarray | None) -> dict[str, np.ndarray | float]:
    spectrum = _spectrum(subject)(point)
    apart = {"lambda_1 - lambda_2": float(spectrum[0] - spectrum[1])} if len(spectrum) > 1 else {}
    return ({} if chart is None else {"chart": chart}) | {"zeta": point, "eigenvalues": spectrum} | apart
