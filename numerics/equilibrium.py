"""How a rule behaves at the edge: the drift along Gamma and the mean square of the oscillation, both of K^2 = |g|^2.

A smooth schedule with log effective_lr+ = log effective_lr + growth*rate - brake*x^2 at the edge
(effective_lr*lambda_1 = 2, |G| = lambda_1 |x|), and a drift of -x^2 g per step, balance at

    <x^2>/rate = growth/(brake + K^2),   d zeta/d tau = -<x^2>/rate g.

growth and brake are read off the rule's own schedule. A rule without a schedule (normalized GD) has orbits of
period two instead, x -> -x, where the step times lambda_1 is 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from numerics.rule_forms import reduction_of
from theory.errors import InputError
from theory.identity import Identity
from theory.rule import Rule

__all__ = ["Law", "law_of"]


@dataclass(frozen=True)
class Law:
    """The rule at the edge, in units of the rate.

    Attributes:
        coefficient: (a, b, c) of <x^2>/rate = a/(b + c K^2) at equilibrium, which also multiplies -g in the drift.
        growth: what effective_lr grows by without oscillation, d log effective_lr/d tau; 0 for a rule without a
            schedule.
    """

    coefficient: tuple[float, float, float]
    growth: float

    def mean_square(self, log_gradient_squared: Any) -> Any:
        """<x^2>/rate at K^2, of numbers or arrays."""
        a, b, c = self.coefficient
        return a / (b + c * log_gradient_squared)

    def response(self, log_gradient_squared: float) -> tuple[float, float]:
        """(a, b) of U' = a - b X^2 at K^2: a from the growth, a/b the mean square."""
        a = 2 * self.growth
        return a, a / float(self.mean_square(log_gradient_squared))

    @property
    def smooth(self) -> bool:
        """Whether there is a schedule, hence a slow oscillator; else there are orbits of period two."""
        return self.growth > 0

    def period(self, rate: float) -> float:
        """Iterations of a small oscillation, pi/sqrt(growth rate); a stretch to average over where there is none.

        With u = effective_lr*lambda_1 - 2 and y = log(x^2/<x^2>): y' = 2u, u' = 2 growth rate (1 - e^y).
        """
        return math.pi / math.sqrt(self.growth * rate) if self.smooth else 100.0

    def amplitude(self, log_gradient_squared: float, rate: float) -> float:
        """|x| at equilibrium, at a finite rate."""
        return float(np.sqrt(self.mean_square(log_gradient_squared) * rate))


def law_of(rule: Rule, /) -> Law:
    """The law of a rule, from its reduction to the sphere.

    Raises:
        InputError: the rule has no such equilibrium (its schedule does not feed back, or is of another form).
    """
    return _law(Identity(rule))


@lru_cache(maxsize=64)
def _law(key: Identity[Rule]) -> Law:
    rule = key.value
    reduction = reduction_of(rule)
    rate = sp.Symbol("rate", positive=True)
    e, g2 = reduction.effective_lr, reduction.gradient_squared
    at_rate = reduction.at_rate(rate)
    constants = {reduction.parameters[name]: sp.nsimplify(value) for name, value in rule.constants.items()}
    if reduction.schedule is None:
        square, sharp = sp.symbols("x2 lambda1", positive=True)
        edge = (reduction.step * sharp).subs(g2, sharp**2 * square).subs(at_rate).subs(constants) - 2
        solutions = [sp.simplify(s / rate) for s in sp.solve(edge, square)]
        if len(solutions) != 1 or solutions[0].free_symbols:
            raise InputError(f"rule {rule.name!r}: no orbit of period two whose square is a multiple of the rate.")
        constant = float(solutions[0])
        return Law(coefficient=(constant, 1.0, 0.0), growth=0.0)
    growth_of_log = sp.log(reduction.schedule / e).subs(at_rate).subs(constants)
    growth = sp.simplify(sp.limit(sp.diff(growth_of_log.subs(g2, 0), rate), rate, 0))
    slope = sp.limit(sp.simplify(sp.diff(growth_of_log, g2).subs(g2, 0)), rate, 0)
    brake = sp.simplify(-slope * 4 / e**2)  # |G|^2 = lambda_1^2 x^2 and lambda_1 = 2/effective_lr
    if growth.free_symbols or brake.free_symbols or not growth > 0 or not brake > 0:
        raise InputError(
            f"rule {rule.name!r}: its schedule has growth {growth} and brake {brake}; the edge needs positive numbers."
        )
    up, down = float(growth), float(brake)
    return Law(coefficient=(up, down, 1.0), growth=up)
