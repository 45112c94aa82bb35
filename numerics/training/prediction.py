"""The flow beside a training run: from the weights with which a seed entered the edge, its spectrum and its edges.

The weights are taken to Gamma (`sharpflow.numerics.minima.relax`), and `sharpflow.numerics.flows.edge_flow` goes on
from there with the effective learning rate of the run, for the flow time that is left. Nothing of the run after the
entry goes into it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.models.task import Task
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.training.run import TrainingRun
from sharpflow.theory.errors import InputError

__all__ = ["NEAR_EDGE", "Prediction", "check_predictable", "predict"]

# Gradient descent swings by some intrinsic_lr about the edge: an eigenvalue within this part of it counts as at it.
NEAR_EDGE = 0.05
# effective_lr*lambda_1 on Gamma may exceed 2 by this part at the entry: the run swings about the edge by some
# intrinsic_lr for each eigenvalue there. Beyond, gradient descent does not come to rest on this part of Gamma, and no
# flow on it is what follows.
BEYOND = 0.2
# Of a step of the flow, on the sphere: a tenth of intrinsic_lr at the rates of networks, 1e-4 and above.
TOLERANCE = 1e-3


@brief
@dataclass(frozen=True, eq=False)
class Prediction:
    """Flow and gradient descent of one seed, at the M records from edge entry on that the flow reached.

    Attributes:
        seed: which.
        times: (M,) flow time of the run.
        sharpness, gd_sharpness: (M,) lambda_1 of the flow, and of the run at its iterates.
        edges, gd_edges: (M,) eigenvalues within `NEAR_EDGE` of the edge, of those that both know.
        spectrum, gd_spectrum: (M, k) eigenvalues, those that both know, falling.
        test_loss: (M,) of the flow's points: a mean over the test examples; nan without.
        test_error: (M,) share of wrong answers of the flow's points; nan without classes.
        flow: the path itself, its times from the entry on; ``None`` where Gamma was not reached.
        result, message: how it ended.
        moved: how far the weights at edge entry were from Gamma, as unit vectors; far beyond intrinsic_lr the run was
            still descending, and comes to Gamma elsewhere than gradient flow does.
    """

    seed: int
    times: np.ndarray
    sharpness: np.ndarray
    gd_sharpness: np.ndarray
    edges: np.ndarray
    gd_edges: np.ndarray
    spectrum: np.ndarray
    gd_spectrum: np.ndarray
    test_loss: np.ndarray
    test_error: np.ndarray
    flow: Path | None
    result: RESULTS
    message: str = ""
    moved: float = math.nan

    @property
    def worst_ratio(self) -> float:
        """The largest factor between the two sharpnesses, nan where there is none."""
        return self.worst_spectrum_ratio(1)

    def worst_spectrum_ratio(self, count: int, /) -> float:
        """The same of the first ``count`` eigenvalues, of those that both know and are positive."""
        ours, theirs = self.spectrum[:, :count], self.gd_spectrum[:, :count]
        known = (ours > 0) & (theirs > 0)
        if not known.any():
            return math.nan
        return float(np.exp(np.max(np.abs(np.log(theirs[known] / ours[known])))))


def check_predictable(task: Task, pieces: int = 1, /) -> None:
    """Raise `InputError` where the loss of a run is not the scale-invariant one that the flow is integrated with."""
    if not task.model.scale_invariant:
        raise InputError(f"{task.name} is not scale-invariant: there is no flow on the sphere to put beside its run.")
    if pieces > 1 and "batch" in (task.model.norm, task.model.head):
        raise InputError(
            f"with batch norm in pieces = {pieces} the run has another loss than {task.name} in one piece, which the "
            "flow takes; predict a run in one piece, or one with layer norm and head."
        )


def predict(task: Task, run: TrainingRun, seed: int = 0, /, *, tolerance: float = TOLERANCE) -> Prediction:
    """Predict, by the flow, a seed of a run after it entered the edge.

    Args:
        task: of this seed.
        run: with some records after the entry.
        seed: which.
        tolerance: of a step of the flow.

    Returns:
        flow and run at the records; ``result`` is off_edge where the run never entered the edge, or met it on the way
        down, far from the minima that gradient flow comes to; not_at_minima where these are no manifold of minimizers;
        diverged where the loss is not finite on the way to them.

    Raises:
        InputError: the loss of the run is not the scale-invariant one of the task, or there is no such seed.
    """
    if run.recipe.variations:
        raise InputError(
            f"the flow is that of full-batch gradient descent: leave {', '.join(run.recipe.variations)} out."
        )
    check_predictable(task, run.recipe.pieces)
    if not 0 <= seed < len(run.names):
        raise InputError(f"seed = {seed!r} must be one of the run's, 0 to {len(run.names) - 1}.")
    begin = int(run.entry[seed])
    if begin < 0 or begin == len(run.times) - 1:
        return _nothing(seed, RESULTS.OFF_EDGE, f"seed {seed} did not enter the edge within the run")
    objective = task.objective
    weights = run.state.entry_weights[seed].astype(float)
    relaxed = relax(objective, weights)
    if not relaxed.result.ok:
        return _nothing(seed, relaxed.result, relaxed.message)
    rank = relaxed.rank or None
    # Where the run is already a little beyond the edge, or the edge moved on the way to Gamma, the flow begins on it.
    at_edge = float(edge_flow(objective, relaxed.point, time=1e-6, rank=rank).effective_lr[0])
    own_lr = float(run.columns["effective_lr"][begin, seed])
    if own_lr > (1 + BEYOND) * at_edge:
        return _nothing(
            seed, RESULTS.OFF_EDGE,
            f"seed {seed} met the edge on its way down: gradient flow from its weights there comes to minima "
            f"{relaxed.moved:.2g} away, where effective_lr*lambda_1 would be {2 * own_lr / at_edge:.3g}, so that "
            "gradient descent goes on to others; a smaller learning rate meets the edge later",
            moved=relaxed.moved,
        )  # fmt: skip
    effective_lr = min(own_lr, at_edge)
    times = run.times[begin:]
    flow = edge_flow(
        objective, relaxed.point, time=float(times[-1] - times[0]), effective_lr=effective_lr, rank=rank,
        tolerance=tolerance,
    )  # fmt: skip
    at = flow.at(times - times[0])
    reached = np.isfinite(at.sharpness)
    points, spectrum, lr, times = at.points[reached], at.spectrum[reached], at.effective_lr[reached], times[reached]
    own = run.columns["spectrum"][begin:, seed][reached]
    known = min(own.shape[1], spectrum.shape[1])
    gd_lr = run.columns["effective_lr"][begin:, seed][reached]

    def near(values: np.ndarray, effective_lr: np.ndarray) -> np.ndarray:
        return np.sum(effective_lr[:, None] * values[:, :known] > 2 * (1 - NEAR_EDGE), axis=1)

    errors = [task.errors(point) for point in points]
    test_loss = np.array([math.nan if e.test_loss is None else e.test_loss for e in errors])
    test_error = np.array([math.nan if e.test_wrong is None else e.test_wrong for e in errors])
    return Prediction(
        seed, times, spectrum[:, 0], own[:, 0], near(spectrum, lr), near(own, gd_lr), spectrum[:, :known],
        own[:, :known], test_loss, test_error, flow, flow.result, flow.message, relaxed.moved,
    )  # fmt: skip


def _nothing(seed: int, result: RESULTS, message: str, *, moved: float = math.nan) -> Prediction:
    none, empty = np.zeros(0), np.zeros((0, 0))
    return Prediction(
        seed, none, none, none, none, none, empty, empty, none, none, None, result, message, moved
    )  # fmt: skip
