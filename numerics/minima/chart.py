"""Points of a chart of Gamma, and where they lie on the unit sphere."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from sharpflow.numerics.numbers import generator
from sharpflow.theory.loss import Loss, Minima

__all__ = ["chart_points", "embed"]

POINTS = 24
# How far from its start an unbounded coordinate is drawn.
REACH = 1.5


def chart_points(loss: Loss, count: int = POINTS, /, *, seed: int = 0) -> np.ndarray:
    """(count, m) points of the chart: the start, and others drawn within `REACH` of it, inside the domain."""
    assert loss.minima is not None
    assert loss.minima.start is not None
    assert loss.minima.domain is not None
    random = generator(seed)
    columns = []
    for start, (low, high) in zip(loss.minima.start, loss.minima.domain, strict=True):
        a, b = max(float(low), start - REACH), min(float(high), start + REACH)
        # The ends are open: a chart may be singular there.
        margin = 0.02 * (b - a)
        columns.append(random.uniform(a + margin, b - margin, count))
    points = np.stack(columns, axis=1)
    points[0] = loss.minima.start
    return points


@lru_cache(maxsize=64)
def _point(minima: Minima) -> Callable[..., Any]:
    found: Callable[..., Any] = sp.lambdify(minima.chart, list(minima.point), "mpmath", cse=True)
    return found


def embed(loss: Loss, chart: np.ndarray, /) -> np.ndarray:
    """(N, D) unit vectors of chart points (N, m), evaluated with 25 digits by mpmath."""
    assert loss.minima is not None
    point = _point(loss.minima)
    with mpmath.workdps(25):
        vectors = np.array([[float(v) for v in point(*map(mpmath.mpf, map(float, values)))] for values in chart])
    result: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result
