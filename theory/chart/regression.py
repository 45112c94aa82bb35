"""Linear regression with batch normalization: the angle alpha to the minimum-norm interpolant obeys a closed form.

Gamma is {w* + k : k in ker X_c} up to scale, in the chart P(p) = w* + sum_i p_i k_i; everything is read off the loss
and its chart: w* = P(0), k_i = d_i P, tan(alpha) = |sum_i p_i k_i|/|w*|. The statements: K = 2 tan(alpha), lambda_1
cos^2(alpha) = const, d tan(alpha)/d tau = -tan(alpha), hence tan(alpha(tau)) = tan(alpha_0) exp(-tau); and, with no
flow in it, that weight decay alone acts on the kernel component of w.
"""

from __future__ import annotations

import sympy as sp

from sharpflow.theory.chart.flow import TAU, sharpness_flow
from sharpflow.theory.chart.geometry import Geometry, geometry_of
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import normal_form, prove_equal
from sharpflow.theory.sphere.reduction import Reduction

__all__ = ["kernel_chart", "prove_kernel_decay", "prove_regression_angle"]


def kernel_chart(geometry: Geometry, /) -> tuple[sp.Matrix, sp.Matrix]:
    """(w*, [k_1 ... k_m]) of a chart P(p) = w* + sum_i p_i k_i with every k_i orthogonal to w*.

    Raises:
        InputError: the chart is not of that form.
    """
    directions = sp.Matrix.hstack(*[geometry.ray.diff(s) for s in geometry.chart])
    origin = geometry.ray.subs({s: 0 for s in geometry.chart})
    if directions.free_symbols or any(entry != 0 for entry in directions.T * origin):
        raise InputError(
            f"loss {geometry.loss.name!r}: its chart is not w* + sum_i p_i k_i with k_i orthogonal to w*; the angle "
            f"to w* is not defined."
        )
    return origin, directions


def prove_regression_angle(loss: Loss, /) -> Proof:
    """K = 2 tan(alpha), lambda_1 cos^2(alpha) = const, tan(alpha(tau)) = tan(alpha_0) exp(-tau)."""
    geometry, flow = geometry_of(loss), sharpness_flow(loss)
    origin, directions = kernel_chart(geometry)
    inside = directions * sp.Matrix(geometry.chart)
    tan2 = normal_form(inside.dot(inside) / origin.dot(origin))
    along = sum((sp.diff(tan2, s) * f for s, f in zip(flow.chart, flow.field, strict=True)), sp.Integer(0))
    level = sp.Matrix([sp.diff(geometry.sharpness / (1 + tan2), s) for s in flow.chart])
    shown, start = sp.Symbol("tan_alpha^2"), sp.Symbol("tan_alpha_0", positive=True)
    solution = start * sp.exp(-TAU)
    return Proof(
        f"angle to the minimum-norm interpolant of {loss.name}",
        (
            prove_equal(
                "|g|^2 = 4 tan^2(alpha)",
                geometry.log_sharpness_gradient_squared,
                4 * tan2,
                show=(sp.Symbol("K2"), 4 * shown),
                note="Left from lambda_1 and the metric, right from the chart: tan(alpha) = |sum p_i k_i|/|w*|.",
            ),
            prove_equal(
                "lambda_1 cos^2(alpha) is constant on Gamma",
                level,
                sp.zeros(len(flow.chart), 1),
                show=(sp.Symbol("d(lambda_1 cos^2 alpha)/dp"), sp.Integer(0)),
                note="lambda_1 is a constant of the data over |X_c w|^2, and |X_c w| = |y_c| |w| "
                "cos(alpha)/|w*| there.",
            ),
            prove_equal(
                "tan^2(alpha) along the flow",
                along,
                -2 * tan2,
                show=(sp.Derivative(shown, TAU), -2 * shown),
                note="The derivative along the derived field.",
            ),
            prove_equal(
                "the closed form, put into d tan(alpha)/d tau = -tan(alpha)",
                sp.diff(solution, TAU),
                -solution,
                note="tan(alpha(tau)) = tan(alpha_0) exp(-tau); it tends to 0, the minimum-norm interpolant.",
            ),
        ),
    )


def prove_kernel_decay(loss: Loss, reduction: Reduction, /) -> Proof:
    """The kernel component of w is multiplied by exactly 1 - eps in each step, on or off Gamma."""
    geometry = geometry_of(loss)
    _, directions = kernel_chart(geometry)
    s = sp.Symbol("s", real=True)
    w = sp.Matrix(loss.variables)
    moved = [loss.at(list(w + s * directions[:, j])) - loss.expression for j in range(directions.shape[1])]
    slopes = [
        normal_form(sum(g * k for g, k in zip(loss.gradient, directions[:, j], strict=True)))
        for j in range(directions.shape[1])
    ]
    eta, decay = reduction.parameters["learning_rate"], reduction.parameters["weight_decay"]
    return Proof(
        f"kernel component of {loss.name}",
        (
            prove_equal(
                "the loss does not see the kernel: L(w + s k) = L(w)",
                sp.Matrix(moved),
                sp.zeros(len(moved), 1),
                show=(sp.Symbol("L(w + s k) - L(w)"), sp.Integer(0)),
                note="For every w and s, from the concrete expression.",
            ),
            prove_equal(
                "so the gradient has no kernel component",
                sp.Matrix(slopes),
                sp.zeros(len(slopes), 1),
                show=(sp.Symbol("<grad L(w), k>"), sp.Integer(0)),
            ),
            prove_equal(
                "and what is left of the update multiplies it by 1 - eps",
                reduction.scale / sp.sqrt(reduction.norm_squared),
                1 - eta * decay,
                show=(sp.Symbol("<w+, k>/<w, k>"), 1 - eta * decay),
                note="The coefficient of w in the rule's own update.",
            ),
        ),
    )
