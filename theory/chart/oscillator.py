"""The oscillator X' = X U, U' = a - b X^2 of one loss, read off its expanded two-step map."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from sharpflow.theory.chart.expansion import ScaledMap
from sharpflow.theory.chart.geometry import tidy
from sharpflow.theory.edge.averaging import A, B, U, X, energy, mean_square, small_period
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.proving.zero import normal_form

__all__ = ["Oscillator", "oscillator_of"]


@dataclass(frozen=True)
class Oscillator:
    """X' = X U, U' = a - b X^2.

    Attributes:
        growth: a, what drives effective_lr up where nothing oscillates.
        brake: b, which depends on the chart through K^2.
    """

    growth: sp.Expr
    brake: sp.Expr

    @property
    def mean_square(self) -> sp.Expr:
        """<X^2> = a/b over any closed orbit."""
        return tidy(mean_square().subs({A: self.growth, B: self.brake}))

    def energy(self) -> sp.Expr:
        """E(X, U) with this oscillator's a and b."""
        return energy().subs({A: self.growth, B: self.brake})

    def period(self, rate: sp.Expr) -> sp.Expr:
        """Iterations of a small oscillation."""
        return sp.simplify(small_period(rate).subs(A, self.growth))


def oscillator_of(scaled: ScaledMap, /) -> Oscillator:
    """a and b as an expansion found them.

    Raises:
        NoClosedForm: the rates do not have the form X' = X U, U' = a - b X^2.
    """
    drive = sp.expand(scaled.u_rate)
    growth, brake = normal_form(drive.coeff(X, 0)), tidy(-drive.coeff(X, 2))
    if normal_form(scaled.x_rate - X * U) != 0 or normal_form(drive - growth + brake * X**2) != 0:
        raise NoClosedForm(f"the oscillator is X' = {scaled.x_rate}, U' = {scaled.u_rate}, not X U and a - b X^2.")
    return Oscillator(growth, brake)
