"""Gamma as it was derived in its chart against automatic differentiation at points drawn from the chart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from sharpflow.numerics.measurements.probes import random_directions
from sharpflow.numerics.minima.chart import chart_points, embed
from sharpflow.numerics.minima.retraction import analyse
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.spectrum.dense import normal_rank
from sharpflow.theory.loss import Loss

if TYPE_CHECKING:
    from sharpflow.theory.chart.geometry import Geometry

__all__ = ["AtMinima", "at_minima", "lowest_excess", "metric_difference", "symbolic_values"]


# One block of `analyse`, whose program the comparison with gradient descent compiles anyway.
BLOCK = 400


@dataclass(frozen=True, eq=False)
class AtMinima:
    """Automatic differentiation at N points of the chart.

    Attributes:
        chart: (N, m); points: (N, D).
        gradient: (N,) |grad L|.
        eigenvalues: (N, D) of the Hessian, falling.
        log_gradient_squared: (N,) K^2.
        value: (N,) L.
        moved: (N,) distance to the retraction; 0 on Gamma.
    """

    chart: np.ndarray
    points: np.ndarray
    gradient: np.ndarray
    eigenvalues: np.ndarray
    log_gradient_squared: np.ndarray
    value: np.ndarray
    moved: np.ndarray


@lru_cache(maxsize=32)
def at_minima(loss: Loss, /, *, seed: int = 0) -> AtMinima:
    """The loss at random points of its chart; computed once."""
    objective = objective_of(loss)
    chart = chart_points(loss, seed=seed)
    points = embed(loss, chart)
    normal = analyse(objective, points, rank=normal_rank(objective, points[0]), block=BLOCK)
    return AtMinima(
        chart=chart,
        points=points,
        gradient=np.array([float(np.linalg.norm(objective.gradient(z))) for z in points]),
        eigenvalues=np.array([np.linalg.eigvalsh(np.asarray(objective.hessian(z)))[::-1] for z in points]),
        log_gradient_squared=np.einsum("nd,nd->n", normal.log_gradient, normal.log_gradient),
        value=np.array([float(objective.value(z)) for z in points]),
        moved=np.asarray(normal.retraction.distance),
    )


def symbolic_values(expression: sp.Expr, loss: Loss, chart: np.ndarray, /) -> np.ndarray:
    """An expression in the chart at points (N, m), in 20 digits and rounded; (N,)."""
    assert loss.minima is not None
    symbols = loss.minima.chart

    def evaluate(row: np.ndarray) -> float:
        at = {s: sp.Float(float(v), 25) for s, v in zip(symbols, row, strict=True)}
        return float(sp.N(expression.subs(at), 20))

    return np.array([evaluate(row) for row in chart])


def metric_difference(geometry: Geometry, /, *, seed: int = 0, step: float = 1e-5) -> float:
    """Largest entry of the symbolic metric minus <d_i zeta, d_j zeta> by central differences of the unit vector."""
    loss = geometry.loss
    chart = chart_points(loss, 6, seed=seed)
    worst = 0.0
    for row in chart:
        shifts = np.eye(len(row)) * step
        around = embed(loss, np.concatenate([row + shifts, row - shifts]))
        tangent = (around[: len(row)] - around[len(row) :]) / (2 * step)
        at = dict(zip(geometry.chart, row, strict=True))
        symbolic = np.array(geometry.metric.subs(at).evalf(20).tolist(), dtype=float)
        worst = max(worst, float(np.max(np.abs(tangent @ tangent.T - symbolic)) / max(1.0, np.max(np.abs(symbolic)))))
    return worst


def lowest_excess(objective: Objective, level: float, /, *, count: int = 4096, seed: int = 0) -> float:
    """The smallest L(w) - level over random directions of the whole sphere; negative where Gamma is not global."""
    random = generator(seed)
    everywhere = random.standard_normal((count, objective.dimension))
    near = random_directions(objective, count // 4, seed)
    values = _values(objective)(np.concatenate([everywhere, near]))
    finite = np.asarray(values)[np.isfinite(values)]
    return float(finite.min() - level) if len(finite) else math.nan


@lru_cache(maxsize=64)
def _values(objective: Objective):  # type: ignore[no-untyped-def]
    import jax

    from sharpflow.numerics.compiled import Compiled

    return Compiled(jax.vmap(objective.function))
