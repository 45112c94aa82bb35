"""The residual network with three blocks for each of 16, 32, 64 channels: 20 layers, D = 268,336 on CIFAR-10."""

from __future__ import annotations

from sharpflow.numerics.models.network import Network
from sharpflow.numerics.networks import resnet

__all__ = ["NETWORK"]

NETWORK = Network(
    name="resnet20",
    title="residual network of 20 layers",
    forward=resnet.forward,
    sizes={"channels": (16, 32, 64), "blocks": 3},
    source=resnet.NETWORK.source,
)
