"""The jets that the energy law asks for, at a point of Gamma, by automatic differentiation alone.

    c_3 = d^3/dt^3 L(zeta + t v_1)/lambda_1,    c_4 = d^4/dt^4 L(zeta + t v_1)/lambda_1    (t = 0)
    mixed = sum_j <grad (v_1^T H v_1), n_j>^2/(lambda_1 mu_j),    bend = K^2 dK/ds along g/|g| = (K/2) d(K^2)/ds

over the other normal eigenpairs (mu_j, n_j) of the Hessian H; g = grad_Gamma log lambda_1, K = |g|. None of the exact
wing's formulas is used: this is the second path to its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpflow.numerics.config import configure
from sharpflow.numerics.minima.retraction import BLOCK, analyse
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.residuals import residual_count
from sharpflow.numerics.spectrum.dense import unit_vector
from sharpflow.numerics.spectrum.line_derivatives import line_derivatives

__all__ = ["STEP", "NumericJets", "edge_jets_along", "edge_jets_at"]

configure()

# lambda_1 varies over a length 1/K (over 1, the sphere's, where K < 1): h = STEP/max(1, K) is a thousandth of it.
# Central differences of f = K^2 at h and h/2, extrapolated, are off by h^4 f^(5)/480, a relative STEP^4 = 1e-12;
# rounding leaves 1e-14 of K^2 or so, 3e-11 over half a step. Retracting bends the line zeta + s g/K at order s^2,
# which leaves the first derivative as it is.
STEP = 1e-3
# Up to eigenproblems of this size points are worked off in the blocks of runs, by the same program; larger ones would
# take seconds for what pads a block, and are as many as there are.
SMALL = 40


@dataclass(frozen=True)
class NumericJets:
    """Numbers at one point of Gamma.

    Attributes:
        sharpness: lambda_1.
        log_gradient_norm: K.
        bend: K^2 dK/ds along g/|g|; 0 where K = 0.
        cubic: c_3, its sign that of v_1, whose first nonzero entry is positive.
        quartic: c_4.
        mixed: sum_j c_21j^2/m_j; 0 where there is one normal direction only.
    """

    sharpness: float
    log_gradient_norm: float
    bend: float
    cubic: float
    quartic: float
    mixed: float


def edge_jets_at(objective: Objective, zeta: Any, /, *, rank: int) -> NumericJets:
    """The jets at the point of Gamma next to zeta (D,), with ``rank`` directions normal to Gamma."""
    return edge_jets_along(objective, unit_vector(objective, zeta)[None], rank=rank)[0]


def edge_jets_along(objective: Objective, points: np.ndarray, /, *, rank: int) -> list[NumericJets]:
    """The jets at the points of Gamma next to N points (N, D)."""
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    here = analyse(objective, units, rank=rank, block=_block(objective, len(points)))
    theta, g = np.asarray(here.retraction.point), np.asarray(here.log_gradient)
    across = line_derivatives(objective, theta, np.asarray(here.top)) / np.asarray(here.sharpness)[:, None]
    columns = (here.sharpness, np.linalg.norm(g, axis=1), _bends(objective, theta, g, rank), *across[:, 2:].T)
    return [NumericJets(*(float(x) for x in row)) for row in zip(*columns, here.mixed, strict=True)]


def _block(objective: Objective, points: int) -> int:
    """Points that are worked off together; four around each."""
    rows = residual_count(objective)
    return BLOCK if (objective.dimension if rows is None else rows) <= SMALL else 4 * points


def _bends(objective: Objective, theta: np.ndarray, g: np.ndarray, rank: int) -> np.ndarray:
    """(K/2) d(K^2)/ds (N,) at points (N, D): K^2 is smooth where K vanishes, K itself has a kink there."""
    norm = np.linalg.norm(g, axis=1)
    h = STEP / np.maximum(1.0, norm)
    along = g / np.where(norm == 0, 1.0, norm)[:, None]
    moves = h[:, None] * np.array([1.0, -1.0, 0.5, -0.5])
    displaced = theta[:, None] + moves[:, :, None] * along[:, None]  # (N, 4, D)
    there = analyse(objective, displaced.reshape(-1, theta.shape[1]), rank=rank, block=_block(objective, len(theta)))
    squares = np.sum(np.asarray(there.log_gradient) ** 2, axis=1).reshape(-1, 4)
    coarse, fine = (squares[:, 0] - squares[:, 1]) / (2 * h), (squares[:, 2] - squares[:, 3]) / h
    out: np.ndarray = norm / 2 * (4 * fine - coarse) / 3
    return out
