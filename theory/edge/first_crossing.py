"""det(z - M(e)) has no root on |z| = 1 for 0 < e < edge: no multiplier leaves the unit circle before that of the edge.

M(e) is the linearised step of (x, the state along x) for a normal direction with effective_lr*mu = e: the same matrix
for every direction, as a rule is made of inner products alone. So the one question answers two: whether the edge is
where the first multiplier leaves as effective_lr grows, and whether every direction with mu < lambda_1 is damped there.

With z = (1 + i w)/(1 - i w) the circle (but z = -1, which is the edge itself) is the real line of w, where

    (1 - i w)^n det(z - M) = A(w, e) + i B(w, e),    A and B real polynomials,

so that a crossing is a root e of their resultant; its real roots are counted by Sturm's theorem.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import sympy as sp

from sharpflow.theory.edge.frame import NORM, SHARPNESS, Edge, Frame, leading_lr
from sharpflow.theory.proving.proof import Status, Step

__all__ = ["Crossing", "crossing_step", "first_crossing"]

_Z, _E = sp.Symbol("z"), sp.Symbol("e", positive=True)
_W = sp.Symbol("w", real=True)


@dataclass(frozen=True)
class Crossing:
    """The multipliers of normal directions between rest and the edge.

    Attributes:
        count: values of e in (0, edge) that may have a multiplier on the unit circle; ``None`` where it is one for all.
        inside: the largest modulus in the middle of each interval that they leave, by e.
    """

    count: int | None
    inside: Mapping[sp.Expr, float]

    @property
    def outside(self) -> sp.Expr | None:
        """The first of the middles with a multiplier outside the unit circle."""
        return next((e for e, modulus in self.inside.items() if modulus > 1), None)

    @property
    def status(self) -> Status:
        """Proved: all are inside. Refuted: one is outside. Else a multiplier touches the circle, or seems to."""
        if self.outside is not None:
            return Status.REFUTED
        return Status.PROVED if self.count == 0 else Status.UNDECIDED

    def step(self, edge: sp.Expr, seconds: float = 0.0) -> Step:
        """The line of a derivation."""
        middle, modulus = next(iter(self.inside.items()))
        witness = {} if self.outside is None else {
            "effective_lr*mu": sp.sstr(self.outside), "largest modulus": f"{self.inside[self.outside]:.8g}",
        }  # fmt: skip
        return Step(
            "no multiplier of a normal direction leaves the unit circle before the edge",
            sp.Symbol("crossings"), sp.Integer(0), status=self.status,
            method="resultant on the unit circle, its real roots counted by Sturm's theorem",
            residual=None if self.count is None else sp.Integer(self.count), witness=witness, seconds=seconds,
            note=f"z an eigenvalue of M at effective_lr*mu = e, 0 < e < {edge}, at the default constants; at e = "
            f"{sp.sstr(middle)} the largest is {modulus:.4g}. A direction with mu < lambda_1 is damped at the edge.",
        )  # fmt: skip


def first_crossing(frame: Frame, edge: Edge, defaults: Mapping[sp.Symbol, sp.Expr], /) -> Crossing:
    """Find where a multiplier leaves the unit circle between e = 0 and the edge, at the default constants."""
    assert edge.block is not None
    assert edge.value is not None
    numbers = dict(defaults) | {NORM: sp.Integer(1)} | dict.fromkeys(frame.scalar_units.values(), sp.Integer(1))
    matrix = edge.block.subs(SHARPNESS, _E / leading_lr(frame)).subs(numbers)
    end = sp.nsimplify(edge.value.subs(numbers), rational=True)
    polynomial = sp.Poly(sp.numer(sp.together(matrix.charpoly(_Z).as_expr())), _Z)
    degree = polynomial.degree()
    mapped = sp.expand(sum(
        c * (1 + sp.I * _W) ** k * (1 - sp.I * _W) ** (degree - k) for (k,), c in polynomial.terms()
    ))  # fmt: skip
    real, imaginary = mapped.as_real_imag()
    resultant = sp.Poly(sp.resultant(sp.expand(real), sp.expand(imaginary), _W), _E)
    if resultant.is_zero:
        return Crossing(None, {end / 2: _largest(polynomial, end / 2)})
    for root in (sp.Integer(0), end):
        while resultant.degree() > 0 and resultant.eval(root) == 0:
            resultant = resultant.quo(sp.Poly(_E - root, _E))
    # Each e is counted once, and none lies at an end of the interval any more.
    free = resultant.sqf_part()
    count = free.count_roots(0, end) if free.degree() > 0 else 0
    places = [sp.Integer(0), end, end]
    if count:
        intervals = [pair for pair, _ in free.intervals(inf=0, sup=end, eps=end / 1000)]
        places = [sp.Integer(0), *(sum(pair) / 2 for pair in intervals), end]
    middles = [(low + high) / 2 for low, high in pairwise(places) if low != high]
    return Crossing(int(count), {middle: _largest(polynomial, middle) for middle in middles})


def _largest(polynomial: sp.Poly, e: sp.Expr) -> float:
    roots = sp.Poly(polynomial.as_expr().subs(_E, e), _Z).nroots(n=15, maxsteps=200)
    return max(float(abs(root)) for root in roots)


def crossing_step(frame: Frame, edge: Edge, defaults: Mapping[sp.Symbol, sp.Expr], /) -> Step:
    """`first_crossing` as a line of a derivation."""
    begin = time.perf_counter()
    found = first_crossing(frame, edge, defaults)
    return found.step(sp.sympify(edge.value).subs(dict(defaults)), time.perf_counter() - begin)
