"""y = BN(v . tanh(h)), h a normalised first layer of x W: two layers, squared loss, random data.

h = BN(x W) (``batch``), LN(x W) (``layer``), or x times the normalised columns of W (``weight``); BN is over examples.
L = sum_i (y_i - t_i)^2/n with targets t of mean 0 and variance 1: n residuals, which vanish at a minimum that
interpolates. With 16 examples, 8 inputs and 12 hidden units D = 108.

``batch``, ``layer`` and ``weight`` are these `Objective`s at that size, made when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import jax

from sharpflow.numerics.data.examples import Examples
from sharpflow.numerics.models.layers import Layers
from sharpflow.numerics.models.network import Network
from sharpflow.numerics.models.task import Task
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    batch: Objective
    layer: Objective
    weight: Objective

__all__ = ["NETWORK", "batch", "layer", "two_layer", "weight"]

Norm = Literal["batch", "layer", "weight"]


def forward(layers: Layers, x: jax.Array, *, hidden: int) -> jax.Array:
    """Outputs (n, outputs) of x (n, ...)."""
    return layers.output(layers.activate(layers.dense(x.reshape(len(x), -1), hidden)))


NETWORK = Network(
    name="two-layer",
    title="one hidden layer, outputs normalised over the examples",
    forward=forward,
    sizes={"hidden": 12},
    activation="tanh",
    head="batch",
)


def two_layer(
    norm: Norm = "batch", /, *, examples: int = 16, inputs: int = 8, hidden: int = 12, seed: int = 0
) -> Objective:
    """The network on ``examples`` Gaussian inputs and targets, with a Gaussian start."""
    if norm not in ("batch", "layer", "weight"):
        raise InputError(f"norm = {norm!r} must be batch, layer or weight.")
    random = generator(seed)
    x, targets = random.standard_normal((examples, inputs)), random.standard_normal(examples)
    model = NETWORK.build((inputs,), 1, norm=norm, hidden=hidden)
    start = random.standard_normal(model.dimension)
    return Task(model, Examples(x, targets[:, None]), start, name=f"two-layer-{norm}-norm").objective


def __getattr__(name: str) -> Any:
    if name not in ("batch", "layer", "weight"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = two_layer(name)  # type: ignore[arg-type]
    return value
