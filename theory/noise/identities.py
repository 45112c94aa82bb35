"""Exact identities of neighbouring papers: weight decay as an exponential schedule, and the catapult's planar map."""

from __future__ import annotations

from types import SimpleNamespace

import sympy as sp

from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import exact
from sharpflow.theory.sphere.vectors import SpanVector, gradient_of, operations

__all__ = ["prove_catapult", "prove_exponential_schedule"]


def prove_exponential_schedule(rule: Rule, /) -> Proof:
    """theta of the rule with weight decay is theta without, at eta_t = eta (1 - eta lambda)^(-2 t - 1)."""
    g2 = sp.Symbol("gradient_squared", positive=True)
    radius, t = sp.Symbol("r", positive=True), sp.Symbol("t", integer=True, nonnegative=True)
    p = rule.parameter_symbols()
    eta, decay = p["learning_rate"], p["weight_decay"]
    shrink = sp.Symbol("A", positive=True)  # 1 - eta lambda
    # w_t = A^t v_t, v_t = r theta.
    w = SpanVector(shrink**t * radius, sp.Integer(0), g2)
    moved, _ = rule.step(w, gradient_of(g2), SimpleNamespace(), SimpleNamespace(**p), operations)
    along, against = (exact(v).subs(decay, (1 - shrink) / eta) for v in (moved.along, moved.against))
    plain = SpanVector(radius, sp.Integer(0), g2)
    scheduled = eta * shrink ** (-2 * t - 1)
    wanted = plain - scheduled * gradient_of(g2)(plain)
    back = shrink ** (t + 1)
    return Proof(
        "weight decay is an exponential schedule",
        (
            prove_equal("w_(t+1) along theta_t, over (1 - eta lambda)^(t+1)", sp.simplify(along / back), wanted.along),
            prove_equal(
                "and along G_t",
                sp.simplify(against / back),
                sp.simplify(wanted.against),
                note="v+ = v - eta_t grad L(v) with grad L(c v) = grad L(v)/c: w_t = (1 - eta lambda)^t v_t for all t "
                "by induction, so that the directions are equal.",
            ),
        ),
    )


def prove_catapult() -> Proof:
    """f+ = f (1 - eta k + eta^2 f^2/n), k+ = k + (eta f^2/n)(eta k - 4) of f = <u, v>/sqrt(n), L = f^2/2."""
    eta, n = sp.Symbol("eta", positive=True), sp.Symbol("n", positive=True)
    f, k = sp.symbols("f k", real=True)
    root = sp.sqrt(n)
    # A step keeps u and v in their span: its Gram matrix is all there is. <u, v> = sqrt(n) f, |u|^2 + |v|^2 = n k.
    uu = sp.Symbol("|u|^2", positive=True)
    gram = sp.Matrix([[uu, root * f], [root * f, n * k - uu]])
    move = sp.Matrix([[1, -eta * f / root], [-eta * f / root, 1]])
    after = (move * gram * move.T).applyfunc(sp.expand)
    return Proof(
        "the catapult is a planar map",
        (
            prove_equal(
                "f+ = <u+, v+>/sqrt(n)",
                sp.expand(after[0, 1] / root),
                sp.expand(f * (1 - eta * k + eta**2 * f**2 / n)),
                note="u+ = u - eta f v/sqrt(n) and v+ = v - eta f u/sqrt(n), in any dimension.",
            ),
            prove_equal(
                "k+ = (|u+|^2 + |v+|^2)/n",
                sp.expand((after[0, 0] + after[1, 1]) / n),
                sp.expand(k + eta * f**2 / n * (eta * k - 4)),
                note="k falls where eta k < 4: above 2/eta, where f grows, the curvature is brought down.",
            ),
        ),
    )
