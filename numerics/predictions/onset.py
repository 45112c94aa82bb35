"""When an oscillation sets in: x <- (1 - effective_lr*lambda_1) x along v_1, until x has the size of the oscillation.

While x is small nothing moves along Gamma, and effective_lr*lambda_1 grows as exp(2 rate t), past the edge: by the time
that x is back it is beyond 2 by the more, the smaller x was. The delay is no error of the flow, and is told apart from
it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sharpflow.numerics.numbers import check_not_negative, check_positive, check_rate
from sharpflow.numerics.predictions.delay import VANISHED
from sharpflow.theory.errors import InputError

__all__ = ["Onset", "onset"]

# Flow time after the edge in which an onset is looked for: effective_lr*lambda_1 is then a hundred times the edge.
LATEST = 2.3
# Iterations that are looked at; of more, every so many.
SAMPLES = 2_000_000


@dataclass(frozen=True)
class Onset:
    """When |x| reaches the size of the oscillation.

    Attributes:
        time: flow time, nan where it does not come: also where x is zero in float64 by then.
        edge: effective_lr*lambda_1 then, the overshoot; above 4 or so gradient descent diverges, or ends far off.
        lowest: the least log|x| on the way.
    """

    time: float
    edge: float
    lowest: float


def onset(*, edge: float, rate: float, displacement: float, size: float, floor: float = 0.0) -> Onset:
    """When |x|, ``displacement`` at time 0, where effective_lr*lambda_1 = ``edge`` (at most 2), has grown to ``size``.

    ``floor`` is the least |x| that noise, or the coupling to other directions, keeps up.

    Raises:
        InputError: a number is out of range.
    """
    check_rate(rate)
    check_positive("displacement", displacement)
    check_positive("size", size)
    check_not_negative("floor", floor)
    if check_positive("edge", edge) > 2 * (1 + 1e-6):
        raise InputError(f"edge = {edge} must be at most 2: beyond it the oscillation has set in.")
    waiting = max(math.log(2 / edge) / 2, 0.0)
    if edge >= 2 * (1 - 1e-6) and displacement >= size:
        return Onset(0.0, edge, math.log(displacement))
    steps = math.ceil((waiting + LATEST) / rate)
    every = -(-steps // SAMPLES)
    times = rate * every * np.arange(-(-steps // every))
    growth = every * np.cumsum(np.log(np.maximum(np.abs(1 - edge * np.exp(2 * times)), 1e-300)))
    least = math.log(max(floor, 1e-323))
    # log|x| after each step, log|x| + growth or the floor, whichever is more: the floor met last counts.
    met = np.maximum.accumulate(least - growth)
    x = growth + np.maximum(math.log(displacement), met)
    back = (times > waiting) & (x >= math.log(size))
    if not back.any():
        return Onset(math.nan, math.nan, float(min(math.log(displacement), x.min())))
    first = int(np.argmax(back))
    lowest = float(x[: first + 1].min())
    if floor == 0 and lowest < VANISHED:
        return Onset(math.nan, math.nan, lowest)  # zero in float64, and never back
    return Onset(float(times[first]), edge * math.exp(2 * times[first]), min(math.log(displacement), lowest))
