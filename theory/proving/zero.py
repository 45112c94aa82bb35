"""Deciding whether an expression is zero: a normal form where there is one, a numeric witness where there is not.

Most residuals of this theory live in a tower of quadratic extensions of a field of rational functions: sin p with
sin^2 p = 1 - cos^2 p over Q(cos p), e^p over Q, sqrt(A) with its square A. There an element is a + b q at every
level; it is zero when both coefficients are (and when A is no square only then), so bringing the numerator to that
form *decides* equality. What is not of that kind is first tried at random rational points (a nonzero value there
refutes it), then given to `sympy.simplify` under a time limit; what neither closes is undecided.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.checker import confirm
from sharpflow.theory.proving.proof import Status, Step
from sharpflow.theory.proving.tower import NotAlgebraic, Tower, normal_form

__all__ = ["Decision", "decide_zero", "normal_form", "prove_equal", "witness_of"]


# 40 digits are evaluated and 20 are asked to differ from zero: cancellation among terms of order 1e6 still leaves 14
# digits to spare.
DIGITS = 40
NONZERO = sp.Float("1e-20", DIGITS)
# Digits to work with before a number that stays small is left alone: an epsilon of 1e-100 is seen.
ACCURATE = 200
WITNESSES = 4
SIMPLIFY_SECONDS = 5.0
SIMPLIFY_OPERATIONS = 400
# Expanding is the quickest proof of what is short and the slowest attempt at what is long.
EXPAND_OPERATIONS = 300


@dataclass(frozen=True)
class Decision:
    """The verdict on an expression that may be zero, how it was found, and, if it is not, where."""

    status: Status
    method: str
    residual: Any
    witness: Mapping[str, str]


def witness_of(
    expression: sp.Expr, *, domain: Mapping[sp.Symbol, tuple[Any, Any]] | None = None, tiny: bool = True
) -> dict[str, str]:
    """A rational point at which the expression is provably no zero; empty when none of a few points is.

    A value below 1e-20 counts where it is shown to be no zero, if ``tiny`` asks for that.
    """
    for attempt in range(WITNESSES):
        if found := _witness(expression, attempt, domain, tiny):
            return found
    return {}


def _witness(
    expression: sp.Expr, attempt: int, domain: Mapping[sp.Symbol, tuple[Any, Any]] | None, tiny: bool
) -> dict[str, str]:
    """The same at one point."""
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    functions = sorted({f.func for f in expression.atoms(AppliedUndef)}, key=str)
    point = {s: _rational(s, i, attempt, (domain or {}).get(s)) for i, s in enumerate(symbols)}
    value = expression
    for j, f in enumerate(functions):
        value = value.subs(f, sp.Lambda(*_sample_function(f, j))).doit()
    try:
        exact = value.subs(point)
        number = exact.evalf(DIGITS)
    except (ZeroDivisionError, ValueError, TypeError):
        return {}
    if not number.is_number or not number.is_finite or number.has(sp.nan, sp.zoo):
        return {}
    if abs(number) > NONZERO or (tiny and _tiny(exact)):
        return {s.name: sp.sstr(v) for s, v in point.items()} | {"residual": sp.sstr(sp.N(number, 8))}
    return {}


def _tiny(value: sp.Expr) -> bool:
    """True of a number that is small and not zero: exactly of a rational one, else by two precisions that agree."""
    if value.is_Rational:
        return bool(value != 0)
    short, long = (value.evalf(n, maxn=ACCURATE) for n in (DIGITS // 2, DIGITS))
    # What is zero has no accurate digit, however many are worked with: SymPy gives it the precision 1.
    known = all(isinstance(v, sp.Float) and v != 0 and v._prec > DIGITS for v in (short, long))
    return bool(known and abs(short / long - 1) < sp.Float("1e-15"))


def _sample_function(f: Any, j: int) -> tuple[Any, sp.Expr]:
    x = sp.Dummy("x")
    return x, sp.sin((j + 1) * x) + x**3 / 7 + (j + 2) * x**2 / 3


def _rational(symbol: sp.Symbol, index: int, attempt: int, interval: tuple[Any, Any] | None) -> sp.Rational:
    """A rational that no small polynomial vanishes at, inside the symbol's domain."""
    raw = sp.Rational(37 + 101 * index + 53 * attempt + 11 * index * attempt, 89 + 13 * index + 7 * attempt)
    unit = raw - sp.floor(raw)
    if symbol.is_integer:
        return sp.Integer(1 + index + attempt)
    if interval is not None:
        low, high = (sp.nsimplify(b, rational=True) if sp.sympify(b).is_finite else b for b in interval)
        if low == -sp.oo and high == sp.oo:
            return 4 * unit - 2
        if low == -sp.oo:
            return high - 2 * unit - sp.Rational(1, 10)
        return low + (high - low) * unit if high != sp.oo else low + 2 * unit + sp.Rational(1, 10)
    if symbol.is_positive:
        return unit + sp.Rational(1, 3)
    return (-1) ** (index + attempt) * (unit + sp.Rational(1, 5))


def decide_zero(expression: sp.Expr, *, domain: Mapping[sp.Symbol, tuple[Any, Any]] | None = None) -> Decision:
    """Decide whether an expression vanishes identically on its domain.

    Returns proved only from a normal form (or from ``simplify`` reaching 0), refuted only with a witness.
    """
    expression = sp.sympify(expression)
    if expression == 0:
        return Decision(Status.PROVED, "identical sides", sp.Integer(0), {})
    # That a number is small and not zero takes ever more digits to show: asked for only if no algebra ends it.
    found = witness_of(expression, domain=domain, tiny=False)
    if not found:
        if sp.count_ops(expression) <= EXPAND_OPERATIONS and sp.expand(expression) == 0:
            return Decision(Status.PROVED, "expansion", sp.Integer(0), {})
        closed_by = _zero_in_tower(expression)
        if closed_by:
            return Decision(Status.PROVED, closed_by, sp.Integer(0), {})
        found = witness_of(expression, domain=domain)
    if found:
        return Decision(Status.REFUTED, "exact evaluation at a rational point", expression, found)
    if sp.count_ops(expression) <= SIMPLIFY_OPERATIONS:
        try:
            with time_limit(SIMPLIFY_SECONDS):
                if sp.simplify(expression) == 0:
                    return Decision(Status.PROVED, "simplification", sp.Integer(0), {})
        except TimeLimitExceeded:
            return Decision(Status.UNDECIDED, f"simplification gave up after {SIMPLIFY_SECONDS:g} s", expression, {})
    return Decision(Status.UNDECIDED, "no method closed the residual", expression, {})


@lru_cache(maxsize=8192)
def _zero_in_tower(expression: sp.Expr) -> str:
    """How the normal form brings the expression to zero; empty where it does not."""
    tower = Tower()
    try:
        reduced = tower.reduce_fraction(tower.convert(tower.prepare(expression)))
    except (NotAlgebraic, sp.PolynomialError):
        return ""
    return tower.description if reduced == 0 else ""


def prove_equal(
    title: str,
    lhs: Any,
    rhs: Any,
    /,
    *,
    domain: Mapping[sp.Symbol, tuple[Any, Any]] | None = None,
    note: str = "",
    show: tuple[Any, Any] | None = None,
) -> Step:
    """The step ``lhs = rhs``, checked entry by entry where the sides are matrices.

    Args:
        title, note: for the reader.
        lhs, rhs: expressions or matrices of one shape.
        domain: intervals of the symbols, for the witnesses.
        show: what to print instead of the two sides (a formula in better-known symbols).
    """
    begin = time.perf_counter()
    decisions = [decide_zero(residual, domain=domain) for residual in _residuals(lhs, rhs)]
    worst = next(
        (d for status in (Status.REFUTED, Status.UNDECIDED) for d in decisions if d.status is status),
        decisions[-1] if decisions else Decision(Status.PROVED, "nothing to check", sp.Integer(0), {}),
    )
    methods = dict.fromkeys(d.method for d in decisions) if worst.status is Status.PROVED else [worst.method]
    interesting = [m for m in methods if m != "identical sides"] or list(methods)
    left, right = show or (lhs, rhs)
    status, second = worst.status, ""
    if status is Status.PROVED:
        again = confirm(sp.Matrix(_residuals(lhs, rhs)), sp.zeros(len(decisions), 1))
        second = again.summary
        if again.status is Status.REFUTED:  # two methods that disagree prove nothing
            status = Status.UNDECIDED
    return Step(
        title=title, lhs=left, rhs=right, status=status, method="; ".join(interesting), residual=worst.residual,
        witness=worst.witness, seconds=time.perf_counter() - begin, note=note, second=second,
        sides=(lhs, rhs), domain=domain or {},
    )  # fmt: skip


def _residuals(lhs: Any, rhs: Any) -> Iterable[sp.Expr]:
    if isinstance(lhs, sp.MatrixBase):
        other = rhs if isinstance(rhs, sp.MatrixBase) else sp.Matrix(lhs.shape[0], lhs.shape[1], lambda i, j: rhs)
        return list(lhs - other)
    return [sp.sympify(lhs) - sp.sympify(rhs)]
