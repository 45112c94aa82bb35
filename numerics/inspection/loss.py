"""Conditions on a function of a flat vector to be a loss of this theory, measured, each with the worst place.

Nothing here uses a formula that `theory` derived. A `Finding` is the largest residual and where it was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.inspection.number_range import leaves_range
from sharpflow.numerics.measurements.probes import euler_table, random_directions
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective

__all__ = [
    "Finding",
    "euler",
    "readable",
    "removable_gaps",
    "residual_mismatch",
    "scaling",
    "single_precision_error",
    "slope_jump",
]

POINTS = 24
BLOCK = 16
# Not powers of two, by which floating point scales exactly; a thousand shows an epsilon of 1e-5 in a normalization, and
# 1e-14 one of 1e-12 beside |w|.
FACTORS = (1e-14, 1e-3, 1 / 3, 0.7, 3.0, 1e3, 1e10)
# In place of an extreme factor at which high powers of w are 0 or inf, the most extreme one at which they are not.
MILDER = {1e-14: tuple(10.0**-k for k in range(13, 3, -1)), 1e10: tuple(10.0**k for k in range(9, 3, -1))}
# Below this, a difference of two values needs no explanation.
SAME = 1e-12
EULER = ("<grad L, w> = 0", "Hess L(w) w = -grad L(w)", "D^3 L(w)[w] = -2 Hess L(w)", "grad L(c w) = grad L(w)/c")
# Step of one-sided differences: of what is smooth they agree up to SIDE L'', and rounding leaves 1e-10 of L.
SIDE = 1e-6
# Directions of the whole sphere at which derivatives are looked at: a part of it of 1/20 is missed once in 1000 times.
# Each takes a Hessian: fewer of more than so many weights.
ANYWHERE, FEWER, SMALL = 128, 8, 50


@dataclass(frozen=True)
class Finding:
    """A number that should be 0 (or is compared with another), and where it is worst.

    Attributes:
        value: the residual.
        witness: the place, names to numbers or arrays.
        note: what the place shows, in words.
    """

    value: float
    witness: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def readable(point: np.ndarray, fails: Callable[[np.ndarray], bool], /) -> np.ndarray:
    """A point with few digits and many zeros at which the same thing fails; the point itself where there is none."""
    best = point / np.max(np.abs(point))
    if not fails(best):
        return point
    for digits in (0, 1, 2, 3):
        rounded = np.round(best, digits) + 0.0
        if np.any(rounded) and fails(rounded):
            best = rounded
            break
    for k in np.argsort(np.abs(best)):
        fewer = best.copy()
        fewer[k] = 0.0
        if np.any(fewer) and fails(fewer):
            best = fewer
    return best


def _places(objective: Objective, near: np.ndarray, seed: int) -> np.ndarray:
    """Random directions, and points of Gamma and next to it (N', D)."""
    random = generator(seed, stream=7)
    beside = near + 0.1 * random.standard_normal(near.shape)
    return np.concatenate([random_directions(objective, POINTS, seed), beside, near])


def scaling(objective: Objective, near: np.ndarray, /, *, seed: int = 0) -> Finding:
    """max |L(c w) - L(w)| over places and factors, relative to the largest |L|; the note names factors left out.

    Left out, or replaced by a milder one, is a factor at which products in L are 0 or inf by the range of
    floating-point numbers (`number_range`).
    """
    places = _places(objective, near, seed)
    plain = np.array([float(objective.value(w)) for w in places])
    size = max(float(np.nanmax(np.abs(plain))), 1e-300)
    columns, used, beyond = [], [], []
    for factor in FACTORS:
        for c in (factor, *MILDER.get(factor, ())):
            column, left = _scaled(objective, places, plain, size, c)
            if not left:
                break
            beyond.append(c)
        if not np.isnan(column).all():
            columns.append(column)
            used.append(c)
    ends = [f"c <= {max(s):.0e}" for s in [[c for c in beyond if c < 1]] if s]
    ends += [f"c >= {min(s):.0e}" for s in [[c for c in beyond if c > 1]] if s]
    note = (
        f"{' and '.join(ends)} powers of w are 0 or inf in floating point, so that milder ones are used" if ends else ""
    )
    if not columns:
        return Finding(np.nan, note=note)
    residual = np.stack(columns, axis=1)
    largest = np.nanmax(np.where(np.isnan(residual), -1.0, residual), axis=0)
    # Of factors that show it about as well, the mildest.
    shown = np.flatnonzero(largest >= 0.3 * largest.max())
    j = int(min(shown, key=lambda i: abs(np.log(used[i]))))
    k = int(np.nanargmax(residual[:, j]))
    worst, c = float(residual[k, j]), used[j]

    def fails(w: np.ndarray) -> bool:
        before, after = float(objective.value(w)), float(objective.value(c * w))
        if np.isinf(worst):
            return bool(np.isfinite(before) and not np.isfinite(after))
        return abs(after - before) / size > 0.3 * worst

    w = readable(places[k], fails) if worst > 1e-10 else places[k]
    at = {"w": w, "c": c, "L(w)": float(objective.value(w)), "L(c w)": float(objective.value(c * w))}
    return Finding(worst, at, note)


def _scaled(
    objective: Objective, places: np.ndarray, plain: np.ndarray, size: float, c: float
) -> tuple[np.ndarray, bool]:
    """|L(c w) - L(w)|/size at each place (N,), nan where numbers run out at c w; and whether they do at any."""
    value = np.array([float(objective.value(c * w)) for w in places])
    with np.errstate(invalid="ignore"):
        column = np.abs(value - plain) / size
    # Finite at w and not at c w is as far from scale-invariant as can be.
    column = np.where(np.isfinite(plain) & ~np.isfinite(value), np.inf, column)
    out = np.array([r > SAME and leaves_range(objective.function, w, c) for w, r in zip(places, column, strict=True)])
    return np.where(out, np.nan, column), bool(out.any())


def euler(objective: Objective, /, *, seed: int = 0) -> Finding:
    """The largest relative residual of Euler's identities to third order."""
    places, table = euler_table(objective, seed=seed)
    k, j = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(table), table, -1))), table.shape)
    return Finding(float(table[k, j]), {"w": places[k]}, EULER[j])


def slope_jump(objective: Objective, w: np.ndarray, u: np.ndarray, /, *, step: float = SIDE) -> float:
    """|right - left| derivative of L at w along u (D,), by differences of values: step L'', but at a kink."""
    left, middle, right = (float(objective.value(w + t * u)) for t in (-step, 0.0, step))
    return abs(right - 2 * middle + left) / step


def removable_gaps(
    objective: Objective, near: np.ndarray, /, *, reached: np.ndarray | None = None, seed: int = 0
) -> Finding:
    """Places where L or a derivative is not finite although L tends to one number there from all sides.

    Special places are tried: points of Gamma and random ones with a coordinate put to 0, two put equal, and the axes. A
    pole of the loss, where L depends on the side it is approached from, is not counted. The value counts them.

    Places (N, D) that gradient flow ``reached`` and where L or grad L is not finite count whatever lies around them: no
    flow gets to a pole, and where L is nan on a part of the sphere, nothing near tells what it should be.
    """
    broken = []
    for w in [] if reached is None else reached:
        value, gradient = (np.asarray(a) for a in _value_and_gradient(objective)(w))
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            broken.append((w, "grad L" if np.isfinite(value) else "L"))
    if broken:
        w, what = broken[0]
        where = "the end of a gradient flow from the start, or from around it"
        return Finding(float(len(broken)), {"w": w, "not finite": what}, where)
    random = generator(seed, stream=11)
    base = np.concatenate([near[:3], random_directions(objective, 3, seed)])
    d = objective.dimension
    places = list(np.eye(d)[: min(d, 12)])
    for w in base:
        for i in range(min(d, 8)):
            zero = w.copy()
            zero[i] = 0.0
            equal = w.copy()
            equal[i] = equal[(i + 1) % d]
            opposite = w.copy()
            opposite[i] = -opposite[(i + 1) % d]
            places += [zero, equal, opposite]
        places.append(w)
    # And anywhere: a branch that is nan on a part of the sphere far from the start is found where it is.
    everywhere = random.standard_normal((ANYWHERE if d <= SMALL else FEWER, d))
    places += list(everywhere)
    values, gradients, hessians = _second_order(objective, np.array(places))
    bad = ~(np.isfinite(values) & np.isfinite(gradients).all(axis=1) & np.isfinite(hessians).all(axis=(1, 2)))
    gaps = []
    for k in np.flatnonzero(bad):
        w = places[k]
        around = w + 1e-6 * np.linalg.norm(w) * random.standard_normal((8, d))
        v, g, h = _second_order(objective, around)
        smooth = (
            np.isfinite(v).all()
            and np.isfinite(values[k])
            and np.ptp(np.append(v, values[k])) < 1e-3 * max(1e-3, float(np.abs(v).max()))
        )
        if smooth and not np.isfinite(g).any():
            # L is a number all around, and JAX has no derivative anywhere near.
            gaps.append((w, "grad L"))
            continue
        calm = np.isfinite(v).all() and np.ptp(v) < 1e-3 * max(1e-3, float(np.abs(v).max()))
        if (
            calm
            and np.isfinite(g).all()
            and np.isfinite(h).all()
            and np.ptp(h, axis=0).max() < 1e-2 * (1e-300 + np.abs(h).max())
        ):
            what = "L" if not np.isfinite(values[k]) else "grad L" if not np.isfinite(gradients[k]).all() else "Hess L"
            gaps.append((w, what))
    if not gaps:
        return Finding(0.0, note=f"{len(places)} special places")
    w, what = gaps[0]
    simple = readable(w, lambda w: not np.isfinite(_second_order(objective, w[None])[2]).all())
    return Finding(float(len(gaps)), {"w": simple, "not finite": what}, f"{len(places)} special places")


def _second_order(objective: Objective, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L, gradient and Hessian at points (N, D), in blocks of one size, for which one program is compiled."""
    count = len(points)
    padded = np.concatenate([points, np.repeat(points[-1:], -count % BLOCK, axis=0)])
    parts = [_second_order_of(objective)(padded[k : k + BLOCK]) for k in range(0, len(padded), BLOCK)]
    value, gradient, hessian = (np.concatenate([np.asarray(p[i]) for p in parts])[:count] for i in range(3))
    return value, gradient, hessian


@lru_cache(maxsize=64)
def _second_order_of(objective: Objective) -> Compiled:
    f = objective.function
    return Compiled(jax.vmap(lambda w: (f(w), jax.grad(f)(w), jax.hessian(f)(w))))


def residual_mismatch(objective: Objective, /, *, seed: int = 0) -> Finding:
    """max | |residuals(w)|^2/2 - L(w) | over random w, relative to the largest L."""
    assert objective.residuals is not None
    places = random_directions(objective, POINTS, seed)
    value = np.array([float(objective.value(w)) for w in places])
    half = np.array([0.5 * float(np.sum(np.asarray(objective.residuals(jnp.asarray(w))) ** 2)) for w in places])
    apart = np.abs(half - value) / max(float(np.nanmax(np.abs(value))), 1e-300)
    k = int(np.nanargmax(apart))
    return Finding(float(apart[k]), {"w": places[k], "L(w)": value[k], "|residuals|^2/2": half[k]})


def single_precision_error(objective: Objective, near: np.ndarray, /, *, seed: int = 0) -> Finding:
    """The largest error of L and of grad L in float32, in units of float32's 1.2e-7 of their sizes.

    Where they are not finite in float64 either there is nothing to compare; nan where that is so everywhere.
    """
    pair = _value_and_gradient(objective)
    rows, places = [], []
    for w in _places(objective, near[:4], seed):
        exact_value, exact_gradient = (np.asarray(a) for a in pair(w))
        if not (np.isfinite(exact_value) and np.isfinite(exact_gradient).all()):
            continue
        places.append(w)
        value, gradient = (np.asarray(a, dtype=float) for a in pair(w.astype(np.float32)))
        rows.append((exact_value, np.linalg.norm(exact_gradient), abs(value - exact_value),
                     np.linalg.norm(gradient - exact_gradient)))  # fmt: skip
    if not rows:
        return Finding(np.nan, note="no place where they are finite in float64")
    table = np.array(rows, dtype=float)
    size = np.max(np.abs(table[:, :2]), axis=0) * float(np.finfo(np.float32).eps)
    errors = table[:, 2:] / np.maximum(size, 1e-300)
    if not np.isfinite(errors).all():
        k = int(np.argmin(np.isfinite(errors).all(axis=1)))
        return Finding(float("inf"), {"w": places[k]}, "not finite in float32")
    row, column = (int(i) for i in np.unravel_index(int(errors.argmax()), errors.shape))
    return Finding(float(errors[row, column]), {"w": places[row]}, ("L", "grad L")[column])


@lru_cache(maxsize=64)
def _value_and_gradient(objective: Objective) -> Compiled:
    return Compiled(jax.value_and_grad(objective.function))
