"""Corollaries of the flow in a chart: sharpness falls, speed at most 1/2, and where the flow stands still."""

from __future__ import annotations

import sympy as sp

from sharpflow.theory import rules
from sharpflow.theory.chart.flow import flow_coefficient
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.chart.routes import K2, scaled_map, short
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import normal_form, prove_equal

__all__ = ["prove_corollaries", "prove_monotone", "prove_speed_bound", "prove_stands_still"]


def prove_corollaries(loss: Loss, /) -> Proof:
    """d log lambda_1/d tau = -2 K^2/(4 + K^2) <= 0 and |d zeta/d tau| <= 1/2 along the flow of gradient descent."""
    steps = (*prove_monotone(loss).steps, *prove_speed_bound(loss).steps)
    return Proof(f"sharpness and speed along the flow of {loss.name}", steps)


def prove_monotone(loss: Loss, /) -> Proof:
    """d log lambda_1/d tau = -2 K^2/(4 + K^2) <= 0 along the flow of gradient descent with weight decay."""
    geometry = geometry_of(loss)
    k2 = geometry.log_sharpness_gradient_squared
    field = -flow_coefficient(k2) * geometry.log_sharpness_gradient
    falling = (geometry.log_sharpness_derivatives.T * field)[0]
    return Proof(
        f"sharpness never rises along the flow of {loss.name}",
        (
            prove_equal(
                "rate of log sharpness along the flow",
                falling,
                -2 * k2 / (4 + k2),
                domain=geometry.domain,
                show=(sp.Derivative(sp.log(sp.Symbol("lambda_1")), sp.Symbol("tau")), -2 * K2 / (4 + K2)),
                note="d log lambda_1 applied to the field. K2 = |g|^2 >= 0, as the metric is positive: it never rises.",
            ),
        ),
    )


def prove_speed_bound(loss: Loss, /) -> Proof:
    """|d zeta/d tau| <= 1/2: 1/4 minus the squared speed is a square."""
    geometry = geometry_of(loss)
    k2 = geometry.log_sharpness_gradient_squared
    # The metric applied to g first: assembled in one piece the same product takes ten times as long.
    lowered = (geometry.metric * geometry.log_sharpness_gradient).applyfunc(normal_form)
    squared = normal_form(lowered.dot(geometry.log_sharpness_gradient))
    return Proof(
        f"speed of the flow of {loss.name}",
        (
            prove_equal(
                "the metric applied twice to g is K^2",
                squared,
                k2,
                domain=geometry.domain,
                note="So the speed of the flow, in the metric, is 2 K/(4 + K^2).",
            ),
            prove_equal(
                "1/4 minus the squared speed is a square",
                sp.Rational(1, 4) - flow_coefficient(K2) ** 2 * K2,
                (4 - K2) ** 2 / (4 * (4 + K2) ** 2),
                show=(sp.Rational(1, 4) - sp.Symbol("speed") ** 2, (4 - K2) ** 2 / (4 * (4 + K2) ** 2)),
                note="So the speed is at most 1/2, attained where K = 2.",
            ),
        ),
    )


def prove_stands_still(loss: Loss, /) -> Proof:
    """lambda_1 is constant on Gamma, so both routes give the drift 0."""
    geometry = geometry_of(loss)
    zero = sp.zeros(len(geometry.chart), 1)
    scaled = scaled_map(loss, rules.get("gd-wd"))
    return Proof(
        f"the flow of {loss.name} stands still",
        (
            prove_equal(
                "lambda_1 is constant on Gamma",
                geometry.log_sharpness_derivatives,
                zero,
                domain=geometry.domain,
                show=(sp.Symbol("d log lambda_1/dp"), sp.Integer(0)),
                note=f"lambda_1 = {short(geometry.sharpness)}.",
            ),
            prove_equal(
                "no displacement along Gamma over two steps of the expanded map",
                scaled.drift,
                zero,
                domain=geometry.domain,
                show=(sp.Symbol("p'"), sp.Integer(0)),
                note="Route (b), which forms no gradient of lambda_1.",
            ),
        ),
    )
