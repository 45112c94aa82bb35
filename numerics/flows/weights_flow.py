"""The flow of all weights of a network: where it begins, on the edge, and how its path is told.

What runs is `sharpflow.numerics.flows.edge_flow` in the coordinates y of `sharpflow.numerics.weights.coordinates`:

    dy/d tau = -P R y - sum_ij Sigma_ij A_ij,        0 <= Sigma, Z = M(Sigma) + <A, R y> >= 0, <Sigma, Z> = 0,

M(Sigma)_ij = sum_kl <A_ij, A_kl> Sigma_kl. What is scale-invariant lies on a sphere in it, of radius
1/sqrt(effective_lr), and is told as a unit vector, with the rest of the weights as they are.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.minima.krylov_normals import frames_fit
from sharpflow.numerics.numbers import check_positive
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.spectrum.dense import top_curvature
from sharpflow.numerics.spectrum.eigenpairs import top_eigenpairs
from sharpflow.numerics.weights.coordinates import Coordinates
from sharpflow.theory.errors import InputError

__all__ = ["of_weights", "on_edge", "top_edge"]

# How far the radius is looked for, in factors of two.
DOUBLINGS = 60
BEYOND = 1e-6


def top_edge(own: Coordinates, y: np.ndarray, /) -> float:
    """The largest eigenvalue of S H S at y (D,), 2 on the edge."""
    objective: Objective = own.scaled
    if frames_fit(objective):
        return own.effective_lr * top_curvature(objective, y)
    return own.effective_lr * float(top_eigenpairs(objective, y, count=1).values[0])


def on_edge(own: Coordinates, y: np.ndarray, effective_lr: float | None = None, /) -> np.ndarray:
    """Y (D,) with what is scale-invariant as long as the edge asks for, or as ``effective_lr`` does.

    Raises:
        InputError: the other weights alone are beyond the edge, or all of them are where none is scale-invariant.
    """
    if effective_lr is not None:
        if not own.spheres:
            raise InputError("effective_lr: no weights lie on a sphere here; learning_rate alone sets the step.")
        y = own.grown(y, math.sqrt(float(own.sphere_lr(y)) / check_positive("effective_lr", effective_lr)))
    elif own.invariant:
        y = _to_edge(own, y)
    top = top_edge(own, y)
    if not top <= 2 * (1 + BEYOND):
        raise InputError(
            f"{own.objective.name!r}: the largest eigenvalue of S H S, S^2 the learning rates, is {top:.4g} at the "
            f"start, beyond the edge 2, and gradient descent diverges there: {_usable(own, 2 / top, effective_lr)}."
        )
    return y


def _usable(own: Coordinates, factor: float, effective_lr: float | None) -> str:
    """The words for what brings S H S to the edge: S^2 are the learning rates, so that it is linear in them."""
    rates = sorted(set(own.learning_rates))
    if len(rates) == 1 and effective_lr is None:
        return f"take learning_rate below {factor * rates[0]:.3g}"
    what = "every learning_rate" if effective_lr is None else "effective_lr and every learning_rate"
    return f"multiply {what} by less than {factor:.3g}"


def _to_edge(own: Coordinates, y: np.ndarray) -> np.ndarray:
    from scipy.optimize import brentq  # a quarter of a second of imports

    def beyond(log_c: float) -> float:
        return math.log(top_edge(own, own.grown(y, math.exp(log_c))) / 2)

    least, most = 0.0, 0.0
    for _ in range(DOUBLINGS):  # shorter is sharper
        if beyond(least) > 0:
            break
        least -= math.log(2)
    for _ in range(DOUBLINGS):
        if beyond(most) < 0:
            break
        most += math.log(2)
    else:
        return own.grown(y, math.exp(most))  # what is left is that of the other weights
    return own.grown(y, math.exp(float(brentq(beyond, least, most, xtol=1e-12, rtol=1e-12))))


def of_weights(own: Coordinates, path: Path, /) -> Path:
    """The path in y as one of the weights; Sigma and the spectrum in units of the first sphere."""
    lr = own.sphere_lr(path.points)
    share = lr / own.effective_lr
    return replace(
        path, points=own.shown(path.points), effective_lr=lr, spectrum=path.spectrum / share[:, None],
        sigma=None if path.sigma is None else path.sigma * share[:, None, None], spheres=own.parts,
        name=own.objective.name,
    )  # fmt: skip
