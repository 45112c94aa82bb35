"""Spherical sharpness: eigenvalues of P Hess L(theta) P at a unit vector theta, P = I - theta theta^T.

On Gamma theta itself is in the kernel of the Hessian; off Gamma it is not (Hess L(theta) theta = -grad L(theta)),
and the projector takes it out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.objective import (
    Objective,
    as_objective,
    once_for_each_loss,
    require_scale_invariant,
)
from sharpflow.numerics.residuals import residual_count
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = [
    "Frame", "eigenvalues", "fitting", "fix_sign", "frame", "log_sharpness_gradient", "normal_rank", "sharpness",
    "top_curvature",
]  # fmt: skip

configure()

Array = jax.Array

# Numbers in the Jacobians of a batch, of which a program holds some eight at once: a gigabyte. Of Hessians an eighth:
# their eigenproblems take seconds then, after which whoever waits is told.
MOST_NUMBERS, MOST_OF_HESSIANS = 16_000_000, 2_000_000
# Where the rank with so many more is below a part of the dimension, products with a random block give the normal
# directions, and so many more products with what they span: a fifteenth of the time at 14 of 180.
SPARE, PART, REPEATS = 8, 3, 2


class Frame(NamedTuple):
    """The ``rank`` directions normal to Gamma.

    Attributes:
        values: (rank,) eigenvalues of the Hessian, falling.
        vectors: (D, rank) orthonormal eigenvectors.
        gradient: (D,) grad L at the point.
    """

    values: Array
    vectors: Array
    gradient: Array


def spherical_hessian(objective: Objective, theta: Array, /) -> Array:
    """P Hess L(theta) P, (D, D), at a unit vector theta (D,)."""
    if objective.decay is not None:
        return jax.hessian(objective.function)(theta)
    projector = jnp.eye(theta.shape[0]) - jnp.outer(theta, theta)
    return projector @ jax.hessian(objective.function)(theta) @ projector


def frame(objective: Objective, theta: Array, /, rank: int) -> Frame:
    """Top ``rank`` eigenpairs of the spherical Hessian at the unit vector theta (D,).

    With residuals, H = J^T J on Gamma, so the eigenpairs come from the n x n Gram matrix J J^T (off Gamma they are
    those of Gauss-Newton, which differ by the size of the residuals). Without, from the D x D Hessian; of a low rank
    from what it spans, which on Gamma is the same, and off Gamma so up to curvatures along it over those across.
    """
    gradient = jax.grad(objective.function)(theta)
    if objective.residuals is not None:
        jacobian = jax.jacrev(objective.residuals)(theta)  # (n, D)
        values, left = jnp.linalg.eigh(jacobian @ jacobian.T)
        values, left = values[::-1][:rank], left[:, ::-1][:, :rank]
        # A singular value at rounding level would blow its vector up: such a rank was asked for in error.
        floor = jnp.finfo(values.dtype).tiny
        return Frame(values, (jacobian.T @ left) / jnp.sqrt(jnp.maximum(values, floor)), gradient)
    if PART * (rank + SPARE) <= len(theta):
        values, vectors = _ranged(objective, theta, rank + SPARE)
    else:
        values, vectors = jnp.linalg.eigh(spherical_hessian(objective, theta))
    return Frame(values[::-1][:rank], vectors[:, ::-1][:, :rank], gradient)


def _ranged(objective: Objective, theta: Array, width: int) -> tuple[Array, Array]:
    """Eigenpairs (width,), rising, and (D, width) of the spherical Hessian on its products with random vectors.

    All of the eigenpairs that are not 0 where there are no more than ``width``.
    """
    radial = objective.radial(theta)

    def product(block: Array) -> Array:
        tangent = block - jnp.outer(radial, radial @ block)
        columns = jax.vmap(lambda v: jax.jvp(jax.grad(objective.function), (theta,), (v,))[1], 1, 1)(tangent)
        return columns - jnp.outer(radial, radial @ columns)

    # Always the same vectors; which ones matters to rounding only.
    block = jax.random.normal(jax.random.key(0), (len(theta), width), theta.dtype)
    for _ in range(REPEATS):
        block = jnp.linalg.qr(product(block))[0]
    values, small = jnp.linalg.eigh(block.T @ product(block))
    return values, block @ small


def fix_sign(vector: Array) -> Array:
    """The eigenvector (D,) whose first nonzero entry is positive.

    An entry counts as zero below 1e-8 of the largest: an eigenvector carries rounding of machine epsilon *
    lambda_1/gap, under 1e-8 for every gap above 1e-8 lambda_1.
    """
    first = jnp.argmax(jnp.abs(vector) > 1e-8 * jnp.max(jnp.abs(vector)))
    return vector * jnp.where(vector[first] < 0, -1.0, 1.0)


def top_eigenvector(f: Frame, /) -> Array:
    """v_1 (D,) with its sign fixed."""
    return fix_sign(f.vectors[:, 0])


def curvature_slope(objective: Objective, theta: Array, v: Array, /) -> Array:
    """grad(v^T H v) (D,), v (D,) held fixed, for tracing: the whole, normal to Gamma as well.

    Reverse over forward twice: the cost is a few gradients, and no third-derivative tensor exists.
    """

    def curvature(z: Array) -> Array:
        def slope(y: Array) -> Array:
            return jax.jvp(objective.function, (y,), (v,))[1]

        return jax.jvp(slope, (z,), (v,))[1]

    out: Array = jax.grad(curvature)(theta)
    return out


def tangent_log_gradient(objective: Objective, theta: Array, f: Frame, /, slope: Array | None = None) -> Array:
    """g = P_T grad(v_1^T H v_1)/lambda_1, (D,); P_T projects off the normals and off theta.

    ``slope`` is the gradient before that, where it is known (`curvature_slope`).
    """
    slope = curvature_slope(objective, theta, f.vectors[:, 0]) if slope is None else slope
    tangent = slope - f.vectors @ (f.vectors.T @ slope)
    radial = objective.radial(theta)
    return (tangent - radial * (radial @ tangent)) / f.values[0]


def all_eigenvalues(objective: Objective, theta: Array, /) -> Array:
    """The D - 1 eigenvalues of the spherical Hessian (all D in R^D), falling."""
    matrix = spherical_hessian(objective, theta)
    if objective.decay is not None:
        return jnp.linalg.eigvalsh(matrix)[::-1]
    # The radial eigenvalue, 0, is moved below all others (each is at most the Frobenius norm in size) and dropped.
    low = 2 * jnp.linalg.norm(matrix) + 1
    return jnp.linalg.eigvalsh(matrix - low * jnp.outer(theta, theta))[1:][::-1]


@once_for_each_loss
def _batch(objective: Objective, rank: int) -> Compiled:
    return Compiled(jax.vmap(lambda theta: frame(objective, theta, rank).values))


def fitting(objective: Objective, block: int, /) -> int:
    """``block``, or fewer points where as many Jacobians (n, D) of the residuals, or Hessians, do not fit in memory."""
    count = residual_count(objective)
    most = MOST_OF_HESSIANS // objective.dimension if count is None else MOST_NUMBERS // max(count, 1)
    return max(1, min(block, most // objective.dimension))


def top_eigenvalues(objective: Objective, points: Any, /, *, rank: int, block: int = 400) -> np.ndarray:
    """The top ``rank`` eigenvalues (N, rank), falling, at N unit vectors (N, D) of Gamma, in blocks of one size."""
    array = np.asarray(points, dtype=float)
    block = fitting(objective, block)
    padded = np.concatenate([array, np.repeat(array[-1:], -len(array) % block, axis=0)])
    parts = [np.asarray(_batch(objective, rank)(padded[i : i + block])) for i in range(0, len(padded), block)]
    return np.concatenate(parts)[: len(array)]


@once_for_each_loss
def _eigenvalues(objective: Objective) -> Compiled:
    return Compiled(lambda theta: all_eigenvalues(objective, theta))


@once_for_each_loss
def _log_gradient(objective: Objective, rank: int) -> Compiled:
    return Compiled(lambda theta: tangent_log_gradient(objective, theta, frame(objective, theta, rank)))


@once_for_each_loss
def _gram_eigenvalues(objective: Objective) -> Compiled:
    assert objective.residuals is not None
    jacobian = jax.jacrev(objective.residuals)

    def values(theta: Array) -> Array:
        j = jacobian(theta)
        # The smaller of the two Gram matrices; a singular value decomposition would take D x D numbers.
        return jnp.linalg.eigvalsh(j @ j.T if j.shape[0] <= j.shape[1] else j.T @ j)[::-1]

    return Compiled(values)


def unit_vector(objective: Objective, point: Any, what: str = "point") -> np.ndarray:
    """``point`` checked and, on the sphere, normalised, (D,)."""
    vector = objective.vector(point, what)
    result: np.ndarray = vector / np.linalg.norm(vector) if objective.decay is None else vector
    return result


@once_for_each_loss
def _plain_eigenvalues(objective: Objective) -> Compiled:
    return Compiled(lambda w: jnp.linalg.eigvalsh(jax.hessian(objective.function)(w))[::-1])


def require_sphere(objective: Objective, /) -> None:
    """Raise `InputError` where a spectrum on the sphere is asked of a loss that does not live there."""
    if objective.decay is not None:
        return
    try:
        require_scale_invariant(objective)
    except InputError as error:
        raise InputError(
            f"{error} The spectrum asked for is that on the unit sphere, at w/|w|; with spherical=False it is that of "
            "the whole Hessian, at w itself."
        ) from None


def eigenvalues(subject: Loss | Objective, point: Any, /, *, spherical: bool = True) -> np.ndarray:
    """All D - 1 eigenvalues of P Hess L(theta) P, theta = w/|w| and P off theta; or, not spherical, all D of Hess L(w).

    Falling, of w = ``point`` (D,).

    Raises:
        InputError: spherical, and L(c w) = L(w) does not hold.
    """
    objective = as_objective(subject)
    if not spherical:
        return np.asarray(_plain_eigenvalues(objective)(objective.vector(point, "point")))
    require_sphere(objective)
    return np.asarray(_eigenvalues(objective)(unit_vector(objective, point)))


def sharpness(subject: Loss | Objective, point: Any, /, *, spherical: bool = True) -> float:
    """lambda_1, the largest of `eigenvalues`: on the unit sphere, or of the whole Hessian where not ``spherical``.

    Examples:
        >>> from sharpflow import resolve_loss, sharpness
        >>> round(sharpness(resolve_loss("ridge"), (1.0, 0.0, 0.0)), 9)  # 2 + cos(2 p) at p = 0
        3.0
    """
    return float(eigenvalues(subject, point, spherical=spherical)[0])


def top_curvature(objective: Objective, point: np.ndarray, /) -> float:
    """lambda_1 at a point of Gamma (D,), by the Gram matrix of the residuals where there are some."""
    found = _eigenvalues if objective.residuals is None else _gram_eigenvalues
    return float(found(objective)(point)[0])


def log_sharpness_gradient(subject: Loss | Objective, point: Any, /, *, rank: int | None = None) -> np.ndarray:
    """g = grad_Gamma log lambda_1, (D,), tangent to Gamma, at a point of it (D,), normalised here.

    Defined for a simple lambda_1 only: at a tie the value is that of one of the eigenvectors, and means nothing.
    """
    objective = as_objective(subject)
    theta = unit_vector(objective, point)
    return np.asarray(_log_gradient(objective, normal_rank(objective, theta) if rank is None else rank)(theta))


def normal_rank(objective: Objective, point: Any, /) -> int:
    """The number of directions normal to Gamma at a point of it: the objective's ``rank`` where it is known.

    Else it is read off the spectrum at its widest gap: the k that maximises lambda_k/lambda_{k+1}, eigenvalues below
    1e-10 lambda_1 (rounding of a D x D eigenproblem: D machine epsilons, some 1e-13) counting as that.

    Raises:
        InputError: the Hessian vanishes, or has no kernel to speak of.
    """
    if objective.rank is not None:
        return objective.rank
    if objective.residuals is None:
        values = np.asarray(_eigenvalues(objective)(unit_vector(objective, point)))
    else:
        values = np.asarray(_gram_eigenvalues(objective)(unit_vector(objective, point)))
        # Whatever the residuals do not see is kernel; theta itself, in the kernel too, is not counted.
        values = np.concatenate([values, np.zeros(1)])[: objective.normals_at_most]
    if objective.dimension < 3:
        raise InputError(f"{objective.name!r} has {objective.dimension} weights; a flow along minima needs at least 3.")
    if not np.isfinite(values[0]) or values[0] <= 0:
        raise InputError(f"{objective.name!r}: the Hessian has no positive eigenvalue here; it has {values[0]:g}.")
    floored = np.maximum(values, 1e-10 * values[0])
    ratios = floored[:-1] / floored[1:]
    rank = int(np.argmax(ratios)) + 1
    if ratios[rank - 1] < 1e3 and values[-1] > 1e-6 * values[0]:
        raise InputError(
            f"{objective.name!r}: every direction is curved (eigenvalues {values[0]:.3g} to {values[-1]:.3g}): the "
            "minimum is a point, and there is no flow along it."
        )
    if ratios[rank - 1] < 1e3:
        raise InputError(
            f"{objective.name!r}: no gap separates the normal directions from the kernel (eigenvalues {values[:4]} ... "
            f"{values[-1]:g}); the minima are not a manifold here, or the point is not on them."
        )
    return rank
