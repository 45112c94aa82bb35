"""The sharpness-reduction flow without a chart: d zeta/d tau = -c(K^2) g on the implicit manifold Gamma.

g = grad_Gamma log lambda_1 by automatic differentiation; c = 2/(4 + K^2) for gradient descent with weight decay.
Classical Runge-Kutta with a Newton step back to Gamma after each: the field extends smoothly off Gamma, so the
order stays four.
"""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.minima.retraction import retract_traced
from sharpflow.numerics.numbers import check_time
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import frame, normal_rank, tangent_log_gradient, unit_vector
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["gd_drift", "manifold_flow"]

configure()

Array = jax.Array

# Fourth order: a step of 0.01 in flow time leaves an error of some 1e-9, far under intrinsic_lr = 1.4e-3 at rate
# 1e-6. The speed is at most 1/2, so a step moves the point by 0.005 at most.
STEP = 0.01
# Where lambda_1 - lambda_2 falls below this part of lambda_1, a step cannot tell the two eigenvectors apart.
GAP = 1e-3


def gd_drift(log_gradient_squared: Any, sharpness: Any = None) -> Any:
    """c(K^2) = 2/(4 + K^2), gradient descent with weight decay."""
    return 2 / (4 + log_gradient_squared)


def _trace(objective: Objective, rank: int, drift: Callable[[Any, Any], Any], records: int) -> Callable[..., Any]:
    def field(z: Array) -> Array:
        f = frame(objective, z, rank)
        g = tangent_log_gradient(objective, z, f)
        return -drift(g @ g, f.values[0]) * g

    def look(z: Array) -> Array:
        return frame(objective, z, rank).values[0]

    def run(zeta: Array, time: Array, substeps: Array) -> tuple[Any, ...]:
        h = time / (records * substeps)

        def advance(_: Any, carry: Any) -> Any:
            z, v, done, closed = carry

            def stage(carry: Any, coefficients: Array) -> Any:
                k, total = carry
                shift, weight = coefficients
                k = field(z + shift * h * k)
                return (k, total + weight * k), None

            # A scan over the four stages: the field is compiled once, not four times.
            stages = jnp.stack([jnp.array([0, 0.5, 0.5, 1]), jnp.array([1.0, 2, 2, 1])], axis=1)
            (_, total), _ = jax.lax.scan(stage, (jnp.zeros_like(z), jnp.zeros_like(z)), stages)
            # One evaluation suffices: the step left Gamma by O(h^5).
            new, f = retract_traced(objective, z + h / 6 * total, rank, steps=1, chords=0)
            second = f.values[1] if rank > 1 else jnp.zeros(())
            top = f.vectors[:, 0]
            # A step may jump over the crossing; then the top eigenvector has become another one.
            shut = (f.values[0] - second < GAP * f.values[0]) | (jnp.abs(v @ top) < 0.5)
            go = ~(closed | shut)
            return jnp.where(go, new.point, z), jnp.where(go, top, v), done + go, closed | shut

        def record(carry: Any, _: Any) -> Any:
            carry = jax.lax.fori_loop(0, substeps, advance, carry)
            return carry, (carry[0], carry[2], look(carry[0]))

        first, f = retract_traced(objective, zeta, rank)
        second = f.values[1] if rank > 1 else jnp.zeros(())
        start = (first.point, f.vectors[:, 0], jnp.zeros((), dtype=int), f.values[0] - second < GAP * f.values[0])
        last, series = jax.lax.scan(record, start, None, length=records)
        head = (start[0], start[2], look(start[0]))
        return last[3], jax.tree.map(lambda a, rest: jnp.concatenate([a[None], rest]), head, series)

    return run


@lru_cache(maxsize=64)
def _compiled(objective: Objective, rank: int, drift: Callable[[Any, Any], Any], records: int) -> Compiled:
    return Compiled(_trace(objective, rank, drift, records))


def manifold_flow(
    subject: Loss | Objective, start: Any, /, *, time: float, drift: Callable[[Any, Any], Any] = gd_drift,
    rank: int | None = None, records: int = 400, step: float = STEP,
) -> Path:  # fmt: skip
    """zeta(tau), 0 <= tau <= time (flow time), from the point of Gamma next to ``start`` (D,).

    Args:
        subject: the loss; lambda_1 must be simple.
        start: (D,), on Gamma (brought there by Newton).
        time: flow time to go.
        drift: c(K^2, lambda_1), in operations that JAX traces; one object for one law, as programs are cached by it.
        rank: number of normal directions; see `sharpflow.numerics.spectrum.dense.normal_rank`.
        records: records after the initial one, equally spaced in flow time.
        step: upper bound on the integrator's step, in flow time.

    Returns:
        N = records + 1 points. With result gap_closed the path ends before ``time``, where lambda_1 meets lambda_2.

    Examples:
        >>> from sharpflow import resolve_loss
        >>> path = manifold_flow(resolve_loss("ridge"), (0.94, 0.34, 0.0), time=1.0)
        >>> path.result.value, path.sharpness[[0, -1]].round(2)
        ('successful', array([2.77, 2.3 ]))
    """
    objective = as_objective(subject)
    check_time(time)
    zeta = unit_vector(objective, start, "start")
    rank = normal_rank(objective, zeta) if rank is None else rank
    substeps = max(1, math.ceil(time / (records * step)))
    run = _compiled(objective, rank, drift, records)
    before, started = run.seconds, clock.perf_counter()
    closed, series = run(zeta, np.float64(time), np.int64(substeps))
    points, done, sharpness = (np.asarray(a) for a in series)
    times = np.asarray(done) * time / (records * substeps)
    # After the gap has closed every record repeats the last good point.
    keep = np.concatenate([[True], np.diff(done) > 0])
    good = keep & np.all(np.isfinite(points), axis=1) & np.isfinite(sharpness)
    result = RESULTS.SUCCESSFUL
    if np.any(keep & ~good):
        result = RESULTS.DIVERGED
        good &= np.arange(len(good)) < np.argmax(keep & ~good)
    elif bool(closed):
        result = RESULTS.GAP_CLOSED
    if result is RESULTS.DIVERGED and good.sum() < 2:
        raise InputError(
            f"{objective.name!r}: the flow is not defined at the start (its sharpness has no gradient there)."
        )
    # Of another rule the edge may be another one, and is not told here.
    effective_lr = (2.0 if drift is gd_drift else math.nan) / sharpness[good]
    return Path(
        times[good], points[good], effective_lr, sharpness[good, None], None, result, name=objective.name,
        seconds=clock.perf_counter() - started - (run.seconds - before), compile_seconds=run.seconds, smooth=True,
    )  # fmt: skip
