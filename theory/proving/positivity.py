"""Proving an inequality over a whole domain by interval arithmetic.

An interval enclosure of f over a box that lies in (0, oo) proves f > 0 on the box; boxes where it does not are
halved. A point where f <= 0 refutes. What is left when the budget runs out is undecided. Unbounded coordinates are
first brought to a bounded one: a periodic f to one period, a rational f by p = u/(1 - u^2). The domain is open, so
factors of a rational f that vanish only at its ends are positive there and are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath
import sympy as sp

from sharpflow.theory.proving.proof import Status, Step
from sharpflow.theory.proving.zero import decide_zero, normal_form

__all__ = ["prove_positive"]

# Boxes are cheap (a tenth of a millisecond each); a strict inequality on a domain of one or two coordinates needs
# some dozens to thousands.
BOXES = 6000
SECONDS = 6.0
# A coordinate is not halved below this share of its range: an f that is still not separated from 0 there touches it
# for all we can tell.
SMALLEST = 2.0**-16
# 30 digits are evaluated: a number as small as this is 0, or too close to it to tell.
NONZERO = sp.Float("1e-20", 30)
FACTORED_OPERATIONS = 2000

_FUNCTIONS: dict[Any, Callable[[Any], Any]] = {
    sp.sin: mpmath.iv.sin,
    sp.cos: mpmath.iv.cos,
    sp.exp: mpmath.iv.exp,
    sp.log: mpmath.iv.log,
    sp.tan: mpmath.iv.tan,
}


class _NoEnclosure(Exception):
    """The expression has a function without an interval version, or a denominator that may vanish."""


def _enclose(e: sp.Expr, box: Mapping[sp.Symbol, Any]) -> Any:
    iv = mpmath.iv
    if e.is_Symbol:
        return box[e]
    if e.is_Rational:
        return iv.mpf(int(e.p)) / iv.mpf(int(e.q))
    if e is sp.pi:
        return iv.pi
    if e is sp.E:
        return iv.e
    if e.is_Float:
        return iv.mpf(str(e))
    if isinstance(e, sp.Add):
        total = iv.mpf(0)
        for a in e.args:
            total += _enclose(a, box)
        return total
    if isinstance(e, sp.Mul):
        product = iv.mpf(1)
        for a in e.args:
            product *= _enclose(a, box)
        return product
    if isinstance(e, sp.Pow):
        return _power(e, box)
    if e.func in _FUNCTIONS:
        return _FUNCTIONS[e.func](_enclose(e.args[0], box))
    raise _NoEnclosure(str(e.func))


def _power(e: sp.Pow, box: Mapping[sp.Symbol, Any]) -> Any:
    iv = mpmath.iv
    base, exponent = _enclose(e.base, box), e.exp
    if exponent.is_Integer:
        n = int(exponent)
        if n < 0 and base.a <= 0 <= base.b:
            raise _NoEnclosure("a denominator that may vanish")
        return base**n
    if exponent.is_Rational and exponent.q == 2:
        # A radicand is >= 0 wherever the expression is real; rounding outward must not make it negative.
        if base.b < 0:
            raise _NoEnclosure("the root of a negative number")
        root = iv.sqrt(iv.mpf([max(base.a, 0), base.b]))
        if exponent.p < 0 and root.a <= 0:
            raise _NoEnclosure("a denominator that may vanish")
        return root ** int(exponent.p)
    raise _NoEnclosure("a power")


def _bounded(
    expression: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]]
) -> tuple[sp.Expr, dict[sp.Symbol, tuple[Any, Any]], str]:
    """The same inequality on bounded coordinates."""
    bounded, how = {}, []
    for symbol in sorted(expression.free_symbols, key=lambda s: s.name):
        low, high = domain.get(symbol, (-sp.oo, sp.oo))
        if low == -sp.oo and high == sp.oo:
            period = sp.periodicity(expression, symbol) if expression.has(sp.sin, sp.cos, sp.tan) else None
            if period is not None and period.is_finite and period > 0:
                low, high = sp.Integer(0), period
                how.append(f"{symbol} over one period")
            elif expression.is_rational_function(symbol):
                u = sp.Dummy(symbol.name, real=True)
                expression = sp.cancel(expression.subs(symbol, u / (1 - u**2)))
                bounded[u] = (sp.Integer(-1), sp.Integer(1))
                how.append(f"{symbol} = u/(1 - u^2)")
                continue
            else:
                raise _NoEnclosure("an unbounded domain")
        elif low == -sp.oo or high == sp.oo:
            u = sp.Dummy(symbol.name, real=True)
            end, sign = (low, 1) if high == sp.oo else (high, -1)
            expression = sp.cancel(expression.subs(symbol, end + sign * u / (1 - u)))
            bounded[u] = (sp.Integer(0), sp.Integer(1))
            how.append(f"{symbol} on a half line")
            continue
        bounded[symbol] = (low, high)
    return _without_ends(expression, bounded), bounded, ", ".join(how)


def _without_ends(expression: sp.Expr, box: Mapping[sp.Symbol, tuple[Any, Any]]) -> sp.Expr:
    """An expression of the same sign on the open box, freed from linear factors that vanish at an end of it."""
    if not box or not expression.is_rational_function(*box) or sp.count_ops(expression) > FACTORED_OPERATIONS:
        return expression
    parts = []
    for part in sp.fraction(sp.cancel(sp.together(expression))):
        product, factors = sp.factor_list(part, *box)
        for factor, multiplicity in factors:
            (symbol, *others) = factor.free_symbols
            ends = box[symbol] if not others and sp.degree(factor, symbol) == 1 else ()
            if any(end.is_Rational and factor.subs(symbol, end) == 0 for end in ends):
                product *= sp.sign(factor.subs(symbol, sum(ends) / 2)) ** multiplicity
            else:
                product *= factor**multiplicity
        parts.append(product)
    return parts[0] / parts[1]


def prove_positive(
    title: str,
    expression: sp.Expr,
    /,
    *,
    domain: Mapping[sp.Symbol, tuple[Any, Any]],
    note: str = "",
    bound: Any = 0,
    show: Any = None,
) -> Step:
    """The step ``expression > bound`` on the whole domain.

    Args:
        title, note: for the reader.
        expression: in the chart coordinates.
        domain: open intervals of the coordinates (missing: the whole line).
        bound: a number.
        show: what to print in place of the expression.
    """
    begin = time.perf_counter()
    difference = normal_form(sp.sympify(expression) - bound)
    ends = {symbol: (sp.sympify(low), sp.sympify(high)) for symbol, (low, high) in domain.items()}
    status, method, witness = _decide(difference, ends)
    return Step(
        title=title, lhs=expression if show is None else show, rhs=sp.sympify(bound), relation=">",
        status=status, method=method,
        residual=difference, witness=witness, seconds=time.perf_counter() - begin, note=note,
        sides=(expression, sp.sympify(bound)), domain=ends,
    )  # fmt: skip


def _decide(expression: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> tuple[Status, str, dict[str, str]]:
    if expression.is_number:
        return _decide_number(expression)
    if expression.is_positive:
        return Status.PROVED, "sign of each term", {}
    witness = _not_positive(expression, domain)
    if witness:
        return Status.REFUTED, "exact evaluation at a point", witness
    best: tuple[Status, str, dict[str, str]] = (Status.UNDECIDED, "interval arithmetic", {})
    for form in dict.fromkeys((expression, sp.factor(expression))):
        try:
            bounded, box, how = _bounded(form, domain)
            status, method = _subdivide(bounded, box)
        except (_NoEnclosure, NotImplementedError, ValueError) as reason:
            best = (Status.UNDECIDED, f"no interval enclosure ({reason})", {})
            continue
        if status is Status.PROVED:
            return status, method + (f", {how}" if how else ""), {}
        best = (status, method, {})
    return best


def _decide_number(number: sp.Expr) -> tuple[Status, str, dict[str, str]]:
    value = number if number.is_Rational else number.evalf(30)
    if not value.is_real:
        return Status.UNDECIDED, f"{number} is not a real number", {}
    if not number.is_Rational and abs(value) < NONZERO:
        if decide_zero(number).status is not Status.PROVED:
            return Status.UNDECIDED, "a number too close to 0 to tell", {}
        value = sp.Integer(0)
    if value > 0:
        return Status.PROVED, "a positive number", {}
    return Status.REFUTED, "a number that is not positive", {"value": sp.sstr(sp.N(value, 8))}


def _not_positive(expression: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]], count: int = 41) -> dict[str, str]:
    """A point of a grid where the expression is <= 0, confirmed with 30 digits."""
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    per_axis = count if len(symbols) == 1 else max(3, int(count ** (1.6 / len(symbols))))
    axes = [_grid(domain.get(s, (-sp.oo, sp.oo)), per_axis) for s in symbols]
    f = sp.lambdify(symbols, expression, "mpmath")
    for values in _product(axes):
        try:
            value = f(*[mpmath.mpf(v.p) / v.q for v in values])
        except (ZeroDivisionError, ValueError, TypeError, NameError):  # a pole, or a function mpmath does not have
            continue
        if isinstance(value, mpmath.mpf) and value <= 0:
            point = dict(zip(symbols, values, strict=True))
            confirmed = expression.subs(point).evalf(30)
            if confirmed.is_real and confirmed <= 0:
                return {s.name: sp.sstr(v) for s, v in point.items()} | {"value": sp.sstr(sp.N(confirmed, 8))}
    return {}


def _grid(interval: tuple[Any, Any], count: int) -> list[sp.Rational]:
    low, high = interval
    unit = [sp.Rational(2 * i + 1, 2 * count) for i in range(count)]
    if low == -sp.oo and high == sp.oo:
        return [sp.nsimplify((2 * u - 1) * 4, rational=True) for u in unit]
    if low == -sp.oo:
        return [sp.nsimplify(high, rational=True) - 4 * u for u in unit]
    if high == sp.oo:
        return [sp.nsimplify(low, rational=True) + 4 * u for u in unit]
    low, high = _rational_inside(low, high)
    return [low + (high - low) * u for u in unit]


def _rational_inside(low: Any, high: Any) -> tuple[sp.Rational, sp.Rational]:
    """An interval with rational ends inside (low, high); irrational ends are moved in by 1e-12 of the length."""
    low, high = (sp.nsimplify(end, rational=True) for end in (low, high))
    margin = sp.Rational(sp.sstr(sp.N((high - low) / 10**12, 3)))
    near = [end if end.is_Rational else sp.Rational(sp.sstr(sp.N(end, 40))) for end in (low, high)]
    return near[0] + (0 if low.is_Rational else margin), near[1] - (0 if high.is_Rational else margin)


def _product(axes: Sequence[list[sp.Rational]]) -> Any:
    if not axes:
        yield ()
        return
    for head in axes[0]:
        for tail in _product(axes[1:]):
            yield (head, *tail)


def _subdivide(expression: sp.Expr, box: Mapping[sp.Symbol, tuple[Any, Any]]) -> tuple[Status, str]:
    iv = mpmath.iv
    symbols = list(box)
    ranges = [(_enclose(sp.sympify(low), {}), _enclose(sp.sympify(high), {})) for low, high in box.values()]
    whole = [iv.mpf([low.a, high.b]) for low, high in ranges]
    stack, used, begin = [whole], 0, time.monotonic()
    while stack:
        cell = stack.pop()
        used += 1
        if used > BOXES or time.monotonic() - begin > SECONDS:
            return Status.UNDECIDED, f"interval arithmetic: not separated from 0 after {used} boxes"
        try:
            if _enclose(expression, dict(zip(symbols, cell, strict=True))).a > 0:
                continue
        except _NoEnclosure:
            pass
        share = [float(((c.b - c.a) / (w.b - w.a)).mid) for c, w in zip(cell, whole, strict=True)]
        widest = max(range(len(cell)), key=share.__getitem__)
        if share[widest] < SMALLEST:
            return Status.UNDECIDED, "interval arithmetic: may touch 0"
        c = cell[widest]
        for half in (iv.mpf([c.a, c.mid]), iv.mpf([c.mid, c.b])):
            stack.append([*cell[:widest], half, *cell[widest + 1 :]])
    return Status.PROVED, f"interval arithmetic, {used} boxes"
