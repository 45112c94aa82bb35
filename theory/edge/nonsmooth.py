"""A rule whose step is not smooth on Gamma: its orbits of period two, and the drift they carry.

G/|G| jumps from v_1 to -v_1 where x changes sign, so that no linearised step exists there and no multiplier crosses -1.
With x = delta X, X = +-M and M > 0, the rule is run on series for either sign of X:

    M+ = f(M)  (the modulus after a step that changed the side),    s+ - s = delta^2 d(M).

Either f o f = 1 (a whole interval of orbits of period two: normalized gradient descent), and what they carry on the
mean of two steps does not depend on the orbit, or f has an attracting fixed point M* (sharpness-aware minimisation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from sharpflow.theory.edge.frame import NORM, Frame, run_rule
from sharpflow.theory.edge.jets import JETS, JetVector
from sharpflow.theory.edge.series import NotEnoughOrders, SeriesRing
from sharpflow.theory.errors import NoClosedForm

__all__ = ["MODULUS", "ROOT", "PeriodTwo", "period_two"]

MODULUS = sp.Symbol("M", positive=True)
# lambda_1 = 2 ell^2, so that sqrt(L - min L) is rational.
ROOT = sp.Symbol("ell", positive=True)
ORDERS = range(4, 9)


@dataclass(frozen=True, eq=False)
class PeriodTwo:
    """Orbits of period two of a rule that is not smooth on Gamma, in lambda_1 = 2 ell^2.

    Attributes:
        frame: the rule.
        modulus: f(M), the modulus after one step.
        push: d(M), the step along g/|g| per delta^2.
        fixed: M* with f(M*) = M*.
        multiplier: f'(M*).
        drift: ds/d tau, the mean of d over the orbit.
        spread: its derivative along the interval of orbits (zero), where there is one.
        mean_square: M*^2.
    """

    frame: Frame
    modulus: sp.Expr
    push: sp.Expr
    fixed: sp.Expr
    multiplier: sp.Expr
    drift: sp.Expr
    spread: sp.Expr
    mean_square: sp.Expr


def _step(frame: Frame, side: int) -> tuple[sp.Expr, sp.Expr]:
    """X+ and s+/delta^2 at leading order, from X = side*M."""
    for order in ORDERS:
        ring = SeriesRing((MODULUS, ROOT, *frame.units), JETS, order)
        zero, one = ring.zero, ring.constant(NORM if frame.on_weights else 1)
        x = ring.power(1, side * MODULUS)
        w = JetVector(one, x * one, zero, zero)
        if frame.vectors or frame.scalars:
            raise NoClosedForm(f"rule {frame.rule.name!r} is not smooth on Gamma and carries a state: not covered.")
        states: dict[str, Any] = {"effective_lr": ring.constant(NORM)} if frame.rule.state else {}
        try:
            moved, _ = run_rule(frame, ring, 2 * ROOT**2, w, states)
            x, s = moved.x / moved.radial, moved.s / moved.radial
            if x[0] or s[0] or s[1]:
                raise NoClosedForm(f"rule {frame.rule.name!r}: a step off Gamma is not of the size of sqrt(rate).")
            return sp.factor(x[1].as_expr()), sp.factor(s[2].as_expr())
        except NotEnoughOrders:
            continue
    raise NoClosedForm(f"rule {frame.rule.name!r}: its expansion was given up.")


def period_two(frame: Frame, /) -> PeriodTwo:
    """f, d and the orbits of period two.

    Raises:
        NoClosedForm: the two sides differ, or there is no orbit of period two.
    """
    (right, push), (left, push_left) = _step(frame, 1), _step(frame, -1)
    if sp.simplify(right + left) != 0 or sp.simplify(push - push_left) != 0:
        raise NoClosedForm(f"rule {frame.rule.name!r}: the two sides of Gamma differ at leading order.")
    modulus = sp.factor(-right)
    solutions = [m for m in sp.solve(sp.Eq(modulus, MODULUS), MODULUS) if m != 0]
    if len(solutions) != 1:
        raise NoClosedForm(
            f"rule {frame.rule.name!r} is not smooth on Gamma (its step takes |grad L| or the like): a step takes M = "
            f"|x|/delta to {modulus} at leading order (lambda_1 = 2 ell^2, |w| = r), and {len(solutions)} values of M "
            "come back to themselves where one is wanted."
        )
    fixed = sp.factor(solutions[0])
    multiplier = sp.factor(sp.diff(modulus, MODULUS).subs(MODULUS, fixed))
    mean = sp.simplify((push + push.subs(MODULUS, modulus)) / 2)
    if sp.simplify(modulus.subs(MODULUS, modulus) - MODULUS) != 0:
        mean = push.subs(MODULUS, fixed)
    return PeriodTwo(
        frame,
        modulus,
        push,
        fixed,
        multiplier,
        sp.factor(sp.simplify(mean)),
        sp.simplify(sp.diff(mean, MODULUS)),
        sp.factor(fixed**2),
    )
