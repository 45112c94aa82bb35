"""Entering the edge of stability: descent before it, the time until it, and the multiplier that crosses there.

Each statement is about every loss in every dimension.
"""

from __future__ import annotations

import sympy as sp

from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.sphere.reduction import Reduction
from sharpflow.theory.sphere.vectors import SpanVector

__all__ = ["prove_descent_lemma", "prove_edge_multiplier", "prove_waiting_time", "waiting_time"]


def prove_descent_lemma(reduction: Reduction, /) -> Proof:
    """L(theta+) <= L(theta) - e (1 - e S/2) |G|^2, S the largest lambda_max(Hess L) at unit vectors over the segment.

    With f(s) = L(theta - s G): L(theta+) = f(e) by scale invariance, f'(0) = -|G|^2, and
    f''(s) = G^T Hess L(theta - s G) G <= S |G|^2/|theta - s G|^2 <= S |G|^2.
    """
    e, g2 = reduction.effective_lr, reduction.gradient_squared
    s, top = sp.Symbol("s", nonnegative=True), sp.Symbol("S", positive=True)
    f = sp.Function("f")
    remainder = sp.Integral((e - s) * f(s).diff(s, 2), (s, 0, e))
    left, right = f(e), f(0) + e * sp.Subs(sp.Derivative(f(s), s), s, 0) + remainder
    moved = SpanVector(sp.Integer(1), -s, g2)
    bound = sp.integrate((e - s) * top * g2, (s, 0, e))
    return Proof(
        "descent below the edge",
        (
            prove_equal(
                "the step of the rule is effective_lr along -G",
                reduction.step,
                e,
                note="So theta+ has the direction of theta - effective_lr G, and L(theta+) = f(effective_lr) by "
                "scale invariance.",
            ),
            prove_equal(
                "Taylor's formula with integral remainder: second derivatives of both sides in the end point",
                sp.diff(left, e, 2),
                sp.diff(right, e, 2).doit(),
                note="f(e) = f(0) + e f'(0) + int_0^e (e - s) f''(s) ds for an arbitrary f: both sides have the same "
                "second derivative in e, and the same value and slope at e = 0 (next two lines).",
            ),
            prove_equal("their values at e = 0", left.subs(e, 0), right.subs(e, 0).doit()),
            prove_equal(
                "their slopes at e = 0",
                sp.Subs(sp.Derivative(f(s), s), s, 0),
                (sp.diff(right, e) - sp.diff(remainder, e)) + sp.diff(remainder, e).subs(e, 0).doit(),
            ),
            prove_equal(
                "|theta - s G|^2 along the segment",
                moved.dot(moved),
                1 + s**2 * g2,
                note="<theta, G> = 0: the points have norm >= 1, so Hess L there is Hess L at a unit vector divided "
                "by at least 1.",
            ),
            prove_equal(
                "the remainder with f'' <= S |G|^2",
                bound,
                top * g2 * e**2 / 2,
            ),
            prove_equal(
                "the bound, assembled",
                -e * g2 + bound,
                -e * (1 - e * top / 2) * g2,
                note="f'(0) = <G, -G> = -|G|^2. The decrease is positive as long as effective_lr S < 2.",
            ),
        ),
    )


def waiting_time(reduction: Reduction, /) -> tuple[sp.Expr, sp.Symbol, sp.Symbol]:
    """Iterations at rest on Gamma until effective_lr lambda_1 = 2, with the symbols of effective_lr_0 and lambda_1.

    Raises:
        ValueError: at rest the schedule of the rule does not multiply effective_lr by a factor above 1.
    """
    assert reduction.schedule is not None
    start, sharp, t = sp.Symbol("effective_lr_0", positive=True), sp.Symbol("lambda_1", positive=True), sp.Symbol("t")
    factor = rest_factor(reduction)
    if factor.has(reduction.effective_lr):
        raise ValueError("at rest effective_lr does not grow by a constant factor.")
    growth = sp.Symbol("log_growth", positive=True)
    # effective_lr_t = effective_lr_0 factor^t, in logarithms.
    (solution,) = sp.solve(sp.log(start) + t * growth - sp.log(2 / sharp), t)
    return solution.subs(growth, sp.log(factor)), start, sharp


def rest_factor(reduction: Reduction, /) -> sp.Expr:
    """effective_lr+/effective_lr where the gradient vanishes."""
    assert reduction.schedule is not None
    return sp.simplify((reduction.schedule / reduction.effective_lr).subs(reduction.gradient_squared, 0))


def prove_waiting_time(reduction: Reduction, /) -> Proof:
    """effective_lr_t = effective_lr_0 (1 - eps)^(-2t) at rest, and t* = log(2/(lambda_1 e_0))/(-2 log(1 - eps))."""
    eta, decay = reduction.parameters["learning_rate"], reduction.parameters["weight_decay"]
    eps = eta * decay
    assert reduction.schedule is not None
    time, start, sharp = waiting_time(reduction)
    t = sp.Symbol("t", positive=True)
    # Positive symbol for 1 - eps: eps < 1, and logarithms of powers of a positive number split.
    keep = sp.Symbol("one_minus_eps", positive=True)
    stated = sp.log(2 / (sharp * start)) / (-2 * sp.log(1 - eps))
    expand = lambda x: sp.expand_log(x.subs(eps, 1 - keep), force=True)  # noqa: E731
    return Proof(
        "waiting time",
        (
            prove_equal(
                "growth at rest on Gamma: effective_lr_t = effective_lr_0 (1 - eps)^(-2t) follows the schedule",
                keep ** (-2 * (t + 1)) / keep ** (-2 * t),
                rest_factor(reduction).subs(eps, 1 - keep),
                show=((1 - eps) ** (-2 * (t + 1)) / (1 - eps) ** (-2 * t), rest_factor(reduction)),
                note="The ratio of two successive values against the schedule's own factor at |G| = 0.",
            ),
            prove_equal(
                "iterations until effective_lr lambda_1 = 2",
                expand(time),
                expand(stated),
                show=(sp.Symbol("t*"), stated),
                note="effective_lr_0 factor^t = 2/lambda_1 solved for t, the factor being the schedule's own at "
                "|G| = 0.",
            ),
        ),
    )


def prove_edge_multiplier(reduction: Reduction, /) -> Proof:
    """x+ = (1 - effective_lr mu_i) x + O(x^2) in the i-th normal direction; the first multiplier leaves at -1."""
    e = reduction.effective_lr
    mu, excess, x = sp.Symbol("mu", positive=True), sp.Symbol("s", positive=True), sp.Symbol("x", real=True)
    # theta = (zeta + x v)/sqrt(1 + x^2), G = mu x v + O(x^2) with G orthogonal to theta; the plane of zeta and v
    # suffices.
    length = sp.sqrt(1 + x**2)
    gradient = sp.Matrix([-mu * x**2, mu * x]) / length
    theta = sp.Matrix([1, x]) / length
    moved = theta - reduction.step * gradient
    after = moved[1] / sp.sqrt(moved.dot(moved))
    multiplier = sp.simplify(sp.diff(after, x).subs(x, 0))
    edge = sp.solve(multiplier + 1, e)
    return Proof(
        "the multiplier that leaves the unit circle",
        (
            prove_equal(
                "multiplier of a normal direction",
                multiplier,
                1 - e * mu,
                show=(sp.Derivative(sp.Symbol("x+"), x), 1 - e * mu),
                note="The exact step of the rule on the sphere, differentiated at x = 0; higher terms of G do not "
                "reach the first derivative.",
            ),
            prove_equal("where it equals -1", edge[0], 2 / mu, show=(e, 2 / mu)),
            prove_equal(
                "it never leaves at +1 first: 1 - multiplier",
                1 - multiplier,
                e * mu,
                note="Positive for every effective_lr > 0: the multiplier stays below 1.",
            ),
            prove_positive(
                "at effective_lr lambda_1 = 2 a smaller eigenvalue is still inside: 1 + its multiplier",
                sp.simplify((1 + multiplier).subs(mu, mu / (1 + excess)).subs(e, 2 / mu)),
                domain={},
                note="mu_j = lambda_1/(1 + s) with s > 0: the top eigenvalue crosses first.",
            ),
        ),
    )
