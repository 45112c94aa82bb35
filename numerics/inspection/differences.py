"""Derivatives of a function of one number from its values, with their own error, and those of JAX held against them.

Central differences D(h) = D + c_1 h^2 + c_2 h^4 + ... at falling steps are extrapolated to h = 0 (Richardson);
the entry of the table that its neighbours confirm best is taken, and they say how far it may be off (Ridders 1982).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.inspection.loss import SIDE, Finding, slope_jump
from sharpflow.numerics.measurements.probes import random_directions
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective

__all__ = ["Compared", "Estimate", "derivative_residual", "differing_transformation", "extrapolated_derivatives"]

# A loss of unit vectors changes over 1; a network of gain 1000 over a thousandth, and five steps are below that. Not
# halved: what takes a whole number of periods to one step would do so to all larger ones and look smooth.
RATIO = 1.8
STEPS = 0.1 / RATIO ** np.arange(14)
# Values so close that no loss changes visibly but by rounding: the fourth differences of these are rounding, times 70.
# At three places: next to one of them the intermediate results of a loss may all be rounded alike.
NEAR = np.array([[0.0], [0.07], [-0.07]]) + 1e-8 * np.arange(-4, 5)
# An entry that fewer than four steps agree on may do so by chance, as where L is a step function.
LEAST = 3
# Ridders' estimate is a difference of two entries, of which the better one is taken: it is rarely too small at all.
SAFETY = 10.0
# Derivatives known less well, relative to the largest, decide nothing.
COARSE = 1e-5
# Rounding of second derivatives by JAX, with room for long sums.
ROUNDING = 1e-9
# A jump of the slope in units of it, at a step that is a thousand times smaller so many times larger by the step than
# at the longer one: 1000 times for |z|, 30 times for |z|^(3/2), about as large for what is smooth.
CORNER, STEEPER = 1e-5, 10.0
# A place counts with the best of itself and two beside it: exactly at a kink of the first derivative the differences,
# which look to both sides, and JAX, which takes one, are both right.
BESIDE = (0.0, 0.0123, -0.0123)


@dataclass(frozen=True)
class Estimate:
    """A derivative from values: ``value``, off by ``error`` or so (inf where values are no numbers)."""

    value: float
    error: float


def extrapolated_derivatives(f: Callable[[float], float], /) -> tuple[Estimate, Estimate]:
    """f'(0) and f''(0) from values of f at 0 and +-`STEPS`; the errors hold rounding, measured next to 0."""
    middle = f(0.0)
    high, low = (np.array([f(sign * h) for h in STEPS]) for sign in (1, -1))
    close = np.array([[f(t) for t in place] for place in NEAR])
    noise = np.sqrt(np.nanmax(np.mean(np.diff(close, 4) ** 2, axis=1), initial=0.0) / 70)
    # Of each pair its own: next to a minimum values are small, and so is their rounding.
    noises = np.maximum(noise, np.finfo(float).eps * np.maximum.reduce([np.abs(high), np.abs(low)]))
    first = _extrapolated((high - low) / (2 * STEPS), noises / STEPS)
    second = _extrapolated((high - 2 * middle + low) / STEPS**2, 4 * noises / STEPS**2)
    return first, second


def _extrapolated(column: np.ndarray, rounding: np.ndarray) -> Estimate:
    """The best entry of Richardson's table above differences at `STEPS`, with what they lose by rounding."""
    best = Estimate(float("nan"), float("inf"))
    for order in range(1, len(STEPS)):
        power = RATIO ** (2 * order)
        after = (power * column[1:] - column[:-1]) / (power - 1)
        rounding = (power * rounding[1:] + rounding[:-1]) / (power - 1)
        error = np.maximum(np.abs(after - column[1:]), np.abs(after - column[:-1])) + rounding
        column = after
        error = np.where(np.isfinite(error), error, np.inf)
        k = int(error.argmin())
        if order >= LEAST and error[k] < best.error:
            best = Estimate(float(column[k]), float(error[k]))
    return best


@dataclass(frozen=True)
class Compared:
    """Derivatives by JAX against those by differences.

    Attributes:
        finding: the largest difference, in units of its tolerance, relative to the largest derivative; nan where
            nothing was decided, and the note says why.
        tolerance: at that place.
    """

    finding: Finding
    tolerance: float


@lru_cache(maxsize=64)
def _along(objective: Objective) -> Compiled:
    def derivatives(w: Any, u: Any) -> tuple[Any, Any]:
        slope = lambda t: objective.function(w + t * u)  # noqa: E731  differentiated twice below
        first = jax.grad(slope)
        return first(0.0), jax.grad(first)(0.0)

    return Compiled(derivatives)


def derivative_residual(
    objective: Objective, near: np.ndarray,
    exact: Callable[[np.ndarray, np.ndarray], tuple[Estimate, Estimate]] | None, /, *, seed: int = 0,
) -> Compared:  # fmt: skip
    """max |D^k L(w)[u, ...] by JAX - the same by differences|, k = 1, 2, relative to the largest of all places.

    Tolerance: `ROUNDING`, and `SAFETY` times what the differences say of their own error. A place where that is above
    `COARSE` decides nothing (above `ROUNDING` with many digits, which then meet something that is not smooth); places
    where the slope of L jumps are left out.

    Args:
        objective: the loss under JAX.
        near: (N, D) points of Gamma.
        exact: (w, u) -> both derivatives by differences in many digits; ``None``: in double precision.
        seed: of places and directions.
    """
    random = generator(seed, stream=3)
    places = np.concatenate([random_directions(objective, 6, seed), near[:3] + 0.05, near[:2]])
    directions = random.standard_normal(places.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    def pair(w: np.ndarray, u: np.ndarray) -> tuple[tuple[float, ...], tuple[Estimate, Estimate]]:
        by_jax = tuple(float(x) for x in _along(objective)(w, u))
        if exact is None:
            return by_jax, extrapolated_derivatives(lambda t: float(objective.value(w + t * u)))
        return by_jax, exact(w, u)

    pairs = [pair(w, u) for w, u in zip(places, directions, strict=True)]
    # As far as they are known: what the differences do not resolve has any size.
    size = [max([1e-300, *(abs(d[k].value) for _, d in pairs if d[k].error < 0.1 * abs(d[k].value))]) for k in (0, 1)]
    # Of each derivative: residual, tolerance and place where the residual is largest in units of its tolerance.
    worst: list[tuple[float, float, Finding]] = []
    most = COARSE if exact is None else ROUNDING
    kinks, coarse, unknown = 0, 0.0, 0
    for w, u, at_place in zip(places, directions, pairs, strict=True):
        # Where the values themselves have a kink there is no derivative to compare with: that is for
        # `sharpflow.numerics.inspection.kinks`.
        near_by, further = (slope_jump(objective, w, u, step=h) for h in (SIDE, 1e3 * SIDE))
        if near_by > max(CORNER * size[0], STEEPER * 1e-3 * further):
            kinks += 1
            continue
        for k in (0, 1):
            best: tuple[float, float, Finding] | None = None
            for shift in BESIDE:
                v = w + shift * u
                by, known = at_place if shift == 0 else pair(v, u)
                error = SAFETY * known[k].error / size[k]
                if not error <= most:
                    coarse, unknown = max(coarse, error), unknown + np.isinf(error)
                    if exact is not None:
                        break
                    continue
                residual = abs(by[k] - known[k].value) / size[k]
                # No number, where the differences are one: as wrong as can be.
                residual = np.inf if np.isnan(residual) else residual
                at = {"w": v, "u": u, "by JAX": by[k], "by differences": known[k].value}
                found = residual, ROUNDING + error, Finding(residual, at, ("D L(w)[u]", "D^2 L(w)[u, u]")[k])
                best = found if best is None or found[0] / found[1] < best[0] / best[1] else best
                if best[0] <= best[1]:
                    break
            if best is not None:
                worst.append(best)
    notes = {finding.note for *_, finding in worst}
    if worst:
        _, tolerance, finding = max(worst, key=lambda entry: entry[0] / entry[1])
        if finding.value > tolerance or len(notes) == 2:
            return Compared(finding, tolerance)
    if kinks == len(places):
        return Compared(Finding(float("nan"), note="the slope of L jumps at every place tried"), ROUNDING)
    what = "D^2 L(w)[u, u]" if notes else "D L(w)[u]"
    if exact is not None and not unknown:
        said = f"{what} changes over distances of 1e-12 at every place tried: see the check smoothness"
        return Compared(Finding(float("nan"), note=said), ROUNDING)
    far = f"to a part of {coarse:.1g} only" if coarse < 1 else "not at all"
    said = f"differences at steps {STEPS[0]:g} to {STEPS[-1]:.1g} tell {what} {far}"
    return Compared(Finding(float("nan"), note=f"{said}: L changes over shorter distances than these"), COARSE)


def differing_transformation(objective: Objective, /, *, seed: int = 0) -> Finding:
    """The largest difference of L and grad L between plain calls, jit, vmap, and forward mode, relative to their size.

    A transformation that raises gives inf, with what it said.
    """
    f = objective.function
    points = random_directions(objective, 4, seed)
    tangent = np.roll(points, 1, axis=0)

    def each(g: Callable[[Any], Any]) -> np.ndarray:
        return np.array([np.asarray(g(jnp.asarray(w))) for w in points])

    plain, gradient = each(f), each(jax.grad(f))
    slope = np.einsum("nd,nd->n", gradient, tangent)
    ways: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
        "jit": (lambda: each(jax.jit(f)), plain),
        "vmap": (lambda: jax.vmap(f)(points), plain),
        "jit of vmap of grad": (lambda: jax.jit(jax.vmap(jax.grad(f)))(points), gradient),
        "forward mode": (lambda: jax.vmap(lambda w, v: jax.jvp(f, (w,), (v,))[1])(points, tangent), slope),
        "lax.map": (lambda: jax.lax.map(f, jnp.asarray(points)), plain),
    }
    worst = Finding(0.0)
    for name, (way, expected) in ways.items():
        try:
            found = np.asarray(way())
        except Exception as error:  # whatever the user's function raises there
            return Finding(float("inf"), {}, f"under {name} it fails: {type(error).__name__}: {str(error)[:200]}")
        size = max(float(np.abs(expected).max()), 1e-300)
        apart = np.abs(found - expected).reshape(len(points), -1).max(axis=1) / size
        k = int(np.nanargmax(apart)) if np.isfinite(apart).any() else 0
        if not apart[k] <= worst.value:
            worst = Finding(float(apart[k]), {"w": points[k]}, f"plain and {name}")
    return worst
