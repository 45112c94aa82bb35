"""Sharpness-reduction flows worked out by hand in chart coordinates: oracles for the engine."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import sympy as sp

from sharpflow.theory.loss import Loss


@cache
def reference_flow(loss: Loss, sharpness: sp.Expr, gap: sp.Expr | None = None) -> Any:
    """-2 g/(4 + K^2) from the pulled-back metric, as the integrator reads it; made, and compiled, once."""
    minima = loss.minima
    assert minima is not None
    chart, point = minima.chart, sp.Matrix(minima.point)
    zeta = point / sp.sqrt((point.T * point)[0])
    tangent = zeta.jacobian(chart)
    metric = sp.simplify(tangent.T * tangent)
    slope = sp.Matrix([sp.diff(sp.log(sharpness), p) for p in chart])
    raised = sp.simplify(metric.inv() * slope)
    squared = sp.simplify((slope.T * raised)[0])
    return SimpleNamespace(
        loss=loss, chart=chart, field=-2 * raised / (4 + squared), point=tuple(zeta), sharpness=sharpness, gap=gap,
        log_gradient_squared=squared, domain=minima.domain, closed_form=None,
    )  # fmt: skip


@cache
def top_of_rank_one(loss: Loss) -> sp.Expr:
    """lambda_1 on Gamma where there is one normal direction: the trace of the Hessian there."""
    assert loss.minima is not None
    point = sp.Matrix(loss.minima.point)
    zeta = point / sp.sqrt((point.T * point)[0])
    at = dict(zip(loss.variables, zeta, strict=True))
    return sp.simplify(loss.hessian.trace().subs(at, simultaneous=True))
