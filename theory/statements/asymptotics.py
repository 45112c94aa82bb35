"""A ~ B, A = B + O(e): checked as the order that is stated, by limits as the small parameter goes to 0.

A ~ B:  A/B -> 1;        A = B + O(e):  (A - B)/e stays bounded;
A ~ B, B = b_0 + b_1 + ... + b_n with terms of falling order: (A - B)/b_n -> 0, so that every term is checked.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.zero import decide_zero
from sharpflow.theory.statements.nodes import Landau
from sharpflow.theory.statements.statement import Checked, Relation, Supposed
from sharpflow.theory.statements.witness import admitted, nice_points

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
    positive = sp.Symbol("small", positive=True)
    try:
        with time_limit(SECONDS):
            last = None if orders else _last_term(rhs if _in_powers(rhs, small) or rhs.is_Add else lhs, small)
            size = last or sum((sp.Abs(e) if not e.is_positive else e for e in orders), sp.Integer(0))
            quotient = (lhs / rhs if size == 0 else exact / size).subs(small, positive)
            found = sp.limit(sp.simplify(quotient), positive, 0, "+")
    except (TimeLimitExceeded, NotImplementedError, ValueError, sp.PolynomialError) as reason:
        return Checked(Status.UNDECIDED, message=f"no limit was found ({type(reason).__name__})")
    near = _near(quotient.subs(positive, small), small, supposed)
    if found.has(sp.Limit, sp.AccumBounds, sp.nan) or near is None:
        return Checked(Status.UNDECIDED, message="no limit was found")
    difference = f"({sp.sstr(link.lhs)} - ({sp.sstr(link.rhs)}))"
    what = "the quotient of the two sides" if size == 0 else f"{difference}/{'O' if orders else f'({sp.sstr(last)})'}"
    sentence = f"{what} tends to {sp.sstr(found)} as {small} goes to 0"
    holds = found.is_finite if orders else bool(sp.simplify(found - (1 if last is None else 0)) == 0)
    agrees = _agrees(found, near)
    if holds is None or not agrees:
        return Checked(Status.UNDECIDED, message=f"{sentence}, which is not settled by its value at {NEAR}")
    if holds:
        return Checked(Status.PROVED, f"computer algebra: {sentence}", message=sentence)
    if supposed.equations:
        return Checked(Status.UNDECIDED, message=f"{sentence}; whether so where all that is given holds is open")
    witness = {s.name: str(v) for s, v in near[0].items()} | {
        small.name: str(NEAR),
        "left": str(near[1]),
        "right": "1" if size == 0 else "0" if last else "bounded",
    }
    return Checked(Status.REFUTED, "limit", witness=witness, message=sentence)


def _small(orders: list[sp.Expr], exact: sp.Expr) -> sp.Symbol | None:
    """The symbol that goes to 0: named in O(...), else the first of `SMALL` that occurs."""
    symbols = set().union(*(e.free_symbols for e in orders)) if orders else exact.free_symbols
    by_name = {s.name: s for s in symbols}
    chosen = next((by_name[name] for name in SMALL if name in by_name), None)
    if chosen is None and orders and len(symbols) == 1:
        (chosen,) = symbols
    return chosen


def _last_term(e: sp.Expr, small: sp.Symbol) -> sp.Expr | None:
    """The term of the highest order of an expansion in the small symbol; ``None`` where e is none, or of one order."""
    if not (e.is_Add or _in_powers(e, small)):
        return None
    positive = sp.Symbol("small", positive=True)
    last, *others = sp.Add.make_args(sp.expand_mul(e))
    several = False
    for term in others:
        ratio = sp.limit((term / last).subs(small, positive), positive, 0, "+")
        several = several or ratio == 0 or ratio.is_infinite is True
        last = term if ratio == 0 else last
    return last if several else None


def _in_powers(e: sp.Expr, small: sp.Symbol) -> bool:
    """True for a sum of powers of the small symbol."""
    powers = (t.as_independent(small, as_Add=False)[1] for t in sp.Add.make_args(sp.expand_mul(e)))
    return all(power.as_base_exp()[0] in (small, 1) for power in powers)


def _near(quotient: sp.Expr, small: sp.Symbol, supposed: Supposed) -> tuple[dict[sp.Symbol, sp.Rational], Any] | None:
    """A point, and the quotient there at `NEAR`."""
    parts = (*supposed.fixed.values(), *(side for r in supposed.given for side in (r.lhs, r.rhs)))
    here = quotient.free_symbols.union(*(e.free_symbols for e in parts)) - {small} - set(supposed.fixed)
    for point in nice_points(sorted(here, key=lambda s: s.name), supposed.domain, 5):
        if not supposed.equations and admitted({**point, small: NEAR}, supposed) is None:
            continue
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
