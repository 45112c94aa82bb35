"""Layers whose every weight is normalised: N(x W), with N(c a) = N(a), or g x W/|W|, so that f(c w, x) = f(w, x).

Each layer is invariant under a scaling of its own weights, by itself; a network in which every weight passes through
one of these layers, and every residual branch before it is added, is invariant under a scaling of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from sharpflow.numerics.models.convolution import convolve
from sharpflow.numerics.models.normalization import batch_norm, group_norm, layer_norm, weight_norm
from sharpflow.theory.errors import InputError

__all__ = ["ACTIVATIONS", "GAINS", "HEADS", "NORMS", "UNNORMALIZED", "Layers"]

Array = jax.Array

NORMS = ("batch", "layer", "group", "weight")
HEADS = ("batch", "layer", "weight")
# For an ablation: no normalization at all, hence no scale invariance. No family lists it among its norms.
UNNORMALIZED = "none"


def _gelu(a: Array) -> Array:
    return a * (1 + jax.scipy.special.erf(a / 2**0.5)) / 2


# relu has a kink: no derivative of the loss beyond the first means what the theory takes it to mean.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"gelu": _gelu, "tanh": jnp.tanh, "relu": jax.nn.relu}
# 1/sqrt(E s(z)^2) for a standard normal z and s = gelu, relu: with weights of length 1 alone a signal would lose half
# of itself at each layer. tanh saturates, and is left as it is.
GAINS = {"gelu": (1 / 3 + 1 / (2 * math.pi * 3**0.5)) ** -0.5, "tanh": 1.0, "relu": 2**0.5}


@dataclass(frozen=True)
class Layers:
    """The parts that a network is built of.

    Attributes:
        take: the next weights in the flat vector, of a given shape; those into one output lie along all axes but the
            last.
        norm: of the hidden layers, one of `NORMS`: over the examples, over the features of each example, over groups
            of them, or of the weights into each unit (then times the fixed gain of the activation).
        head: of the outputs, one of `HEADS`: over the examples, over the outputs of each example, or of the weights.
            Both may be `UNNORMALIZED`; then f(c w, x) is not f(w, x).
        groups: of features, for group norm.
        activation: a key of `ACTIVATIONS`.
        outputs: how many.
        examples: how many of the inputs, from the first, are those that train; `None` for all of them.
    """

    take: Callable[..., Array]
    norm: str
    head: str
    groups: int
    activation: str
    outputs: int
    examples: int | None = None

    def activate(self, x: Array) -> Array:
        """The activation function, by entry."""
        return ACTIVATIONS[self.activation](x)

    def dense(self, x: Array, width: int) -> Array:
        """N(x W), (n, width), of x (n, features)."""
        weights = self.take(x.shape[-1], width)
        if self.norm == UNNORMALIZED:
            return x @ weights
        return x @ self._unit(weights) if self.norm == "weight" else self._normalize(x @ weights)

    def conv(self, x: Array, channels: int, *, size: int = 3, stride: int = 1) -> Array:
        """N(x * W), (n, height/stride, width/stride, channels), of images x (n, height, width, channels in)."""
        weights = self.take(size, size, x.shape[-1], channels)
        kernel = self._unit(weights) if self.norm == "weight" else weights
        out = convolve(x, kernel, stride=stride)
        return out if self.norm in ("weight", UNNORMALIZED) else self._normalize(out)

    def add(self, x: Array, branch: Array) -> Array:
        """x + branch; over sqrt(2) with weight norm, where nothing else keeps the sum from growing with each block."""
        return (x + branch) / 2**0.5 if self.norm == "weight" else x + branch

    def output(self, x: Array) -> Array:
        """The outputs (n, outputs) of features x (n, features), normalised as ``head`` says."""
        weights = self.take(x.shape[-1], self.outputs)
        return x @ weight_norm(weights) if self.head == "weight" else self.finish(x @ weights)

    def finish(self, outputs: Array) -> Array:
        """Outputs (n, outputs) as the head leaves them: standardised, or as they are without any normalization."""
        return outputs if self.head == UNNORMALIZED else self.standardize(outputs)

    def standardize(self, outputs: Array) -> Array:
        """Outputs, or targets for them, (n, outputs), with mean 0 and variance 1 along the axis of the head."""
        return layer_norm(outputs) if self.head == "layer" else batch_norm(outputs, self.examples)

    def _unit(self, weights: Array) -> Array:
        return GAINS[self.activation] * weight_norm(weights)

    def _normalize(self, a: Array) -> Array:
        if self.norm == "batch":
            return batch_norm(a, self.examples)
        entries = a[0].size if self.norm == "layer" else a[0].size // self.groups
        if self.norm == "group" and a.shape[-1] % self.groups:
            raise InputError(f"{a.shape[-1]} features cannot be split into groups = {self.groups}; give a divisor.")
        if entries < 3:
            raise InputError(
                f"{self.norm} norm over {entries} of the features: two normalised numbers are 1 and -1 whatever the "
                "weights, one is 0/0. Make the layer wider, the groups fewer, or use batch norm."
            )
        return layer_norm(a) if self.norm == "layer" else group_norm(a, self.groups)
