"""Towers of algebraic numbers and functions in which an expression is brought to a normal form."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

__all__ = ["HYPERBOLIC", "NotAlgebraic", "Tower", "in_exponentials", "normal_form"]

HYPERBOLIC = (sp.sinh, sp.cosh, sp.tanh, sp.coth, sp.sech, sp.csch)
_Element = dict[int, Any]


class NotAlgebraic(Exception):
    """The expression has a part that the tower does not cover."""


class Tower:
    """Symbols in place of functions and radicals, with the square of each quadratic one."""

    def __init__(self) -> None:
        self.squares: list[tuple[sp.Symbol, sp.Expr]] = []
        self.back: dict[sp.Symbol, sp.Expr] = {}
        self.known: dict[sp.Expr, sp.Expr] = {}
        self.denominators: dict[sp.Expr, int] = {}

    def fresh(self, meaning: sp.Expr, stem: str) -> sp.Symbol:
        """A new symbol that stands for ``meaning``."""
        symbol = sp.Dummy(f"{stem}{len(self.back)}", real=True)
        self.back[symbol] = meaning
        return symbol

    def prepare(self, expression: sp.Expr) -> sp.Expr:
        """The expression in functions that the tower takes, arguments in normal form, their denominators noted."""
        expression = expression.replace(lambda e: isinstance(e, sp.Derivative), lambda e: self.opaque(e))
        expression = expression.replace(lambda e: isinstance(e, AppliedUndef | sp.Subs), lambda e: self.opaque(e))
        # On a circle cos(p)/sqrt(sin(p)^2 + cos(p)^2) is cos(p): equal arguments must become one symbol.
        expression = expression.replace(
            lambda e: isinstance(e, sp.Function) and len(e.args) == 1, lambda e: e.func(normal_form(e.args[0]))
        )
        expression = expression.replace(lambda e: isinstance(e, HYPERBOLIC), in_exponentials)
        others = (sp.tan, sp.cot, sp.sec, sp.csc)
        expression = expression.replace(lambda e: isinstance(e, others), lambda e: e.rewrite(sp.cos).rewrite(sp.sin)
                                        if isinstance(e, sp.sec | sp.csc) else _as_quotient(e))  # fmt: skip
        for node in expression.atoms(sp.sin, sp.cos, sp.exp):
            for factor, base in _linear_parts(node.args[0]):
                old = self.denominators.get(base, 1)
                self.denominators[base] = sp.ilcm(old, sp.Rational(factor).q)
        return expression

    def opaque(self, node: sp.Expr) -> sp.Expr:
        """A symbol for what is left as it is."""
        if node not in self.known:
            self.known[node] = self.fresh(node, "f")
        return self.known[node]

    def convert(self, e: sp.Expr) -> sp.Expr:
        """The expression in the symbols of the tower."""
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
        raise NotAlgebraic(str(e.func))

    def exponential(self, e: sp.Expr) -> sp.Expr:
        """exp(u) as a power of the exponential of the smallest unit of u."""
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
        """sin and cos of a sum of multiples, in those of the units."""
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
        """A power with an integer or half-integer exponent."""
        base, exponent = e.args
        if exponent.is_Integer:
            return self.convert(base) ** exponent
        if exponent.is_Rational and exponent.q == 2:
            if base.is_Rational:
                return self.number_root(base) ** exponent.p
            inner = self.reduce_fraction(self.convert(base))
            whole = self.whole_root(inner)
            if whole is not None:
                # sqrt(sin^2 + cos^2) on a circle, sqrt(p^4 + 2 p^2 + 1): in the field below the root may be there.
                return whole**exponent.p
            root = next((s for s, square in self.squares if square == inner), None)
            if root is None:
                root = self.fresh(sp.sqrt(base), "q")
                self.squares.append((root, inner))
            return root**exponent.p
        if exponent.is_Rational:
            return self.opaque(base ** (sp.Integer(1) / exponent.q)) ** exponent.p
        raise NotAlgebraic("a power with a symbolic exponent")

    def whole_root(self, inner: sp.Expr) -> sp.Expr | None:
        """The root that is there without one: of a number times squares of polynomials that are of one sign."""
        if inner.free_symbols & {symbol for symbol, _ in self.squares}:
            return None
        factors: dict[sp.Expr, int] = {}
        for part, sign in zip(sp.fraction(inner), (1, -1), strict=True):
            number, found = sp.factor_list(part)
            for base, exponent in [(number, 1), *found]:
                factors[base] = factors.get(base, 0) + sign * exponent
        rational = sp.Mul(*(base**exponent for base, exponent in factors.items() if base.is_Rational))
        result = sp.Integer(1)
        for base, exponent in factors.items():
            if base.is_Rational:
                continue
            sign = self.sign(base) if exponent % 4 == 2 else 1
            if exponent % 2 or not sign:
                return None
            result *= (sign * base) ** (exponent // 2)
        return None if rational < 0 else self.number_root(rational) * result

    def sign(self, polynomial: sp.Expr) -> int:
        """1 or -1 where a polynomial in one symbol has no root among the values of it; else 0."""
        if len(polynomial.free_symbols) != 1:
            return 0
        (symbol,) = polynomial.free_symbols
        meaning = self.back.get(symbol, symbol)
        low, high = (-1, 1) if meaning.func is sp.cos else (0, None) if meaning.func is sp.exp else (None, None)
        poly = sp.Poly(polynomial, symbol)
        if not meaning.is_real or poly.count_roots(low, high):
            return 0
        return int(sp.sign(poly.eval(low if low is not None else 0)))

    def number_root(self, base: sp.Rational) -> sp.Expr:
        """sqrt of a positive rational through the roots of its primes, which are independent of each other."""
        if base < 0:
            raise NotAlgebraic("the root of a negative number")
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
        try:
            return _Field(self.squares, e).normal(e)
        except ZeroDivisionError:  # a radical whose square is a square: the tower is no field, nothing is decided
            raise NotAlgebraic("a division by zero") from None

    @property
    def description(self) -> str:
        """The elements adjoined, as the method of a step."""
        if not self.back:
            return "normal form of rational functions"
        return (
            "normal form with " + ", ".join(sp.sstr(meaning) for meaning in list(self.back.values())[:6]) + " adjoined"
        )


class _Field:
    """Elements of the tower as they are computed with: a coefficient for each product of quadratic symbols.

    A set of quadratic symbols, as the bits of a number, to an element of the field of rational functions of all other
    symbols. Every sum, product and quotient is reduced at once, so that no power of a quadratic symbol ever swells.
    """

    def __init__(self, squares: list[tuple[sp.Symbol, sp.Expr]], e: sp.Expr) -> None:
        roots = [symbol for symbol, _ in squares]
        symbols = e.free_symbols.union(*(square.free_symbols for _, square in squares)) - set(roots)
        self.roots = roots
        self.field = sp.QQ.frac_field(*sorted(symbols, key=_by_name)) if symbols else sp.QQ
        self.known: dict[sp.Expr, _Element] = {root: {1 << k: self.field.one} for k, root in enumerate(roots)}
        self.squares: list[_Element] = []
        for _, square in squares:
            self.squares.append(self.element(square))

    def element(self, e: sp.Expr) -> _Element:
        """An expression in the symbols of the tower."""
        if e not in self.known:
            self.known[e] = self._element(e)
        return self.known[e]

    def _element(self, e: sp.Expr) -> _Element:
        if e.is_Symbol or e.is_Rational:
            value = self.field.from_sympy(e)
            return {0: value} if value else {}
        if isinstance(e, sp.Add):
            out: _Element = {}
            for term in e.args:
                self._add(out, self.element(term))
            return out
        if isinstance(e, sp.Mul):
            out = {0: self.field.one}
            for factor in e.args:
                out = self.times(out, self.element(factor))
            return out
        if isinstance(e, sp.Pow) and e.exp.is_Integer:
            return self.power(self.element(e.base), int(e.exp))
        raise NotAlgebraic(str(e.func))

    def _add(self, out: _Element, other: _Element) -> None:
        for key, value in other.items():
            total = out[key] + value if key in out else value
            if total:
                out[key] = total
            else:
                del out[key]

    def times(self, a: _Element, b: _Element) -> _Element:
        """The product."""
        out: _Element = {}
        for i, x in a.items():
            for j, y in b.items():
                part: _Element = {i ^ j: x * y}
                for k in range((i & j).bit_length()):
                    if i & j & 1 << k:
                        part = self.times(part, self.squares[k])
                self._add(out, part)
        return out

    def power(self, a: _Element, n: int) -> _Element:
        """An integer power."""
        if n < 0:
            return self.power(self.inverse(a), -n)
        out: _Element = {0: self.field.one}
        for bit in bin(n)[2:]:
            out = self.times(out, out)
            if bit == "1":
                out = self.times(out, a)
        return out

    def inverse(self, a: _Element) -> _Element:
        """1/(x + y q) = (x - y q)/(x^2 - y^2 q^2), q the last of the quadratic symbols in it."""
        last = max(a, default=0).bit_length()
        if not last:
            return {0: self.field.one / a[0]} if a else {0: self.field.one / self.field.zero}
        q = 1 << (last - 1)
        conjugate = {key: -value if key & q else value for key, value in a.items()}
        return self.times(conjugate, self.inverse(self.times(a, conjugate)))

    def normal(self, e: sp.Expr) -> sp.Expr:
        """An expression in its normal form."""
        products = {
            key: sp.Mul(*(root for k, root in enumerate(self.roots) if key & 1 << k)) for key in self.element(e)
        }
        total = sp.Add(*(self.field.to_sympy(value) * products[key] for key, value in self.element(e).items()))
        return sp.cancel(total)


def _by_name(symbol: sp.Symbol) -> tuple[str, int]:
    return symbol.name, getattr(symbol, "dummy_index", 0)


def normal_form(expression: sp.Expr) -> sp.Expr:
    """The expression in canonical form over its tower, written back in the original functions.

    Falls back to the expanded expression where the tower does not cover it (a power with a symbolic exponent, say).
    """
    return _normal_form(sp.sympify(expression))


# The proofs about one loss bring the same pieces to normal form again and again.
@lru_cache(maxsize=8192)
def _normal_form(expression: sp.Expr) -> sp.Expr:
    tower = Tower()
    try:
        reduced = tower.reduce_fraction(tower.convert(tower.prepare(expression)))
    except (NotAlgebraic, sp.PolynomialError):
        return sp.expand(expression)
    for symbol in reversed(list(tower.back)):
        reduced = reduced.subs(symbol, tower.back[symbol])
    return reduced


def in_exponentials(e: sp.Expr) -> sp.Expr:
    """A hyperbolic function in real exponentials of its argument, which stays as it is.

    SymPy's rewrite goes on into the argument and turns sin and cos there into complex exponentials.
    """
    x = sp.Dummy("x", real=True)
    return e.func(x).rewrite(sp.exp).xreplace({x: e.args[0]})


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
