"""Where a derivative of L jumps: D^k L[u, ..., u], k = 1..4, along curves, on ever shorter intervals.

Between the ends of an interval of length h a derivative that exists changes by O(h). An interval of largest change is
cut in fifteen, the part of largest change kept with the two beside it, and so on: the change across a kink stays as it
is, that of a derivative that diverges grows, and any other shrinks to nothing. Curves are short lines across
Gamma, and curves along it, which a kink transverse to Gamma has to cross.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np
import sympy as sp

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.minima.retraction import retract_traced
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.spectrum.line_derivatives import ORDERS, line_derivatives
from sharpflow.theory.chart.smoothness import switches
from sharpflow.theory.loss import Loss

__all__ = ["KINK", "Jump", "chart_jump", "derivative_jump", "jump_across", "jump_along", "jump_beside", "no_jump"]

# A jump in units of the derivative: a kink's is of order one, and what has a limit changes by 1e-5 (the shortest
# interval is a fifty-thousandth of the first, on which it changes by twice its size at the most).
KINK = 1e-3
# 15 parts, of which 3 are kept, 6 times: 5^5 * 15 = 46 875 times shorter.
PARTS = 15
LEVELS = 6
# Points taken to Gamma together; one program for each loss.
BLOCK = 256
# Intervals followed along a curve: the two of sharpest bend for each derivative.
FOLLOWED = 2
GRID = 201
# A curve without a bound in its chart is followed so far from the start on both sides.
REACH = 6.0
# A derivative that is this much smaller at Gamma than at a distance of 0.1 is rounding.
FLOOR = 1e-6
# Points of a curve in Gamma are off it by rounding. What vanishes there is left with some twenty machine epsilons of
# its size at a distance of 0.1 (the next derivative times the distance); to be no jump it must be below KINK of its
# size: 20 eps/KINK is 4e-12, and the rest is room for points known less well. Real jumps are seen from 1e-12 on.
VANISHING = 1e-9
# Two points of a curve of Gamma this far apart at the ends of the last interval lie on two pieces of it.
TORN = 1e-3

Place = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Jump:
    """The largest change of a derivative that stays on the shortest intervals.

    Attributes:
        value: in units of the largest derivative from the second to that order; inf where one is not finite.
        point, direction: (D,), where it was found.
        order: of the derivative.
        parameter: of the curve, where it was found.
        sides: the derivative on either side.
    """

    value: float
    point: np.ndarray
    direction: np.ndarray
    order: int
    parameter: float = math.nan
    sides: tuple[float, float] = (math.nan, math.nan)


def no_jump(dimension: int, /) -> Jump:
    """Nothing found."""
    return Jump(0.0, np.zeros(dimension), np.zeros(dimension), 0)


def derivative_jump(loss: Loss, /, *, step: float = 1e-5, seed: int = 0) -> float:
    """The larger jump across random points of the chart of a loss and along its chart."""
    from sharpflow.numerics.minima.chart import chart_points, embed

    across = jump_across(objective_of(loss), embed(loss, chart_points(loss, seed=seed)), step=step, seed=seed)
    return max(across.value, chart_jump(loss, seed=seed)[0].value)


def jump_across(objective: Objective, points: np.ndarray, /, *, step: float = 1e-5, seed: int = 0) -> Jump:
    """The largest jump within ``step`` of points (N, D) on both sides, along random unit vectors."""
    random = generator(seed)
    along = random.standard_normal(points.shape)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    far = np.abs(line_derivatives(objective, points + 0.1 * along, along))
    floor = FLOOR * np.nanmax(np.where(np.isfinite(far), far, 0.0), axis=0)
    # Not symmetric: nor is then the change of an even function that diverges in the middle.
    grid = step * np.array([-1.0, -0.43, 0.56, 1.0])
    return _largest(objective, lambda k, s: points[k] + s[:, None] * along[k], along, grid, floor)


def jump_beside(objective: Objective, point: np.ndarray, /, *, reach: float = 1e-2, seed: int = 0) -> Jump:
    """The largest jump along eight random lines through ``point`` (D,), to a distance of ``reach``."""
    random = generator(seed)
    along = random.standard_normal((8, len(point)))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    grid = reach * np.linspace(-1, 1, 26)
    return _largest(objective, lambda k, s: point + s[:, None] * along[k], along, grid, np.zeros(ORDERS))


def chart_jump(loss: Loss, /, *, seed: int = 0) -> tuple[Jump, dict[str, float]]:
    """The largest jump along lines of the chart through its domain, and the chart coordinates of it.

    With one coordinate the line is the domain; with more, a line along each coordinate and two others. Along each, the
    places where the argument of a modulus, a sign, a maximum or a root changes its sign are followed as well.
    """
    minima = loss.minima
    assert minima is not None
    assert minima.start is not None
    assert minima.domain is not None
    point = sp.lambdify(minima.chart, minima.point, modules=["scipy", "numpy"])
    start = np.array(minima.start, dtype=float)
    low = np.array([max(float(a), s - REACH) for (a, _), s in zip(minima.domain, start, strict=True)])
    high = np.array([min(float(b), s + REACH) for (_, b), s in zip(minima.domain, start, strict=True)])
    m, random = len(start), generator(seed, stream=13)
    ends = [(np.where(np.arange(m) == i, low, start), np.where(np.arange(m) == i, high, start)) for i in range(m)]
    if m > 1:
        corners = random.integers(0, 2, (2, m)).astype(bool)
        ends += [(np.where(c, low, high), np.where(c, high, low)) for c in corners]
    along = random.standard_normal((len(ends), loss.dimension))
    along /= np.linalg.norm(along, axis=1, keepdims=True)

    def chart(k: np.ndarray, s: np.ndarray) -> np.ndarray:
        a, b = (np.array([pair[side] for pair in ends])[k] for side in (0, 1))
        return np.asarray(a + s[:, None] * (b - a))

    def place(k: np.ndarray, s: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            rows = [np.broadcast_to(np.asarray(v, dtype=float), s.shape) for v in point(*chart(k, s).T)]
            vectors = np.stack(rows, axis=1)
            return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    # The ends are open, and a chart may be singular there; symmetric places are no ends of parts.
    grid = np.linspace(0.0103, 0.9899, GRID)
    found = _largest(objective_of(loss), place, along, grid, None, _signs(loss))
    index = int(np.flatnonzero((along == found.direction).all(axis=1))[0]) if found.order else 0
    at = chart(np.array([index]), np.array([found.parameter]))[0] if found.order else start
    return found, {s.name: float(v) for s, v in zip(minima.chart, at, strict=True)}


def jump_along(objective: Objective, points: np.ndarray, /, *, rank: int | None, seed: int = 0) -> Jump:
    """The largest jump along arcs from the first of ``points`` (N, D) through others and as far again.

    With ``rank``, the number of directions normal to Gamma, arcs are taken to Gamma; with ``None`` they stay arcs.
    """
    apart = np.linalg.norm(points - points[0], axis=1)
    others = points[apart > 1e-3][:3]
    if not len(others):
        return no_jump(objective.dimension)
    random = generator(seed, stream=17)
    along = random.standard_normal(others.shape)
    along /= np.linalg.norm(along, axis=1, keepdims=True)

    def place(k: np.ndarray, s: np.ndarray) -> np.ndarray:
        arcs = points[0] + s[:, None] * (others[k] - points[0])
        arcs /= np.linalg.norm(arcs, axis=1, keepdims=True)
        return arcs if rank is None else _to_gamma(objective, arcs, rank)

    low, high = (-0.9897, 1.9901) if rank is not None else (0.0, 1.0)
    return _largest(objective, place, along, np.linspace(low, high, GRID), None)


def _largest(
    objective: Objective, place: Place, along: np.ndarray, grid: np.ndarray, floor: np.ndarray | None,
    signs: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Jump:  # fmt: skip
    """The largest jump along curves (C of them, each with a direction (C, D)) over a grid of parameters (M,).

    ``floor`` (4,) is the least size of the derivatives; default `VANISHING` of what they are beside the curves.
    """
    count, m = len(along), len(grid)
    index, s = np.repeat(np.arange(count), m), np.tile(grid, count)
    points = place(index, s)
    table = line_derivatives(objective, points, along[index]).reshape(count, m, ORDERS)
    floor = _beside(objective, points, along[index]) if floor is None else floor
    short = m < GRID
    if short and not np.isfinite(table).all():
        c, j, order = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        return Jump(math.inf, points[c * m + j], along[c], order + 1, float(grid[j]))
    # The first derivative vanishes on Gamma and is no measure of size.
    sizes = np.abs(np.where(np.isfinite(table), table, 0.0)).max(axis=(0, 1))
    sizes[0] = sizes[1]
    size = np.maximum.accumulate(np.maximum(sizes, np.maximum(floor, 1e-300)))
    chosen = _bends(table)
    if signs is not None:
        values = signs(points).reshape(-1, count, m)
        crossed = np.argwhere(np.signbit(values[:, :, 1:]) != np.signbit(values[:, :, :-1]))[:12, 1:]
        chosen += [(int(c), int(j), order) for c, j in crossed for order in range(1, ORDERS)]
    if not chosen:
        return no_jump(points.shape[1])
    curve, left, order = np.array(sorted(set(chosen))).T
    low, high = grid[left], grid[left + 1]
    rows = np.arange(len(curve))
    for _ in range(LEVELS):
        parts = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, PARTS + 1)
        k, s = np.repeat(curve, PARTS + 1), parts.ravel()
        at = place(k, s).reshape(len(curve), PARTS + 1, -1)
        found = line_derivatives(objective, at.reshape(len(k), -1), along[k]).reshape(len(curve), PARTS + 1, ORDERS)
        with np.errstate(invalid="ignore"):
            change = np.abs(np.diff(found[rows, :, order], axis=1))
        best = np.where(np.isfinite(change), change, -1.0).argmax(axis=1)
        width = parts[:, 1] - parts[:, 0]
        low, high = parts[rows, best] - width, parts[rows, best + 1] + width
    left_side, right_side = found[rows, best, order], found[rows, best + 1, order]
    torn = np.linalg.norm(at[rows, best + 1] - at[rows, best], axis=1) > TORN
    value = np.where(torn | ~np.isfinite(change[rows, best]), 0.0, change[rows, best] / size[order])
    # The lowest derivative that jumps is the kink; the higher ones jump with it.
    lowest = int(order[value > KINK].min()) if (value > KINK).any() else None
    w = int((value if lowest is None else np.where(order == lowest, value, -1.0)).argmax())
    return Jump(
        float(value[w]), at[w, best[w]], along[curve[w]], int(order[w]) + 1, float((low[w] + high[w]) / 2),
        (float(left_side[w]), float(right_side[w])),
    )  # fmt: skip


def _beside(objective: Objective, points: np.ndarray, along: np.ndarray) -> np.ndarray:
    """`VANISHING` of the typical size of each derivative (4,) at a distance of 0.1 from points (N, D) along ``along``.

    Typical, as one place next to a pole says nothing of the others.
    """
    far = np.abs(line_derivatives(objective, points + 0.1 * along, along))
    known = far[np.isfinite(far).all(axis=1)]
    return VANISHING * np.median(known, axis=0) if len(known) else np.zeros(ORDERS)


def _bends(table: np.ndarray) -> list[tuple[int, int, int]]:
    """(curve, interval, derivative) where it changes most beyond what the intervals beside it would make of it."""
    chosen = []
    for c in range(len(table)):
        for order in range(ORDERS):
            with np.errstate(invalid="ignore"):
                step = np.diff(table[c, :, order])
                sharp = np.abs(step) if len(step) < 4 else np.abs(np.diff(np.pad(step, 1, mode="edge"), n=2))
            sharp = np.where(np.isfinite(sharp), sharp, -1.0)
            chosen += [(c, int(j), order) for j in np.argsort(-sharp)[: FOLLOWED + (len(step) < 4)] if sharp[j] > 0]
    return chosen


def _signs(loss: Loss) -> Callable[[np.ndarray], np.ndarray] | None:
    found = switches(loss.expression)
    if not found:
        return None
    function = sp.lambdify(loss.variables, found, modules=["scipy", "numpy"])

    def values(points: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.stack([np.broadcast_to(np.asarray(v, dtype=float), len(points)) for v in function(*points.T)])

    return values


def _to_gamma(objective: Objective, points: np.ndarray, rank: int) -> np.ndarray:
    """Points of Gamma next to ``points``; nan where Newton finds none there."""
    padded = np.concatenate([points, np.repeat(points[-1:], -len(points) % BLOCK, axis=0)])
    parts = []
    for k in range(0, len(padded), BLOCK):
        back = _retractions(objective, rank)(padded[k : k + BLOCK])
        good = (np.asarray(back.residual) < 1e-8) & (np.asarray(back.distance) < 0.5)
        parts.append(np.where(good[:, None], np.asarray(back.point), np.nan))
    return np.concatenate(parts)[: len(points)]


@lru_cache(maxsize=64)
def _retractions(objective: Objective, rank: int) -> Compiled:
    # Without chords: whether one is taken changes the place by a jump, which is no kink of the loss.
    return Compiled(jax.vmap(lambda theta: retract_traced(objective, theta, rank, chords=0)[0]))
