"""The normal directions of Gamma at a point of it: top eigenpairs, tangent projection, and Newton's step back.

One interface for the ways to have them: from all of the normal eigenvectors (a Gram matrix where there are residuals,
the dense Hessian where there are none).
"""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from sharpflow.numerics.objective import Objective
from sharpflow.numerics.spectrum.dense import Frame, frame

__all__ = ["FrameNormals", "Normals"]


Array = jax.Array
# What a step solves, and what is left where it does not.
SOLVED = (
    "the covariance of the oscillation was not found: the error in its conditions is {:.1e}",
    "the top eigenpairs did not converge: their residual is {:.1e} lambda_1",
    "conjugate gradients did not converge: their residual is {:.1e}",
    "an eigenvalue was overlooked: effective_lr*lambda_1/2 is {:.1e} beyond the edge",
)


class Normals(Protocol):
    """A way to find normal directions, for tracing.

    Attributes:
        objective: the loss.
        k: number of eigenpairs carried.
        exhausts: whether there are no more than k normal directions.
        complete: whether `at` gives the eigenvalues of all of them.
    """

    objective: Objective
    k: int
    exhausts: bool
    complete: bool

    def guess(self, theta: Array) -> Any:
        """The guess to hand to the first `at`."""

    def at(self, theta: Array, near: Any) -> Any:
        """All that is known at theta (D,): ``values`` (at least k, falling) and ``vectors`` (D, at least k).

        ``near`` is the same of a point close by.
        """

    def unsolved(self, here: Any) -> Array:
        """The residual of the search that found ``here``, where it did not converge; else 0."""

    def searching(self, near: Any, last: Array) -> Any:
        """``near`` for the next `at`, the last of a flow where ``last`` is true."""

    def tangent(self, theta: Array, here: Any, rows: Array) -> tuple[Array, Array]:
        """Rows (m, D) without their parts normal to Gamma and along theta; the residual of what was not solved."""

    def newton(self, theta: Array, here: Any) -> tuple[Array, Array]:
        """A step from theta (D,) towards Gamma, with the normal directions of a point close by; the residual, or 0."""


class FrameNormals:
    """By all ``rank`` normal eigenvectors."""

    def __init__(self, objective: Objective, rank: int, k: int) -> None:
        self.objective, self.rank, self.k = objective, rank, k
        self.exhausts, self.complete = k >= rank, True

    def guess(self, theta: Array) -> None:
        """Nothing is needed."""

    def at(self, theta: Array, near: Any) -> Frame:
        """The frame at theta."""
        return frame(self.objective, theta, self.rank)

    def unsolved(self, here: Frame) -> Array:
        """Nothing: nothing is iterated here."""
        return jnp.zeros(())

    def searching(self, near: Any, last: Array) -> Any:
        """See `Normals`."""
        return near

    def tangent(self, theta: Array, here: Frame, rows: Array) -> tuple[Array, Array]:
        """See `Normals`."""
        rows = rows - (rows @ here.vectors) @ here.vectors.T
        radial = self.objective.radial(theta)
        return rows - jnp.outer(rows @ radial, radial), jnp.zeros(())

    def newton(self, theta: Array, here: Frame) -> tuple[Array, Array]:
        """See `Normals`."""
        gradient = jax.grad(self.objective.function)(theta)
        moved = theta - here.vectors @ ((here.vectors.T @ gradient) / here.values)
        return self.objective.onto(moved), jnp.zeros(())
