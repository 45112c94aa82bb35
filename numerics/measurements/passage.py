"""A rule whose effective_lr nothing drives passes its edge once: it leaves it as far below as it came from above.

    X' = alpha X U,    U' = - b X^2,    U^2/2 + b X^2/(2 alpha) = const,    K s edge = delta (U - U_0)

From U_0 above the edge and a small X_0, X rises and dies out again, U ends at -sqrt(U_0^2 + b X_0^2/alpha), and theta
has moved by s along Gamma. Read off iterates by automatic differentiation: no formula of the exact wing enters.
"""

from __future__ import annotations

import math

import numpy as np

from sharpflow.numerics.descent.descent import prepare
from sharpflow.numerics.descent.edge_run import RECORDS, parameters_at
from sharpflow.numerics.minima.retraction import analyse
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.spectrum.dense import normal_rank
from sharpflow.theory.edge.edge_law import edge_law
from sharpflow.theory.edge.jets import K
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["passage"]

ABOVE, SEED = 1.0, 0.02
# X falls by e in T = 1/(alpha U_0): so many times more than it takes to rise and to fall to the seed again.
LONGER = 1.4


def passage(
    subject: Loss | Objective, rule: Rule, /, *, rate: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """(measured, predicted) of U where the oscillation has died out, and of the length travelled along Gamma.

    Raises:
        InputError: the rule is not of this kind.
    """
    law = edge_law(rule)
    if not law.rests or law.edge is None or law.energy is None or rule.state != ("effective_lr",):
        raise InputError(f"rule {rule.name!r}: something drives its effective_lr, or it has another state.")
    objective, delta = as_objective(subject), math.sqrt(rate)
    zeta = objective.start
    rank = normal_rank(objective, zeta)
    normal = analyse(objective, zeta[None], rank=rank)
    sharpness, k = float(normal.sharpness[0]), float(np.linalg.norm(normal.log_gradient[0]))
    edge, alpha, brake = (
        float(e.subs(law.defaults).subs(K, k)) for e in (law.edge, law.energy.alpha, law.energy.brake)
    )
    point = zeta + delta * SEED * normal.top[0]
    top = ABOVE * math.sqrt(alpha / brake)
    fast = LONGER * 2 * math.acosh(max(top / SEED, 2.0)) / (alpha * ABOVE)
    every = 2 * max(1, math.ceil(fast / delta / RECORDS / 2))
    numbers = parameters_at(objective, rule, rate, zeta)
    descent = prepare(objective, rule, records=RECORDS, form="sphere")
    begun = descent.begin(point / np.linalg.norm(point), (edge + delta * ABOVE) / sharpness, numbers)
    run = descent.run(*begun, numbers, every)
    last = analyse(objective, run.points[[RECORDS - 1]], rank=rank)
    end = (float(run.effective_lr[RECORDS - 1]) * float(last.sharpness[0]) - edge) / delta
    below = -math.sqrt(ABOVE**2 + brake * SEED**2 / alpha)
    moved = float(np.linalg.norm(last.retraction.point[0] - zeta))
    return (end, below), (moved, delta * (ABOVE - below) / (edge * k))
