"""x_{k+1} = s(N(x_k * W_k)), eight convolutions, five halvings of the image, outputs: D = 9,222,848 on CIFAR-10.

The three fully connected layers of the original are the one of the networks for CIFAR-10; its maxima over 2 x 2 pixels
have kinks, and are means by default (``pooling="max"`` for the original). No affine parameters; normalised outputs.

Source: Simonyan, Zisserman 2015, arXiv:1409.1556, configuration A.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from sharpflow.numerics.models.layers import Layers
from sharpflow.numerics.models.network import Network
from sharpflow.theory.errors import InputError

__all__ = ["NETWORK"]

POOLINGS: dict[str, Callable[..., jax.Array]] = {"mean": jnp.mean, "max": jnp.max}


def forward(layers: Layers, x: jax.Array, *, stages: Sequence[Sequence[int]], pooling: str) -> jax.Array:
    """Outputs (n, outputs) of images x (n, height, width, channels); each stage of convolutions halves the image."""
    if x.ndim != 4 or x.shape[1] % 2 ** len(stages) or x.shape[2] % 2 ** len(stages):
        raise InputError(
            f"images are (height, width, channels) with sides divisible by {2 ** len(stages)}, not {x.shape[1:]}."
        )
    if pooling not in POOLINGS:
        raise InputError(f"pooling = {pooling!r} must be {' or '.join(POOLINGS)}.")
    for stage in stages:
        for channels in stage:
            x = layers.activate(layers.conv(x, channels))
        n, height, width, channels = x.shape
        x = POOLINGS[pooling](x.reshape(n, height // 2, 2, width // 2, 2, channels), axis=(2, 4))
    return layers.output(jnp.mean(x, axis=(1, 2)))


NETWORK = Network(
    name="vgg11",
    title="eight convolutions and an output layer",
    forward=forward,
    sizes={"stages": ((64,), (128,), (256, 256), (512, 512), (512, 512)), "pooling": "mean"},
    source="arXiv:1409.1556",
)
