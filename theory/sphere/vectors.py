"""Vector algebra in every dimension at once.

A stateless update of w uses two vectors, theta and G = grad L(theta), and nothing of R^D but their inner products. An
element of their span is a pair of coefficients, and inner products follow from the Gram matrix by bilinearity:
<theta, theta> = 1, <theta, G> = 0 (Euler), <G, G> = g2. An identity that holds for such pairs holds in R^D for every D
and every pair of vectors with that Gram matrix: no coordinates were used. That is what "proved in any dimension" means
here; a proof in coordinates of R^3 would not be one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from sharpflow.theory.errors import InputError
from sharpflow.theory.rule import ELEMENTWISE, Operations

__all__ = ["SpanVector", "gradient_of", "operations"]


@dataclass(frozen=True)
class SpanVector:
    """along*theta + against*G, with the Gram matrix diag(1, gradient_squared)."""

    along: sp.Expr
    against: sp.Expr
    gradient_squared: sp.Symbol

    def __add__(self, other: SpanVector) -> SpanVector:
        if not isinstance(other, SpanVector):
            return NotImplemented
        return SpanVector(self.along + other.along, self.against + other.against, self.gradient_squared)

    def __sub__(self, other: SpanVector) -> SpanVector:
        return self + (-1) * other

    def __neg__(self) -> SpanVector:
        return (-1) * self

    def __mul__(self, factor: Any) -> SpanVector:
        if isinstance(factor, SpanVector):
            raise InputError(ELEMENTWISE)
        return SpanVector(self.along * factor, self.against * factor, self.gradient_squared)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> SpanVector:
        return self * (1 / sp.sympify(divisor))

    def dot(self, other: SpanVector) -> sp.Expr:
        """<self, other> from the Gram matrix."""
        return self.along * other.along + self.against * other.against * self.gradient_squared


operations = Operations(
    dot=lambda a, b: a.dot(b),
    norm=lambda a: sp.sqrt(a.dot(a)),
    sqrt=sp.sqrt,
)
# A SymPy scalar times a SpanVector must come to SpanVector.__rmul__.
SpanVector._op_priority = 100.0  # type: ignore[attr-defined]


def gradient_of(gradient_squared: sp.Symbol) -> Callable[[SpanVector], SpanVector]:
    """The gradient as a map on the ray of theta: grad L(c theta) = G/c for c > 0 (scale invariance).

    Off the ray the gradient is a new vector, outside the span of theta and G: an `InputError` says so.
    """

    def gradient(at: SpanVector) -> SpanVector:
        if at.against != 0:
            raise InputError(
                "the rule takes the gradient at a point off the ray of w; the reduction to (theta, effective_lr) "
                "covers rules that take it at w only."
            )
        return SpanVector(sp.Integer(0), 1 / at.along, gradient_squared)

    return gradient
