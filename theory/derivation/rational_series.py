"""c_0 + c_1 delta + ... with rational numbers c_k at a random point, and bounds on their degrees in what was drawn.

Every c_k is the value of a rational function of what was drawn, brought to the form

    c_k = N_k/prod_i D_i^(p_i + q_i k),    deg N_k <= n + m k,

with the same divisors D_i for all k: leading coefficients of series that were divided by. For a divisor with leading
coefficient B_0/prod D_i^p_i and degrees n, m, write it b_0 (1 + e): e_k has the numerator B_k B_0^(k - 1), of degree
(n + m) k, over prod D_i^(q_i k) B_0^k, and so has the k-th coefficient of every power of 1 + e, of its inverse and of
its square root. These bounds are what Schwartz and Zippel ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from itertools import count
from math import isqrt
from typing import Any

import sympy as sp

from sharpflow.theory.errors import NoClosedForm

__all__ = ["LENGTH", "Degrees", "NotRational", "Number", "as_fraction", "degrees_of"]

LENGTH = 9
_SERIALS = count()


@dataclass(frozen=True)
class Degrees:
    """n + m k of the numerator, and (degree, p, q) of each divisor, by a key."""

    n: int = 0
    m: int = 0
    divisors: Mapping[Any, tuple[int, int, int]] = field(default_factory=dict)

    def _over(self, other: Degrees) -> tuple[dict[Any, tuple[int, int, int]], int, int]:
        """The common divisors, and what that adds to n and to m of this one."""
        common = dict(self.divisors)
        for key, (degree, p, q) in other.divisors.items():
            _, p0, q0 = common.get(key, (degree, 0, 0))
            common[key] = (degree, max(p, p0), max(q, q0))
        lacking = [(d, p - self.divisors.get(k, (d, 0, 0))[1], q - self.divisors.get(k, (d, 0, 0))[2])
                   for k, (d, p, q) in common.items()]  # fmt: skip
        return common, sum(d * p for d, p, _ in lacking), sum(d * q for d, _, q in lacking)

    def plus(self, other: Degrees) -> Degrees:
        """Of a sum."""
        common, n, m = self._over(other)
        _, n2, m2 = other._over(self)
        return Degrees(max(self.n + n, other.n + n2), max(self.m + m, other.m + m2), common)

    def times(self, other: Degrees) -> Degrees:
        """Of a product: q_i i + q_i' j <= max(q_i, q_i') (i + j)."""
        common, _, m = self._over(other)
        _, _, m2 = other._over(self)
        powers = {
            key: (d, self.divisors.get(key, (d, 0, 0))[1] + other.divisors.get(key, (d, 0, 0))[1], q)
            for key, (d, _, q) in common.items()
        }
        return Degrees(self.n + other.n, max(self.m + m, other.m + m2), powers)

    def shifted(self, by: int) -> Degrees:
        """Of c_(k + by)."""
        return Degrees(
            self.n + self.m * by, self.m, {key: (d, p + q * by, q) for key, (d, p, q) in self.divisors.items()}
        )

    def _unit(self, key: Any) -> Degrees:
        """Of any power of the series over its leading coefficient."""
        divisors = {k: (d, 0, q) for k, (d, _, q) in self.divisors.items()}
        return Degrees(0, self.n + self.m, divisors | ({key: (self.n, 0, 1)} if self.n else {}))

    def inverse(self, key: Any) -> Degrees:
        """Of 1/b, whose leading coefficient has the key."""
        above = sum(d * p for d, p, _ in self.divisors.values())
        return self._unit(key).times(Degrees(above, 0, {key: (self.n, 1, 0)} if self.n else {}))

    def root(self, key: Any) -> Degrees:
        """Of sqrt(b): a rational function that is a square has a root of half its degrees."""
        odd = sum(d for d, p, _ in self.divisors.values() if p % 2)
        divisors = {k: (d, (p + 1) // 2, 0) for k, (d, p, _) in self.divisors.items()}
        return self._unit(key).times(Degrees((self.n + odd + 1) // 2, 0, divisors))

    def at(self, k: int) -> tuple[int, int]:
        """(degree of the numerator, degree of the denominator) of c_k."""
        return self.n + self.m * k, sum(d * (p + q * k) for d, p, q in self.divisors.values())


NONE = Degrees()


def degrees_of(expression: sp.Expr, /) -> Degrees:
    """Of a rational expression, whose every symbol was drawn; m = 0."""
    if expression.is_Number:
        return NONE
    if expression.is_Symbol:
        return Degrees(1)
    if expression.is_Add or expression.is_Mul:
        return reduce(Degrees.plus if expression.is_Add else Degrees.times, map(degrees_of, expression.args))
    if not (expression.is_Pow and expression.exp.is_Integer):
        raise ArithmeticError(f"{expression} is no rational expression")
    base = degrees_of(expression.base)
    if expression.exp < 0:
        above = sum(d * p for d, p, _ in base.divisors.values())
        base = Degrees(above, 0, {expression.base: (base.n, 1, 0)} if base.n else {})
    return reduce(Degrees.times, [base] * abs(int(expression.exp)), NONE)


def as_fraction(value: Any) -> Fraction:
    """A rational number, of Python or of SymPy."""
    if isinstance(value, int | Fraction):
        return Fraction(value)
    number = sp.Rational(sp.nsimplify(value, rational=True))
    return Fraction(int(number.p), int(number.q))


class NotRational(NoClosedForm):
    """A root of what is no square: as every `NoClosedForm` it passes through an update without being blamed on it."""


@dataclass(frozen=True, eq=False)
class Number:
    """c_0 + c_1 delta + ..., as a list of fractions; what is beyond the list is unknown."""

    c: tuple[Fraction, ...]
    degrees: Degrees = NONE
    serial: int = field(default_factory=lambda: next(_SERIALS))

    _op_priority = 200.0

    @staticmethod
    def of(value: Any, power: int = 0, degrees: Degrees = NONE) -> Number:
        """value*delta^power."""
        if isinstance(value, Number):
            return value
        found = (Fraction(0),) * power + (as_fraction(value),) + (Fraction(0),) * (LENGTH - power - 1)
        return Number(found, degrees)

    def __add__(self, other: Any) -> Number:
        second = Number.of(other)
        total = tuple(a + b for a, b in zip(self.c, second.c, strict=False))
        return Number(total, self.degrees.plus(second.degrees))

    __radd__ = __add__

    def __neg__(self) -> Number:
        return Number(tuple(-a for a in self.c), self.degrees)

    def __sub__(self, other: Any) -> Number:
        return self + (-Number.of(other))

    def __rsub__(self, other: Any) -> Number:
        return Number.of(other) - self

    def __mul__(self, other: Any) -> Number:
        if not isinstance(other, Number | int | float | Fraction | sp.Expr):
            return NotImplemented
        second = Number.of(other)
        a, b = self.c, second.c
        # What is unknown of one factor is multiplied by the leading zeros of the other.
        length = min(LENGTH, self.low() + len(b), second.low() + len(a))
        total = [Fraction(0)] * length
        for i, left in enumerate(a[:length]):
            if left:
                for j, right in enumerate(b[: length - i]):
                    if right:
                        total[i + j] += left * right
        return Number(tuple(total), self.degrees.times(second.degrees))

    __rmul__ = __mul__

    def low(self) -> int:
        """How many leading coefficients are 0."""
        return next((k for k, a in enumerate(self.c) if a), len(self.c))

    def down(self, by: int) -> Number:
        """Divided by delta^by."""
        if any(self.c[:by]):
            raise ZeroDivisionError("a pole at delta = 0")
        return Number(self.c[by:], self.degrees.shifted(by)) if by else self

    def __truediv__(self, other: Any) -> Number:
        divisor = Number.of(other)
        by = divisor.low()
        below, above = divisor.down(by), self.down(by)
        b, a = below.c, above.c
        # As in a product, what is unknown of the divisor comes after the leading zeros of what is divided.
        low = above.low()
        quotient = [Fraction(0)] * low
        for k in range(low, min(len(a), low + len(b))):
            quotient.append((a[k] - sum((quotient[i] * b[k - i] for i in range(low, k)), Fraction(0))) / b[0])
        # The same divisor again is no new one.
        return Number(tuple(quotient), above.degrees.times(below.degrees.inverse((divisor.serial, by))))

    def __rtruediv__(self, other: Any) -> Number:
        return Number.of(other) / self

    def sqrt(self) -> Number:
        """The root with a positive leading coefficient, which must be a rational number."""
        by = self.low()
        start = self.down(by)
        a = start.c
        root = Fraction(isqrt(a[0].numerator), isqrt(a[0].denominator))
        if root**2 != a[0] or by % 2:
            raise NotRational(f"{a[0]} is not the square of a rational number")
        found = [root]
        for k in range(1, len(a)):
            found.append((a[k] - sum((found[i] * found[k - i] for i in range(1, k)), Fraction(0))) / (2 * root))
        # Shifted up again: degrees that are true of c_k are true of c_(k - by/2), as they do not fall with k.
        return Number((Fraction(0),) * (by // 2) + tuple(found), start.degrees.root((self.serial, by)))

    def __pow__(self, exponent: Any) -> Number:
        twice = as_fraction(exponent) * 2
        if twice.denominator != 1:
            raise ArithmeticError(f"the power {exponent}")
        base, times = (self.sqrt(), int(twice)) if twice % 2 else (self, int(twice) // 2)
        if times < 0:
            base, times = 1 / base, -times
        result = Number.of(1)
        for _ in range(times):
            result = result * base
        return result
