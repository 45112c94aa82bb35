"""The sharpness-reduction flow with several eigenvalues at the edge, on the implicit manifold Gamma.

d zeta/d tau = -sum_ij Sigma_ij A_ij, d log effective_lr/d tau = 2 - 4 tr Sigma, A_ij = P_T grad(v_i^T H v_j)/lambda_1
with v_1 ... v_k, the top eigenvectors of the Hessian H, held fixed. Sigma (in units of the rate) is what keeps every
eigenvalue of effective_lr H/2 at or below 1 (`sharpflow.numerics.flows.complementarity`). While one eigenvalue is at
the edge this is
-2 g/(4 + |g|^2); below the edge zeta rests and effective_lr grows. No rate occurs: one step of the flow may span any
number of steps of gradient descent.

Of a network with weights that are not scale-invariant it is the same flow in other coordinates
(`sharpflow.numerics.flows.weights_flow`), in which weight decay moves these along Gamma, too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from sharpflow.numerics.compiled import Compiled, buffer
from sharpflow.numerics.config import configure
from sharpflow.numerics.flows.complementarity import MAX_EDGES
from sharpflow.numerics.flows.edge_step import Stepper
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.flows.stretches import Program, Stretches, trace
from sharpflow.numerics.flows.weights_flow import of_weights, on_edge
from sharpflow.numerics.minima.krylov_normals import frames_fit
from sharpflow.numerics.minima.landing import LANDED, landing, normals_for
from sharpflow.numerics.numbers import check_below_edge, check_positive, check_time, check_whole
from sharpflow.numerics.objective import Objective, as_objective, require_scale_invariant
from sharpflow.numerics.residuals import settle
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import normal_rank, unit_vector
from sharpflow.numerics.weights.coordinates import OfPath, coordinates
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["compiled_edge_flow", "edge_flow", "run_flow"]


configure()

Array = jax.Array

# Local error of a step, as a length on the sphere. Some 80 steps for three units of flow time, each within it, ended
# within 7e-4 of a run at 1e-8: half of intrinsic_lr at rate 1e-6, where gradient descent is 0.3 to 1 of it away.
TOLERANCE = 1e-4
# Eigenvalues carried to begin with; more when the last of them comes near the edge.
FIRST_COUNT = 4
# The first step is of first order, with an error of a tenth of its square or so.
FIRST_STEP = 1e-3
# Of the end, as a length: the steps themselves may be off by so much.
OFF_MINIMA = TOLERANCE
# Steps in all, tried or taken; each takes some 100 gradients.
MAX_STEPS = 100_000


@lru_cache(maxsize=64)
def compiled_edge_flow(objective: Objective, /, *, rank: int | None, k: int) -> Program:
    """The programs behind `edge_flow`, for those who time them; without a rank by Hessian products alone."""
    stepper = Stepper(normals_for(objective, rank, k))
    return Program(Compiled(stepper.begin), Compiled(trace(stepper, buffer(objective.dimension))))


def edge_flow(
    subject: Loss | Objective, start: Any = None, /, *, time: float, effective_lr: float | None = None,
    rank: int | None = None, count: int = FIRST_COUNT, tolerance: float = TOLERANCE, max_steps: int = MAX_STEPS,
    learning_rate: OfPath | None = None, weight_decay: OfPath | None = None, no_decay: str | None = None,
) -> Path:  # fmt: skip
    """zeta(tau), effective_lr and Sigma, 0 <= tau <= time (flow time), of gradient descent with weight decay.

    Args:
        subject: the loss; any number of eigenvalues may meet at the edge, up to 16.
        start: (D,), on Gamma or near it (brought there by Newton; from elsewhere `relax` leads there); default the
            objective's, if that is near Gamma.
        time: flow time to go.
        effective_lr: at the start; default 2/lambda_1, the edge. Below it the flow waits, above it is an error.
        rank: number of normal directions, all of which are then computed at every step; default
            `sharpflow.numerics.spectrum.dense.normal_rank` up to 400 weights or 1000 residuals, and none beyond: then
            everything is done by Hessian products, and a curvature below 1e-5 lambda_1 counts as none.
        count: eigenvalues carried to begin with; enlarged when the last comes near the edge.
        tolerance: local error of a step, a length on the sphere.
        max_steps: steps to try, in all (looked at every 256).
        learning_rate: where not all weights are scale-invariant: eta, a number, a function of the path of a leaf, or
            numbers by patterns. Then ``start`` is a point of the weights, near Gamma, of which those that are
            scale-invariant are made as long as the edge or ``effective_lr`` asks for.
        weight_decay, no_decay: the ratios of that of each leaf (default the same for all), and a pattern of those
            without, as "bias|scale".

    Returns:
        the path; a run that failed ends at its last good step, and ``result`` says how.

    Raises:
        InputError: a number is out of range, the start is not near a manifold of minimizers, or beyond the edge.

    Examples:
        >>> from sharpflow import edge_flow, resolve_loss
        >>> path = edge_flow(resolve_loss("ridge"), time=1.0)
        >>> path.result.value, path.sharpness[[0, -1]].round(3), int(path.edge_count[-1])
        ('successful', array([2.765, 2.291]), 1)
    """
    objective = as_objective(subject)
    check_time(time)
    check_positive("tolerance", tolerance)
    check_whole("count", count, most=MAX_EDGES)
    options: dict[str, Any] = {"time": time, "rank": rank, "count": count, "tolerance": tolerance,
                               "max_steps": max_steps}  # fmt: skip
    own = coordinates(objective, learning_rate, weight_decay, no_decay)
    if own is None:
        return run_flow(objective, start, effective_lr=effective_lr, **options)
    y = own.from_weights(objective.vector(objective.start if start is None else start, "start"))
    y = on_edge(own, y, effective_lr)
    return of_weights(own, run_flow(own.scaled, y, effective_lr=own.effective_lr, **options))


def run_flow(
    objective: Objective, start: Any, /, *, time: float, effective_lr: float | None = None, rank: int | None = None,
    count: int = FIRST_COUNT, tolerance: float = TOLERANCE, max_steps: int = MAX_STEPS,
) -> Path:  # fmt: skip
    """`edge_flow` on the sphere, or in R^D in the coordinates of `sharpflow.numerics.weights.coordinates`."""
    zeta = unit_vector(objective, objective.start if start is None else start, "start")
    objective, zeta = settle(objective, zeta)
    try:
        if rank is None and frames_fit(objective):
            rank = normal_rank(objective, zeta)
    except InputError:
        _name_the_cause(objective)
        raise
    point, residual, top = (np.asarray(a) for a in landing(objective, rank)(zeta))
    if not (float(residual) < LANDED and float(top) > 0):
        _name_the_cause(objective)
        raise InputError(
            f"{objective.name!r}: the start is not near a manifold of minimizers (after Newton's iteration lambda_1 = "
            f"{float(top):.3g} and |grad L|/lambda_1 = {float(residual):.1e}); begin at "
            "sharpflow.relax(objective, start).point."
        )
    runner = Stretches(
        objective.name, lambda k: compiled_edge_flow(objective, rank=rank, k=k),
        most=min(MAX_EDGES, objective.dimension // 3 if rank is None else rank), lost=(RESULTS.LOST_RANK, _flattest),
        time=time, tolerance=tolerance, max_steps=max_steps,
    )  # fmt: skip
    first = min(FIRST_STEP, math.sqrt(tolerance) / 10, time / 10)
    sharpness = float(top)
    begins = 2 / sharpness if effective_lr is None else effective_lr
    if objective.decay is None:  # in R^D `on_edge` has seen to it, before Newton's last step
        check_below_edge(begins, sharpness, objective.name)
    return _landed(objective, rank, runner.run(point, begins, first, count))


def _name_the_cause(objective: Objective) -> None:
    """Raise `InputError` where a loss that is to live on the sphere does not."""
    if objective.decay is None:
        require_scale_invariant(objective)


def _landed(objective: Objective, rank: int | None, path: Path) -> Path:
    """The path with its distance to Gamma at the end, and what that says of it."""
    end = path.points[-1]
    # By Newton's iteration: |grad L|/lambda_1 would be short of it by lambda_min/lambda_1 along a soft direction.
    point, residual, _ = (np.asarray(a) for a in landing(objective, rank)(end))
    off = float(np.linalg.norm(point - end)) if residual < LANDED else math.inf
    if not path.result.ok:
        return replace(path, off_minima=off if math.isfinite(off) else math.nan)
    if off <= OFF_MINIMA:
        return replace(path, off_minima=off)
    message = f"the end is {off:.1e} from the minima: the way back to them was not found"
    return replace(path, off_minima=off, result=RESULTS.LEFT_MINIMA, message=message)


def _flattest(spectrum: np.ndarray) -> str:
    return f"the smallest normal curvature is {spectrum[-1] / spectrum[0]:.1e} of lambda_1"
