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

from theory.checker import confirm
from theory.limits import TimeLimitExceeded, time_limit
from theory.proof import Status, Step

__all__ = ["Decision", "decide_zero", "normal_form", "prove_equal", "witness_of"]

# 40 digits are evaluated and 20 are asked to differ from zero: cancellation among terms of order 1e6 still leaves 14
# digits to spare.
DIGITS = 40
NONZERO = sp.Float("1e-20", DIGITS)
WITNESSES = 4
SIMPLIFY_SECONDS = 5.0
SIMPLIFY_OPERATIONS = 400
# Expanding is the quickest proof of what is short and the slowest attempt at what is long.
EXPAND_OPERATIONS = 300


@dataclass(frozen=True)
class Decision:
    """Whether an expression is zero, how that was found, and, if it is not, where."""

    status: Status
    method: str
    residual: Any
    witness: Mapping[str, str]


class _NotAlgebraic(Exception):
    """The expression has a part that the tower does not cover."""


class _Tower:
    """Symbols in place of functions and radicals, with the square of each quadratic one."""

    def __init__(self) -> None:
        self.squares: list[tuple[sp.Symbol, sp.Expr]] = []
        self.back: dict[sp.Symbol, sp.Expr] = {}
        self.known: dict[sp.Expr, sp.Expr] = {}
        self.denominators: dict[sp.Expr, int] = {}

    def fresh(self, meaning: sp.Expr, stem: str) -> sp.Symbol:
        symbol = sp.Dummy(f"{stem}{len(self.back)}", real=True)
        self.back[symbol] = meaning
        return symbol

    def prepare(self, expression: sp.Expr) -> sp.Expr:
        expression = expression.replace(lambda e: isinstance(e, sp.Derivative), lambda e: self.opaque(e))
        expression = expression.replace(lambda e: isinstance(e, AppliedUndef | sp.Subs), lambda e: self.opaque(e))
        hyperbolic = (sp.sinh, sp.cosh, sp.tanh, sp.coth, sp.sech, sp.csch)
        expression = expression.replace(lambda e: isinstance(e, hyperbolic), lambda e: e.rewrite(sp.exp))
        others = (sp.tan, sp.cot, sp.sec, sp.csc)
        expression = expression.replace(lambda e: isinstance(e, others), lambda e: e.rewrite(sp.cos).rewrite(sp.sin)
                                        if isinstance(e, sp.sec | sp.csc) else _as_quotient(e))  # fmt: skip
        for node in expression.atoms(sp.sin, sp.cos, sp.exp):
            for factor, base in _linear_parts(node.args[0]):
                old = self.denominators.get(base, 1)
                self.denominators[base] = sp.ilcm(old, sp.Rational(factor).q)
        return expression

    def opaque(self, node: sp.Expr) -> sp.Expr:
        if node not in self.known:
            self.known[node] = self.fresh(node, "f")
        return self.known[node]

    def convert(self, e: sp.Expr) -> sp.Expr:
        if e in self.known:
            return self.known[e]
        if e.is_Symbol or e.is_Rational:
            return e
        if isinstance(e, sp.Add | sp.Mul):
            return e.func(*[self.convert(a) for a in e.args])
        if isinstance(e, sp.exp):
            return self.exponential(e)
        if isinstance(e, sp.Pow):
            return self.power(e)
        if isinstance(e, sp.sin | sp.cos):
            return self.trigonometric(e)
        if e.is_number or isinstance(e, sp.log | sp.Abs | sp.atan | sp.acosh | sp.acos | sp.asin):
            return self.opaque(e)
        raise _NotAlgebraic(str(e.func))

    def exponential(self, e: sp.Expr) -> sp.Expr:
        result = sp.Integer(1)
        for factor, base in _linear_parts(e.args[0]):
            unit = base / self.denominators.get(base, 1)
            key = sp.exp(unit)
            power = factor * self.denominators.get(base, 1)
            if key not in self.known:
                self.known[key] = self.fresh(key, "e")
            result *= self.known[key] ** power
        return result

    def trigonometric(self, e: sp.Expr) -> sp.Expr:
        pieces = [
            (f * self.denominators.get(b, 1), b / self.denominators.get(b, 1)) for f, b in _linear_parts(e.args[0])
        ]
        stand_in = {unit: sp.Dummy(f"u{i}", real=True) for i, (_, unit) in enumerate(pieces)}
        expanded = sp.expand_trig(e.func(sum((n * stand_in[unit] for n, unit in pieces), sp.Integer(0))))
        for unit, dummy in stand_in.items():
            cosine = self.known.setdefault(sp.cos(unit), sp.Dummy(f"c{len(self.back)}", real=True))
            if cosine not in self.back:
                self.back[cosine] = sp.cos(unit)
                sine = self.fresh(sp.sin(unit), "s")
                self.known[sp.sin(unit)] = sine
                self.squares.append((sine, 1 - cosine**2))
            expanded = expanded.subs({sp.cos(dummy): cosine, sp.sin(dummy): self.known[sp.sin(unit)]})
        return expanded

    def power(self, e: sp.Expr) -> sp.Expr:
        base, exponent = e.args
        if exponent.is_Integer:
            return self.convert(base) ** exponent
        if exponent.is_Rational and exponent.q == 2:
            if base.is_Rational:
                return self.number_root(base) ** exponent.p
            inner = sp.cancel(self.convert(base))
            inner = self.reduce_fraction(inner)
            root = next((s for s, square in self.squares if square == inner), None)
            if root is None:
                root = self.fresh(sp.sqrt(base), "q")
                self.squares.append((root, inner))
            return root**exponent.p
        if exponent.is_Rational:
            return self.opaque(base ** (sp.Integer(1) / exponent.q)) ** exponent.p
        raise _NotAlgebraic("a power with a symbolic exponent")

    def number_root(self, base: sp.Rational) -> sp.Expr:
        """sqrt of a positive rational through the roots of its primes, which are independent of each other."""
        if base < 0:
            raise _NotAlgebraic("the root of a negative number")
        result = sp.Integer(1)
        for prime, multiplicity in sp.factorrat(base).items():
            result *= sp.Integer(prime) ** (multiplicity // 2)
            if multiplicity % 2:
                key = sp.sqrt(prime)
                if key not in self.known:
                    self.known[key] = self.fresh(key, "q")
                    self.squares.append((self.known[key], sp.Integer(prime)))
                result *= self.known[key]
        return result

    def reduce_fraction(self, e: sp.Expr) -> sp.Expr:
        """The canonical a + b q + ... of an element of the tower: numerators reduced, denominators rationalised."""
        numerator, denominator = sp.fraction(sp.together(e))
        for symbol, square in reversed(self.squares):
            numerator, extra_n = _split(numerator, symbol, square)
            denominator, extra_d = _split(denominator, symbol, square)
            (n0, n1), (d0, d1) = numerator, denominator
            if d1 == 0:
                numerator, denominator = sp.expand(n0 + n1 * symbol) * extra_d, d0 * extra_n
            else:
                norm = sp.cancel(d0**2 - d1**2 * square)
                if norm == 0:  # the square has a root in the field below: the tower is no field, nothing is decided
                    raise _NotAlgebraic("a radical whose square is a square")
                numerator = sp.expand((n0 * d0 - n1 * d1 * square) + (n1 * d0 - n0 * d1) * symbol) * extra_d
                denominator = norm * extra_n
            whole = sp.together(numerator / denominator)
            numerator, denominator = sp.fraction(whole)
        return self.tidy(numerator, denominator)

    def tidy(self, numerator: sp.Expr, denominator: sp.Expr) -> sp.Expr:
        """One more pass over the whole tower, after which powers of every quadratic symbol are below two."""
        for symbol, square in reversed(self.squares):
            if numerator.has(symbol):
                (n0, n1), extra = _split(numerator, symbol, square)
                whole = sp.together((n0 + n1 * symbol) / (denominator * extra))
                numerator, denominator = sp.fraction(whole)
                numerator = sp.expand(numerator)
        if sp.expand(numerator) == 0:
            return sp.Integer(0)
        return sp.cancel(numerator / denominator)

    @property
    def description(self) -> str:
        if not self.back:
            return "normal form of rational functions"
        return (
            "normal form with " + ", ".join(sp.sstr(meaning) for meaning in list(self.back.values())[:6]) + " adjoined"
        )


def _split(e: sp.Expr, symbol: sp.Symbol, square: sp.Expr) -> tuple[tuple[sp.Expr, sp.Expr], sp.Expr]:
    """((e0, e1), extra) with e = (e0 + e1 symbol)/extra, for a polynomial e in symbol, symbol^2 = square = a/b."""
    if not e.has(symbol):
        return (e, sp.Integer(0)), sp.Integer(1)
    polynomial = sp.Poly(e, symbol)
    if polynomial.is_zero:
        return (sp.Integer(0), sp.Integer(0)), sp.Integer(1)
    top, bottom = sp.fraction(square)
    half = polynomial.degree() // 2
    even = odd = sp.Integer(0)
    for (k,), coefficient in polynomial.terms():
        j = k // 2
        term = coefficient * top**j * bottom ** (half - j)
        if k % 2:
            odd += term
        else:
            even += term
    return (sp.expand(even), sp.expand(odd)), bottom**half


def _as_quotient(e: sp.Expr) -> sp.Expr:
    x = e.args[0]
    return sp.sin(x) / sp.cos(x) if isinstance(e, sp.tan) else sp.cos(x) / sp.sin(x)


def _linear_parts(argument: sp.Expr) -> list[tuple[sp.Rational, sp.Expr]]:
    """An argument as a sum of rational multiples of primitive pieces: 2 p - q/3 -> [(2, p), (-1/3, q)]."""
    parts = []
    for term in sp.Add.make_args(sp.expand(argument)):
        factor, base = term.as_coeff_Mul(rational=True)
        parts.append((factor, base) if base != 1 else (factor, sp.Integer(1)))
    return parts


def normal_form(expression: sp.Expr) -> sp.Expr:
    """The expression in canonical form over its tower, written back in the original functions.

    Falls back to the expanded expression where the tower does not cover it (a power with a symbolic exponent, say).
    """
    return _normal_form(sp.sympify(expression))


# The proofs about one loss bring the same pieces to normal form again and again.
@lru_cache(maxsize=8192)
def _normal_form(expression: sp.Expr) -> sp.Expr:
    tower = _Tower()
    try:
        reduced = tower.reduce_fraction(tower.convert(tower.prepare(expression)))
    except (_NotAlgebraic, sp.PolynomialError):
        return sp.expand(expression)
    return _write_back(reduced, tower)


def _write_back(reduced: sp.Expr, tower: _Tower) -> sp.Expr:
    for symbol in reversed(list(tower.back)):
        reduced = reduced.subs(symbol, tower.back[symbol])
    return reduced


def witness_of(expression: sp.Expr, *, domain: Mapping[sp.Symbol, tuple[Any, Any]] | None = None) -> dict[str, str]:
    """A rational point at which the expression is provably far from zero; empty when none of a few points is."""
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    functions = sorted({f.func for f in expression.atoms(AppliedUndef)}, key=str)
    for attempt in range(WITNESSES):
        point = {s: _rational(s, i, attempt, (domain or {}).get(s)) for i, s in enumerate(symbols)}
        value = expression
        for j, f in enumerate(functions):
            value = value.subs(f, sp.Lambda(*_sample_function(f, j))).doit() if functions else value
        try:
            number = value.subs(point).evalf(DIGITS)
        except (ZeroDivisionError, ValueError, TypeError):
            continue
        if not number.is_number or not number.is_finite or number.has(sp.nan, sp.zoo):
            continue
        if abs(number) > NONZERO:
            return {s.name: sp.sstr(v) for s, v in point.items()} | {"residual": sp.sstr(sp.N(number, 8))}
    return {}


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
    """Whether an expression vanishes identically on its domain.

    Returns proved only from a normal form (or from ``simplify`` reaching 0), refuted only with a witness.
    """
    expression = sp.sympify(expression)
    if expression == 0:
        return Decision(Status.PROVED, "identical sides", sp.Integer(0), {})
    found = witness_of(expression, domain=domain)
    if found:
        return Decision(Status.REFUTED, "exact evaluation at a rational point", expression, found)
    if sp.count_ops(expression) <= EXPAND_OPERATIONS and sp.expand(expression) == 0:
        return Decision(Status.PROVED, "expansion", sp.Integer(0), {})
    closed_by = _zero_in_tower(expression)
    if closed_by:
        return Decision(Status.PROVED, closed_by, sp.Integer(0), {})
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
    tower = _Tower()
    try:
        reduced = tower.reduce_fraction(tower.convert(tower.prepare(expression)))
    except (_NotAlgebraic, sp.PolynomialError):
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
    )  # fmt: skip


def _residuals(lhs: Any, rhs: Any) -> Iterable[sp.Expr]:
    if isinstance(lhs, sp.MatrixBase):
        other = rhs if isinstance(rhs, sp.MatrixBase) else sp.Matrix(lhs.shape[0], lhs.shape[1], lambda i, j: rhs)
        return list(lhs - other)
    return [sp.sympify(lhs) - sp.sympify(rhs)]
