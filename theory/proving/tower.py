"""Towers of algebraic numbers and functions in which an expression is brought to a normal form."""

from __future__ import annotations

import sympy as sp
from sympy.core.function import AppliedUndef

__all__ = ["NotAlgebraic", "Tower"]


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
        """The expression in functions that the tower takes, with the common denominators of their arguments noted."""
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
            inner = sp.cancel(self.convert(base))
            inner = self.reduce_fraction(inner)
            if inner.is_Rational:
                # sqrt(sin^2 + cos^2) on a circle: in the field below what is under the root may be a number.
                return self.number_root(inner) ** exponent.p
            root = next((s for s, square in self.squares if square == inner), None)
            if root is None:
                root = self.fresh(sp.sqrt(base), "q")
                self.squares.append((root, inner))
            return root**exponent.p
        if exponent.is_Rational:
            return self.opaque(base ** (sp.Integer(1) / exponent.q)) ** exponent.p
        raise NotAlgebraic("a power with a symbolic exponent")

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
                    raise NotAlgebraic("a radical whose square is a square")
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
        """The elements adjoined, as the method of a step."""
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
