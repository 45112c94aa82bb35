"""The path of a flow: what every flow returns, whatever its equations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.trajectory import Trajectory

__all__ = ["Path"]

# An eigenvalue within this part of the edge counts as at it.
AT_EDGE = 0.01
# What is said of the path as a whole.
SAID = (
    "result", "message", "name", "seconds", "compile_seconds", "smooth", "residual", "rejected", "off_minima",
    "spheres",
)  # fmt: skip


@brief
@dataclass(frozen=True, eq=False)
class Path:
    """zeta(tau) at N flow times.

    Attributes:
        times: (N,) flow time, rising.
        points: (N, D) unit vectors; of weights that are not all scale-invariant, those that are as a unit vector, and
            the rest as they are.
        effective_lr: (N,); nan where the flow does not say.
        spectrum: (N, k) top eigenvalues of the spherical Hessian, falling; nan where fewer were known.
        sigma: (N, j, j) Sigma at each time, the covariance of the oscillation in units of the rate, in the top
            eigenvectors there (padded with 0); ``None`` of a flow that has none.
        result, message: how it ended; a path that failed ends at its last good point.
        name: of the objective.
        seconds, compile_seconds: running and compiling.
        smooth: no eigenvalue joins or leaves the edge on the way: between its times the path has no corners.
        residual: the largest error in the conditions on Sigma; nan where there are none.
        rejected: tries given up for a smaller step.
        spheres: the entries of each unit vector in a point; ``None`` where the point is one.
        off_minima: distance of the last point to Gamma, by Newton's iteration; nan where none was measured.
    """

    times: np.ndarray
    points: np.ndarray
    effective_lr: np.ndarray
    spectrum: np.ndarray
    sigma: np.ndarray | None = None
    result: RESULTS = RESULTS.SUCCESSFUL
    message: str = ""
    name: str = "objective"
    seconds: float = 0.0
    compile_seconds: float = 0.0
    smooth: bool = False
    residual: float = math.nan
    rejected: int = 0
    off_minima: float = math.nan
    spheres: tuple[np.ndarray, ...] | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def time(self) -> float:
        """Flow time reached."""
        return float(self.times[-1])

    @property
    def end(self) -> np.ndarray:
        """(D,) the last point."""
        last: np.ndarray = self.points[-1]
        return last

    @property
    def sharpness(self) -> np.ndarray:
        """(N,) lambda_1."""
        top: np.ndarray = self.spectrum[:, 0]
        return top

    @property
    def edge_count(self) -> np.ndarray:
        """(N,) how many eigenvalues have effective_lr*lambda_i within a hundredth of 2."""
        count: np.ndarray = np.sum(self.effective_lr[:, None] * self.spectrum > 2 * (1 - AT_EDGE), axis=1)
        return count

    @property
    def mean_square(self) -> np.ndarray:
        """(N,) tr Sigma: the mean of |theta - zeta|^2 over the oscillation, in units of the rate; nan without Sigma."""
        if self.sigma is None:
            return np.full(len(self.times), np.nan)
        trace: np.ndarray = np.trace(self.sigma, axis1=1, axis2=2)
        return trace

    def at(self, times: Any, /) -> Path:
        """The path at flow times (M,); nan beyond its end.

        In between by cubics: splines where the path is smooth, else monotone ones, which keep to the corners where an
        eigenvalue joins. Sigma is interpolated linearly.
        """
        wanted = np.asarray(times, dtype=float)
        between = _spline if self.smooth else _monotone
        points, spectrum, log_lr = (
            between(self.times, values, wanted) for values in (self.points, self.spectrum, np.log(self.effective_lr))
        )
        parts = (np.arange(points.shape[1]),) if self.spheres is None else self.spheres
        for part in parts:
            points[:, part] /= np.linalg.norm(points[:, part], axis=1, keepdims=True)
        more = {name: getattr(self, name) for name in SAID}
        return Path(
            wanted,
            points,
            np.exp(log_lr),
            spectrum,
            None if self.sigma is None else _linear(self.times, self.sigma, wanted),
            **more,
        )

    def trajectory(self) -> Trajectory:
        """The path as a `Trajectory`, as far as it exists."""
        there = np.all(np.isfinite(self.points), axis=1)
        return Trajectory(
            times=self.times[there], points=self.points[there], effective_lr=self.effective_lr[there],
            sharpness=self.sharpness[there], loss=np.full(int(there.sum()), np.nan), result=self.result,
            metadata={"subject": self.name, "kind": "flow"},
        )  # fmt: skip


def _outside(known: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Which of ``times`` lie before the first known one, or after the last by more than rounding."""
    out: np.ndarray = (times < known[0]) | (times > known[-1] * (1 + 1e-12))
    return out


def _one(known: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``values`` (M, ...) at the first time; nan elsewhere."""
    out = np.full((len(times), *values.shape[1:]), np.nan)
    out[times == known[0]] = values[0]
    return out


def _monotone(known: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``values`` known at ``known`` (N,), at ``times`` (M,); nan outside, and where they are nan on either side."""
    from scipy.interpolate import PchipInterpolator

    if len(known) < 2:
        return _one(known, values, times)
    if values.ndim > 1 and not np.isfinite(values).all():
        # Eigenvalues that were carried later on only: known from some step to the end.
        out = np.full((len(times), *values.shape[1:]), np.nan)
        for k, column in enumerate(values.T):
            there = np.isfinite(column)
            if there.any():
                within = times >= known[there][0]
                out[within, k] = _monotone(known[there], column[there], times[within])
        return out
    if not np.isfinite(values).all():
        return np.full(len(times), np.nan)
    at: np.ndarray = PchipInterpolator(known, values)(np.minimum(times, known[-1]))
    at[_outside(known, times)] = np.nan
    return at


def _spline(known: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The same of a smooth path by a cubic spline: between 400 records it is exact to 1e-9 for speeds under 1/2."""
    from scipy.interpolate import CubicSpline

    if len(known) < 4:
        return _one(known, values, times)
    if not np.isfinite(values).all():
        return np.full((len(times), *values.shape[1:]), np.nan)
    at: np.ndarray = CubicSpline(known, values)(times)
    at[_outside(known, times)] = np.nan
    return at


def _linear(known: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    flat = values.reshape(len(known), -1).T
    at = np.stack([np.interp(times, known, column, right=np.nan) for column in flat], axis=1)
    return at.reshape(len(times), *values.shape[1:])
