"""The power of sqrt(rate) at which the energy of the oscillation changes along an orbit of iterates.

E = U^2/2 + ((b/2) X^2 - a log|X|)/alpha with the rule's law X' = alpha X U, U' = a - b X^2, b at the orbit's own K^2;
K drifts, so b is taken at every record. Where a schedule moves the rate, X, U and tau are in units of the rate there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sharpflow.numerics.comparison.order import Fit, fit_power
from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.descent.orbit import EdgeOrbit, at_zero_rate, edge_orbit
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.predictions.horizon import predicted_coefficient
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["EnergyGrowth", "energy_change", "energy_growth", "energy_order", "unsettled"]


RATES = (1e-4, 1e-5, 1e-6, 1e-7)

# Periods of a run: fewer where E would change by more than a factor of e or so, as large orbits are sampled badly, and
# never more than what leaves 16 of the 401 records to a period, between which U^2 is integrated.
LEAST, MOST = 6.0, 25.0
AMPLITUDE = 1.5
SMALL = 0.1


def energy_change(subject: Loss | Objective, rule: Rule, rate: float, /) -> float:
    """max |E - E_0| over 2.5 periods of amplitude 2, compared through y = log(X^2/<X^2>), as K drifts too."""
    energy, _, _ = _energy(edge_orbit(subject, rule, rate=rate, amplitude=2.0))
    return float(np.max(np.abs(energy - energy[0])))


def _energy(orbit: EdgeOrbit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E, 0 at rest, U^2 and the clock s of the rule along an orbit (N,), each in units of the rate there.

    At rate r rate, r = ds/d tau, the equilibrium x^2 is r times as large and so is U', while X'/X = alpha U stays: U^2
    is in units of r.
    """
    law, tau = orbit.law, orbit.steps * orbit.rate
    pace = law.pace(tau)
    square = orbit.u**2 / pace
    y = np.log(orbit.x**2 / (pace * law.mean_square(orbit.log_gradient_squared)))
    return square / 2 + law.drive / (2 * law.alpha) * (np.exp(y) - 1 - y), square, law.clock(tau)


def energy_order(subject: Loss | Objective, rule: Rule, /) -> Fit:
    """The fitted power of sqrt(rate), over three decades of the rate."""
    return fit_power([math.sqrt(rate) for rate in RATES], [energy_change(subject, rule, rate) for rate in RATES])


@dataclass(frozen=True)
class EnergyGrowth:
    """c measured at two rates and extrapolated to rate 0, and c predicted.

    Attributes:
        measured: extrapolated.
        correction: what the extrapolation changed, from the finer rate.
        predicted: from the jets at the start.
        change: of E over the finer run, relative to E at its start.
        at: measured at the two rates.
    """

    measured: float
    correction: float
    predicted: float
    change: float
    at: tuple[float, float]


def _slope(subject: Loss | Objective, rule: Rule, rate: float) -> tuple[float, float, float]:
    """(c measured, c predicted at the start, relative change of E)."""
    law = law_of(rule)
    zeta = np.asarray(as_objective(subject).start, dtype=float)
    zeta = zeta / np.linalg.norm(zeta)
    first = predicted_coefficient(subject, rule, zeta)
    periods = min(max(1 / (abs(first) * rate * law.period(rate) + 1e-9), LEAST), MOST)
    orbit = edge_orbit(subject, rule, rate=rate, amplitude=AMPLITUDE, periods=round(periods))
    if not orbit.finite or not np.all(np.abs(orbit.x) > 0):
        return math.nan, first, math.nan
    ends = [first, predicted_coefficient(subject, rule, zeta + orbit.displacement[-1])]
    energy, square, tau = _energy(orbit)
    # c changes little over so short a run: linear between its ends, in units of c at the start (of 1 where that is
    # near 0 and a quotient would say nothing).
    c = np.interp(tau, tau[[0, -1]], ends)
    shape = c / first if abs(first) > SMALL else np.ones_like(c)
    weight = shape * square
    drive = np.concatenate([[0.0], np.cumsum((weight[1:] + weight[:-1]) / 2 * np.diff(tau))])
    measured = float(np.polyfit(drive, energy, 1)[0])
    return measured, first, float(energy[-20:].mean() / energy[:20].mean() - 1)


def energy_growth(subject: Loss | Objective, rule: Rule, /, *, coarse: float, fine: float) -> EnergyGrowth:
    """c of a loss and a rule from iterates at rates ``coarse`` = 10 ``fine``, and as predicted."""
    (first, _, _), (second, predicted, change) = _slope(subject, rule, coarse), _slope(subject, rule, fine)
    measured, correction = at_zero_rate(first, second)
    return EnergyGrowth(measured, correction, predicted, change, (first, second))


def unsettled(subject: Loss | Objective, rule: Rule, found: EnergyGrowth, /, *, coarser: float) -> float:
    """How far the extrapolation to rate 0 moves from the rates before to those of ``found``; inf where one is nan.

    What the extrapolation leaves falls with the rate: from ``coarser``, ten times the coarse rate of ``found``, it is
    ten times what is left now, so that the error of ``found`` is a ninth of this, if the expansion holds at all.
    """
    earlier, _ = at_zero_rate(_slope(subject, rule, coarser)[0], found.at[0])
    return abs(earlier - found.measured) if math.isfinite(earlier) else math.inf
