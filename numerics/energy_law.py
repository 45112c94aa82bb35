"""The coefficient c of dE/d tau = c <U^2> along an orbit of iterates, and the one predicted from the jets of the loss.

    E_t - E_0 = integral of c(zeta) U^2 d tau,    E = U^2/2 + (a/(2 alpha)) (e^y - 1 - y),    y = log(X^2/<X^2>)

E is conserved over a period but for its oscillation of relative order sqrt(rate); over many periods it grows or falls.
A straight line is fitted to E over the integral of c/c(0) U^2, with the predicted change of c: its slope is c(0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numerics.edge_jets import edge_jets_along
from numerics.equilibrium import law_of
from numerics.flow_run import run_manifold_flow
from numerics.objective import Objective, as_objective
from numerics.orbit import at_zero_rate, edge_orbit
from numerics.spectrum import normal_rank, unit_vector
from theory.edge_law import K2, LAMBDA, LARGEST, QUARTIC_RESPONSE, TURN, energy_ratio
from theory.errors import InputError
from theory.loss import Loss
from theory.rule import Rule

__all__ = ["EnergyGrowth", "Horizon", "energy_growth", "predicted_coefficient", "tracking_horizon", "unsettled"]

# Periods of a run: fewer where E would change by more than a factor of e or so, as large orbits are sampled badly, and
# never more than what leaves 16 of the 401 records to a period, between which U^2 is integrated.
LEAST, MOST = 6.0, 25.0
AMPLITUDE = 1.5
SMALL = 0.1
# The horizon looks ahead as far as the default time of a comparison, twice; c is smooth, so 17 trapezoids do.
LOOK, NODES = 4.0, 17


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
    objective = as_objective(subject)
    return float(_predicted(objective, rule, unit_vector(objective, zeta)[None], normal_rank(subject, zeta))[0])


def _predicted(objective: Objective, rule: Rule, points: np.ndarray, rank: int) -> np.ndarray:
    """c (N,) at points of Gamma (N, D); see `predicted_coefficient`."""
    law = law_of(rule)
    coefficient = law.exact.coefficient
    if coefficient is None:
        raise InputError(f"rule {rule.name!r} has no smooth oscillator, hence no energy law.")
    coefficient = coefficient.subs(law.exact.defaults)
    found = []
    for jets in edge_jets_along(objective, points, rank=rank):
        response = jets.quartic - 3 * jets.cubic**2 - 3 * jets.mixed
        values = {K2: jets.log_gradient_norm**2, TURN: jets.bend, QUARTIC_RESPONSE: response, LAMBDA: jets.sharpness}
        found.append(float(coefficient.subs(values)))
    return np.array(found)


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


def unsettled(subject: Loss, rule: Rule, found: EnergyGrowth, /, *, coarser: float) -> float:
    """How far the extrapolation to rate 0 moves from the rates before to those of ``found``; inf where one is nan.

    What the extrapolation leaves falls with the rate: from ``coarser``, ten times the coarse rate of ``found``, it is
    ten times what is left now, so that the error of ``found`` is a ninth of this, if the expansion holds at all.
    """
    earlier, _ = at_zero_rate(_slope(subject, rule, coarser)[0], found.at[0])
    return abs(earlier - found.measured) if math.isfinite(earlier) else math.inf


@dataclass(frozen=True)
class Horizon:
    """How long gradient descent can be expected to track.

    Attributes:
        coefficient: c at the start.
        time: flow time tau at which the integral of c reaches log(E_max/E_0); log(E_max/E_0)/c where c stays the same,
            inf where it never does.
        growth: the integral of c over the flow that was looked at: small oscillations grow there by exp(growth) in
            energy.
    """

    coefficient: float
    time: float
    growth: float


def tracking_horizon(
    subject: Loss | Objective,
    rule: Rule,
    /,
    *,
    path: tuple[np.ndarray, np.ndarray] | None = None,
    amplitude: float = 1.2,
    largest: float = LARGEST,
) -> Horizon:
    """Flow time over which the energy grows from that of ``amplitude`` to that of ``largest``: c is integrated.

    Both amplitudes in units of the equilibrium oscillation; c changes along the flow, and it is the flow that brings
    some losses from where oscillations die out to where they grow. A rule without a smooth oscillator has none: inf.

    Args:
        path: flow times (N,) and points of Gamma (N, D); default the flow of the rule from the start, over `LOOK`.
            Beyond its end, c stays what it is there.
        amplitude, largest: at the start and at the end.
    """
    if law_of(rule).exact.coefficient is None:
        return Horizon(math.nan, math.inf, math.nan)
    times, points = _flow_of(subject, rule) if path is None else path
    exists = np.all(np.isfinite(points), axis=1)
    times, points = times[exists], points[exists]
    chosen = np.unique(np.linspace(0, len(times) - 1, NODES).round().astype(int))
    # The number of normal directions is the same all along Gamma.
    tau, c = times[chosen], _predicted(as_objective(subject), rule, points[chosen], normal_rank(subject, points[0]))
    c = c * law_of(rule).pace(tau)
    total = np.concatenate([[0.0], np.cumsum((c[1:] + c[:-1]) / 2 * np.diff(tau))])
    return Horizon(float(c[0]), _reached(tau, total, float(c[-1]), energy_ratio(amplitude, largest)), float(total[-1]))


def _reached(tau: np.ndarray, total: np.ndarray, last: float, wanted: float) -> float:
    """When ``total`` first reaches ``wanted``, growing at the rate ``last`` beyond its end."""
    above = np.flatnonzero(total >= wanted)
    if len(above):
        k = int(above[0])
        return float(tau[k] if k == 0 else np.interp(wanted, total[k - 1 : k + 1], tau[k - 1 : k + 1]))
    return float(tau[-1] + (wanted - total[-1]) / last) if last > 0 else math.inf


def _flow_of(subject: Loss | Objective, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    objective = as_objective(subject)
    zeta = np.asarray(objective.start, dtype=float)
    times = np.linspace(0.0, LOOK, NODES)
    rank = normal_rank(subject, zeta)
    law = law_of(rule)
    clock = law.clock(times)
    run = run_manifold_flow(objective, zeta / np.linalg.norm(zeta), clock, rank=rank, drift=law.drift)
    return times, run.points
