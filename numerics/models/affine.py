"""f = a . tanh(gain N(x W) + bias) + b: a normalised layer as people build it, with gain and bias, and a linear head.

N is over examples (``batch``), over hidden units (``layer``) or nothing (``plain``, which has no gain). L = sum_i
(f_i - t_i)^2/n, n residuals (f_i - t_i) sqrt(2/n). Only W is scale-invariant: with 16 examples, 8 inputs and
12 hidden units D = 133, of which 96. The weights are a tree, as a framework has them, and N has no epsilon unless it
is given.

``batch``, ``layer`` and ``plain`` are these `Objective`s at that size, made when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    batch: Objective
    layer: Objective
    plain: Objective

__all__ = ["affine", "batch", "layer", "plain"]

Norm = Literal["batch", "layer", "plain"]
Array = jax.Array


def outputs(weights: Any, x: Array, axis: int | None, epsilon: float) -> Array:
    """F (n,) of x (n, inputs), the layer normalised along ``axis``."""
    h = x @ weights["hidden"]["kernel"]
    if axis is not None:
        h = (h - h.mean(axis, keepdims=True)) / jnp.sqrt(h.var(axis, keepdims=True) + epsilon)
        h = h * weights["norm"]["gain"]
    h = h + weights["norm"]["bias"]
    return jnp.tanh(h) @ weights["head"]["kernel"] + weights["head"]["bias"]


def affine(
    norm: Norm = "batch",
    /,
    *,
    examples: int = 16,
    inputs: int = 8,
    hidden: int = 12,
    epsilon: float = 0.0,
    seed: int = 0,
) -> Objective:
    """The network on ``examples`` Gaussian inputs and targets, with a Gaussian start."""
    if norm not in ("batch", "layer", "plain"):
        raise InputError(f"norm = {norm!r} must be batch, layer or plain.")
    random = generator(seed)
    x, targets = random.standard_normal((examples, inputs)), random.standard_normal(examples)
    axis = {"batch": 0, "layer": 1, "plain": None}[norm]
    gain = {} if norm == "plain" else {"gain": np.ones(hidden)}
    start = {
        "hidden": {"kernel": random.standard_normal((inputs, hidden)) / np.sqrt(inputs)},
        "norm": {**gain, "bias": np.zeros(hidden)},
        "head": {"kernel": random.standard_normal(hidden) / np.sqrt(hidden), "bias": np.zeros(())},
    }

    def residuals(weights: Any) -> Array:
        return (outputs(weights, jnp.asarray(x), axis, epsilon) - jnp.asarray(targets)) * np.sqrt(2 / examples)

    return Objective(
        lambda weights: jnp.sum(residuals(weights) ** 2) / 2, start, residuals, name=f"affine-{norm}"
    )  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in ("batch", "layer", "plain"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = affine(name)  # type: ignore[arg-type]
    return value
