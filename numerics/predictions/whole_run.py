"""A whole run of gradient descent with weight decay, predicted: down to Gamma, the waiting, and the flow at the edge.

Down to Gamma gradient descent follows gradient flow in the time s, ds = effective_lr dt, while weight decay does
nothing yet: 1/effective_lr = |w|^2/learning_rate grows by the loss that is lost, d(1/effective_lr) = |grad L|^2 ds =
-dL. At rest on Gamma effective_lr grows as (1 - rate)^(-2t) until effective_lr*lambda_1 = 2; from there on the flow of
`sharpflow.numerics.flows.edge_flow` holds, if there is something to oscillate with: meanwhile x along v_1 has shrunk
by the factor 1 - effective_lr*lambda_1 at each step, and where nothing seeds it anew the oscillation sets in late
(`WholeRun.onset`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.flows.edge_flow import TOLERANCE, edge_flow
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.minima.krylov_normals import DENSE
from sharpflow.numerics.minima.relax import SNAPSHOTS, Relaxed, on_the_way, relax
from sharpflow.numerics.numbers import check_positive, check_time
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.predictions.onset import Onset, onset
from sharpflow.numerics.residuals import without_residuals
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import all_eigenvalues, unit_vector
from sharpflow.numerics.spectrum.eigenpairs import block_eigenpairs, hessian_product
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["WholeRun", "whole_run"]

# lambda_1 on the way down, relative: the edge is met within a few per cent of where it is said to be.
ROUGHLY, MAX_PRODUCTS = 1e-3, 200


@brief
@dataclass(frozen=True, eq=False)
class WholeRun:
    """The run to be expected from a start anywhere.

    Attributes:
        relaxed: where gradient flow comes to rest.
        arrival_lr: effective_lr there, lowered by the descent.
        waiting: flow time from the arrival to the edge; in iterations it is ``waiting / rate`` up to O(rate).
        flow: from the arrival on, the waiting included; ``None`` where Gamma was not reached.
        result, message: how it ended.
        meets: (D,) where the run meets the edge on its way down, if it does (or where that is not known, in a result
            that is unconverged); ``None`` if not. Gradient descent goes
            elsewhere from there, and `sharpflow.numerics.flows.central_flow` with it.
        meets_lr: effective_lr there.
    """

    relaxed: Relaxed
    arrival_lr: float
    waiting: float
    flow: Path | None
    result: RESULTS
    message: str = ""
    meets: np.ndarray | None = None
    meets_lr: float = math.nan

    def onset(self, rate: float, /, *, displacement: float, floor: float = 0.0) -> Onset:
        """When the oscillation sets in at this rate, from |x| = ``displacement`` along v_1 on arrival.

        ``floor`` is the least |x| that noise, or the coupling to other directions, keeps up.
        """
        if self.flow is None:
            raise InputError(f"there is no flow in this prediction: {self.message or self.result.advice}")
        edge = self.arrival_lr * float(self.flow.sharpness[0])
        size = math.sqrt(rate * float(self.flow.mean_square.max())) if rate > 0 else 0.0
        return onset(edge=edge, rate=rate, displacement=displacement, size=size, floor=floor)

    def waiting_steps(self, rate: float, /) -> float:
        """t* = log(2/(lambda_1 effective_lr))/(-2 log(1 - rate)), in iterations."""
        return 2 * self.waiting / (-2 * math.log1p(-rate))


def whole_run(
    subject: Loss | Objective, start: Any = None, /, *, effective_lr: float, time: float, tolerance: float = TOLERANCE
) -> WholeRun:
    """The run from ``start`` (D,) with ``effective_lr`` there, for flow time ``time`` after Gamma is reached.

    The descent counts as no flow time: it takes some 1/(effective_lr lambda) iterations, lambda the least curvature
    normal to Gamma, against 1/rate for the rest.

    Args:
        subject: the loss.
        start: (D,), anywhere; default the objective's.
        effective_lr: at the start. Gradient descent is taken for gradient flow, down to Gamma or to the edge.
        time: flow time.
        tolerance: see `sharpflow.numerics.flows.edge_flow.edge_flow`.

    Returns:
        the prediction; off_edge where the run meets the edge before it is on Gamma, and does not come to rest where
        gradient flow does: ``meets`` is the point. not_at_minima or diverged where gradient flow finds no minima.

    Examples:
        >>> from sharpflow import resolve_loss, whole_run
        >>> run = whole_run(resolve_loss("ridge"), (0.9, 0.3, 0.2), effective_lr=0.1, time=1.0)
        >>> run.result.value, round(run.waiting, 3), round(run.waiting_steps(1e-4), -2)
        ('successful', 0.987, 9900.0)
    """
    objective = as_objective(subject)
    check_positive("effective_lr", effective_lr)
    check_time(time)
    theta = unit_vector(objective, objective.start if start is None else start, "start")
    relaxed = relax(subject, theta)
    lost = float(objective.value(theta)) - float(objective.value(relaxed.point))
    arrival = 1 / (1 / effective_lr + max(lost, 0.0)) if math.isfinite(lost) else math.nan
    if not relaxed.result.ok:
        return WholeRun(relaxed, arrival, math.nan, None, relaxed.result, relaxed.message)
    met = _met(objective, theta, effective_lr)
    at_edge = edge_flow(subject, relaxed.point, time=1e-6).effective_lr[0]
    if met is not None and math.isnan(met[1]):
        message = (
            "the top eigenvalue of the Hessian on the way down did not converge: whether the edge is met is not known"
        )
        return WholeRun(relaxed, arrival, math.nan, None, RESULTS.UNCONVERGED, message, met[0])
    if met is not None or arrival > at_edge:
        point, there = (relaxed.point, arrival) if met is None else met
        message = (
            f"the run meets the edge on its way down, at the loss {float(objective.value(point)):.3g} with "
            f"effective_lr = {there:.4g}: gradient descent goes on to minima of less sharpness than those of gradient "
            "flow; central_flow() goes on from there, or give a smaller effective_lr"
        )
        return WholeRun(relaxed, arrival, 0.0, None, RESULTS.OFF_EDGE, message, point, there)
    waiting = math.log(at_edge / arrival) / 2
    flow = edge_flow(subject, relaxed.point, time=time, effective_lr=arrival, tolerance=tolerance)
    return WholeRun(relaxed, arrival, waiting, flow, flow.result, flow.message)


@lru_cache(maxsize=32)
def _sharpness(objective: Objective) -> Compiled:
    """lambda_1 of the spherical Hessian at each of some points (N, D), nan where the search did not converge."""
    plain = without_residuals(objective)  # these points are not on Gamma

    def top(theta: jax.Array) -> jax.Array:
        if objective.dimension <= DENSE:
            return all_eigenvalues(objective, theta)[0]
        guess = jax.random.normal(jax.random.key(0), (objective.dimension, 2), theta.dtype)
        found = block_eigenpairs(
            hessian_product(plain, theta), theta, guess, jnp.asarray(ROUGHLY), count=2, max_products=MAX_PRODUCTS
        )
        return jnp.where(found.converged, found.values[0], jnp.nan)

    return Compiled(lambda points: jax.lax.map(top, points))


def _met(objective: Objective, theta: np.ndarray, effective_lr: float) -> tuple[np.ndarray, float] | None:
    """The first point of gradient flow from theta (D,) at which effective_lr*lambda_1 is above 2, and effective_lr.

    A point at which lambda_1 is not known counts as one, with effective_lr nan: nothing can be promised beyond it.
    """
    points = on_the_way(objective, theta)
    values = np.array([float(objective.value(z)) for z in points])
    lr = 1 / (1 / effective_lr + np.maximum(values[0] - values, 0))
    # One size of all, so that one program serves.
    padded = np.concatenate([points, np.repeat(points[-1:], len(SNAPSHOTS) + 1 - len(points), axis=0)])
    edge = lr * np.asarray(_sharpness(objective)(padded))[: len(points)]
    # The last points are on Gamma, where a run that is given the edge itself may be.
    beyond = np.flatnonzero(~(edge <= 2 * (1 + ROUGHLY)))
    if not len(beyond):
        return None
    first = int(beyond[0])
    return points[first], float(lr[first]) if np.isfinite(edge[first]) else math.nan
