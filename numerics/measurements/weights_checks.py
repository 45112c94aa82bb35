"""Measurements on small losses of several kinds of weights: all of them at the edge, and layers that share a norm."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.comparison.result import Comparison
from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.objective import Objective

__all__ = ["GroupNorms", "all_weights", "mixed", "norm_shares"]

LEARNING_RATE = 0.2
# Two inputs in three dimensions.
INPUTS = ((1.0, 0.4, -0.3), (0.2, -1.0, 0.6))


@lru_cache(maxsize=1)
def mixed() -> Objective:
    """f_i = gain tanh(2 x_i . w/|w|) + bias, two examples that the start fits: w on a sphere, gain and bias not."""

    def outputs(p: Any) -> jax.Array:
        scaled = jnp.tanh(2 * jnp.asarray(INPUTS) @ p["w"] / jnp.linalg.norm(p["w"]))
        return p["gain"][0] * scaled + p["gain"][1] * scaled**2 + p["bias"]

    start = {"w": np.array([0.9, 0.5, 0.7]), "gain": np.array([1.5, 0.4]), "bias": np.array(0.3)}
    targets = tuple(np.asarray(outputs(start)).tolist())

    def residuals(p: Any) -> jax.Array:
        return outputs(p) - jnp.asarray(targets)

    return Objective(lambda p: jnp.sum(residuals(p) ** 2) / 2, start, residuals, name="mixed")


def all_weights(rate: float, time: float) -> Comparison:
    """Gradient descent on `mixed` beside the flow of all its weights."""
    return compare(mixed(), rate=rate, time=time, learning_rate=LEARNING_RATE)


class GroupNorms(NamedTuple):
    """f_1 = |w_1|^2/|w|^2 at the end of a flow, from it and from the law of group norms, and how far it moved."""

    flow: float
    law: float
    moved: float


def _two_blocks(w: jax.Array) -> jax.Array:
    """A residual of w = (a, b) in R^2 x R^3, invariant in a and in b."""
    a, b = w[:2] / jnp.linalg.norm(w[:2]), w[2:] / jnp.linalg.norm(w[2:])
    return jnp.stack([a[0] * b[0] + 0.5 * a[1] * b[1], 2 * b[2] + a[0] * b[1]])


def norm_shares(time: float) -> GroupNorms:
    """The flow of two layers that are invariant each, begun with half of the norm in each."""
    objective = Objective(
        lambda w: jnp.sum(_two_blocks(w) ** 2) / 2, (0.0, 1.0, 1.0, 0.0, 0.0), _two_blocks, name="two-blocks"
    )  # fmt: skip
    path = edge_flow(objective, time=time, tolerance=1e-6)
    shares = np.sum(path.points[:, :2] ** 2, axis=1)
    speeds = []
    assert path.sigma is not None
    for z, sigma, share in zip(path.points, path.sigma, shares, strict=True):
        values, vectors = np.linalg.eigh(np.asarray(objective.hessian(z)))
        v = vectors[:, np.argsort(-values)[: sigma.shape[0]]]
        # Signs of eigenvectors do not matter where one of them alone is at the edge.
        speeds.append(4 * (np.trace(sigma @ (v[:2].T @ v[:2])) - share * np.trace(sigma)))
    moved = np.trapezoid(speeds, path.times)
    return GroupNorms(float(shares[-1]), float(shares[0] + moved), float(shares[-1] - shares[0]))
