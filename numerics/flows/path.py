"""A path of the flow with several eigenvalues at the edge, as it was recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.trajectory import Trajectory

__all__ = ["EdgeFlow"]

# An eigenvalue within this part of the edge counts as at it.
AT_EDGE = 0.01


@brief
@dataclass(frozen=True, eq=False)
class EdgeFlow:
    """The flow at its own N times (the start, and the end of each step).

    Attributes:
        times: (N,) flow time, rising from 0.
        points: (N, D) unit vectors zeta on Gamma.
        effective_lr: (N,).
        spectrum: (N, r) top eigenvalues of the spherical Hessian, falling; nan where fewer were known.
        sigma: (N, k, k) Sigma at each time, in units of the rate, in the top eigenvectors there (padded with 0).
        residual: the largest error in the conditions on Sigma.
        result, message: how it ended: successful, diverged, lost_rank, left_minima, edges_exhausted, unconverged,
            max_steps.
        rejected: tries given up for a smaller step.
        seconds, compile_seconds: running and compiling.
        name: of the objective.
        off_minima: distance of the last point to Gamma, by Newton's iteration; nan where none was measured.
    """

    times: np.ndarray
    points: np.ndarray
    effective_lr: np.ndarray
    spectrum: np.ndarray
    sigma: np.ndarray
    residual: float
    result: RESULTS
    message: str
    rejected: int
    seconds: float
    compile_seconds: float
    name: str = field(default="objective")
    off_minima: float = math.nan

    @property
    def sharpness(self) -> np.ndarray:
        """(N,) lambda_1."""
        return self.spectrum[:, 0]

    @property
    def edge_count(self) -> np.ndarray:
        """(N,) how many eigenvalues have effective_lr*lambda_i within a hundredth of 2."""
        count: np.ndarray = np.sum(self.effective_lr[:, None] * self.spectrum > 2 * (1 - AT_EDGE), axis=1)
        return count

    @property
    def mean_square(self) -> np.ndarray:
        """(N,) tr Sigma: the mean of |theta - zeta|^2 over the oscillation, in units of the rate."""
        trace: np.ndarray = np.trace(self.sigma, axis1=1, axis2=2)
        return trace

    def at(self, times: Any, /) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """zeta (M, D), the spectrum (M, r) and effective_lr (M,) at flow times (M,); nan beyond the end.

        Between the steps by a monotone cubic, which keeps to the corners where an eigenvalue joins.
        """
        wanted = np.asarray(times, dtype=float)
        points, spectrum, log_lr = (
            _between(self.times, values, wanted) for values in (self.points, self.spectrum, np.log(self.effective_lr))
        )
        return points / np.linalg.norm(points, axis=1, keepdims=True), spectrum, np.exp(log_lr)

    def trajectory(self) -> Trajectory:
        """The path as a `Trajectory`."""
        return Trajectory(
            times=self.times, points=self.points, effective_lr=self.effective_lr, sharpness=self.sharpness,
            loss=np.full(len(self.times), np.nan), result=self.result,
            metadata={"subject": self.name, "kind": "edge flow"},
        )  # fmt: skip


def _between(known: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``values`` known at ``known`` (N,), at ``times`` (M,); nan outside, and where they are nan on either side."""
    from scipy.interpolate import PchipInterpolator

    if len(known) < 2:
        out = np.full((len(times), *values.shape[1:]), np.nan)
        out[times == known[0]] = values[0]
        return out
    if not np.isfinite(values).all():
        # Eigenvalues that were carried later on only: known from some step to the end.
        out = np.full((len(times), *values.shape[1:]), np.nan)
        for k, column in enumerate(values.T):
            there = np.isfinite(column)
            if there.any():
                within = times >= known[there][0]
                out[within, k] = _between(known[there], column[there], times[within])
        return out
    at: np.ndarray = PchipInterpolator(known, values)(np.minimum(times, known[-1]))
    at[(times > known[-1] * (1 + 1e-12)) | (times < 0)] = np.nan
    return at
