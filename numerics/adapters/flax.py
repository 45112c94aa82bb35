"""From a flax model, linen or nnx: batch statistics are those of the batch, and the new state is dropped."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import numpy as np

from sharpflow.numerics.adapters.building import Loss, build, doubled, examples, no_dropout, require
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

__all__ = ["from_flax"]

# Arguments of a model's call that choose training, and the value that does.
TRAINING = {
    "train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False
}  # fmt: skip


def from_flax(
    model: Any, x: Any, y: Any, /, *, loss: Loss = "squared", variables: Any = None, seed: int = 0,
    epsilon: float | None = None, pieces: int | None = None, name: str | None = None, **call: Any,
) -> Objective:  # fmt: skip
    """L of a flax model on all examples, as a function of its parameters.

    Args:
        model: a linen module, or an nnx one with its parameters.
        x, y: inputs and targets, or classes, of n examples.
        loss: squared, cross-entropy, label-smoothed, or a function of outputs and targets.
        variables: of a linen module, its parameters and the rest; default what it is initialised with by ``seed``.
        epsilon: of its normalization layers, where they can be set (nnx); `sharpflow.groups` tells its effect.
        pieces: so many parts of the batch one after the other, where memory asks for it.
        name: of the objective.
        call: arguments of the model's call; train=True, use_running_average=False and the like are set by themselves.

    Raises:
        InputError: a layer is stochastic, or takes running averages; the model fails, or is not in double precision.

    Examples:
        >>> import flax.linen as nn, numpy as np
        >>> from sharpflow.numerics.adapters import from_flax
        >>> model = nn.Sequential([nn.Dense(3, use_bias=False), nn.LayerNorm(), nn.Dense(1)])
        >>> objective = from_flax(model, np.eye(4), np.arange(4.0))
        >>> objective.leaves.names[0], objective.dimension
        ('params/layers_0/kernel', 22)
    """
    linen, nnx = require("flax.linen", "flax"), require("flax.nnx", "flax")
    if isinstance(model, nnx.Module):
        return _nnx(nnx, model, x, y, loss, epsilon, pieces, name, call)
    if not isinstance(model, linen.Module):
        raise InputError(f"from_flax takes a linen or an nnx module, not {type(model).__name__}.")
    if epsilon is not None:
        raise InputError("epsilon: a linen module makes its layers when it is called; set it where they are written.")
    accepts = inspect.signature(type(model).__call__).parameters
    call = {**{key: value for key, value in TRAINING.items() if key in accepts}, **call}
    x, y = examples(x, y)
    errors = require("flax.errors", "flax")
    try:
        if variables is None:
            variables = model.init({"params": jax.random.key(seed)}, x, **call)
        variables = doubled(dict(variables))
        if "params" not in variables:
            raise InputError("variables have no collection 'params': hand over what model.init returns.")
        rest = {key: value for key, value in variables.items() if key != "params"}
        _, state = model.apply(variables, x, mutable=list(rest), **call)
    except errors.InvalidRngError:
        raise no_dropout("a layer") from None
    except (InputError, TypeError, ValueError, errors.FlaxError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"model {type(model).__name__} fails on these inputs: {' '.join(str(error).split())[:200]}"
        ) from error
    if "batch_stats" in rest:
        examples(x, y, batch_statistics=True)
        same = jax.tree.map(np.array_equal, state["batch_stats"], rest["batch_stats"])
        if all(jax.tree.leaves(same)):
            raise InputError(
                "BatchNorm takes its running averages, and not those of the batch: hand over the argument that the "
                "model's call trains by, as train=True, or build it with use_running_average=False."
            )
        if pieces is not None:
            raise InputError("pieces: batch normalization takes the statistics of the whole batch; leave pieces out.")

    def apply(weights: Any, x: Any) -> Any:
        return model.apply({**rest, **weights}, x, mutable=list(rest), **call)[0]

    return build(
        apply, {"params": variables["params"]}, x, y, loss=loss, name=name or type(model).__name__, pieces=pieces
    )  # fmt: skip


def _nnx(
    nnx: Any, model: Any, x: Any, y: Any, loss: Loss, epsilon: float | None, pieces: int | None, name: str | None,
    call: dict[str, Any],
) -> Objective:  # fmt: skip
    model = nnx.clone(model)  # what is set here is not set in the user's
    statistics = False
    for path, part in nnx.iter_graph(model):
        if isinstance(part, nnx.Dropout) and part.rate > 0 and not part.deterministic:
            raise no_dropout(f"nnx.Dropout at {'/'.join(map(str, path))}")
        if isinstance(part, nnx.BatchNorm):
            part.use_running_average, statistics = False, True
        if epsilon is not None and hasattr(part, "epsilon"):
            part.epsilon = epsilon
    if statistics and pieces is not None:
        raise InputError("pieces: batch normalization takes the statistics of the whole batch; leave pieces out.")
    x, y = examples(x, y, batch_statistics=statistics)
    graph, parameters, rest = nnx.split(model, nnx.Param, ...)
    rest = doubled_state(rest)
    structure, plain = jax.tree.structure(parameters), nnx.to_pure_dict(parameters)
    # A state flattens with a step .value at each leaf, which no reader wants in a name.
    paths = [jax.tree_util.keystr(p, simple=True, separator="/") for p, _ in jax.tree.leaves_with_path(parameters)]
    names = [jax.tree_util.keystr(p, simple=True, separator="/") for p, _ in jax.tree.leaves_with_path(plain)]
    order = [names.index(path.removesuffix("/value")) for path in paths]

    def apply(weights: Any, x: Any) -> Any:
        leaves = jax.tree.leaves(weights)
        state = jax.tree.unflatten(structure, [leaves[i] for i in order])
        return nnx.merge(graph, state, rest, copy=True)(x, **call)

    return build(apply, plain, x, y, loss=loss, name=name or type(model).__name__, pieces=pieces)


def doubled_state(state: Any) -> Any:
    """Floating point arrays of a state in double precision; keys of random numbers as they are."""
    return jax.tree.map(
        lambda a: a if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key) else doubled(a), state
    )  # fmt: skip
