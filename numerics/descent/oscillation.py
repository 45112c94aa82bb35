"""The slow oscillation at the edge, read off a densely recorded tail: its period, and averages over whole periods.

effective_lr*lambda_1 oscillates about 2; a period runs from one upward crossing of its mean to the next. A
recorded stretch averages to the theory's numbers only over whole periods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Oscillation", "oscillation", "window_mean"]

# Even an orbit that starts at equilibrium breathes: equilibrium moves with the drift, and terms of relative order
# intrinsic_lr displace it. The edge then oscillates by 0.4 to 1.7 intrinsic_lr^2 on the built-in losses; this
# multiple counts as rest.
REST = 2.0


@dataclass(frozen=True)
class Oscillation:
    """The last whole period.

    Attributes:
        period: in iterations; ``None`` at rest, or where the record is shorter than a period.
        first, last: iterations between which averages are taken (the last nominal period where there is no other).
    """

    period: float | None
    first: float
    last: float


def _upward(steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Iterations at which ``values`` crosses zero upwards, by linear interpolation."""
    at = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    crossings: np.ndarray = steps[at] - values[at] * (steps[at + 1] - steps[at]) / (values[at + 1] - values[at])
    return crossings


def window_mean(steps: np.ndarray, values: np.ndarray, first: float, last: float) -> float:
    """Mean of ``values`` (N,) at iterations ``steps`` over [first, last]: trapezoids, cut at the ends."""
    if last <= first:
        return float(values[-1])
    total = np.concatenate([[0.0], np.cumsum(np.diff(steps) * (values[1:] + values[:-1]) / 2)])
    high, low = np.interp([last, first], steps, total)
    return float((high - low) / (last - first))


def oscillation(steps: np.ndarray, edge: np.ndarray | None, /, *, nominal: float, intrinsic_lr: float) -> Oscillation:
    """Find the last period in a tail.

    Args:
        steps: (N,) iteration numbers.
        edge: (N,) effective_lr*lambda_1; ``None`` for a rule without effective_lr, which has no slow oscillation.
        nominal: pi/intrinsic_lr, the period of small oscillations, in iterations.
        intrinsic_lr: scale of the oscillation.
    """
    last = float(steps[-1])
    rest = Oscillation(None, max(float(steps[0]), last - nominal), last)
    if edge is None or len(edge) < 4 or not np.all(np.isfinite(edge)):
        return rest
    level, found = float(np.mean(edge)), rest
    # The mean over part of a period is biased; the second round takes it over the period that the first one found.
    for _ in range(2):
        crossings = _upward(steps, edge - level)
        # Crossings nearer than half a nominal period are jitter of the fast oscillation (no orbit is quicker than
        # nominal).
        while len(crossings) > 1 and np.any(close := np.diff(crossings) < 0.5 * nominal):
            crossings = np.delete(crossings, int(np.argmax(close)) + 1)
        if len(crossings) < 2:
            return rest
        found = Oscillation(float(crossings[-1] - crossings[-2]), float(crossings[-2]), float(crossings[-1]))
        level = window_mean(steps, edge, found.first, found.last)
    inside = edge[(steps >= found.first) & (steps <= found.last)]
    half_range = float(inside.max() - inside.min()) / 2
    return rest if half_range < REST * intrinsic_lr**2 else found
