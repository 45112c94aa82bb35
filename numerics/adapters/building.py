"""Model, data and loss to an Objective: in float64, on the full batch, and with a sentence for each trap.

squared         L = sum_ij (f_ij - t_ij)^2/(n k), with residuals; targets t, or classes, as indicators
cross-entropy   L = -sum_i log softmax(f_i)_(y_i)/n
label-smoothed  the same with 0.1/k for each class and 0.9 more for the right one: its minima are at finite weights
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.config import configure
from sharpflow.numerics.numbers import check_whole
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

__all__ = ["LOSSES", "build", "doubled", "examples", "no_dropout", "require"]

configure()

Array = jax.Array
Loss = str | Callable[[Any, Any], Any]
LOSSES = ("squared", "cross-entropy", "label-smoothed")
SMOOTHING = 0.1


def require(framework: str, extra: str, /) -> Any:
    """The module of a framework, or a sentence with the command that installs it."""
    try:
        return importlib.import_module(framework)
    except ImportError as error:
        raise InputError(f"{framework} is not installed: pip install 'sharpflow[{extra}]'.") from error


def no_dropout(where: str, /) -> InputError:
    """The error that a stochastic layer is refused with."""
    return InputError(
        f"{where} draws random numbers in every pass, and L would be another function each time: build the model "
        "without it, or with rate 0."
    )


def doubled(tree: Any, /) -> Any:
    """Floating point leaves in double precision, the others as they are."""
    return jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float64) if jnp.issubdtype(jnp.asarray(a).dtype, jnp.floating) else a, tree
    )


def examples(x: Any, y: Any, /, *, batch_statistics: bool = False) -> tuple[Any, Array]:
    """Inputs and targets of n examples in double precision, classes as they are."""
    x, y = doubled(jax.tree.map(np.asarray, x)), doubled(np.asarray(y))
    count = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(x)}
    if count != {np.shape(y)[:1]} or count == {()}:
        sizes = [np.shape(leaf) for leaf in jax.tree.leaves(x)]
        raise InputError(f"inputs of shape {sizes} and targets of {np.shape(y)}: examples are along the first axis.")
    if batch_statistics and len(y) < 2:
        raise InputError("a batch of one has no statistics: batch normalization takes at least two examples.")
    return x, y


def _targets(outputs: Any, y: Array, *, indicators: bool) -> Array:
    """Classes as indicators where the outputs have one number for each; targets as they are, of the outputs' shape."""
    if jnp.issubdtype(y.dtype, jnp.integer):
        if len(outputs.shape) != 2 or int(y.min()) < 0 or int(y.max()) >= outputs.shape[1]:
            raise InputError(
                f"classes from {int(y.min())} to {int(y.max())} need outputs (n, k), k above them, and not of the "
                f"shape {outputs.shape}."
            )
        return jax.nn.one_hot(y, outputs.shape[1], dtype=jnp.float64)
    if indicators and not np.allclose(np.asarray(y).sum(axis=-1), 1):
        raise InputError("cross-entropy takes classes, as integers (n,) or as probabilities (n, k).")
    if y.shape != outputs.shape and y.size == np.prod(outputs.shape):
        y = y.reshape(outputs.shape)
    if y.shape != outputs.shape:
        raise InputError(f"targets have the shape {y.shape}, and the outputs of the model {outputs.shape}.")
    return y


def build(
    apply: Callable[[Any, Any], Any], weights: Any, x: Any, y: Array, /, *, loss: Loss, name: str, pieces: int | None
) -> Objective:
    """L of ``apply(weights, x)`` as an Objective, the examples in so many ``pieces``, one after the other.

    Raises:
        InputError: the model fails or returns no float64, loss and targets do not fit, or there is no such loss.
    """
    weights = doubled(weights)
    try:
        outputs = jax.eval_shape(apply, weights, x)
    except InputError:
        raise
    except Exception as error:  # a user's model may raise anything
        said = " ".join(str(error).strip().split())[:200]
        raise InputError(f"model {name!r} fails on these inputs with {type(error).__name__}: {said}") from error
    if not hasattr(outputs, "dtype"):
        raise InputError(f"model {name!r} returns a {type(outputs).__name__}, not one array of outputs.")
    if outputs.dtype != jnp.float64:
        raise InputError(
            f"model {name!r} returns {outputs.dtype} for weights and inputs in float64: leave out the dtype it is "
            "built with (None follows the weights); the theory takes third derivatives of what it computes."
        )
    whole = apply
    if pieces is not None:
        count = len(y) // check_whole("pieces", pieces, most=len(y))
        if count * pieces != len(y):
            raise InputError(f"pieces = {pieces} must divide the {len(y)} examples.")

        def whole(w: Any, x: Any) -> Any:
            parts = jax.tree.map(lambda a: a.reshape(pieces, count, *a.shape[1:]), x)
            out = jax.lax.map(jax.checkpoint(lambda part: apply(w, part)), parts)
            return out.reshape(len(y), *out.shape[2:])

    if callable(loss):
        return Objective(lambda w: loss(whole(w, x), y), weights, name=name)
    if loss not in LOSSES:
        raise InputError(f"loss = {loss!r} must be one of {', '.join(LOSSES)}, or a function of outputs and targets.")
    targets = _targets(outputs, y, indicators=loss != "squared")
    if loss == "squared":
        scale = np.sqrt(2 / targets.size)

        def residuals(w: Any) -> Array:
            return scale * (whole(w, x) - targets).ravel()

        return Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, weights, residuals, name=name)
    share = SMOOTHING if loss == "label-smoothed" else 0.0
    targets = (1 - share) * targets + share / targets.shape[1]
    return Objective(
        lambda w: -jnp.sum(targets * jax.nn.log_softmax(whole(w, x))) / len(targets), weights, name=name
    )  # fmt: skip
