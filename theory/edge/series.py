"""Truncated power series in delta, with polynomials over a field of rational functions as coefficients: exact and fast.

c_0 + c_1 delta + ... + c_N delta^N, every product truncated at once. An update rule that is written with operators and
``ops`` runs on these numbers as it runs on arrays, so that its expansion needs no formula of its own.

What is divided by goes into the field (the norm, constants of the rule); everything else stays in polynomials, whose
sums and products need no greatest common divisor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.polys.rings import PolyElement, PolyRing

from sharpflow.theory.errors import InputError, NoClosedForm

__all__ = ["DELTA", "NotEnoughOrders", "NotSmooth", "Series", "SeriesRing"]

DELTA = sp.Symbol("delta", positive=True)


@dataclass(frozen=True, eq=False)
class SeriesRing:
    """Series in delta up to delta^order, with coefficients in Q(units)[symbols].

    Attributes:
        units: generators of the field, all positive: a square root is the one that is positive with them.
        symbols: generators of the polynomials.
        order: the highest power kept.
    """

    units: tuple[sp.Symbol, ...]
    symbols: tuple[sp.Symbol, ...]
    order: int

    @cached_property
    def polynomials(self) -> PolyRing:
        """Q(units)[symbols]."""
        field = sp.QQ.frac_field(*self.units) if self.units else sp.QQ
        return PolyRing(self.symbols, field, sp.lex)

    @cached_property
    def zero(self) -> Series:
        """0."""
        return Series(self, (self.polynomials.zero,) * (self.order + 1))

    def constant(self, value: Any) -> Series:
        """A number, or an expression in the symbols, as a series."""
        return Series(self, (self.element(value), *((self.polynomials.zero,) * self.order)))

    def element(self, value: Any) -> PolyElement:
        """An element of Q(units)[symbols]; floats are read as the short rationals they stand for."""
        if isinstance(value, PolyElement):
            return value
        expression = sp.nsimplify(sp.sympify(value), rational=True)
        try:
            return self.polynomials.from_expr(sp.together(expression))
        except (ValueError, sp.PolynomialError, sp.CoercionFailed):
            pass
        try:
            return self.polynomials.from_expr(sp.expand(expression))
        except (ValueError, sp.PolynomialError, sp.CoercionFailed) as error:
            raise NoClosedForm(f"{expression} is no polynomial over the rational functions of {self.units}.") from error

    def power(self, exponent: int, coefficient: Any = 1) -> Series:
        """coefficient*delta^exponent."""
        coefficients = [self.polynomials.zero] * (self.order + 1)
        if exponent <= self.order:
            coefficients[exponent] = self.element(coefficient)
        return Series(self, tuple(coefficients))

    def read(self, expression: Any, values: Mapping[sp.Symbol, Series] | None = None, /) -> Series:
        """An expression in delta, the symbols and further ``values``, evaluated as a series."""
        values = values or {}
        expression = sp.nsimplify(sp.sympify(expression), rational=True)
        if expression in values:
            return values[expression]
        if expression == DELTA:
            return self.power(1)
        if not expression.has(DELTA, *values):
            return self.constant(expression)
        if expression.is_Add or expression.is_Mul:
            parts = [self.read(argument, values) for argument in expression.args]
            result = parts[0]
            for part in parts[1:]:
                result = result + part if expression.is_Add else result * part
            return result
        if expression.is_Pow and (expression.exp * 2).is_Integer:
            return self.read(expression.base, values) ** expression.exp
        raise NoClosedForm(f"{expression} is not made of sums, products, powers and square roots.")


class NotEnoughOrders(NoClosedForm):
    """A coefficient beyond those that are known was asked for: begin again with a ring of higher order."""


class NotSmooth(NoClosedForm):
    """A division by, or a square root of, what vanishes on Gamma."""


@dataclass(frozen=True, eq=False)
class Series:
    """c_0 + c_1 delta + ... + c_n delta^n + O(delta^(n+1)), n at most the order of the ring.

    Dividing by a power of delta leaves fewer known coefficients; asking for another raises `NotEnoughOrders`.
    """

    ring: SeriesRing
    coefficients: tuple[PolyElement, ...]

    # A SymPy number times a series must come to Series.__rmul__.
    _op_priority = 200.0

    def _lift(self, other: Any) -> Series | None:
        if isinstance(other, Series):
            return other
        if isinstance(other, int | float | sp.Expr | PolyElement):
            return self.ring.constant(other)
        return None

    def __add__(self, other: Any) -> Series:
        lifted = self._lift(other)
        if lifted is None:
            return NotImplemented
        pairs = zip(self.coefficients, lifted.coefficients, strict=False)
        return Series(self.ring, tuple(a + b if a and b else a or b for a, b in pairs))

    __radd__ = __add__

    def __neg__(self) -> Series:
        return Series(self.ring, tuple(-a for a in self.coefficients))

    def __sub__(self, other: Any) -> Series:
        lifted = self._lift(other)
        return NotImplemented if lifted is None else self + (-lifted)

    def __rsub__(self, other: Any) -> Series:
        return -self + other

    def __mul__(self, other: Any) -> Series:
        lifted = self._lift(other)
        if lifted is None:
            return NotImplemented
        mine, others = self.coefficients, lifted.coefficients
        known = min(self.ring.order + 1, self.valuation + len(others), lifted.valuation + len(mine))
        total = [self.ring.polynomials.zero] * known
        for i, a in enumerate(mine):
            if not a:
                continue
            for j, b in enumerate(others[: max(known - i, 0)]):
                if b:
                    total[i + j] = total[i + j] + a * b if total[i + j] else a * b
        return Series(self.ring, tuple(total))

    __rmul__ = __mul__

    @property
    def valuation(self) -> int:
        """The least power of delta in it; the number of known coefficients where all of them vanish."""
        return next((k for k, c in enumerate(self.coefficients) if c), len(self.coefficients))

    def shift(self, by: int) -> Series:
        """delta^by times it; a negative shift loses as many known coefficients."""
        if by >= 0:
            zeros = (self.ring.polynomials.zero,) * by
            return Series(self.ring, (zeros + self.coefficients)[: self.ring.order + 1])
        if self.valuation == len(self.coefficients) < -by:
            raise NotEnoughOrders("nothing is known of a quotient.")
        if self.valuation < -by:
            raise InputError("a quotient of the rule grows without bound as rate goes to 0.")
        return Series(self.ring, self.coefficients[-by:])

    def inverse(self) -> Series:
        """1/(c_0 + ...) with c_0 not 0."""
        first = self.ring.polynomials.ground_new(1 / _unit(self[0]))
        found = [first]
        for k in range(1, len(self.coefficients)):
            total = self.ring.polynomials.zero
            for i in range(1, k + 1):
                if self.coefficients[i] and found[k - i]:
                    total = total + self.coefficients[i] * found[k - i]
            found.append(-first * total if total else total)
        return Series(self.ring, tuple(found))

    def __truediv__(self, other: Any) -> Series:
        lifted = self._lift(other)
        if lifted is None:
            return NotImplemented
        low = lifted.valuation
        if low == len(lifted.coefficients):
            if low > self.ring.order:
                raise InputError("the rule divides by something that is 0 on Gamma.")
            raise NotEnoughOrders("a division by what vanishes to the order that is known.")
        return (self * lifted.shift(-low).inverse()).shift(-low) if low else self * lifted.inverse()

    def __rtruediv__(self, other: Any) -> Series:
        lifted = self._lift(other)
        return NotImplemented if lifted is None else lifted / self

    def sqrt(self) -> Series:
        """The square root whose leading coefficient is positive with the units."""
        low = self.valuation
        if low == len(self.coefficients):
            return Series(self.ring, self.coefficients[: (low + 1) // 2])
        if low % 2:
            raise NoClosedForm("a square root of an odd power of delta.")
        body = self.shift(-low)
        root = _root(body[0])
        half = self.ring.polynomials.ground_new(1 / (2 * _unit(root)))
        found = [root]
        for k in range(1, len(body.coefficients)):
            total = body.coefficients[k]
            for i in range(1, k):
                if found[i] and found[k - i]:
                    total = total - found[i] * found[k - i]
            found.append(total * half)
        return Series(self.ring, tuple(found)).shift(low // 2)

    def __pow__(self, exponent: Any) -> Series:
        twice = sp.nsimplify(exponent, rational=True) * 2
        if not twice.is_Integer:
            raise NoClosedForm(f"the power {exponent} is neither an integer nor half of one.")
        base, count = (self, int(twice) // 2) if twice % 2 == 0 else (self.sqrt(), int(twice))
        if count < 0:
            base, count = 1 / base, -count
        result = self.ring.constant(1)
        for _ in range(count):
            result = result * base
        return result

    def __getitem__(self, power: int) -> PolyElement:
        if power >= len(self.coefficients):
            raise NotEnoughOrders(f"the coefficient of delta^{power} is not known.")
        return self.coefficients[power]

    def substitute(self, values: Mapping[sp.Symbol, Series], /) -> Series:
        """Each coefficient at values of some of the symbols; they are none of the units."""
        total = self.ring.zero
        for power, coefficient in enumerate(self.coefficients):
            if coefficient:
                total = total + _compose(coefficient, values, self.ring).shift(power)
        return Series(self.ring, total.coefficients[: len(self.coefficients)])


def _unit(element: PolyElement) -> Any:
    """The element of the field that a constant polynomial is."""
    if not element.is_ground:
        raise NotSmooth(f"a division by {element.as_expr()}, which vanishes on Gamma.")
    return element.coeff(1)


def _compose(element: PolyElement, values: Mapping[sp.Symbol, Series], ring: SeriesRing) -> Series:
    positions = {ring.symbols.index(symbol): value for symbol, value in values.items()}
    total = ring.zero
    for exponents, number in element.terms():
        rest = tuple(0 if i in positions else e for i, e in enumerate(exponents))
        term = ring.constant(ring.polynomials({rest: number}))
        for i, value in positions.items():
            for _ in range(exponents[i]):
                term = term * value
        total = total + term
    return total


def _root(element: PolyElement) -> PolyElement:
    """A square root in the ring, the one with a positive leading coefficient.

    Raises:
        NoClosedForm: it is not a square.
    """
    above, below = sp.fraction(sp.together(element.as_expr()))
    parts = []
    for expression in (above, below):
        number, factors = sp.factor_list(expression)
        root = sp.sqrt(number)
        if not root.is_Rational or any(multiplicity % 2 for _, multiplicity in factors):
            raise (NoClosedForm if element.is_ground else NotSmooth)(
                f"the update takes the square root of {element.as_expr()} (its leading order on Gamma), which is no "
                "square: no exact coefficients follow. Let the state hold the root itself, if that is meant."
            )
        parts.append(sp.Mul(root, *(_positive(factor, multiplicity // 2) for factor, multiplicity in factors)))
    return element.ring.from_expr(sp.cancel(parts[0] / parts[1]))


def _positive(factor: sp.Expr, power: int) -> sp.Expr:
    """A factor of a root, of known sign: even powers, or polynomials whose coefficients have one sign.

    Raises:
        NoClosedForm: its sign depends on the values of its symbols.
    """
    if power % 2 == 0 or factor.is_Symbol:
        return factor**power
    signs = {bool(c > 0) for c in sp.Poly(factor).coeffs()}
    if len(signs) > 1:
        raise NoClosedForm(f"a square root is {factor} or {-factor}, as one or the other is positive.")
    return factor**power if signs == {True} else (-factor) ** power
