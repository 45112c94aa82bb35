"""y = BN(v . tanh(h)), h a normalised first layer of x W: two layers, squared loss, random data.

h = BN(x W) (``batch``), LN(x W) (``layer``), or x times the normalised columns of W (``weight``); BN is over examples.
L = sum_i (y_i - t_i)^2/n with targets t of mean 0 and variance 1: n residuals, which vanish at a minimum that
interpolates. With 16 examples, 8 inputs and 12 hidden units D = 108.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from numerics.config import configure
from numerics.networks.normalization import batch_norm, layer_norm, weight_norm
from numerics.objective import Objective
from theory.errors import InputError

__all__ = ["batch", "layer", "two_layer", "weight"]

configure()

Norm = Literal["batch", "layer", "weight"]


def two_layer(
    norm: Norm = "batch", /, *, examples: int = 16, inputs: int = 8, hidden: int = 12, seed: int = 0
) -> Objective:
    """The network on ``examples`` Gaussian inputs and targets, with a Gaussian start."""
    if norm not in ("batch", "layer", "weight"):
        raise InputError(f"norm = {norm!r} must be batch, layer or weight.")
    random = np.random.default_rng(seed)
    x, targets = random.standard_normal((examples, inputs)), random.standard_normal(examples)
    targets = (targets - targets.mean()) / targets.std()
    start = random.standard_normal(inputs * hidden + hidden)

    def residuals(w: jax.Array) -> jax.Array:
        # The data are part of the loss: n (d + 1) numbers, the one thing that is closed over.
        data, wanted = jnp.asarray(x, w.dtype), jnp.asarray(targets, w.dtype)
        first, second = w[: inputs * hidden].reshape(inputs, hidden), w[inputs * hidden :]
        if norm == "weight":
            features = data @ weight_norm(first)
        else:
            features = {"batch": batch_norm, "layer": layer_norm}[norm](data @ first)
        return (batch_norm(jnp.tanh(features) @ second) - wanted) * (2 / examples) ** 0.5

    return Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, start, residuals, f"two-layer-{norm}-norm")


batch, layer, weight = two_layer("batch"), two_layer("layer"), two_layer("weight")
