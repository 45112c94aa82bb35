"""A scale-invariant network: f(c w, x) = f(w, x) for every c > 0, of one flat vector w (D,) that holds every weight.

No affine parameters, no biases and no epsilon; the last layer is normalised too (`Layers`), over the examples, over
the outputs of each example, or by the length of its weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.models.layers import ACTIVATIONS, HEADS, NORMS, UNNORMALIZED, Layers
from sharpflow.numerics.numbers import check_whole
from sharpflow.theory.errors import InputError, known_names

__all__ = ["Model", "Network"]

configure()

Array = jax.Array


@dataclass(frozen=True)
class Network:
    """A family of networks, of any size; `build` gives one of them.

    Attributes:
        name: as the command line spells it.
        title: one line for tables.
        forward: takes `Layers`, inputs (n, ...) and the sizes by keyword; returns the outputs (n, outputs). It takes
            every weight through `Layers`, in the same order at each call.
        sizes: their names and defaults.
        norms: those the family is defined with.
        activation: the default one.
        head: the default one; `None` for batch with batch norm and for one or two outputs, layer for the rest. With
            weight, targets may be out of reach: the outputs are bounded by the features.
        source: where it comes from.
    """

    name: str
    title: str
    forward: Callable[..., Array]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    norms: tuple[str, ...] = NORMS
    activation: str = "gelu"
    head: str | None = None
    source: str = ""

    def build(
        self,
        input_shape: tuple[int, ...],
        outputs: int,
        /,
        *,
        norm: str | None = None,
        head: str | None = None,
        groups: int = 4,
        activation: str | None = None,
        **sizes: Any,
    ) -> Model:
        """The network for inputs of that shape; no weight is allocated.

        ``norm="none"`` leaves out every normalization, the head's too: for an ablation, as it is not scale-invariant.

        Raises:
            InputError: an option is not one of those there are, a size is unknown, or the sizes do not fit the inputs.
        """
        norm, activation = norm or self.norms[0], activation or self.activation
        usual = "batch" if outputs < 3 or norm == "batch" else "layer"
        bare = norm == UNNORMALIZED
        head = UNNORMALIZED if bare else head or self.head or usual
        for what, value, known in (
            ("norm", norm, (*self.norms, UNNORMALIZED)),
            ("head", head, (UNNORMALIZED,) if bare else HEADS),
            ("activation", activation, ACTIVATIONS),
            *(("size", size, self.sizes) for size in sizes),
        ):
            if value not in known:
                raise InputError(f"network {self.name!r} has no {what} {value!r}; {known_names(value, known)}")
        for size, value in sizes.items():
            if _kind(value) is not None and _kind(value) != (wanted := _kind(self.sizes[size])):
                raise InputError(f"network {self.name!r}: size {size} = {value!r} is not {wanted}.")
        if head == "layer" and outputs < 3:
            raise InputError(
                f"layer norm over {outputs} of the outputs: two normalised numbers are 1 and -1 whatever the weights, "
                "one is 0/0; take head = batch."
            )
        for what, count in (("outputs", outputs), ("groups", groups)):
            check_whole(what, count)
        model = Model(self, tuple(input_shape), outputs, norm, head, groups, activation, {**dict(self.sizes), **sizes})
        _ = model.layout  # what does not fit is told here
        return model


@dataclass(frozen=True, eq=False)
class Model:
    """One network: an architecture without its weights.

    Attributes:
        network: its family.
        input_shape: of one example.
        outputs: how many.
        norm, head, groups, activation: as in `Layers`.
        sizes: all of the family's.
    """

    network: Network
    input_shape: tuple[int, ...]
    outputs: int
    norm: str
    head: str
    groups: int
    activation: str
    sizes: Mapping[str, Any]

    @cached_property
    def layout(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the weights, in the order in which they lie in w."""
        shapes: list[tuple[int, ...]] = []

        def take(*shape: int) -> Array:
            shapes.append(shape)
            return jnp.zeros(shape)

        # Abstract: nothing is computed.
        inputs = jax.ShapeDtypeStruct((3, *self.input_shape), float)
        try:
            result = jax.eval_shape(lambda x: self._forward(take, x, None), inputs)
        except InputError as error:
            raise InputError(f"network {self.network.name!r}: {error}") from error
        except (TypeError, ValueError) as error:
            said = str(error).split("\n")[0][:200]
            raise InputError(
                f"network {self.network.name!r} cannot take inputs of shape {self.input_shape} at sizes "
                f"{dict(self.sizes)}: {said}"
            ) from error
        if result.shape != (3, self.outputs):
            raise InputError(
                f"network {self.network.name!r} gives outputs of shape {result.shape} for 3 examples of shape "
                f"{self.input_shape}; {(3, self.outputs)} are needed."
            )
        return tuple(shapes)

    @property
    def scale_invariant(self) -> bool:
        """True where f(c w, x) = f(w, x) for every c > 0."""
        return self.norm != UNNORMALIZED

    @cached_property
    def compiled(self) -> Compiled:
        """`apply`, compiled."""
        return Compiled(self.apply)

    @property
    def dimension(self) -> int:
        """D, the number of weights."""
        return sum(math.prod(shape) for shape in self.layout)

    def initial(self, key: Array, /, *, dtype: Any = None) -> Array:
        """Gaussian weights w (D,), of variance 1/(inputs of the unit), from a key of jax.random."""
        kind = jnp.dtype(dtype or float)
        keys = jax.random.split(key, len(self.layout))
        # Only the ratios of the layers' lengths matter: they set how fast each layer turns.
        pieces = [
            jax.random.normal(k, (math.prod(shape),), kind) / math.prod(shape[:-1]) ** 0.5
            for k, shape in zip(keys, self.layout, strict=True)
        ]
        return jnp.concatenate(pieces)

    def apply(self, w: Array, train_inputs: Any, inputs: Any = None, /) -> Array:
        """The outputs (m, outputs) at w (D,) of ``inputs`` (m, ...), of the training inputs (n, ...) by default.

        Statistics over examples are those of the training inputs at this very w: full-batch training has no others.
        The values have w's precision.
        """
        x = jnp.asarray(train_inputs, w.dtype)
        if inputs is None:
            return self._forward(_reader(w), x, None)
        both = jnp.concatenate([x, jnp.asarray(inputs, w.dtype)])
        return self._forward(_reader(w), both, len(x))[len(x) :]

    def standardize(self, train_targets: Array, targets: Array | None = None, /) -> Array:
        """Targets as the outputs can attain them: mean 0 and variance 1 along the axis of the head.

        This is the fixed affine map of the squared loss: of targets (m, outputs), with the statistics of the training
        targets (n, outputs), which are the default.
        """
        if targets is None:
            return self._layers(_reader(train_targets), None).standardize(train_targets)
        both = jnp.concatenate([train_targets, targets])
        count = len(train_targets)
        return self._layers(_reader(both), count).standardize(both)[count:]

    def _layers(self, take: Callable[..., Array], examples: int | None) -> Layers:
        return Layers(take, self.norm, self.head, self.groups, self.activation, self.outputs, examples)

    def _forward(self, take: Callable[..., Array], x: Array, examples: int | None) -> Array:
        return self.network.forward(self._layers(take, examples), x, **self.sizes)


def _kind(value: Any) -> str | None:
    """The kind of a size, in words; ``None`` for what only the network can judge."""
    if isinstance(value, str):
        return "a word"
    if isinstance(value, int):
        return "a number"
    if isinstance(value, Sequence):
        return "lists of numbers" if any(isinstance(v, Sequence) for v in value) else "a list of numbers"
    return None


def _reader(w: Array) -> Callable[..., Array]:
    """Cuts w into arrays, from its first entry on."""
    position = 0

    def take(*shape: int) -> Array:
        nonlocal position
        begin, position = position, position + math.prod(shape)
        return w[begin:position].reshape(shape)

    return take
