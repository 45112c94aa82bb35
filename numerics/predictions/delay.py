"""The delayed bifurcation: when an eigenvalue that a symmetry hides from the oscillation comes to matter.

Where a subspace is invariant under gradient descent (the fixed points of a symmetry of the loss), the amplitude of a
direction v off it changes by x <- (1 - effective_lr mu) x, mu = v^T H v. It has decayed long before
effective_lr mu = 2 (the entry into instability), and is back at its old size only where
the integral of log|1 - effective_lr mu| dt from the start is zero again (the exit): meanwhile mu overshoots the edge.
Below exp(-700) a number in float64 is zero, and never comes back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.numbers import check_positive, check_rate, check_time
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.theory.errors import InputError

__all__ = ["Delay", "bifurcation_delay"]

configure()

# log of the smallest normal number of float64, with something in reserve.
VANISHED = -700.0
SAMPLES = 2000


@dataclass(frozen=True)
class Delay:
    """When the hidden direction becomes unstable, and when its amplitude is back; flow times, nan where it is not.

    Attributes:
        entry: effective_lr*mu passes 2.
        exit: log|x| is back at its value at the start.
        deepest: the lowest log(|x|/|x_0|) on the way.
        overshoot: effective_lr*mu at the exit.
        returns: whether x survives in float64, for the seed asked for.
        result, message: of the flow in the invariant coordinates: where it failed, nothing after its end is known, and
            an exit that is nan says nothing.
    """

    entry: float
    exit: float
    deepest: float
    overshoot: float
    returns: bool
    result: RESULTS = RESULTS.SUCCESSFUL
    message: str = ""


@lru_cache(maxsize=32)
def _inside(objective: Objective, mask: tuple[bool, ...]) -> Objective:
    """The loss on the invariant coordinates alone."""
    kept, dimension = np.flatnonzero(mask), len(mask)

    def function(w: jax.Array) -> jax.Array:
        return objective.function(jnp.zeros(dimension, w.dtype).at[kept].set(w))

    return Objective(function, objective.start[kept], None, f"{objective.name}, inside")


@lru_cache(maxsize=32)
def _hidden(objective: Objective, mask: tuple[bool, ...]) -> Compiled:
    """Top eigenvalue of the Hessian on the other coordinates, of points (N, D)."""
    off = np.flatnonzero(~np.array(mask))

    def top(theta: jax.Array) -> jax.Array:
        block = jax.hessian(objective.function)(theta)[jnp.ix_(off, off)]
        return jnp.linalg.eigvalsh(block)[-1]

    return Compiled(jax.vmap(top))


def bifurcation_delay(
    objective: Objective, invariant: Any, /, *, rate: float, time: float, start: Any = None, seed: float = 1e-3
) -> Delay:
    """Entry and exit of the directions that are hidden from the invariant coordinates.

    Args:
        objective: the loss, even in the coordinates that are not invariant.
        invariant: (D,) booleans: the coordinates that gradient descent keeps to.
        rate, time: of the run; flow time.
        start: (D,), on Gamma; default the objective's.
        seed: |x| at the start.

    Raises:
        InputError: the coordinates are not invariant (the gradient points out of them).
    """
    check_rate(rate)
    check_time(time)
    check_positive("seed", seed)
    mask = np.asarray(invariant, dtype=bool)
    theta = np.asarray(objective.start if start is None else start, dtype=float)
    if mask.shape != theta.shape or mask.all() or mask.sum() < 3:
        raise InputError(f"invariant must mark at least three of {len(theta)} coordinates, and not all of them.")
    probe = np.where(mask, np.cos(1 + np.arange(len(theta))), 0.0)
    out = np.asarray(objective.gradient(probe))
    if np.abs(out[~mask]).max() > 1e-12 * max(np.abs(out).max(), 1e-300):
        raise InputError(f"{objective.name!r}: the gradient points out of the coordinates said to be invariant.")
    flow = edge_flow(_inside(objective, tuple(mask.tolist())), theta[mask], time=time, tolerance=1e-6)
    times = np.linspace(0, flow.times[-1], SAMPLES)
    inside = flow.at(times)
    whole = np.zeros((SAMPLES, len(theta)))
    whole[:, mask] = inside.points
    edge = inside.effective_lr * np.asarray(_hidden(objective, tuple(mask.tolist()))(whole))
    growth = np.log(np.maximum(np.abs(1 - edge), 1e-300)) / rate  # a change of sign passes 0 in one step of many
    size = np.concatenate([[0.0], np.cumsum((growth[1:] + growth[:-1]) / 2 * np.diff(times))])
    unstable = np.flatnonzero(edge > 2)
    entry = float(times[unstable[0]]) if len(unstable) else math.nan
    back = np.flatnonzero((size >= 0) & (times > (entry if entry == entry else math.inf)))
    deepest = float(size.min())
    exit_at = int(back[0]) if len(back) else -1
    return Delay(
        entry, float(times[exit_at]) if exit_at >= 0 else math.nan, deepest,
        float(edge[exit_at]) if exit_at >= 0 else math.nan, math.log(seed) + deepest > VANISHED,
        flow.result, flow.message,
    )  # fmt: skip
