"""A ~ B, A = B + O(e): checked as the order that is stated, by limits as the small parameter goes to 0.

A ~ B:  A/B -> 1;        A = B + O(e):  (A - B)/e stays bounded.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.zero import decide_zero
from sharpflow.theory.statements.nodes import Landau
from sharpflow.theory.statements.statement import Checked, Relation, Supposed
from sharpflow.theory.statements.witness import nice_points

__all__ = ["check_asymptotic"]

SECONDS = 8.0
# What goes to 0, where nothing is said: the first of these that occurs.
SMALL = ("rate", "delta", "epsilon", "varepsilon", "weight_decay", "intrinsic_lr", "h")
# A limit is held against the value at this much.
NEAR = sp.Rational(1, 10**8)


def check_asymptotic(link: Relation, supposed: Supposed, /) -> Checked:
    """The verdict on ``lhs ~ rhs`` or on an equation with O(...) in it, names replaced."""
    lhs, rhs = supposed.apply(link.lhs), supposed.apply(link.rhs)
    difference = lhs - rhs
    orders = [node.args[0] for node in difference.atoms(Landau)]
    exact = difference.xreplace({node: sp.Integer(0) for node in difference.atoms(Landau)})
    small = _small(orders, exact)
    if not orders and decide_zero(exact, domain=supposed.domain).status is Status.PROVED:
        return Checked(Status.PROVED, "computer algebra: the two sides are equal", sides=(lhs, rhs))
    if small is None:
        message = "asymptotic, and nothing in it is known to go to 0: write O(...) with the small parameter in it"
        return Checked(Status.UNDECIDED, message=message)
    size = sum((sp.Abs(e) if not e.is_positive else e for e in orders), sp.Integer(0)) if orders else None
    positive = sp.Symbol("small", positive=True)
    quotient = (exact / size if orders else lhs / rhs).subs(small, positive)
    try:
        with time_limit(SECONDS):
            found = sp.limit(sp.simplify(quotient), positive, 0, "+")
    except (TimeLimitExceeded, NotImplementedError, ValueError, sp.PolynomialError) as reason:
        return Checked(Status.UNDECIDED, message=f"no limit was found ({type(reason).__name__})")
    near = _near(quotient, positive)
    if found.has(sp.Limit, sp.AccumBounds, sp.nan) or near is None:
        return Checked(Status.UNDECIDED, message="no limit was found")
    what = f"({sp.sstr(link.lhs)} - ({sp.sstr(link.rhs)}))/O" if orders else "the quotient of the two sides"
    sentence = f"{what} tends to {sp.sstr(found)} as {small} goes to 0"
    holds = found.is_finite if orders else bool(sp.simplify(found - 1) == 0)
    agrees = _agrees(found, near)
    if holds is None or not agrees:
        return Checked(Status.UNDECIDED, message=f"{sentence}, which is not settled by its value at {NEAR}")
    if holds:
        return Checked(Status.PROVED, f"computer algebra: {sentence}", message=sentence)
    witness = {s.name: str(v) for s, v in near[0].items()} | {small.name: str(NEAR), "left": str(near[1]), "right": "1"}
    return Checked(Status.REFUTED, "limit", witness=witness, message=sentence)


def _small(orders: list[sp.Expr], exact: sp.Expr) -> sp.Symbol | None:
    """The symbol that goes to 0: named in O(...), else the first of `SMALL` that occurs."""
    symbols = set().union(*(e.free_symbols for e in orders)) if orders else exact.free_symbols
    by_name = {s.name: s for s in symbols}
    chosen = next((by_name[name] for name in SMALL if name in by_name), None)
    if chosen is None and orders and len(symbols) == 1:
        (chosen,) = symbols
    return chosen


def _near(quotient: sp.Expr, small: sp.Symbol) -> tuple[dict[sp.Symbol, sp.Rational], Any] | None:
    """A point, and the quotient there at `NEAR`."""
    symbols = sorted(quotient.free_symbols - {small}, key=lambda s: s.name)
    for point in nice_points(symbols, {}, 5):
        value = sp.N(quotient.subs({**point, small: NEAR}), 20, maxn=200)
        if value.is_real and value.is_finite:
            return point, value
    return None


def _agrees(limit: sp.Expr, near: tuple[dict[sp.Symbol, sp.Rational], Any]) -> bool:
    """True where the value near 0 is what the limit lets expect: within a hundredth, or large where it is infinite."""
    point, value = near
    if limit.is_infinite:
        return bool(abs(value) > 1000)
    expected = sp.N(limit.subs(point), 20)
    return bool(expected.is_real and abs(value - expected) <= sp.Rational(1, 100) * max(1, abs(expected)))
