"""Where L itself jumps: on chords between random directions, cut until only a jump is left of a difference."""

from __future__ import annotations

from functools import lru_cache

import jax
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.inspection.loss import Finding
from sharpflow.numerics.measurements.probes import random_directions
from sharpflow.numerics.objective import Objective

__all__ = ["JUMP", "value_jump"]

# Of what is smooth a difference falls with the interval, by 1e-11 here; of a pole it grows. A jump stays as it is.
JUMP = 1e-6
CHORDS, PARTS, CUTS = 24, 64, 6
# Between the last cuts but two and the last a jump changes by less than this.
STAYS = 1e-3


@lru_cache(maxsize=64)
def _values(objective: Objective) -> Compiled:
    return Compiled(jax.vmap(jax.vmap(objective.function)))


def value_jump(objective: Objective, /, *, seed: int = 0) -> Finding:
    """The largest jump of L on `CHORDS` chords, over the median size of L on them; 0 where differences go away."""
    ends = random_directions(objective, 2 * CHORDS, seed)
    low, high = ends[:CHORDS], ends[CHORDS:]
    differences = []
    size = 0.0
    for _ in range(CUTS):
        share = np.linspace(0, 1, PARTS + 1)[:, None]
        places = low[:, None] * (1 - share) + high[:, None] * share
        values = np.asarray(_values(objective)(places))
        size = size or float(np.nanmedian(np.abs(values[np.isfinite(values)]))) if np.isfinite(values).any() else 0.0
        steps = np.abs(np.diff(values, axis=1))
        steps = np.where(np.isfinite(steps), steps, -1.0)
        k = steps.argmax(axis=1)
        rows = np.arange(CHORDS)
        low, high = places[rows, k], places[rows, k + 1]
        differences.append(steps[rows, k])
    before, last = differences[-3], differences[-1]
    jump = np.where(np.abs(last - before) <= STAYS * np.abs(before), last, 0.0) / max(size, 1e-300)
    c = int(jump.argmax())
    sides = [float(objective.value(w)) for w in (low[c], high[c])]
    return Finding(max(float(jump[c]), 0.0), {"w": low[c], "L(w)": sides[0], "L beside it": sides[1]}, "a jump of L")
