"""How long tracking can be expected: log(E_max/E_0)/c of the energy law dE/d tau = c <U^2>, predicted from jets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.flows.manifold_flow import manifold_flow
from sharpflow.numerics.minima.jets import edge_jets_along
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.spectrum.dense import normal_rank, unit_vector
from sharpflow.theory.edge.edge_law import K2, LAMBDA, LARGEST, QUARTIC_RESPONSE, TURN, energy_ratio
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["Horizon", "predicted_coefficient", "reached_at", "tracking_horizon"]

# The horizon looks ahead as far as the default time of a comparison, twice; c is smooth, so 17 trapezoids do.
LOOK, NODES = 4.0, 17


def predicted_coefficient(subject: Loss | Objective, rule: Rule, zeta: np.ndarray, /) -> float:
    """c at a point of Gamma (D,): the rule's law with jets by automatic differentiation.

    Raises:
        InputError: the rule has no energy law.
    """
    objective = as_objective(subject)
    return float(_predicted(objective, rule, unit_vector(objective, zeta)[None], normal_rank(objective, zeta))[0])


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
    objective = as_objective(subject)
    times, points = _flow_of(objective, rule) if path is None else path
    exists = np.all(np.isfinite(points), axis=1)
    times, points = times[exists], points[exists]
    chosen = np.unique(np.linspace(0, len(times) - 1, NODES).round().astype(int))
    # The number of normal directions is the same all along Gamma.
    tau, c = times[chosen], _predicted(objective, rule, points[chosen], normal_rank(objective, points[0]))
    c = c * law_of(rule).pace(tau)
    total = np.concatenate([[0.0], np.cumsum((c[1:] + c[:-1]) / 2 * np.diff(tau))])
    return Horizon(
        float(c[0]), reached_at(tau, total, float(c[-1]), energy_ratio(amplitude, largest)), float(total[-1])
    )


def reached_at(tau: np.ndarray, total: np.ndarray, last: float, wanted: float) -> float:
    """When ``total`` first reaches ``wanted``, growing at the rate ``last`` beyond its end."""
    above = np.flatnonzero(total >= wanted)
    if len(above):
        k = int(above[0])
        return float(tau[k] if k == 0 else np.interp(wanted, total[k - 1 : k + 1], tau[k - 1 : k + 1]))
    return float(tau[-1] + (wanted - total[-1]) / last) if last > 0 else math.inf


def _flow_of(objective: Objective, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    zeta = np.asarray(objective.start, dtype=float)
    times = np.linspace(0.0, LOOK, NODES)
    rank = normal_rank(objective, zeta)
    law = law_of(rule)
    clock = law.clock(times)
    path = manifold_flow(objective, zeta, time=float(clock[-1]), drift=law.drift, rank=rank)
    return times, path.at(clock).points
