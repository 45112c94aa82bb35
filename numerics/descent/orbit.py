"""One orbit of the slow oscillation at the edge, read off gradient descent in the theory's own variables.

    x = the signed displacement from Gamma along v_1,  X = x/delta,  U = (effective_lr*lambda_1 - edge)/delta,  delta =
        sqrt(rate)

x alternates in sign from step to step and is sampled at even steps. lambda_1 and K^2 are those of the retraction of
theta, by automatic differentiation: no formula of `theory` enters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sharpflow.numerics.descent.descent import prepare
from sharpflow.numerics.descent.edge_run import RECORDS, begin_at_edge, edge_start, parameters_at
from sharpflow.numerics.descent.law import Law, law_of
from sharpflow.numerics.descent.oscillation import window_mean
from sharpflow.numerics.minima.retraction import analyse
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.spectrum.dense import normal_rank
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["EdgeOrbit", "at_zero_rate", "edge_orbit", "orbit_period", "period_ratios"]


@dataclass(frozen=True, eq=False)
class EdgeOrbit:
    """N = 401 records of gradient descent from the edge, ``every`` (even) iterations apart.

    Attributes:
        rate: eps.
        steps: (N,) iterations.
        x, u: (N,) X and U.
        log_gradient_squared: (N,) K^2 at the retraction.
        sharpness, excess: (N,) lambda_1 there, and L(theta) - L(retraction).
        norm_squared: (N,) |w|^2, of the rule run on weights; nan for a rule on the sphere.
        learning_rate: eta of the rule run on weights (nan where it has none).
        displacement: (N, D) retraction minus where it began.
        finite: whether the run stayed finite.
        law: what the rule should do, against which the records are held.
    """

    rate: float
    steps: np.ndarray
    x: np.ndarray
    u: np.ndarray
    log_gradient_squared: np.ndarray
    sharpness: np.ndarray
    excess: np.ndarray
    norm_squared: np.ndarray
    learning_rate: float
    displacement: np.ndarray
    finite: bool
    law: Law

    @property
    def delta(self) -> float:
        """sqrt(rate)."""
        return math.sqrt(self.rate)

    @property
    def period(self) -> float | None:
        """Iterations between the first two upward crossings of U through 0; ``None`` without."""
        at = np.flatnonzero((self.u[:-1] < 0) & (self.u[1:] >= 0))
        if len(at) < 2:
            return None
        first, second = (
            self.steps[k] - self.u[k] * (self.steps[k + 1] - self.steps[k]) / (self.u[k + 1] - self.u[k])
            for k in at[:2]
        )
        return float(second - first)

    def mean(self, values: np.ndarray) -> float:
        """Mean of a series (N,) over the period between these crossings; nan without."""
        at = np.flatnonzero((self.u[:-1] < 0) & (self.u[1:] >= 0))
        if len(at) < 2:
            return math.nan
        first, second = (
            self.steps[k] - self.u[k] * (self.steps[k + 1] - self.steps[k]) / (self.u[k + 1] - self.u[k])
            for k in at[:2]
        )
        return window_mean(self.steps.astype(float), values, float(first), float(second))

    def response(self) -> tuple[float, float]:
        """(a, b) of dU/dT = a - b X^2, by least squares on central differences of the records."""
        fast = self.steps * self.delta
        slope = (self.u[2:] - self.u[:-2]) / (fast[2:] - fast[:-2])
        square = self.x[1:-1] ** 2
        design = np.column_stack([np.ones_like(square), -square])
        (a, b), *_ = np.linalg.lstsq(design, slope, rcond=None)
        return float(a), float(b)

    def growth(self) -> float:
        """The factor c in d log|X|/dT = c U, by least squares on central differences of the records."""
        fast = self.steps * self.delta
        y = np.log(np.abs(self.x))
        slope = (y[2:] - y[:-2]) / (fast[2:] - fast[:-2])
        inner = self.u[1:-1]
        return float(slope @ inner / (inner @ inner))


def edge_orbit(
    subject: Loss | Objective, rule: Rule, /, *, rate: float, amplitude: float, periods: float = 2.5,
    zeta: Sequence[float] | None = None,
) -> EdgeOrbit:  # fmt: skip
    """Gradient descent from the edge at a point of Gamma, over so many small periods; remembered.

    The form on weights is run where the rule has one, so that |w| is measured and not computed.

    Args:
        subject: a loss with minima, or an objective.
        rule: an update rule.
        rate: eps.
        amplitude: of the oscillation at the start, in units of its equilibrium.
        periods: length of the run, in periods of a small oscillation.
        zeta: a unit vector (D,) on Gamma; default: the start of the subject, which must lie there.
    """
    chosen = None if zeta is None else tuple(map(float, zeta))
    return _orbit(as_objective(subject), Identity(rule), rate, amplitude, periods, chosen)


@lru_cache(maxsize=64)
def _orbit(
    objective: Objective, key: Identity[Rule], rate: float, amplitude: float, periods: float,
    zeta: tuple[float, ...] | None,
) -> EdgeOrbit:  # fmt: skip
    rule, law = key.value, law_of(key.value)
    point = objective.start if zeta is None else np.array(zeta)
    rank = normal_rank(objective, point)
    begun = edge_start(objective, rule, law, zeta=point, rank=rank, rate=rate, amplitude=amplitude)
    every = 2 * max(1, math.ceil(law.period(rate) * periods / RECORDS / 2))
    numbers = parameters_at(objective, rule, rate, begun.zeta)
    descent = prepare(objective, rule, records=RECORDS, form="weights")
    run = descent.run(*begin_at_edge(descent, law, begun, numbers, rate=rate), numbers, every)
    if not run.result.ok:
        nothing = np.full(len(run.steps), np.nan)
        return EdgeOrbit(
            rate, run.steps, nothing, nothing, nothing, nothing, nothing, nothing, math.nan,
            np.full_like(run.points, np.nan), finite=False, law=law,
        )  # fmt: skip
    normal = analyse(objective, run.points[:RECORDS], rank=rank)
    back = normal.retraction.point
    offset = np.einsum("nd,nd->n", run.points[:RECORDS] - back, normal.top)
    delta = math.sqrt(rate)
    at_rest = np.array([float(objective.value(z)) for z in (back[0], back[-1])])
    return EdgeOrbit(
        rate=rate,
        steps=run.steps[:RECORDS],
        x=offset / delta,
        u=(run.effective_lr[:RECORDS] * normal.sharpness - law.edge) / delta,
        log_gradient_squared=np.einsum("nd,nd->n", normal.log_gradient, normal.log_gradient),
        sharpness=np.asarray(normal.sharpness),
        # The loss is constant along Gamma (checked elsewhere): its value at one retraction serves all.
        excess=run.loss[:RECORDS] - at_rest.min(),
        norm_squared=run.norm_squared[:RECORDS],
        learning_rate=float(numbers.get("learning_rate", math.nan)),
        displacement=back - begun.zeta,
        finite=True,
        law=law,
    )


def orbit_period(growth: float, brake: float, x: float, u: float, rate: float, /, alpha: float = 1.0) -> float:
    """Iterations of the orbit of X' = alpha X U, U' = growth - brake X^2 through (x, u), by quadrature of its energy.

    With alpha U for U, and alpha growth and alpha brake, alpha is 1. With E = U^2/2 + V(y), y = log X^2: the integral
    of dy/sqrt(2 rate (E - V)) between the turning points.
    """
    from scipy.integrate import quad
    from scipy.optimize import brentq

    u, growth, brake = alpha * u, alpha * growth, alpha * brake

    def potential(y: float) -> float:
        return brake * math.exp(y) / 2 - growth * y / 2

    energy = u**2 / 2 + potential(2 * math.log(abs(x)))
    rest = math.log(growth / brake)
    if energy - potential(rest) < 1e-12 * abs(energy):
        return 2 * math.pi / math.sqrt(2 * growth * rate)
    reach = 1.0
    while potential(rest - reach) < energy or potential(rest + reach) < energy:
        reach *= 2
    low = brentq(lambda y: potential(y) - energy, rest - reach, rest, xtol=1e-13)
    high = brentq(lambda y: potential(y) - energy, rest, rest + reach, xtol=1e-13)
    middle, half = (low + high) / 2, (high - low) / 2

    # y = middle + half sin(phi) takes the inverse square roots out of both ends.
    def integrand(phi: float) -> float:
        y = middle + half * math.sin(phi)
        return half * math.cos(phi) / math.sqrt(max(2 * rate * (energy - potential(y)), 1e-300))

    value, _ = quad(integrand, -math.pi / 2, math.pi / 2, epsabs=0, epsrel=1e-6, limit=200)
    return float(value)


def at_zero_rate(coarse: float, fine: float, /) -> tuple[float, float]:
    """A number measured at ten times a rate and at the rate, extrapolated to rate 0, and the correction made.

    The next term of the expansion is of relative order delta = sqrt(rate): q(delta) = q_0 + c delta, and delta falls by
    sqrt(10) between the two.
    """
    correction = (coarse - fine) / (math.sqrt(10) - 1)
    return fine - correction, abs(correction)


def period_ratios(loss: Loss, rule: Rule, /, *, coarse: float, fine: float) -> tuple[float, float, float]:
    """Measured over predicted period of a small and a large orbit, extrapolated to rate 0; the larger correction.

    The small one (amplitude 1.1) is predicted by `sharpflow.numerics.descent.law.Law.period`, the large one (amplitude
    3) by quadrature of the energy, with K from automatic differentiation.
    """
    law = law_of(rule)
    ratios: dict[str, list[float]] = {"small": [], "large": []}
    for rate in (coarse, fine):
        small, large = (edge_orbit(loss, rule, rate=rate, amplitude=a, periods=p) for a, p in ((1.1, 2.5), (3.0, 4.0)))
        growth, brake = law.response(float(large.log_gradient_squared[0]))
        predicted = orbit_period(growth, brake, float(large.x[0]), float(large.u[0]), rate, law.alpha)
        ratios["small"].append((small.period or math.nan) / law.period(rate))
        ratios["large"].append((large.period or math.nan) / predicted)
    (one, first), (two, second) = at_zero_rate(*ratios["small"]), at_zero_rate(*ratios["large"])
    return one, two, max(first, second)
