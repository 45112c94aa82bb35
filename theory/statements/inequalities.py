"""An inequality f >= 0 that follows from equations h = 0 and bounds k >= 0.

f - k_i - k_j - ... >= 0                                 a sum of what is given
k = y - r >= 0: y = r + s, s >= 0                        a bound that gives a symbol is put in
f < 0: y = r - s, s > 0, and then h > 0 or k < 0         the contrary contradicts what is given
f + mu_1 h_1 + ... >= 0, grad f + mu grad h = 0          multipliers (Lagrange's), mu <= 0 for a bound
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import sympy as sp

from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.sign import prove_sign
from sharpflow.theory.statements.statement import Relation

__all__ = ["inequality_follows"]

Domain = Mapping[sp.Symbol, tuple[Any, Any]]
# (k, whether k > 0 is meant rather than k >= 0)
Bound = tuple[sp.Expr, bool]
POLYNOMIAL = 80
UNKNOWNS = 4
# A bound put in may bring another, the sign of its symbol.
DEEPEST = 6


def inequality_follows(
    link: Relation, equations: Sequence[sp.Expr], bounds: Sequence[Relation], domain: Domain, /
) -> str:
    """How the inequality follows from the equations (expressions that are 0) and bounds; empty where it is not seen."""
    f, strict = _above(link)
    known = [_above(r) for r in bounds]
    if _by_addition(f, strict, [*known, *((s * e, False) for e in equations for s in (1, -1))], domain):
        return "a sum of what is given"
    if not equations and _by_slack(f, strict, known, domain):
        return "what is given put in with a difference of one sign"
    if _by_contradiction(f, strict, equations, known, domain):
        return "the contrary contradicts what is given"
    if _by_multipliers(f, strict, equations, known, domain):
        return "a combination of what is given with multipliers"
    return ""


def _above(r: Relation) -> Bound:
    """The inequality as k > 0 or k >= 0."""
    k = r.lhs - r.rhs if r.symbol in (">", ">=") else r.rhs - r.lhs
    return k, r.symbol in ("<", ">")


def _sure(f: sp.Expr, strict: bool, domain: Domain) -> bool:
    step = prove_sign(
        "", f, ">" if strict else ">=", 0, domain={s: d for s, d in domain.items() if s in f.free_symbols}
    )
    return step.status is Status.PROVED


def _by_addition(f: sp.Expr, strict: bool, known: Sequence[Bound], domain: Domain) -> bool:
    for size in range(1, min(len(known), 3) + 1):
        for chosen in combinations(known, size):
            rest = sp.expand(f - sum(k for k, _ in chosen))
            if _sure(rest, strict and not any(s for _, s in chosen), domain):
                return True
    return False


def _solved(k: sp.Expr, domain: Domain) -> Iterator[tuple[sp.Symbol, sp.Expr, sp.Expr]]:
    """(y, coefficient, r) for each symbol with k = coefficient (y - r), the coefficient a number."""
    for y in sorted(k.free_symbols, key=lambda s: s.name):
        c = sp.diff(k, y)
        if c.is_number and c.is_nonzero and y not in domain and not y.is_integer:
            yield y, c, sp.expand(-(k - c * y) / c)


def _by_slack(f: sp.Expr, strict: bool, known: Sequence[Bound], domain: Domain, depth: int = DEEPEST) -> bool:
    """Bounds put in one after the other: y = r + s, s of the sign that the bound says."""
    if not known or not depth:
        return _sure(f, strict, domain)
    (k, whether), *others = known
    if k.is_negative or (whether and k.is_nonpositive):
        return True  # what is given cannot be, and anything follows
    for y, c, r in _solved(k, domain):
        s = sp.Dummy("s", positive=True) if whether else sp.Dummy("s", nonnegative=True)
        value = r if k.is_nonpositive else r + s / sp.Abs(c) * sp.sign(c)
        rest = [(sp.expand(other.subs(y, value)), w) for other, w in others]
        # The sign that y was declared with is one more bound, unless it shows.
        if (
            not (y.is_positive and value.is_positive)
            and y.is_nonnegative
            and not value.is_nonnegative
            and len(rest) < 2
        ):
            rest.append((value, bool(y.is_positive)))
        if _by_slack(f.subs(y, value), strict, rest, domain, depth - 1):
            return True
    return False


def _by_contradiction(
    f: sp.Expr, strict: bool, equations: Sequence[sp.Expr], known: Sequence[Bound], domain: Domain
) -> bool:
    """f <= 0 (or f < 0) put in makes an equation's side positive or negative, or a bound fail."""
    for y, c, r in _solved(f, domain):
        s = sp.Dummy("s", nonnegative=True) if strict else sp.Dummy("s", positive=True)
        value = r - s / sp.Abs(c) * sp.sign(c)
        for h in equations:
            side = sp.expand(h.subs(y, value))
            if any(_sure(sign * side, True, domain) for sign in (1, -1)):
                return True
        for k, whether in known:
            if _sure(sp.expand(-k.subs(y, value)), not whether, domain):
                return True
    return False


def _by_multipliers(
    f: sp.Expr, strict: bool, equations: Sequence[sp.Expr], known: Sequence[Bound], domain: Domain
) -> bool:
    """f - mu k >= 0 with the mu of a point where f is least under the constraint."""
    constraints = [(h, False, False) for h in equations] + [(k, True, whether) for k, whether in known]
    for h, bound, whether in constraints:
        symbols = sorted(f.free_symbols | h.free_symbols, key=lambda s: s.name)
        short = sp.count_ops(f) + sp.count_ops(h) <= POLYNOMIAL and len(symbols) <= UNKNOWNS
        if not (short and f.is_polynomial(*symbols) and h.is_polynomial(*symbols)):
            continue
        mu = sp.Dummy("mu", real=True)
        critical = [sp.diff(f - mu * h, s) for s in symbols]
        found = sp.solve([*critical, h], [*symbols, mu], dict=True)
        for value in dict.fromkeys(solution[mu] for solution in found if mu in solution):
            if not (value.is_number and value.is_real) or (bound and value <= 0):
                continue
            if _sure(sp.expand(f - value * h), strict and not whether, domain):
                return True
    return False
