"""Gradient descent on all weights of a network, whatever of them is scale-invariant.

In the coordinates of `sharpflow.numerics.weights.coordinates` it is

    y+ = (1 - rate R) y - effective_lr grad L(y),

which is w_j+ = (1 - eta_j lambda_j) w_j - eta_j grad_j L(w).
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.objective import Objective, once_for_each_loss

__all__ = ["WeightsRun", "descend_weights"]

Array = jax.Array


class WeightsRun(NamedTuple):
    """Records at iterations ``steps`` (N,), as far as y is finite.

    Attributes:
        points: (N, D) y; loss: (N,).
        mean_loss, mean_gradient_squared: (N,) over the steps since the record before; nan at the first.
        failed_at: the first iteration that is not finite, or -1.
        seconds, compile_seconds: running and compiling.
    """

    steps: np.ndarray
    points: np.ndarray
    loss: np.ndarray
    mean_loss: np.ndarray
    mean_gradient_squared: np.ndarray
    failed_at: int
    seconds: float
    compile_seconds: float


@once_for_each_loss
def _program(objective: Objective) -> Compiled:
    both = jax.value_and_grad(objective.function)

    def run(y: Array, effective_lr: Array, rate: Array, lengths: Array) -> tuple[Any, ...]:
        def advance(_: Any, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            y, alive, loss, squared = carry
            value, gradient = both(y)
            y = y - rate * objective.pulled(y) - effective_lr * gradient
            # What is not finite stays so: counting the finite steps finds the first bad one.
            return y, alive + jnp.isfinite(jnp.sum(y)), loss + value, squared + gradient @ gradient

        def record(carry: tuple[Array, Array], every: Array) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
            zero = jnp.zeros(())
            y, alive, loss, squared = jax.lax.fori_loop(0, every, advance, (*carry, zero, zero))
            return (y, alive), (y, objective.function(y), loss / every, squared / every)

        (_, alive), rows = jax.lax.scan(record, (y, jnp.zeros((), int)), lengths)
        return alive, objective.function(y), rows

    return Compiled(run)


def descend_weights(
    objective: Objective, y: np.ndarray, /, *, effective_lr: float, rate: float, iterations: int, records: int
) -> WeightsRun:
    """``iterations`` (even) steps from y (D,), with ``records`` or fewer, evenly spread up to the last of them.

    Between two there are steps of an even number: odd ones would alias the period-two oscillation.
    """
    pairs = iterations // 2
    count = min(records, pairs)
    steps = 2 * (pairs * np.arange(count + 1) // count)
    program = _program(objective)
    arguments = y, np.float64(effective_lr), np.float64(rate), np.diff(steps)
    program.prepare(*arguments)
    started = time.perf_counter()
    alive, first, rows = jax.tree.map(np.asarray, program(*arguments))
    seconds = time.perf_counter() - started
    points, loss, mean_loss, mean_squared = rows
    good = int(np.searchsorted(steps, int(alive), side="right"))
    nothing = [np.nan]
    return WeightsRun(
        steps[:good], np.concatenate([y[None], points])[:good], np.append(first, loss)[:good],
        np.append(nothing, mean_loss)[:good], np.append(nothing, mean_squared)[:good],
        -1 if alive == steps[-1] else int(alive) + 1, seconds, program.seconds,
    )  # fmt: skip
