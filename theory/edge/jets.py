"""A generic scale-invariant loss near a point zeta of Gamma, given by its jets, and the vectors a rule moves it with.

For w = r (zeta + xi), xi orthogonal to zeta, scale invariance gives L(w) = l(xi), so that

    grad L(w) = ( grad l(xi) - <xi, grad l(xi)> zeta )/r

exactly. In orthonormal directions v_1 (x), another eigenvector of the Hessian (y) and the direction of g (s), with
Gamma the curve x = h s^2/2 + ..., y = ... and everything in units of lambda_1,

    l/lambda_1 = x^2/2 + m y^2/2 + K x^2 s/2 - h x s^2/2 + c_3 x^3/6 + c_4 x^4/24 + c_21 x^2 y/2
                 + c_31 x^3 s/6 + c_111 x y s + ...

With x of the size of delta, and y and s of the size of delta^2, these are all the jets of which any trace is left in
the map up to the order of the energy law; every other term of the loss, of whatever order, is of higher weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from sharpflow.theory.edge.series import Series, SeriesRing
from sharpflow.theory.errors import InputError
from sharpflow.theory.rule import ELEMENTWISE, Operations

__all__ = ["JETS", "EdgeJets", "JetVector", "gradient_on", "operations"]


K = sp.Symbol("K", positive=True)
CUBIC, QUARTIC, MIXED, TILT, TWIST, CURVATURE = sp.symbols("c_3 c_4 c_21 c_31 c_111 h", real=True)
RATIO = sp.Symbol("m", positive=True)
JETS = (K, CUBIC, QUARTIC, MIXED, RATIO, TILT, TWIST, CURVATURE)
_X, _Y, _S = sp.symbols("x y s", real=True)


operations = Operations(
    dot=lambda a, b: a.dot(b),
    norm=lambda a: a.dot(a).sqrt(),
    sqrt=lambda a: a.sqrt() if isinstance(a, Series) else sp.sqrt(a),
)


@dataclass(frozen=True, eq=False)
class EdgeJets:
    """Expressions in the chart coordinates.

    Attributes:
        log_gradient_squared: K^2.
        bend: K^2 dK/ds along g/|g|.
        cubic_squared: c_3^2 (c_3 itself has the sign of v_1, which is no one's).
        quartic: c_4.
        mixed: sum_j c_21j^2/m_j with m_j = mu_j/lambda_1; 0 where there is one normal direction only.
        sharpness: lambda_1 itself, for rules whose step depends on the size of the gradient.
    """

    log_gradient_squared: sp.Expr
    bend: sp.Expr
    cubic_squared: sp.Expr
    quartic: sp.Expr
    mixed: sp.Expr
    sharpness: sp.Expr


def generic_loss() -> sp.Expr:
    """l/lambda_1 in x, y, s, up to the weight that is needed (x counts 1, y and s count 2)."""
    return (
        _X**2 / 2 + RATIO * _Y**2 / 2 + K * _X**2 * _S / 2 - CURVATURE * _X * _S**2 / 2
        + CUBIC * _X**3 / 6 + QUARTIC * _X**4 / 24 + MIXED * _X**2 * _Y / 2
        + TILT * _X**3 * _S / 6 + TWIST * _X * _Y * _S
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class JetVector:
    """radial zeta + x v_1 + y n + s g/|g|, each coefficient a series in delta."""

    radial: Series
    x: Series
    y: Series
    s: Series

    _op_priority = 300.0

    @property
    def parts(self) -> tuple[Series, ...]:
        """The four coefficients."""
        return (self.radial, self.x, self.y, self.s)

    def __add__(self, other: Any) -> JetVector:
        if not isinstance(other, JetVector):
            return NotImplemented
        return JetVector(*(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def __neg__(self) -> JetVector:
        return JetVector(*(-a for a in self.parts))

    def __sub__(self, other: Any) -> JetVector:
        return self + (-other)

    def __mul__(self, factor: Any) -> JetVector:
        if isinstance(factor, JetVector):
            raise InputError(ELEMENTWISE)
        return JetVector(*(a * factor for a in self.parts))

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> JetVector:
        return JetVector(*(a / divisor for a in self.parts))

    def dot(self, other: JetVector) -> Series:
        """<self, other>: the directions are orthonormal."""
        first, *rest = (a * b for a, b in zip(self.parts, other.parts, strict=True))
        return sum(rest, start=first)


def _terms(ring: SeriesRing, expression: sp.Expr) -> list[tuple[tuple[int, ...], Any]]:
    return [(powers, ring.element(c)) for powers, c in sp.Poly(expression, _X, _Y, _S).terms()]


def _evaluate(
    terms: list[tuple[tuple[int, ...], Any]], powers: Mapping[tuple[int, int], Series], one: Series
) -> Series:
    total = one.ring.zero
    for exponents, coefficient in terms:
        term = one * coefficient
        for i, e in enumerate(exponents):
            if e:
                term = term * powers[i, e]
        total = total + term
    return total


class _Gradient:
    """``gradient(w)``, and ``gradient.excess_loss(w)`` = L(w) - min L."""

    def __init__(self, ring: SeriesRing, sharpness: Any) -> None:
        self.one, self.sharpness = ring.constant(1), sharpness
        loss = generic_loss()
        self.loss = _terms(ring, loss)
        self.parts = [_terms(ring, sp.diff(loss, v)) for v in (_X, _Y, _S)]

    def _powers(self, w: JetVector) -> dict[tuple[int, int], Series]:
        powers = {}
        for i, part in enumerate((w.x, w.y, w.s)):
            value = part / w.radial
            powers[i, 1] = value
            for e in range(2, 5):
                powers[i, e] = powers[i, e - 1] * value
        return powers

    def __call__(self, w: JetVector) -> JetVector:
        powers = self._powers(w)
        slopes = [_evaluate(terms, powers, self.one) * self.sharpness for terms in self.parts]
        radial = self.one.ring.zero
        for i, slope in enumerate(slopes):
            radial = radial - powers[i, 1] * slope
        return JetVector(radial, *slopes) / w.radial

    def excess_loss(self, w: JetVector) -> Series:
        """L(w) - min L."""
        return _evaluate(self.loss, self._powers(w), self.one) * self.sharpness


def gradient_on(ring: SeriesRing, sharpness: Any, /) -> Callable[[JetVector], JetVector]:
    """grad L as a function of w, with lambda_1 at zeta given."""
    return _Gradient(ring, ring.element(sharpness))
