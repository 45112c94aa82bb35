"""The central flow: gradient descent with weight decay at the edge, away from any manifold of minimizers.

    d theta/d tau = -(e/rate) P (grad L + rate sum_ij Sigma_ij A_ij/2)
    d log e/d tau = 2 - e^2 |grad L|^2/rate - 4 tr Sigma

with e = effective_lr, A_ij = P grad(v_i^T Hess L v_j) of the top eigenvectors, and Sigma >= 0 (in units of the rate)
what keeps every eigenvalue of e Hess L on the sphere at or below 2 (`sharpflow.numerics.flows.central_step`). The mean
gradient over an oscillation of covariance S is grad L + grad <Hess L, S>/2, and that of |grad L|^2 gains <(Hess L)^2,
S>, which is 4 tr S/e^2 at the edge: nothing else is new (`sharpflow.theory.edge.several_edges`). No minimizer is asked
for: this is for cross-entropy, and for losses whose minima are no manifold. Unlike
`sharpflow.numerics.flows.edge_flow` it depends on the rate, and comes to it as the rate goes to 0: grad L then takes
theta to within O(rate) of Gamma, and cancels the part of A normal to it. It holds as long as a step of gradient
descent, and the oscillation, are short against the length over which the curvature changes.

Source of the construction (for gradient descent without normalization): Cohen, Damian, Talwalkar, Kolter, Lee 2024,
arXiv:2410.24206.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.compiled import Compiled, buffer
from sharpflow.numerics.config import configure
from sharpflow.numerics.flows.central_step import CentralStepper
from sharpflow.numerics.flows.complementarity import MAX_EDGES
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.flows.stretches import Program, Stretches, trace
from sharpflow.numerics.numbers import check_below_edge, check_positive, check_rate, check_time, check_whole
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import eigenvalues, unit_vector
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["CentralPath", "central_flow", "compiled_central_flow"]

configure()

# What two moves of different order may differ by in a step, on the sphere and in log e. The error is a small part of
# it: 80 steps over flow time 3 on the crossing loss end within 1e-6, and are within 5e-4 on the way.
TOLERANCE = 1e-4
FIRST_COUNT = 4
# The first step: so many iterations of 1/(e lambda_1), in which the steepest direction falls by a fifth.
FIRST = 0.2
# A dense eigenproblem of this size takes a quarter of a second, twice in a step.
LARGEST = 1000
MAX_STEPS = 100_000


@brief
@dataclass(frozen=True, eq=False, kw_only=True)
class CentralPath(Path):
    """A `Path` off Gamma: spectrum of P Hess L P, Sigma, and how it ended.

    Attributes:
        rate: eps.
        loss: (N,) L(theta) at the points.
    """

    rate: float
    loss: np.ndarray

    @property
    def mean_loss(self) -> np.ndarray:
        """(N,) that of the iterates, L + <Hess L, S>/2: what the oscillation adds is rate tr(Lambda Sigma)/2."""
        assert self.sigma is not None
        k = self.sigma.shape[1]
        diagonal = np.einsum("nii->ni", self.sigma)
        added: np.ndarray = self.rate / 2 * np.sum(diagonal * self.spectrum[:, :k], axis=1)
        return self.loss + added


@lru_cache(maxsize=32)
def compiled_central_flow(objective: Objective, /, *, k: int, oscillating: bool = True) -> Program:
    """The programs behind `central_flow`, for those who time them: the rate is an argument."""
    stepper = CentralStepper(objective, k, oscillating=oscillating)
    return Program(Compiled(stepper.begin), Compiled(trace(stepper, buffer(objective.dimension))))


def central_flow(
    subject: Loss | Objective, start: Any = None, /, *, rate: float, time: float, effective_lr: float | None = None,
    count: int = FIRST_COUNT, tolerance: float = TOLERANCE, max_steps: int = MAX_STEPS, oscillating: bool = True,
) -> CentralPath:  # fmt: skip
    """The mean theta of gradient descent with weight decay, and its effective_lr, over flow time 0 <= tau <= time.

    Args:
        subject: the loss, of 1000 weights at most: its Hessian is taken whole.
        start: (D,), anywhere; default the objective's.
        rate: learning rate times weight decay.
        time: flow time, rate times iterations.
        effective_lr: at the start; default 2/lambda_1 there, the edge.
        count: eigenvalues carried to begin with; enlarged when the last comes near the edge, up to 16.
        tolerance: bend of a step, on the sphere and in log effective_lr; a step's error is a small part of it.
        max_steps: steps to try, in all (looked at every 256).
        oscillating: False leaves Sigma = 0, gradient flow with the schedule of weight decay: something to compare with.

    Returns:
        the path: successful, diverged, stepsize_underflow, edges_exhausted or max_steps; a run that failed ends at its
        last good step.

    Raises:
        InputError: a number is out of range, or the start is beyond the edge.

    Examples:
        >>> from sharpflow import central_flow, resolve_loss
        >>> path = central_flow(resolve_loss("ridge"), rate=1e-4, time=1.0)
        >>> path.result.value, path.sharpness[[0, -1]].round(2)
        ('successful', array([2.76, 2.29]))
    """
    objective = as_objective(subject)
    check_rate(rate)
    check_time(time)
    check_positive("tolerance", tolerance)
    check_whole("count", count, most=MAX_EDGES)
    d = objective.dimension
    if not 3 <= d <= LARGEST:
        raise InputError(f"{objective.name!r} has {d} weights; the central flow takes from 3 to {LARGEST} of them.")
    theta = unit_vector(objective, objective.start if start is None else start, "start")
    top = float(eigenvalues(objective, theta)[0])
    if effective_lr is None and top > 0:
        effective_lr = 2 / top
    if effective_lr is None or not math.isfinite(top):
        raise InputError(
            f"{objective.name!r}: the largest eigenvalue of the Hessian at the start is {top:g}, so that no learning "
            "rate is at an edge; give effective_lr."
        )
    check_below_edge(effective_lr, top, objective.name)
    runner = Stretches(
        objective.name, lambda k: compiled_central_flow(objective, k=k, oscillating=oscillating),
        most=min(MAX_EDGES, d - 1),
        lost=(RESULTS.STEPSIZE_UNDERFLOW, lambda _: "the flow bends within a single iteration"),
        time=time, tolerance=tolerance, max_steps=max_steps, extra=(np.float64(rate),),
    )  # fmt: skip
    first = min(FIRST * rate / max(effective_lr * abs(top), 1e-3), time / 10)
    path = runner.run(theta, effective_lr, first, count)
    return CentralPath(**vars(path), rate=float(rate), loss=np.array([float(objective.value(z)) for z in path.points]))
