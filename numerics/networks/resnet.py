"""x_{k+1} = s(S x_k + N(N(x_k * W) s * W')): a residual network for images, each branch normalised before it is added.

S x is x, or where the number of channels grows x at every other pixel with channels of zeros added: no weights, so that
the sum stays homogeneous of degree 0 in all of w. The stem is one convolution, the end the mean over all pixels.

Source: He, Zhang, Ren, Sun 2016, arXiv:1512.03385, the networks for CIFAR-10 with shortcuts A; here without affine
parameters, with normalised outputs, and smooth (gelu) by default.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from sharpflow.numerics.models.layers import Layers
from sharpflow.numerics.models.network import Network
from sharpflow.theory.errors import InputError

__all__ = ["NETWORK", "forward"]


def forward(layers: Layers, x: jax.Array, *, channels: Sequence[int], blocks: int) -> jax.Array:
    """Outputs (n, outputs) of images x (n, height, width, channels), by ``blocks`` blocks for each of ``channels``."""
    if x.ndim != 4:
        raise InputError(f"images are (height, width, channels), not {x.shape[1:]}.")
    x = layers.activate(layers.conv(x, channels[0]))
    for stage, count in enumerate(channels):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            branch = layers.activate(layers.conv(x, count, stride=stride))
            branch = layers.conv(branch, count)
            x = layers.activate(layers.add(_shortcut(x, stride, count), branch))
    return layers.output(jnp.mean(x, axis=(1, 2)))


def _shortcut(x: jax.Array, stride: int, channels: int) -> jax.Array:
    more = channels - x.shape[-1]
    if more < 0:
        raise InputError(f"the number of channels falls from {x.shape[-1]} to {channels}; let it grow.")
    return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)))


NETWORK = Network(
    name="resnet",
    title="small residual network for images",
    forward=forward,
    sizes={"channels": (8, 16), "blocks": 1},
    source="arXiv:1512.03385",
)
