"""Where the chart of Gamma is singular: d zeta(p), zeta = point/|point|, has a singular value 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp

from sharpflow.numerics.inspection.kinks import REACH
from sharpflow.numerics.numbers import generator
from sharpflow.theory.loss import Loss

__all__ = ["SINGULAR", "ChartRank", "chart_rank"]

# A search for the minimum of |d zeta| ends 1e-8 from a zero of it; a chart that varies by this much over its domain has
# lost half of all digits in its inverse metric.
SINGULAR = 1e-6
# Points of a domain of one coordinate, and random ones of more.
POINTS = 600
SEARCHES = 4


@dataclass(frozen=True, eq=False)
class ChartRank:
    """The smallest singular value of d zeta over the largest, where, and whether it is no better anywhere.

    Attributes:
        value: smallest over largest; 0 where zeta does not depend on a combination of coordinates at all.
        at: chart coordinates.
        everywhere: whether the chart is singular at every point.
        nowhere: where |point| is 0, so that there is no zeta; ``None`` where it is nowhere in the domain.
    """

    value: float
    at: dict[str, float]
    everywhere: bool
    nowhere: dict[str, float] | None = None


def chart_rank(loss: Loss, /, *, seed: int = 0) -> ChartRank:
    """The least regular point of the chart of a loss in its domain (within `REACH` of the start, without a bound)."""
    minima = loss.minima
    assert minima is not None
    assert minima.start is not None
    assert minima.domain is not None
    smallest, largest = _singular_values(loss)
    low = np.array([max(float(a), s - REACH) for (a, _), s in zip(minima.domain, minima.start, strict=True)])
    high = np.array([min(float(b), s + REACH) for (_, b), s in zip(minima.domain, minima.start, strict=True)])
    # The ends are open, and a chart may be singular there.
    low, high = low + 0.01 * (high - low), high - 0.01 * (high - low)
    random, m = generator(seed, stream=19), len(low)
    share = np.linspace(0, 1, POINTS)[:, None] if m == 1 else random.uniform(0, 1, (POINTS, m))
    places = np.concatenate([np.array(minima.start, dtype=float)[None], low + share * (high - low)])
    values = np.array([smallest(q) for q in places])
    size = max(float(np.nanmax([largest(q) for q in places[:: max(1, POINTS // 100)]])), 1e-300)
    everywhere = bool(np.nanmax(values) <= SINGULAR * size) or size < 1e-12
    if everywhere:
        best, at = float(np.nanmin(values)), places[int(np.nanargmin(values))]
    else:
        best, at = _lowest(smallest, places, values, low, high)
    length = _length(loss)
    lengths = np.array([length(q) for q in places])
    longest = max(float(np.nanmax(lengths)), 1e-300)
    shortest, origin = _lowest(length, places, lengths, low, high)
    nowhere = None
    if shortest <= SINGULAR * longest:
        tidy = _tidy(origin, length, shortest, longest)
        nowhere = {s.name: float(v) for s, v in zip(minima.chart, tidy, strict=True)}
    named = {s.name: float(v) for s, v in zip(minima.chart, _tidy(at, smallest, best, size), strict=True)}
    return ChartRank(0.0 if everywhere else best / size, named, everywhere, nowhere)


def _lowest(
    f: Callable[[np.ndarray], float], places: np.ndarray, values: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[float, np.ndarray]:
    """The smallest value of f >= 0 between ``low`` and ``high`` (m,), and where, from its values at places (N, m)."""
    from scipy.optimize import minimize

    best, at = float(np.nanmin(values)), places[int(np.nanargmin(values))]
    for k in np.argsort(values)[:SEARCHES]:
        # Squared, a simple zero is a smooth minimum.
        end = minimize(
            lambda q: f(np.clip(q, low, high)) ** 2, places[k], method="Nelder-Mead",
            options={"xatol": 1e-11, "fatol": 1e-22, "maxfev": 200 * len(low),
                     "initial_simplex": np.concatenate([places[k][None], places[k] + np.diag((high - low) / POINTS)])},
        )  # fmt: skip
        if np.sqrt(end.fun) < best:
            best, at = float(np.sqrt(end.fun)), np.clip(end.x, low, high)
    return best, at


def _length(loss: Loss) -> Callable[[np.ndarray], float]:
    """|point| at chart coordinates (m,)."""
    assert loss.minima is not None
    function = sp.lambdify(loss.minima.chart, list(loss.minima.point), modules=["scipy", "numpy"], cse=True)

    def length(q: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            found = float(np.linalg.norm(np.asarray(function(*q), dtype=float)))
        return found if np.isfinite(found) else np.nan

    return length


def _tidy(at: np.ndarray, smallest: Callable[[np.ndarray], float], best: float, size: float) -> np.ndarray:
    """The same place with few digits, where it is as singular there."""
    for digits in range(7):
        rounded = np.round(at, digits) + 0.0
        if smallest(rounded) <= max(best, SINGULAR * size / 10):
            return rounded
    return at


def _singular_values(loss: Loss) -> tuple[Callable[[np.ndarray], float], Callable[[np.ndarray], float]]:
    """The smallest and the largest singular value of d zeta at chart coordinates (m,)."""
    assert loss.minima is not None
    chart, vector = loss.minima.chart, sp.Matrix(loss.minima.point)
    function = sp.lambdify(chart, (vector, vector.jacobian(chart)), modules=["scipy", "numpy"], cse=True)

    def values(q: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            point, tangent = (np.asarray(a, dtype=float) for a in function(*q))
            length = np.linalg.norm(point)
            unit = point / length
            normal = (tangent - unit @ (unit.T @ tangent)) / length
        return np.linalg.svd(normal, compute_uv=False) if np.isfinite(normal).all() else np.full(len(q), np.nan)

    return lambda q: float(values(q)[-1]), lambda q: float(values(q)[0])
