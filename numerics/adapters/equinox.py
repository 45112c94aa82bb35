"""From an equinox model: its arrays of floating point numbers are the weights, and all else is as it is."""

from __future__ import annotations

import copy
from typing import Any

import jax

from sharpflow.numerics.adapters.building import Loss, build, doubled, examples, no_dropout, require
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

__all__ = ["from_equinox"]


def from_equinox(
    model: Any, x: Any, y: Any, /, *, state: Any = None, loss: Loss = "squared", epsilon: float | None = None,
    pieces: int | None = None, name: str | None = None,
) -> Objective:  # fmt: skip
    """L of an equinox model, mapped over all examples, as a function of its floating point arrays.

    Args:
        model: a module of one example; with ``state`` one of an example and a state, as eqx.nn.make_with_state makes
        it. x, y: inputs and targets, or classes, of n examples.
        state: of its stateful layers; the new one is dropped. The axis of the batch is called "batch".
        loss: squared, cross-entropy, label-smoothed, or a function of outputs and targets.
        epsilon: of its normalization layers; `sharpflow.groups` tells its effect.
        pieces: so many parts of the batch one after the other, where memory asks for it.
        name: of the objective.

    Raises:
        InputError: a layer is stochastic, or BatchNorm in the mode "ema", which is not scale-invariant; the model
        fails.

    Examples:
        >>> import equinox as eqx, jax, numpy as np
        >>> from sharpflow.numerics.adapters import from_equinox
        >>> model = eqx.nn.MLP(4, "scalar", width_size=3, depth=1, key=jax.random.key(0))
        >>> from_equinox(model, np.eye(4), np.arange(4.0)).leaves.names[0]
        'layers/0/weight'
    """
    eqx = require("equinox", "equinox")
    if not isinstance(model, eqx.Module):
        raise InputError(f"from_equinox takes an equinox module, not {type(model).__name__}.")
    kinds = (eqx.nn.Dropout, eqx.nn.BatchNorm)
    parts = [part for part in jax.tree.leaves(model, is_leaf=lambda m: isinstance(m, kinds)) if isinstance(part, kinds)]
    norms = [part for part in parts if isinstance(part, eqx.nn.BatchNorm)]
    if any(isinstance(part, eqx.nn.Dropout) and part.p > 0 and not part.inference for part in parts):
        raise no_dropout("eqx.nn.Dropout")
    if any(norm.mode != "batch" or norm.inference for norm in norms):
        raise InputError(
            "eqx.nn.BatchNorm divides by running averages (mode 'ema', or inference), which do not grow with the "
            "weights: the layer is not scale-invariant. Build it with mode='batch'."
        )
    if norms and pieces is not None:
        raise InputError("pieces: batch normalization takes the statistics of the whole batch; leave pieces out.")
    if norms and state is None:
        raise InputError(
            "BatchNorm has a state: model, state = eqx.nn.make_with_state(...), and hand over state=state."
        )
    if epsilon is not None:
        model = _with_epsilon(eqx, model, epsilon)
    x, y = examples(x, y, batch_statistics=bool(norms))
    weights, rest = eqx.partition(model, eqx.is_inexact_array)
    state = None if state is None else doubled(state)

    def apply(weights: Any, x: Any) -> Any:
        whole = eqx.combine(weights, rest)
        if state is None:
            return jax.vmap(whole)(x)
        return jax.vmap(whole, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)[0]

    return build(apply, weights, x, y, loss=loss, name=name or type(model).__name__, pieces=pieces)


def _with_epsilon(eqx: Any, model: Any, epsilon: float) -> Any:
    """A copy of the model whose normalization layers have this epsilon."""

    def is_norm(part: Any) -> bool:
        return isinstance(part, eqx.Module) and hasattr(part, "eps")

    def changed(part: Any) -> Any:
        if not is_norm(part):
            return part
        part = copy.copy(part)
        object.__setattr__(part, "eps", epsilon)
        return part

    return jax.tree.map(changed, model, is_leaf=is_norm)
