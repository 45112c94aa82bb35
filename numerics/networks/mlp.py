"""x_{k+1} = s(N(x_k W_k)), outputs N(x W): a perceptron of any widths, on inputs of any shape."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from sharpflow.numerics.models.layers import Layers
from sharpflow.numerics.models.network import Network

__all__ = ["NETWORK"]


def forward(layers: Layers, x: jax.Array, *, widths: Sequence[int]) -> jax.Array:
    """Outputs (n, outputs) of x (n, ...)."""
    x = x.reshape(len(x), -1)
    for width in widths:
        x = layers.activate(layers.dense(x, width))
    return layers.output(x)


NETWORK = Network(name="mlp", title="perceptron", forward=forward, sizes={"widths": (32, 32)})
