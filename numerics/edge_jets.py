"""The jets that the energy law asks for, at a point of Gamma, by automatic differentiation alone.

    c_3 = d^3/dt^3 L(zeta + t v_1)/lambda_1,    c_4 = d^4/dt^4 L(zeta + t v_1)/lambda_1    (t = 0)
    mixed = sum_j <grad (v_1^T H v_1), n_j>^2/(lambda_1 mu_j),    bend = K^2 dK/ds along g/|g| = (K/2) d(K^2)/ds

over the other normal eigenpairs (mu_j, n_j) of the Hessian H; g = grad_Gamma log lambda_1, K = |g|. None of the exact
wing's formulas is used: this is the second path to its numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numerics.compiled import Compiled
from numerics.config import configure
from numerics.manifold import analyse
from numerics.objective import Objective
from numerics.spectrum import frame, top_eigenvector, unit_vector

__all__ = ["STEP", "NumericJets", "edge_jets_at"]

configure()

Array = jax.Array

# lambda_1 varies over a length 1/K (over 1, the sphere's, where K < 1): h = STEP/max(1, K) is a thousandth of it.
# Central differences of f = K^2 at h and h/2, extrapolated, are off by h^4 f^(5)/480, a relative STEP^4 = 1e-12;
# rounding leaves 1e-14 of K^2 or so, 3e-11 over half a step. Retracting bends the line zeta + s g/K at order s^2,
# which leaves the first derivative as it is.
STEP = 1e-3


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


def _derivative(f: Callable[[Any], Array], /) -> Callable[[Any], Array]:
    """Of a function of one number, forwards: backwards each derivative takes longer to trace than the one before."""
    return lambda t: jax.jvp(f, (t,), (1.0,))[1]


def curvature_slope(objective: Objective, theta: Array, v: Array, /) -> Array:
    """grad(v^T H v) (D,), v (D,) held fixed, for tracing: the whole, normal to Gamma as well."""

    def curvature(z: Array) -> Array:
        return _derivative(_derivative(lambda t: objective.function(z + t * v)))(0.0)

    slope: Array = jax.grad(curvature)(theta)
    return slope


def across_traced(objective: Objective, theta: Array, /, rank: int) -> tuple[Array, Array, Array, Array]:
    """lambda_1, c_3, c_4 and the mixed term at a unit vector of Gamma, for tracing."""
    f = frame(objective, theta, rank)
    v = top_eigenvector(f)

    def along(t: Array) -> Array:
        value: Array = objective.function(theta + t * v)
        return value

    third = _derivative(_derivative(_derivative(along)))
    components = f.vectors[:, 1:].T @ curvature_slope(objective, theta, v)
    top = f.values[0]
    mixed = jnp.sum(components**2 / (top * f.values[1:]))
    return top, third(0.0) / top, _derivative(third)(0.0) / top, mixed


@lru_cache(maxsize=64)
def _across(objective: Objective, rank: int) -> Compiled:
    return Compiled(lambda theta: across_traced(objective, theta, rank))


def edge_jets_at(objective: Objective, zeta: Any, /, *, rank: int) -> NumericJets:
    """The jets at the point of Gamma next to zeta (D,), with ``rank`` directions normal to Gamma."""
    theta = unit_vector(objective, zeta)
    # Blocks of four, the number of displaced points below: one loss compiles once.
    here = analyse(objective, theta[None], rank=rank, block=4)
    theta, g = np.asarray(here.retraction.point)[0], np.asarray(here.log_gradient)[0]
    sharpness, cubic, quartic, mixed = (float(x) for x in _across(objective, rank)(theta))
    norm = float(np.linalg.norm(g))
    return NumericJets(sharpness, norm, _bend(objective, theta, g, rank), cubic, quartic, mixed)


def _bend(objective: Objective, theta: np.ndarray, g: np.ndarray, rank: int) -> float:
    """(K/2) d(K^2)/ds: K^2 is smooth where K vanishes, K itself has a kink there."""
    norm = float(np.linalg.norm(g))
    if norm == 0:
        return 0.0
    h = STEP / max(1.0, norm)
    moves = h * np.array([1.0, -1.0, 0.5, -0.5])
    there = analyse(objective, theta + moves[:, None] * g / norm, rank=rank, block=4)
    squares = np.sum(np.asarray(there.log_gradient) ** 2, axis=1)
    coarse, fine = (squares[0] - squares[1]) / (2 * h), (squares[2] - squares[3]) / h
    return float(norm / 2 * (4 * fine - coarse) / 3)
