"""Matrix completion by a batch-normalised factor model: BN(U V^T) on the observed entries against BN of the truth.

The entries p of U V^T, (rows, rows), are centred and scaled by their mean and deviation over the observed ones:
homogeneous of degree 0 in (U, V). The truth has rank 2, the factors are as wide as the matrix: so there are many
interpolating matrices, and Gamma is more than the gauge orbit (U A, V A^-T) of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from numerics.config import configure
from numerics.objective import Objective

__all__ = ["Completion", "completion", "default"]

configure()


@dataclass(frozen=True, eq=False)
class Completion:
    """A problem of matrix completion.

    Attributes:
        objective: mean squared error over the observed entries, with residuals.
        truth: (rows, rows), standardised over the observed entries.
        observed: (rows, rows) booleans.
        width: of the factors.
    """

    objective: Objective
    truth: np.ndarray
    observed: np.ndarray
    width: int

    def errors(self, point: np.ndarray, /) -> tuple[float, float]:
        """Mean squared error over the observed and over the other entries, at weights (D,)."""
        missed = (np.asarray(_prediction(jnp.asarray(point), jnp.asarray(self.observed), self.width)) - self.truth) ** 2
        return float(missed[self.observed].mean()), float(missed[~self.observed].mean())


def _prediction(w: jax.Array, observed: jax.Array, width: int) -> jax.Array:
    """U V^T standardised over the observed entries, (rows, rows)."""
    rows = observed.shape[0]
    left, right = w[: rows * width].reshape(rows, width), w[rows * width :].reshape(rows, width)
    product = left @ right.T
    count = jnp.sum(observed)
    centred = product - jnp.sum(jnp.where(observed, product, 0)) / count
    return centred / jnp.sqrt(jnp.sum(jnp.where(observed, centred**2, 0)) / count)


def completion(*, rows: int = 20, rank: int = 2, width: int = 20, part: float = 0.5, seed: int = 0) -> Completion:
    """A random problem: ``part`` of the entries of a matrix of rank ``rank`` are observed."""
    random = np.random.default_rng(seed)
    truth = random.standard_normal((rows, rank)) @ random.standard_normal((rank, rows))
    observed = random.permutation(rows * rows).reshape(rows, rows) < round(part * rows * rows)
    truth = (truth - truth[observed].mean()) / truth[observed].std()
    start = random.standard_normal(2 * rows * width)
    wanted, where = truth[observed], np.flatnonzero(observed)

    def residuals(w: jax.Array) -> jax.Array:
        predicted = _prediction(w, jnp.asarray(observed), width).reshape(-1)[where]
        return (predicted - jnp.asarray(wanted, w.dtype)) * (2 / len(where)) ** 0.5

    objective = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, start, residuals, "matrix-completion")
    return Completion(objective, truth, observed, width)


default = completion().objective
