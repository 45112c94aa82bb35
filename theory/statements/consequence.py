"""Decide if a relation follows from others.

An equation that gives a symbol is put in everywhere. What is left of the equations is a system of polynomials f_i = 0
in the symbols (sin, cos and roots adjoined with their squares): lhs - rhs = 0 follows if its numerator is in the ideal
that they span, which a Groebner basis decides; a factor that cannot vanish is divided out first. Inequalities are in
`sharpflow.theory.statements.inequalities`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import sympy as sp

from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.sign import prove_sign
from sharpflow.theory.proving.tower import NotAlgebraic, Tower
from sharpflow.theory.proving.zero import decide_zero
from sharpflow.theory.statements.inequalities import inequality_follows
from sharpflow.theory.statements.statement import Checked, Relation, Supposed
from sharpflow.theory.statements.witness import Witness, nice_points, witness_at

__all__ = ["follows", "suppose"]

SECONDS = 6.0
# To see that nothing satisfies what is supposed.
SHORT = 2.0


def suppose(given: Sequence[Relation], domain: Mapping[sp.Symbol, tuple[Any, Any]], /) -> Supposed:
    """The suppositions, with symbols eliminated where an equation gives them."""
    ends = {s: (sp.sympify(a), sp.sympify(b)) for s, (a, b) in domain.items()}
    for r in given:
        _interval(r, ends)
    open_equations = [r.lhs - r.rhs for r in given if r.symbol in ("=", ":=")] + _squeezed(given)
    fixed: dict[sp.Symbol, sp.Expr] = {}
    equations: list[sp.Expr] = []
    while open_equations:
        equation = open_equations.pop(0)
        equation = equation.subs(fixed)
        if equation == 0 or decide_zero(equation).status is Status.PROVED:
            continue
        if not equation.free_symbols:
            return Supposed(impossible=f"{sp.sstr(equation)} = 0", domain=ends)
        solved = _given_symbol(equation, set(domain), ends)
        if solved is None:
            equations.append(equation)
            continue
        symbol, value = solved
        fixed = {s: v.subs(symbol, value) for s, v in fixed.items()} | {symbol: value}
        open_equations += equations
        equations = []
    bounds: list[Relation] = []
    for r in given:
        if r.symbol not in ("<", "<=", ">", ">="):
            continue
        relation = Relation(r.lhs.subs(fixed), r.symbol, r.rhs.subs(fixed))
        if not _interval(relation, ends):
            bounds.append(relation)
    # A symbol of a declared sign or interval that is given by others keeps it as a bound.
    for s, value in fixed.items():
        if s.is_positive and not value.is_positive:
            bounds.append(Relation(value, ">", sp.Integer(0)))
        elif s.is_nonnegative and not value.is_nonnegative:
            bounds.append(Relation(value, ">=", sp.Integer(0)))
        bounds += [
            Relation(value, sign, end) for sign, end in zip("><", ends.get(s, ()), strict=False) if end.is_finite
        ]
    found = Supposed(tuple(given), fixed, tuple(equations), tuple(bounds), ends)
    return replace(found, impossible=_impossible(found))


def _squeezed(given: Sequence[Relation]) -> list[sp.Expr]:
    """k = 0 for two opposite bounds, or one against a declared sign: x <= y and y <= x."""
    above = [r.lhs - r.rhs if r.symbol == ">=" else r.rhs - r.lhs for r in given if r.symbol in ("<=", ">=")]
    return [k for i, k in enumerate(above) if k.is_nonpositive or any(sp.expand(k + o) == 0 for o in above[:i])]


def _impossible(supposed: Supposed) -> str:
    """The contradiction in what is supposed; empty where none is seen."""
    for s, (low, high) in supposed.domain.items():
        if sp.sympify(low >= high) == sp.true:
            return f"no {s} is above {sp.sstr(low)} and below {sp.sstr(high)}"
    for s, value in supposed.fixed.items():
        if (s.is_integer and value.is_integer is False) or (s.is_real and value.is_real is False):
            return f"{s} = {sp.sstr(value)} is no {'whole' if s.is_integer else 'real'} number"
    if not (supposed.equations or supposed.bounds):
        return ""
    nothing = "no values of the symbols satisfy all of it"
    with (
        contextlib.suppress(NotAlgebraic, sp.PolynomialError, NotImplementedError, TimeLimitExceeded),
        time_limit(SHORT),
    ):
        if supposed.equations and _in_ideal(sp.Integer(1), supposed):
            return nothing
    with (
        contextlib.suppress(NotAlgebraic, sp.PolynomialError, NotImplementedError, TimeLimitExceeded),
        time_limit(SHORT),
    ):
        never = Relation(sp.Integer(-1), ">=", sp.Integer(0))
        if _bounded(never, supposed):
            return nothing
    return ""


def _given_symbol(
    equation: sp.Expr, charted: set[sp.Symbol], ends: Mapping[sp.Symbol, tuple[Any, Any]]
) -> tuple[sp.Symbol, sp.Expr] | None:
    """A symbol that the equation gives: it is linear in it, with a coefficient that cannot vanish."""
    for symbol in sorted(equation.free_symbols, key=lambda s: (len(s.name), s.name), reverse=True):
        coefficient = sp.diff(equation, symbol)
        if coefficient.has(symbol) or not (coefficient.is_nonzero or _keeps_off_zero(coefficient, ends)):
            continue
        rest = equation.subs(symbol, 0)
        if not (rest.has(symbol) or (symbol in charted and rest.free_symbols)):
            return symbol, sp.cancel(-rest / coefficient) if rest.is_rational_function() else -rest / coefficient
    return None


def _keeps_off_zero(e: sp.Expr, ends: Mapping[sp.Symbol, tuple[Any, Any]]) -> bool:
    """True for a symbol whose interval does not hold 0."""
    return any(power.is_Symbol and power in ends and not ends[power][0] < 0 < ends[power][1] for power in (e, -e))


def _interval(r: Relation, ends: dict[sp.Symbol, tuple[Any, Any]]) -> bool:
    """Take x < 3, 2 > x and the like into the intervals."""
    lhs, symbol, rhs = r.lhs, r.symbol, r.rhs
    if rhs.is_Symbol and lhs.is_number:
        lhs, symbol, rhs = rhs, symbol.translate(str.maketrans("<>", "><")), lhs
    if not (lhs.is_Symbol and rhs.is_number and symbol in ("<", ">")):
        return False
    low, high = ends.get(lhs, (sp.Integer(0) if lhs.is_nonnegative else -sp.oo, sp.oo))
    ends[lhs] = (low, sp.Min(high, rhs)) if symbol == "<" else (sp.Max(low, rhs), high)
    return True


def follows(lhs: sp.Expr, symbol: str, rhs: sp.Expr, supposed: Supposed, /) -> Checked:
    """True where ``lhs symbol rhs`` follows from the equations and bounds that are left."""
    try:
        with time_limit(SECONDS):
            if symbol == "=" and supposed.equations and _in_ideal(lhs - rhs, supposed):
                how = "computer algebra: a combination of what is given (Groebner basis)"
                return Checked(Status.PROVED, how)
            if witness := _refuted(lhs, symbol, rhs, supposed):
                message = f"what is given holds and this does not {witness.sentence}"
                return Checked(Status.REFUTED, "evaluation at a point", witness=witness.text, message=message)
            link = Relation(lhs, symbol, rhs)
            if symbol != "=" and (how := _bounded(link, supposed)):
                return Checked(Status.PROVED, f"computer algebra: {how}")
            if symbol == "=" and all(_bounded(Relation(lhs, sign, rhs), supposed) for sign in ("<=", ">=")):
                return Checked(Status.PROVED, "computer algebra: neither side is above the other")
    except TimeLimitExceeded:
        return Checked(Status.UNDECIDED, message=f"given up after {SECONDS:g} s")
    except (NotAlgebraic, sp.PolynomialError, NotImplementedError) as reason:
        return Checked(Status.UNDECIDED, message=f"not a question about polynomials ({reason})")
    return Checked(Status.UNDECIDED, message="it was not found to follow from what is given, nor not to")


def _bounded(link: Relation, supposed: Supposed) -> str:
    return inequality_follows(link, supposed.equations, supposed.bounds, supposed.domain)


def _in_ideal(residual: sp.Expr, supposed: Supposed) -> bool:
    tower = Tower()
    prepared = [tower.prepare(e) for e in (residual, *supposed.equations)]
    numerators = [sp.expand(sp.fraction(sp.together(tower.convert(e)))[0]) for e in prepared]
    relations = [sp.numer(sp.together(s**2 - square)) for s, square in tower.squares]
    equations = [_nonvanishing_out(e, tower, supposed.domain) for e in numerators[1:]]
    symbols = sorted(set().union(*(e.free_symbols for e in (*numerators, *relations))), key=str)
    if sp.Integer(1) in equations:
        return True  # an equation that no values satisfy
    basis = sp.groebner([*equations, *relations], *symbols, order="grevlex")
    return bool(basis.contains(numerators[0]) or basis.contains(sp.expand(numerators[0] ** 2)))


def _nonvanishing_out(polynomial: sp.Expr, tower: Tower, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> sp.Expr:
    """The product of those factors that may vanish."""
    kept = sp.Integer(1)
    for factor, power in sp.factor_list(polynomial)[1]:
        meaning = factor.subs(tower.back)
        signs = (prove_sign("", meaning, sign, 0, domain=domain).status for sign in "><")
        if not (meaning.is_nonzero or Status.PROVED in signs):
            kept *= factor**power
    return kept


def _refuted(lhs: sp.Expr, symbol: str, rhs: sp.Expr, supposed: Supposed) -> Witness | None:
    """A point where all that is given holds and the relation does not: symbols are solved for, others drawn."""
    everything = set().union(*(e.free_symbols for e in (lhs, rhs, *supposed.equations)))
    everything |= set().union(*(r.lhs.free_symbols | r.rhs.free_symbols for r in supposed.bounds), set())
    count = len(supposed.equations)
    for unknown in list(combinations(sorted(everything, key=str), count))[:12]:
        others = sorted(everything - set(unknown), key=lambda s: s.name)
        for point in (*nice_points(others, supposed.domain, 4), dict.fromkeys(others, sp.Integer(0))):
            equations = [e.subs(point) for e in supposed.equations]
            solutions = sp.solve(equations, list(unknown), dict=True) if count else [{}]
            for solution in solutions[:4]:
                if set(solution) != set(unknown) or any(v.free_symbols for v in solution.values()):
                    continue
                if found := witness_at(Relation(lhs, symbol, rhs), {**point, **solution}, supposed):
                    return found
    return None
