"""From a PyTorch model, run under JAX by torchax.

torchax traces the model's operators into a JAX program, which JAX differentiates as often as it is asked to; torch2jax
calls PyTorch from JAX and leaves higher derivatives to PyTorch's kernels, whose forward-mode third derivatives of
normalizations are off by some per cent.
"""

from __future__ import annotations

import copy
from typing import Any

import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.adapters.building import Loss, build, examples, no_dropout, require
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

__all__ = ["from_torch"]


def from_torch(
    model: Any, x: Any, y: Any, /, *, loss: Loss = "squared", epsilon: float | None = None, pieces: int | None = None,
    name: str | None = None,
) -> Objective:  # fmt: skip
    """L of a PyTorch module on all examples, as a function of its parameters; statistics are those of the batch.

    Args:
        model: an nn.Module; it is copied, and stays as it is.
        x, y: inputs and targets, or classes, of n examples.
        loss: squared, cross-entropy, label-smoothed, or a function of outputs and targets (arrays of JAX).
        epsilon: of its normalization layers; `sharpflow.groups` tells its effect.
        pieces: so many parts of the batch one after the other, where memory asks for it.
        name: of the objective.

    Raises:
        InputError: torch or torchax is not installed, a layer is stochastic, or the model fails.
    """
    torch, torchax = require("torch", "torch"), require("torchax", "torch")
    interop = require("torchax.interop", "torch")
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"from_torch takes a torch.nn.Module, not {type(model).__name__}.")
    model = copy.deepcopy(model).double()
    statistics = False
    for path, part in model.named_modules():
        if isinstance(part, torch.nn.modules.dropout._DropoutNd) and part.p > 0 and part.training:
            raise no_dropout(f"{type(part).__name__} at {path}")
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            # Without running averages the statistics are the batch's, in training and out of it.
            part.track_running_stats, part.running_mean, part.running_var = False, None, None
            part.num_batches_tracked, statistics = None, True
        if epsilon is not None and hasattr(part, "eps"):
            part.eps = epsilon
    if statistics and pieces is not None:
        raise InputError("pieces: batch normalization takes the statistics of the whole batch; leave pieces out.")
    x, y = (np.asarray(v.detach()) if isinstance(v, torch.Tensor) else v for v in (x, y))
    x, y = examples(x, y, batch_statistics=statistics)
    weights = {key: np.asarray(value.detach()) for key, value in model.named_parameters()}
    buffers = {key: jnp.asarray(np.asarray(value)) for key, value in model.named_buffers()}
    call = interop.jax_view(lambda w, b, x: torch.func.functional_call(model, {**w, **b}, (x,)))

    def apply(weights: Any, x: Any) -> Any:
        with torchax.default_env():
            return call(weights, buffers, x)

    return build(apply, weights, x, y, loss=loss, name=name or type(model).__name__, pieces=pieces)
