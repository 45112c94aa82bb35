"""A point at which a relation fails, short enough to check by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.zero import decide_zero
from sharpflow.theory.statements.statement import Relation, Supposed

__all__ = ["Witness", "admitted", "counterexample", "holds_at", "nice_points", "witness_at"]

# Values that no formula of the theory singles out, tried in this order; small ones for what is small.
NICE = tuple(sp.Rational(n, 10) for n in (3, 7, 12, 5, 9, 16, 4, 23, 8, 31))
# Where formulas are often equal, for a strict inequality.
EVEN = tuple(sp.Rational(n, 2) for n in (2, 4, 1, 0, -2))
SMALL = tuple(sp.Rational(1, n) for n in (100, 50, 20, 8))
SMALL_NAMES = ("rate", "learning_rate", "weight_decay", "effective_lr_0", "effective_lr", "intrinsic_lr")
DIGITS = 30
# Two numbers of 30 digits that differ by less than this share of their size are not told apart.
APART = sp.Float("1e-15", DIGITS)
# An exact zero is less, however it is written.
NOTHING = sp.Float("1e-25", DIGITS)
ATTEMPTS = 14
SECONDS = 3.0


@dataclass(frozen=True)
class Witness:
    """Values of the symbols, and both sides there."""

    point: Mapping[sp.Symbol, sp.Expr]
    left: sp.Expr
    right: sp.Expr

    @property
    def text(self) -> dict[str, str]:
        """By name, both sides under left and right."""
        values = {s.name: _short(v) for s, v in self.point.items()}
        return {**values, "left": _short(self.left), "right": _short(self.right)}

    @property
    def sentence(self) -> str:
        """At p = 0.3: 0.412 against 0.398."""
        at = ", ".join(f"{s.name} = {_short(v)}" for s, v in self.point.items())
        left, right = _apart(self.left, self.right)
        return f"{f'at {at}: ' if at else ''}{left} against {right}"


def counterexample(link: Relation, supposed: Supposed, /) -> Witness | None:
    """A point where all that is supposed holds and the relation does not; ``None`` where none was found."""
    parts = (link.lhs, link.rhs, *supposed.fixed.values(), *(side for r in supposed.bounds for side in (r.lhs, r.rhs)))
    symbols = dict.fromkeys(s for e in parts for s in sorted(e.free_symbols, key=lambda s: s.name))
    free = [s for s in symbols if s not in supposed.fixed]
    try:
        with time_limit(SECONDS):
            for point in nice_points(free, supposed.domain):
                if found := witness_at(link, point, supposed):
                    return found
    except TimeLimitExceeded:
        return None
    return None


def witness_at(link: Relation, point: Mapping[sp.Symbol, sp.Expr], supposed: Supposed, /) -> Witness | None:
    """The point (values of all symbols but the fixed ones) as a witness, where it is one.

    Every symbol has a value that it may have, all that is supposed holds, both sides are finite real numbers, and the
    relation fails.
    """
    if (whole := admitted(point, supposed)) is None:
        return None
    if holds_at(link.lhs, link.symbol, link.rhs, whole, exact=False) is not False:
        return None
    return Witness(whole, _number(link.lhs, whole), _number(link.rhs, whole))


def admitted(point: Mapping[sp.Symbol, sp.Expr], supposed: Supposed, /) -> dict[sp.Symbol, sp.Expr] | None:
    """The point with the fixed symbols, where all that is supposed holds; else ``None``."""
    whole = {**point, **{s: v.subs(point) for s, v in supposed.fixed.items()}}
    if not all(_fits(s, v) and _inside(v, supposed.domain.get(s)) for s, v in whole.items()):
        return None
    return whole if all(holds_at(r.lhs, r.symbol, r.rhs, whole) for r in supposed.given) else None


def nice_points(
    symbols: Sequence[sp.Symbol], domain: Mapping[sp.Symbol, tuple[Any, Any]], attempts: int = ATTEMPTS
) -> Iterator[dict[sp.Symbol, sp.Rational]]:
    """Points of short decimals inside the domain, the signs of symbols as they are declared."""
    for attempt in range(attempts):
        yield {s: _nice(s, i, attempt, domain.get(s)) for i, s in enumerate(symbols)}
    for value in EVEN if attempts == ATTEMPTS and symbols else ():
        if all(_fits(s, value) and _inside(value, domain.get(s)) and not s.is_integer for s in symbols):
            yield dict.fromkeys(symbols, value)


def _nice(s: sp.Symbol, index: int, attempt: int, interval: tuple[Any, Any] | None) -> sp.Rational:
    if s.is_integer:
        return sp.Integer(2 + index + attempt) if s.is_nonnegative or attempt % 2 == 0 else sp.Integer(-1 - attempt)
    if s.name in SMALL_NAMES and interval is None:
        return SMALL[(attempt + index) % len(SMALL)] * (1 + sp.Rational(index, 10))
    value = NICE[(attempt + index) % len(NICE)] * (1 + attempt // len(NICE))
    if not s.is_nonnegative and (attempt + index) % 3 == 2:
        value = -value
    if s.is_nonpositive:
        value = -abs(value)
    if interval is None:
        return value
    low, high = (sp.sympify(end) for end in interval)
    if low < value < high:
        return value
    if low.is_infinite:
        return sp.Rational(str(sp.N(high, 3))) - abs(value) - sp.Rational(1, 100)
    if high.is_infinite:
        return sp.Rational(str(sp.N(low, 3))) + abs(value) + sp.Rational(1, 100)
    share = sp.Rational(attempt % 10 + 1, 12)
    return sp.Rational(str(sp.N(low + (high - low) * share, 3)))


def _inside(value: sp.Expr, interval: tuple[Any, Any] | None) -> bool:
    return interval is None or bool(interval[0] < (value if value.is_Rational else sp.N(value, DIGITS)) < interval[1])


def _fits(s: sp.Symbol, value: sp.Expr) -> bool:
    """True where the value may be put for the symbol."""
    number = sp.N(value, DIGITS)
    if not (number.is_real and number.is_finite) or (s.is_integer and not value.is_integer):
        return False
    if s.is_positive:
        return bool(number > NOTHING)
    if s.is_nonnegative:
        return bool(number >= 0)
    if s.is_negative:
        return bool(number < -NOTHING)
    return not (s.is_nonpositive and number > 0) and not (s.is_nonzero and abs(number) < NOTHING)


def holds_at(
    lhs: sp.Expr, symbol: str, rhs: sp.Expr, point: Mapping[sp.Symbol, sp.Expr], *, exact: bool = True
) -> bool | None:
    """True where the relation holds at a point; ``None`` where a side is no real number there, or too close to tell.

    Without ``exact`` two sides that look equal are too close: enough where only a failure is looked for.
    """
    left, right = _number(lhs, point), _number(rhs, point)
    if left is None or right is None or symbol not in ("=", ":=", "<", "<=", ">", ">="):
        return None
    size = max(abs(left), abs(right), sp.Integer(1))
    if abs(left - right) <= APART * size:
        if not exact and symbol not in ("<", ">"):
            return None
        difference = (sp.sympify(lhs) - rhs).subs(point)
        same = difference == 0 or decide_zero(difference).status is Status.PROVED
        return symbol not in ("<", ">") if same else None
    if symbol in ("=", ":="):
        return False
    return bool(left < right) if symbol in ("<", "<=") else bool(left > right)


def _number(e: sp.Expr, point: Mapping[sp.Symbol, sp.Expr]) -> Any:
    """The value at a point with 30 digits; ``None`` where it, or a part of it, is no finite real number."""
    whole = sp.sympify(e)
    try:
        if not _defined(whole, point):
            return None
        value = whole.subs(point).evalf(DIGITS)
    except (ZeroDivisionError, ValueError, TypeError, ArithmeticError):
        return None
    return value if value.is_Float or value.is_Rational else None


def _defined(e: sp.Expr, point: Mapping[sp.Symbol, sp.Expr]) -> bool:
    """False where a logarithm, a quotient or a root in it has no value, though the whole may: 1/log(1 - 1) is 0."""
    for node in e.atoms(sp.log, sp.Pow, sp.tan, sp.cot):
        if node.subs(point).has(sp.nan, sp.zoo, sp.oo, -sp.oo):
            return False
        exponent = node.exp.subs(point) if isinstance(node, sp.Pow) else sp.Integer(1)
        logarithm = isinstance(node, sp.log)
        if logarithm or not (exponent.is_integer and exponent.is_nonnegative):
            inner = node.args[0].subs(point).evalf(DIGITS)
            if abs(inner) < NOTHING and (logarithm or not exponent.is_positive):
                return False
            # Of a negative number they are complex, and their rules have exceptions.
            if inner.is_real and inner < -NOTHING and (logarithm or not exponent.is_integer):
                return False
    return True


def _short(value: sp.Expr) -> str:
    """A rational of few digits as a decimal, other numbers to eight digits."""
    if value.is_Rational and value.q == 1:
        return str(value)
    if value.is_Rational and sp.Rational(str(float(value))) == value and len(str(float(value))) <= 12:
        return str(float(value))
    return f"{float(value):.8g}"


def _apart(left: sp.Expr, right: sp.Expr) -> tuple[str, str]:
    """Both numbers with the digits that it takes to see that they differ, three at least."""
    for digits in range(4, 16):
        texts = f"{float(left):.{digits}g}", f"{float(right):.{digits}g}"
        if texts[0] != texts[1]:
            return texts
    return _short(left), _short(right)
