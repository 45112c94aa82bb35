"""The law of a rule at the edge against its iterates on one loss: each number measured over the one predicted.

drift, mean square, period of a small and of a large orbit, energy coefficient (where no orbit closes, the one passage
of the edge); every ratio is taken at three rates, two
decades apart, and extrapolated to rate 0 from the two finest.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.descent.orbit import EdgeOrbit, at_zero_rate, edge_orbit, orbit_period
from sharpflow.numerics.measurements.energy import energy_growth
from sharpflow.numerics.measurements.passage import passage
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.theory.edge.edge_law import edge_law
from sharpflow.theory.errors import InputError
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = [
    "RATES",
    "Ratio",
    "RuleCheck",
    "check_rule_on",
    "drift_pair",
    "growth_ratio",
    "mean_square_pair",
    "period_pair",
    "ratio_of",
    "upward_crossings",
]

RATES = (1e-5, 1e-6, 1e-7)
# The numbers of an orbit come from some 100 records a period by trapezoids and crossings by secants: 1e-3 each, and the
# small orbit of amplitude 1.1 has a period longer by 1e-3 than an infinitely small one.
FLOOR = 5e-3
# E ripples over a period by more than that, and c is what is left of it over many.
ENERGY_FLOOR = 1e-2
NOTHING = 1e-6
# The k-th constant of a schedule is moved by k times each of these: of opposite slopes the sum is then no longer 0.
SLOPES = (0.2, -0.15)
ENDS, WAY = "U after the passage", "way along Gamma"


@dataclass(frozen=True)
class Ratio:
    """Measured over predicted.

    Attributes:
        name: of the quantity.
        at: at each of `RATES`.
        value: extrapolated to rate 0.
        correction: what that changed, from the finest rate.
        predicted: the number itself.
        floor: of the tolerance.
    """

    name: str
    at: tuple[float, ...]
    value: float
    correction: float
    predicted: float
    floor: float = FLOOR

    @property
    def tolerance(self) -> float:
        """The correction made (what is left is smaller by sqrt(rate)) and the sampling of an orbit."""
        return self.correction + self.floor

    @property
    def agrees(self) -> bool | None:
        """True where the interval holds 1; ``None`` where nothing was measured."""
        return None if not math.isfinite(self.value) else abs(self.value - 1) <= self.tolerance


@dataclass(frozen=True)
class RuleCheck:
    """All ratios of one rule on one loss."""

    rule: str
    loss: str
    ratios: tuple[Ratio, ...]


def check_rule_on(subject: Loss | Objective, rule: Rule, /) -> RuleCheck:
    """Measure the law of a rule on a loss.

    Of a rule with a schedule, at several slopes of it, and each ratio is the one that is farthest from 1 in units of
    its tolerance: with slopes whose sum is 0 the rate stays, and an error of the clock does not show.

    Raises:
        InputError: the rule has no closed orbit at the edge, though something drives its effective_lr.
    """
    objective = as_objective(subject)
    if edge_law(rule).rests:
        return RuleCheck(rule.name, objective.name, _passage(objective, rule))
    tried = [_ratios(objective, variant) for variant in at_other_slopes(rule)]

    def off(ratio: Ratio) -> float:
        return abs(ratio.value - 1) / ratio.tolerance if math.isfinite(ratio.value) else -1.0

    worst = tuple(max(same, key=off) for same in zip(*tried, strict=True))
    return RuleCheck(rule.name, objective.name, worst)


@lru_cache(maxsize=64)
def _others(key: Identity[Rule]) -> tuple[Rule, ...]:
    rule = key.value
    # Of `slow`, which is kept on disk; the map it comes from takes a second to derive.
    moving = {symbol.name for rate in edge_law(rule).slow.values() for symbol in rate.free_symbols}
    names = [name for name in rule.constants if name in moving]
    found = [rule]
    for step in SLOPES if names else ():
        shifted = {name: rule.constants[name] + step * (k + 1) for k, name in enumerate(names)}
        other = replace(rule, constants={**rule.constants, **shifted})
        with contextlib.suppress(InputError):  # at some slopes no orbit closes
            law_of(other)
            found.append(other)
    return tuple(found)


def at_other_slopes(rule: Rule, /) -> tuple[Rule, ...]:
    """The rule, and the same with other numbers for the constants by which its slow state moves, where it has any."""
    return _others(Identity(rule))


def _ratios(objective: Objective, rule: Rule) -> list[Ratio]:
    law = law_of(rule)
    found = [ratio_of("drift", [drift_pair(objective, rule, rate) for rate in RATES])]
    # In an interval of orbits of period two the mean square is that of the start, and nothing to predict.
    if law.smooth or law.exact.orbit is None or abs(law.exact.orbit.multiplier) != 1:
        found.append(ratio_of("mean square", [mean_square_pair(objective, rule, rate) for rate in RATES]))
    if law.smooth:
        found.append(ratio_of("period, amplitude 1.1", [period_pair(objective, rule, rate, 1.1) for rate in RATES]))
        found.append(ratio_of("period, amplitude 3", [period_pair(objective, rule, rate, 3.0) for rate in RATES]))
        found.append(growth_ratio(objective, rule))
    return found


def _passage(objective: Objective, rule: Rule) -> tuple[Ratio, ...]:
    """Of a rule that passes the edge once: U at the end, and the way along Gamma."""
    found = [passage(objective, rule, rate=rate) for rate in RATES]
    return (ratio_of(ENDS, [u for u, _ in found]), ratio_of(WAY, [way for _, way in found]))


def ratio_of(name: str, pairs: list[tuple[float, float]]) -> Ratio:
    """Measured over predicted at each rate, extrapolated to rate 0."""
    # Where lambda_1 is constant on Gamma there is no drift to measure, K is rounding.
    at = tuple(measured / predicted if abs(predicted) > NOTHING else math.nan for measured, predicted in pairs)
    value, correction = at_zero_rate(at[-2], at[-1])
    return Ratio(name, at, value, correction, pairs[-1][1])


def _orbit(objective: Objective, rule: Rule, rate: float) -> EdgeOrbit:
    # A rule without an edge has orbits of period two: the one in the middle of them is at amplitude 1.
    return edge_orbit(objective, rule, rate=rate, amplitude=1.6 if law_of(rule).smooth else 1.0)


def drift_pair(objective: Objective, rule: Rule, rate: float) -> tuple[float, float]:
    """Length travelled along Gamma in flow time 1, over a whole period."""
    orbit, law = _orbit(objective, rule, rate), law_of(rule)
    k2 = float(orbit.log_gradient_squared[0])
    predicted = float(law.drift(k2, float(orbit.sharpness[0]))) * math.sqrt(k2)
    travelled = np.linalg.norm(orbit.displacement - orbit.displacement[0], axis=1)
    if not law.smooth:
        return float(travelled[-1] / (orbit.steps[-1] * rate)), predicted
    period = orbit.period
    if period is None:
        return math.nan, predicted
    ends = np.interp(upward_crossings(orbit), orbit.steps, travelled)
    return float((ends[1] - ends[0]) / (period * rate)), predicted


def upward_crossings(orbit: EdgeOrbit) -> list[float]:
    """The first two iterations, between records, at which U passes 0 on its way up."""
    at = np.flatnonzero((orbit.u[:-1] < 0) & (orbit.u[1:] >= 0))[:2]
    steps, u = orbit.steps, orbit.u
    return [float(steps[k] - u[k] * (steps[k + 1] - steps[k]) / (u[k + 1] - u[k])) for k in at]


def mean_square_pair(objective: Objective, rule: Rule, rate: float) -> tuple[float, float]:
    """<X^2> measured over an orbit, and as the law has it."""
    orbit, law = _orbit(objective, rule, rate), law_of(rule)
    predicted = float(law.mean_square(float(orbit.log_gradient_squared[0]), float(orbit.sharpness[0])))
    measured = orbit.mean(orbit.x**2) if law.smooth else float(np.mean(orbit.x**2))
    return measured, predicted


def period_pair(objective: Objective, rule: Rule, rate: float, amplitude: float) -> tuple[float, float]:
    """The period in iterations at an amplitude, measured and predicted."""
    law = law_of(rule)
    orbit = edge_orbit(objective, rule, rate=rate, amplitude=amplitude, periods=2.5 if amplitude < 2 else 4.0)
    a, b = law.response(float(orbit.log_gradient_squared[0]))
    predicted = orbit_period(a, b, float(orbit.x[0]), float(orbit.u[0]), rate, law.alpha)
    return orbit.period or math.nan, predicted


def growth_ratio(objective: Objective, rule: Rule) -> Ratio:
    """c of dE/d tau = c <U^2>, measured over predicted at pairs of rates."""
    coarse = energy_growth(objective, rule, coarse=RATES[0], fine=RATES[1])
    fine = energy_growth(objective, rule, coarse=RATES[1], fine=RATES[2])
    # c may be near 0, where a ratio says nothing: differences are taken in units of 1, c's natural size, below that.
    scale = max(abs(fine.predicted), 1.0)
    at = tuple(1 + (c - fine.predicted) / scale for c in (coarse.at[0], coarse.at[1], fine.at[1]))
    value = 1 + (fine.measured - fine.predicted) / scale
    return Ratio("energy coefficient", at, value, fine.correction / scale, fine.predicted, ENERGY_FLOOR)
