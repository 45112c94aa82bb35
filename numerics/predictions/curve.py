"""The averaged flow of one eigenvalue as a curve on Gamma, d zeta/d sigma = -D(K^2) g, with the jets of the loss on it.

K = |g|, c_3 and Q = c_4 - 3 c_3^2 - 3 sum_j c_21j^2/m_j are what the oscillation at the edge asks of the loss, up to
terms of relative order rate; the sign of v_1 is carried along. Cubic splines through equally spaced records.
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
from sharpflow.numerics.config import configure
from sharpflow.numerics.descent.law import Law
from sharpflow.numerics.flows.manifold_flow import manifold_flow
from sharpflow.numerics.minima.retraction import mixed_term
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import curvature_slope, frame, tangent_log_gradient, top_eigenvector
from sharpflow.numerics.spectrum.line_derivatives import line_derivatives_traced
from sharpflow.theory.errors import InputError

__all__ = ["BLOCK", "Curve", "curve_along"]

configure()

Array = jax.Array

# Records: a hundredth of a unit of flow time apart or so, over which the jets are cubics up to 1e-8.
BLOCK = 400


@dataclass(frozen=True, eq=False)
class Curve:
    """n = BLOCK + 1 points, fewer where the curve ended.

    Attributes:
        times: (n,) sigma, equally spaced.
        points, tops: (n, D) zeta, and v_1 there.
        leans: (n, D) what the other normal directions follow with, per X^2.
        jets: (n, 4) K, c_3 (of the v_1 here), Q, lambda_1.
        cubics: (4, BLOCK, 4) of the splines through the jets, the highest power first; padded by the last.
        result: of the flow: successful, or gap_closed.
    """

    times: np.ndarray
    points: np.ndarray
    tops: np.ndarray
    leans: np.ndarray
    jets: np.ndarray
    cubics: np.ndarray
    result: RESULTS

    @property
    def spacing(self) -> float:
        """Of sigma between records."""
        return float(self.times[1] - self.times[0])

    def at(self, sigma: np.ndarray, /) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """zeta, v_1 and what follows (M, D), lambda_1 (M,) at sigma (M,)."""
        from scipy.interpolate import CubicSpline

        parts = (self.points, self.tops, self.leans, self.jets[:, 3])
        points, tops, leans, sharpness = (CubicSpline(self.times, part)(sigma) for part in parts)
        return points / np.linalg.norm(points, axis=1, keepdims=True), tops, leans, sharpness


@lru_cache(maxsize=64)
def _look(objective: Objective, rank: int, lean: Callable[[Any], Any]) -> Compiled:
    def one(theta: Array) -> tuple[Array, ...]:
        f = frame(objective, theta, rank)
        v, top, others = top_eigenvector(f), f.values[0], f.vectors[:, 1:]
        slope = curvature_slope(objective, theta, v)
        g = tangent_log_gradient(objective, theta, f, slope)
        _, _, third, fourth = line_derivatives_traced(objective, theta, v)
        cubic, quartic = third / top, fourth / top
        follows = others @ (lean(f.values[1:] / top) * (others.T @ slope) / top)
        response = quartic - 3 * cubic**2 - 3 * mixed_term(f, slope)
        return v, follows, jnp.stack([jnp.linalg.norm(g), cubic, response, top])

    return Compiled(lambda points: jax.lax.map(one, points))


def curve_along(
    objective: Objective, zeta: np.ndarray, /, *, rank: int, length: float, law: Law, lean: Callable[[Any], Any]
) -> Curve:
    """The curve from a point of Gamma (D,), over flow time ``length``.

    Args:
        lean: the displacement of another normal direction per c_21j X^2, a function of m_j; one object for one law.

    Raises:
        InputError: it ends before there is a curve to speak of.
    """
    path = manifold_flow(objective, zeta, time=length, drift=law.drift, rank=rank, records=BLOCK)
    if len(path) < 4:
        raise InputError(
            f"{objective.name!r}: the flow of one eigenvalue ends at once ({path.result.value}). {path.result.advice}"
        )
    padded = np.concatenate([path.points, np.repeat(path.points[-1:], BLOCK + 1 - len(path), axis=0)])
    tops, leans, jets = (np.array(a)[: len(path)] for a in _look(objective, rank, lean)(padded))
    turns = np.cumprod(np.concatenate([[1.0], np.where(np.sum(tops[1:] * tops[:-1], axis=1) < 0, -1.0, 1.0)]))
    tops, jets[:, 1] = tops * turns[:, None], jets[:, 1] * turns
    # Where the gap closed within a record, that record is nearer than the rest; the splines want equal ones.
    times = np.linspace(0.0, length, BLOCK + 1)[: len(path)]
    keep = np.abs(path.times - times) < 1e-9 * length
    times, points, tops, leans, jets = (a[keep] for a in (times, path.points, tops, leans, jets))
    from scipy.interpolate import CubicSpline

    cubics = CubicSpline(times, jets).c
    cubics = np.concatenate([cubics, np.repeat(cubics[:, -1:], BLOCK - cubics.shape[1], axis=1)], axis=1)
    return Curve(times, points, tops, leans, jets, cubics, path.result)
