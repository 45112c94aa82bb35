"""Points of Gamma of any loss: of its chart where it has one, else where gradient flow comes to rest."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from sharpflow.numerics.minima.chart import POINTS, chart_points, embed
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import normal_rank
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["MinimaSample", "minima_sample", "on_minima"]

# Gradient flow is started from so many directions around the start, this far from it.
STARTS = 8
SPREAD = 0.5
# Two minima are at one level where L differs by less than this part of its fall from the starts.
SAME_LEVEL = 1e-7
# Two points of Gamma this near are in one piece; a middle that is farther from an end than this part of their distance
# is none.
NEAR, BETWEEN = 0.03, 0.95


@dataclass(frozen=True, eq=False)
class MinimaSample:
    """N points of Gamma.

    Attributes:
        points: (N, D) unit vectors.
        chart: (N, m) chart coordinates; ``None`` without a chart.
        rank: number of directions normal to Gamma, at the first.
        failed: what gradient flow said where it came to rest elsewhere.
        ended: (N', D), where that was, if no point of Gamma was found and L is a number there.
        broken: (N''', D), where gradient flow, begun where both are finite, came upon an L or grad L that is no number.
        elsewhere: (N'', D), minima that are no part of this Gamma: at another value of L, or in another piece with
            another rank.
        fall: the largest fall of L on the way, without a chart.
    """

    points: np.ndarray
    chart: np.ndarray | None
    rank: int
    failed: tuple[str, ...] = ()
    ended: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    elsewhere: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    broken: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    fall: float = 0.0


def minima_sample(subject: Loss | Objective, /, *, count: int = POINTS, seed: int = 0) -> MinimaSample:
    """Points of Gamma; none where there is no chart and gradient flow finds no minima (``failed`` says why)."""
    if isinstance(subject, Loss) and subject.minima is not None:
        chart = chart_points(subject, count, seed=seed)
        return MinimaSample(embed(subject, chart), chart, subject.dimension - 1 - len(subject.minima.chart))
    objective = as_objective(subject)
    random = generator(seed)
    begin = objective.start / np.linalg.norm(objective.start)
    noise = random.standard_normal((STARTS - 1, objective.dimension)) * SPREAD / np.sqrt(objective.dimension)
    found = [relax(objective, start) for start in (begin, *(begin + noise))]
    rested = [r for r in found if r.result.ok]
    points = [r.point for r in rested]
    failed = tuple(r.message for r in found if not r.result.ok)
    broken = np.array([r.point for r in found if r.result is RESULTS.DIVERGED and r.moved > 0])
    if not points:
        nowhere = np.zeros((0, objective.dimension))
        rest = [r.point for r in found if r.result is not RESULTS.DIVERGED]
        ended = np.array([point for point in rest if np.isfinite(point).all()])
        return MinimaSample(nowhere, None, 0, failed, ended if len(ended) else nowhere, broken=broken)
    # Gamma is the one that the start leads to.
    level = float(objective.value(points[0]))
    fall = max(abs(float(objective.value(w)) - level) for w in (begin, *(begin + noise))) + abs(level)
    own = [
        abs(float(objective.value(r.point)) - level) <= SAME_LEVEL * fall
        and (r.rank == rested[0].rank or _connected(objective, points[0], r.point))
        for r in rested
    ]
    elsewhere = np.array([z for z, here in zip(points, own, strict=True) if not here])
    kept = np.array([z for z, here in zip(points, own, strict=True) if here])
    rank = rested[0].rank or normal_rank(objective, points[0])
    return MinimaSample(kept, None, rank, failed, elsewhere=elsewhere, broken=broken, fall=fall)


def _connected(objective: Objective, first: np.ndarray, last: np.ndarray) -> bool:
    """True where points of Gamma (D,) are not seen to lie in different pieces: middles, taken to Gamma, lie between.

    Where Gamma is in two pieces, a middle falls to one end of the gap sooner or later.
    """
    apart = float(np.linalg.norm(last - first))
    if apart < NEAR:
        return True
    middle = first + last
    if np.linalg.norm(middle) < NEAR:
        # Opposite points have no middle: any way round is one.
        middle = middle + np.roll(first, 1) - first * (np.roll(first, 1) @ first)
    found = relax(objective, middle / np.linalg.norm(middle))
    if not found.result.ok:
        return True
    if max(np.linalg.norm(found.point - first), np.linalg.norm(last - found.point)) > BETWEEN * apart:
        return False
    return _connected(objective, first, found.point) and _connected(objective, found.point, last)


@lru_cache(maxsize=64)
def on_minima(objective: Objective, /) -> Objective:
    """The same objective with its start taken to Gamma; one object each time, as programs are kept by it.

    Raises:
        InputError: gradient flow finds no minima from there.
    """
    found = relax(objective)
    if not found.result.ok:
        raise InputError(f"objective {objective.name!r}: {found.message}; no minima were found from its start.")
    return replace(objective, start=found.point) if found.moved > 0 else objective
