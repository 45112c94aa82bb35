"""The coefficient c of dE/d tau = c <U^2> along an orbit of iterates, and the one predicted from the jets of the loss.

    E_t - E_0 = integral of c(zeta) U^2 d tau,    E = U^2/2 + (a/(2 alpha)) (e^y - 1 - y),    y = log(X^2/<X^2>)

E is conserved over a period but for its oscillation of relative order sqrt(rate); over many periods it grows or falls.
A straight line is fitted to E over the integral of c/c(0) U^2, with the predicted change of c: its slope is c(0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numerics.edge_jets import edge_jets_at
from numerics.equilibrium import law_of
from numerics.objective import Objective, as_objective
from numerics.orbit import at_zero_rate, edge_orbit
from numerics.spectrum import normal_rank
from theory.edge_law import K2, LARGEST, QUARTIC_RESPONSE, TURN, horizon
from theory.errors import InputError
from theory.loss import Loss
from theory.rule import Rule

__all__ = ["EnergyGrowth", "Horizon", "energy_growth", "predicted_coefficient", "tracking_horizon"]

# Periods of a run: fewer where E would change by more than a factor of e or so, as large orbits are sampled badly, and
# never more than what leaves 16 of the 401 records to a period, between which U^2 is integrated.
LEAST, MOST = 6.0, 25.0
AMPLITUDE = 1.5
SMALL = 0.1


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


def predicted_coefficient(subject: Loss | Objective, rule: Rule, zeta: np.ndarray, /) -> float:
    """c at a point of Gamma (D,): the rule's law with jets by automatic differentiation.

    Raises:
        InputError: the rule has no energy law.
    """
    law = law_of(rule)
    coefficient = law.exact.coefficient
    if coefficient is None:
        raise InputError(f"rule {rule.name!r} has no smooth oscillator, hence no energy law.")
    objective = as_objective(subject)
    jets = edge_jets_at(objective, zeta, rank=normal_rank(subject, zeta))
    response = jets.quartic - 3 * jets.cubic**2 - 3 * jets.mixed
    values = {K2: jets.log_gradient_norm**2, TURN: jets.bend, QUARTIC_RESPONSE: response}
    return float(coefficient.subs(law.exact.defaults).subs(values))


def _slope(subject: Loss, rule: Rule, rate: float) -> tuple[float, float, float]:
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
    y = np.log(orbit.x**2 / law.mean_square(orbit.log_gradient_squared))
    energy = orbit.u**2 / 2 + law.drive / (2 * law.alpha) * (np.exp(y) - 1 - y)
    tau = orbit.steps * rate
    # c changes little over so short a run: linear between its ends, in units of c at the start (of 1 where that is
    # near 0 and a quotient would say nothing).
    c = np.interp(tau, tau[[0, -1]], ends)
    shape = c / first if abs(first) > SMALL else np.ones_like(c)
    weight = shape * orbit.u**2
    drive = np.concatenate([[0.0], np.cumsum((weight[1:] + weight[:-1]) / 2 * np.diff(tau))])
    measured = float(np.polyfit(drive, energy, 1)[0])
    return measured, first, float(energy[-20:].mean() / energy[:20].mean() - 1)


def energy_growth(subject: Loss, rule: Rule, /, *, coarse: float, fine: float) -> EnergyGrowth:
    """c of a loss and a rule from iterates at rates ``coarse`` = 10 ``fine``, and as predicted."""
    (first, _, _), (second, predicted, change) = _slope(subject, rule, coarse), _slope(subject, rule, fine)
    measured, correction = at_zero_rate(first, second)
    return EnergyGrowth(measured, correction, predicted, change, (first, second))


@dataclass(frozen=True)
class Horizon:
    """How long gradient descent can be expected to track: c at the start, and log(E_max/E_0)/c (inf for c <= 0)."""

    coefficient: float
    time: float


def tracking_horizon(
    subject: Loss | Objective,
    rule: Rule,
    /,
    *,
    zeta: np.ndarray | None = None,
    amplitude: float = 1.2,
    largest: float = LARGEST,
) -> Horizon:
    """Flow time over which the energy grows from that of ``amplitude`` to that of ``largest``, c as at the start.

    Both amplitudes in units of the equilibrium oscillation. A rule without a smooth oscillator has none:
    inf.
    """
    objective = as_objective(subject)
    point = np.asarray(objective.start if zeta is None else zeta, dtype=float)
    if law_of(rule).exact.coefficient is None:
        return Horizon(math.nan, math.inf)
    c = predicted_coefficient(subject, rule, point / np.linalg.norm(point))
    return Horizon(c, horizon(c, amplitude, largest))
