"""The drift by two routes that share nothing but the loss: geometry of Gamma, and the expanded exact map.

Route (a), `sharpflow.theory.chart.flow`: lambda_1 and the metric give g, and the law of the rule gives its
coefficient. Route (b), `sharpflow.theory.chart.expansion`: theta = zeta(p) + delta X v_1 is put into the exact map of
the concrete loss, two steps are expanded, X', U', p' are read off and averaged over the orbit with <X^2> = a/b
(`sharpflow.theory.edge.averaging`). Route (b) never forms a gradient of lambda_1.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from sharpflow.theory import rules
from sharpflow.theory.chart.expansion import NonsmoothOrbit, ScaledMap, expand, expand_nonsmooth
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.chart.oscillator import oscillator_of
from sharpflow.theory.edge.averaging import U, X, prove_averages
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.proof import Proof, Step
from sharpflow.theory.proving.zero import normal_form, prove_equal
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import Reduction, reduce_rule

__all__ = [
    "balance",
    "drift_coefficient",
    "prove_drift",
    "prove_excess_loss",
    "prove_mean_square",
    "prove_nonsmooth_drift",
    "prove_oscillator",
    "prove_schedule_drift",
    "scaled_map",
    "schedule_rates",
    "short",
]


K2 = sp.Symbol("K2", nonnegative=True)


@lru_cache(maxsize=64)
def _scaled(loss: Loss, key: Identity[Rule]) -> ScaledMap:
    return expand(geometry_of(loss), reduce_rule(key.value))


def scaled_map(loss: Loss, rule: Rule, /) -> ScaledMap:
    """Route (b) for a smooth rule, made once for each loss and rule."""
    return _scaled(loss, Identity(rule))


def schedule_rates(reduction: Reduction, /) -> tuple[sp.Expr, sp.Expr]:
    """(growth, brake) with d log effective_lr/dt = growth*rate - brake*x^2 at the edge, read off the schedule.

    At the edge effective_lr = 2/lambda_1 and |G| = lambda_1 |x|, so effective_lr^2 |G|^2 = 4 x^2.
    """
    assert reduction.schedule is not None
    delta = sp.Symbol("delta", positive=True)
    x2, sharp = sp.symbols("x2 lambda_1", positive=True)
    ratio = (reduction.schedule / reduction.effective_lr).subs(reduction.at_rate(delta**2))
    ratio = ratio.subs({reduction.gradient_squared: sharp**2 * delta**2 * x2, reduction.effective_lr: 2 / sharp})
    second = sp.expand(sp.simplify(sp.diff(sp.log(ratio), delta, 2).subs(delta, 0) / 2))
    return sp.simplify(second.coeff(x2, 0)), sp.simplify(-second.coeff(x2, 1))


def drift_coefficient(reduction: Reduction, /) -> sp.Expr:
    """The factor of -g in the drift of a smooth rule, in K2: <X^2> at balance, growth/(brake + K^2).

    U' = 2 (growth - brake X^2) + 2 d log lambda_1/d tau with d zeta/d tau = -X^2 g, that is -2 K^2 X^2.
    """
    growth, brake = schedule_rates(reduction)
    return growth / (brake + K2)


def prove_oscillator(loss: Loss, rule: Rule, /) -> Proof:
    """X' = X U, U' = 2 growth - 2 (brake + K^2) X^2, read off two expanded steps of the concrete exact map."""
    geometry, reduction = geometry_of(loss), reduce_rule(rule)
    scaled = scaled_map(loss, rule)
    growth, brake = schedule_rates(reduction)
    domain = geometry.domain
    k2 = geometry.log_sharpness_gradient_squared
    expected = 2 * growth - 2 * (brake + K2) * X**2
    steps = [
        prove_equal(
            "lambda_1, from the expanded gradient and from the characteristic polynomial",
            scaled.sharpness,
            geometry.sharpness,
            domain=domain,
        ),
        prove_equal(
            "at the edge one step reverses the displacement",
            scaled.one_step_sign,
            sp.Integer(-1),
            show=(sp.Symbol("X+") / X, sp.Integer(-1)),
            note="The multiplier at effective_lr lambda_1 = 2, to leading order.",
        ),
        prove_equal(
            "growth of the oscillation over two steps",
            scaled.x_rate,
            X * U,
            domain=domain,
            show=(sp.Derivative(sp.Function("X")(sp.Symbol("T")), sp.Symbol("T")), X * U),
            note=f"Per unit of T = delta t, two-step differences halved. The one-step map has the cubic term "
            f"{short(scaled.one_step_square)} xi^2 of L, which cancels over two steps.",
        ),
        prove_equal(
            "response of the edge over two steps",
            scaled.u_rate,
            expected.subs(K2, k2),
            domain=domain,
            show=(sp.Derivative(sp.Function("U")(sp.Symbol("T")), sp.Symbol("T")), expected),
            note=f"K2 = {short(k2)} here, from the metric and lambda_1; the left side comes from the expanded map "
            f"alone.",
        ),
    ]
    if scaled.normal_terms:
        steps.append(
            prove_equal(
                "displacements in the other normal directions drop out",
                sp.Matrix(scaled.normal_terms),
                sp.zeros(len(scaled.normal_terms), 1),
                domain=domain,
                show=(sp.Symbol("d(X', U', p')/dY_j"), sp.Integer(0)),
                note="They were carried along as symbols Y_j at second order.",
            )
        )
    return Proof(f"the oscillator of {rule.name} at the edge of {loss.name}", tuple(steps))


def prove_drift(loss: Loss, rule: Rule, /) -> Proof:
    """d zeta/d tau = -growth/(brake + K^2) g by geometry equals the orbit average of the expanded map."""
    geometry, reduction = geometry_of(loss), reduce_rule(rule)
    scaled = scaled_map(loss, rule)
    oscillator = oscillator_of(scaled)
    k2 = geometry.log_sharpness_gradient_squared
    coefficient = drift_coefficient(reduction)
    by_geometry = -coefficient.subs(K2, k2) * geometry.log_sharpness_gradient
    averaged = scaled.drift.applyfunc(lambda e: e.subs(X**2, oscillator.mean_square))
    g = sp.Symbol("g")
    steps = [
        *balance(reduction),
        prove_equal(
            "mean square of the oscillation over an orbit",
            oscillator.mean_square,
            coefficient.subs(K2, k2),
            domain=geometry.domain,
            show=(sp.Symbol("<X^2>"), coefficient),
            note="Left: a/b of the oscillator read off the expanded map. Right: from the schedule and the metric.",
        ),
        prove_equal(
            "displacement along Gamma over two steps",
            scaled.drift,
            -(X**2) * geometry.log_sharpness_gradient,
            domain=geometry.domain,
            show=(sp.Symbol("p'"), -(X**2) * g),
            note="Left: the tangent part of the second-order gradient, read off the expanded map; right: the "
            "gradient of log lambda_1 with the index raised by the metric.",
        ),
        prove_equal(
            "the drift by the two routes",
            averaged,
            by_geometry,
            domain=geometry.domain,
            show=(averaged.applyfunc(_reduced), by_geometry.applyfunc(_reduced)),
            note=f"d p/d tau: the orbit average of the expanded map, and {sp.sstr(-coefficient)} g with K2 = |g|^2.",
        ),
    ]
    return Proof(f"drift of {rule.name} along Gamma of {loss.name}", tuple(steps))


def _reduced(expression: sp.Expr) -> sp.Expr:
    """A quotient of polynomials (in exp, too) in lowest terms; anything else as it was derived."""
    towers = {e: sp.Dummy() for e in expression.atoms(sp.exp)}
    return sp.factor(expression) if expression.xreplace(towers).is_rational_function() else expression


def balance(reduction: Reduction) -> tuple[Step, Step]:
    """a > 0 and b > 0 in U' = a - b X^2: only then are there closed orbits to average over."""
    growth, brake = schedule_rates(reduction)
    return (
        prove_positive(
            "effective_lr grows where nothing oscillates",
            growth,
            domain={},
            note="Otherwise the edge is never reached or held, and there is no orbit to average over.",
        ),
        prove_positive("oscillation brings it back down", brake + K2, domain={K2: (0, sp.oo)}),
    )


def prove_mean_square(loss: Loss, rule: Rule, /) -> Proof:
    """<x^2> = growth/(brake + K^2) rate, a/b of the oscillator read off the expanded map of the concrete loss."""
    geometry, reduction = geometry_of(loss), reduce_rule(rule)
    coefficient = drift_coefficient(reduction)
    oscillator = oscillator_of(scaled_map(loss, rule))
    rate = sp.Symbol("rate", positive=True)
    return Proof(
        f"mean square of the oscillation of {rule.name} on {loss.name}",
        (
            *prove_averages().steps,
            *balance(reduction),
            prove_equal(
                "mean square of the oscillation",
                oscillator.mean_square * rate,
                coefficient.subs(K2, geometry.log_sharpness_gradient_squared) * rate,
                domain=geometry.domain,
                show=(sp.Symbol("<x^2>"), coefficient * rate),
                note="Left: a/b times rate = delta^2, from the expanded map. Right: the schedule and the metric.",
            ),
        ),
    )


def prove_excess_loss(loss: Loss, rule: Rule, /) -> Proof:
    """<L - min L> = lambda_1 <x^2>/2 to leading order."""
    geometry = geometry_of(loss)
    step, w = sp.Symbol("delta", positive=True), geometry.edge_direction
    # L along the ray's point moved by delta w, differentiated twice as it stands; x = delta |w|/|P|.
    along = loss.at(list(geometry.ray + step * w))
    second = normal_form(sp.diff(along, step, 2).subs(step, 0) * geometry.ray_squared / w.dot(w))
    rate = sp.Symbol("rate", positive=True)
    coefficient = drift_coefficient(reduce_rule(rule))
    x, top = sp.Symbol("x", real=True), sp.Symbol("lambda_1", positive=True)
    return Proof(
        f"mean excess loss of {rule.name} on {loss.name}",
        (
            prove_equal(
                "the loss grows as lambda_1 x^2/2 along v_1",
                second / 2,
                geometry.sharpness / 2,
                domain=geometry.domain,
                show=(sp.Symbol("L - min L"), top * x**2 / 2),
                note="Second derivative of the concrete loss along the edge direction, against lambda_1 of the "
                "spectrum.",
            ),
            *prove_mean_square(loss, rule).steps[-1:],
            prove_equal(
                "mean excess loss",
                second / 2 * oscillator_of(scaled_map(loss, rule)).mean_square * rate,
                geometry.sharpness / 2 * coefficient.subs(K2, geometry.log_sharpness_gradient_squared) * rate,
                domain=geometry.domain,
                show=(sp.Symbol("<L - min L>"), top / 2 * coefficient * rate),
            ),
        ),
    )


def prove_schedule_drift(loss: Loss, rule: Rule, /) -> Proof:
    """The oscillator and the drift of a scalar RMSprop with C_b free, and its limits C_b = 2 and C_b to infinity."""
    reduction = reduce_rule(rule)
    coefficient = drift_coefficient(reduction)
    forget = reduction.parameters["C_b"]
    reference = drift_coefficient(reduce_rule(rules.get("gd-wd")))
    small = sp.Symbol("rate", positive=True)
    return Proof(
        f"drift of {rule.name} along Gamma of {loss.name}",
        (
            *prove_oscillator(loss, rule).steps,
            *prove_drift(loss, rule).steps,
            prove_equal(
                "its coefficient",
                coefficient,
                forget / 2 / (2 * forget + K2),
                show=(sp.Symbol("coefficient"), forget / 2 / (2 * forget + K2)),
                note="Read off the schedule; C_b stays a symbol.",
            ),
            prove_equal(
                "C_b = 2 is gradient descent with weight decay: eta_in^2 = 2 rate of its clock",
                coefficient.subs(forget, 2) * (2 * small),
                reference * small,
                note="Per iteration: the coefficient times the rate of each clock.",
            ),
            prove_equal(
                "C_b to infinity is normalized gradient descent",
                sp.limit(coefficient, forget, sp.oo),
                sp.Rational(1, 4),
            ),
        ),
    )


def prove_nonsmooth_drift(loss: Loss, rule: Rule, /) -> Proof:
    """The drift of a rule whose step has a fixed length, over its orbits of period two: -g/4 for normalized GD."""
    geometry = geometry_of(loss)
    orbit: NonsmoothOrbit = expand_nonsmooth(geometry, reduce_rule(rule))
    start = sp.Symbol("X", positive=True)
    return Proof(
        f"drift of {rule.name} along Gamma of {loss.name}",
        (
            prove_equal(
                "every X in (0, 1) lies on an orbit of period two",
                orbit.second,
                start,
                show=(sp.Symbol("X++"), start),
                note=f"After one step X becomes {sp.sstr(orbit.first)}, which is negative, and after two it is back. "
                "Edge: none, nonsmooth; the step is not differentiable on Gamma, so no multiplier of a linearised map "
                "exists.",
            ),
            prove_equal(
                "drift per unit of its clock",
                orbit.drift,
                -geometry.log_sharpness_gradient / 4,
                domain=geometry.domain,
                note="Left: the expanded map over both halves of the orbit; right: geometry.",
            ),
        ),
    )


def short(expression: sp.Expr, limit: int = 160) -> str:
    """An expression in its normal form, cut to ``limit`` characters."""
    text = sp.sstr(normal_form(expression))
    return text if len(text) <= limit else text[: limit - 3] + "..."
