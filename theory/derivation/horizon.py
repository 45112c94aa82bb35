"""How long tracking can be expected on one loss: the flow time at which int c(zeta(tau)) d tau = log(E_max/E_0).

c changes along the flow, and it is the flow that brings some losses from where oscillations die out to where they grow:
c at the start alone says little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

from sharpflow.theory.edge.edge_law import energy_ratio

__all__ = ["Tracking", "tracking_in_chart"]

# Some four times as long as a comparison takes by default; beyond, c stays what it is there.
LOOK = 4.0
# dp/d tau is of order one: Runge and Kutta's fourth-order error, h^4 = 1e-8, is out of sight in two digits of a time.
STEP = 1e-2


@dataclass(frozen=True)
class Tracking:
    """The verdict for one loss, at the default start and constants.

    Attributes:
        coefficient: c at the start.
        horizon: flow time tau; inf where the oscillation never grows so far.
        growth: the integral of c over the flow that was looked at.
    """

    coefficient: float
    horizon: float
    growth: float

    def tracks(self, time: float) -> bool:
        """True where the horizon exceeds the time asked for."""
        return self.horizon > time

    def sentence(self, time: float) -> str:
        """The verdict in words."""
        if math.isinf(self.horizon):
            end = "never ends: the oscillation does not grow to ten times its equilibrium"
        else:
            end = f"is {self.horizon:.3g}, when an oscillation of 1.2 times its equilibrium has grown to ten times"
        verdict = f"longer than the time asked for, {time:g}: it tracks" if self.tracks(time) else (
            f"shorter than the time asked for, {time:g}: it does not track")  # fmt: skip
        return f"Tracking: c = {self.coefficient:.3g} at the start; the horizon along the flow {end}; {verdict}."


def tracking_in_chart(
    chart: Sequence[sp.Symbol], start: Sequence[float], field: sp.Matrix, coefficient: sp.Expr, /, *, look: float = LOOK
) -> Tracking | None:
    """Follow the flow from ``start`` and integrate c; ``None`` where c is no number at the start.

    Args:
        chart, start: coordinates, and where the flow begins.
        field: dp/d tau, n x 1, in the chart and in numbers otherwise.
        coefficient: c, likewise.
        look: flow time to follow the flow for; less where it leaves the reals.
    """
    rates = sp.lambdify(list(chart), [*field, coefficient], "math")
    wanted, place, total, time = energy_ratio(), [float(p) for p in start], 0.0, 0.0
    try:
        first = last = float(rates(*place)[-1])
    except (ArithmeticError, ValueError, TypeError):
        return None
    if not math.isfinite(first):
        return None
    reached = math.inf
    while time < look - STEP / 2:
        try:
            moved, gained = _advance(rates, place)
            c = float(rates(*moved)[-1])
        except (ArithmeticError, ValueError, TypeError):
            break
        if not all(map(math.isfinite, (*moved, gained, c))):
            break
        if total + gained >= wanted > total and not math.isfinite(reached):
            reached = time + STEP * (wanted - total) / gained
        place, total, time, last = moved, total + gained, time + STEP, c
    if not math.isfinite(reached) and last > 0:
        reached = time + (wanted - total) / last
    return Tracking(first, reached, total)


def _advance(rates: Callable[..., Sequence[float]], place: list[float]) -> tuple[list[float], float]:
    """The place and the integral of c after a step of Runge and Kutta's classical method."""
    slopes: list[Sequence[float]] = []
    for share in (0.0, 0.5, 0.5, 1.0):
        before = slopes[-1] if slopes else (0.0,) * len(place)
        slopes.append(rates(*(p + share * STEP * s for p, s in zip(place, before, strict=False))))
    means = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(*slopes, strict=True)]
    return [p + STEP * s for p, s in zip(place, means, strict=False)], STEP * means[-1]
