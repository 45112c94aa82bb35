"""The power of sqrt(rate) at which the energy of the oscillation changes along an orbit of iterates.

E = U^2/2 + ((b/2) X^2 - a log|X|)/alpha with the rule's law X' = alpha X U, U' = a - b X^2, b at the orbit's own K^2;
K drifts, so b is taken at every record.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.equilibrium import law_of
from numerics.orbit import edge_orbit
from numerics.order import Fit, fit_power
from theory.loss import Loss
from theory.rule import Rule

__all__ = ["energy_change", "energy_order"]

RATES = (1e-4, 1e-5, 1e-6, 1e-7)


def energy_change(loss: Loss, rule: Rule, rate: float, /) -> float:
    """max |E - E_0| over 2.5 periods of amplitude 2, compared through y = log(X^2/<X^2>), as K drifts too."""
    orbit, law = edge_orbit(loss, rule, rate=rate, amplitude=2.0), law_of(rule)
    a, alpha = law.drive, law.alpha
    y = np.log(orbit.x**2 / law.mean_square(orbit.log_gradient_squared))
    energy = orbit.u**2 / 2 + a / (2 * alpha) * (np.exp(y) - y)
    return float(np.max(np.abs(energy - energy[0])))


def energy_order(loss: Loss, rule: Rule, /) -> Fit:
    """The fitted power of sqrt(rate), over three decades of the rate."""
    return fit_power([math.sqrt(rate) for rate in RATES], [energy_change(loss, rule, rate) for rate in RATES])
