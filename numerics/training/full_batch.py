"""L(w) = the mean over equal pieces of the examples of the loss of each, its gradient and Hessian products by sums.

In one piece it is the loss of the `Task`. In several, only one piece is held in memory at a time, and where the network
takes statistics over examples (batch norm, a batch head) it takes them over each piece: another loss, which is as
deterministic and as scale-invariant (Hoffer, Hubara, Soudry 2017, arXiv:1705.08741, call it ghost batch norm).
Normalization within an example is the same in any number of pieces. Answers to training examples are judged within
their pieces. Test examples have the statistics of the first piece, the only one that is held at once with them; so have
their targets and their class points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.models.task import Task, wrong_share
from sharpflow.numerics.numbers import check_whole
from sharpflow.theory.errors import InputError

__all__ = ["FullBatch"]

Array = jax.Array


@dataclass(frozen=True, eq=False)
class FullBatch:
    """Sums over pieces, as functions that JAX traces; they hold no array.

    Attributes:
        task: network and loss.
        pieces: how many; they must divide the number of examples.
    """

    task: Task
    pieces: int = 1

    def __post_init__(self) -> None:
        n = len(self.task.data.inputs)
        if n % check_whole("pieces", self.pieces, hint=f", that divides the {n} examples"):
            raise InputError(f"pieces = {self.pieces} must be a whole number that divides the {n} examples.")
        if n // self.pieces < 3:
            raise InputError(f"pieces = {self.pieces} leave {n // self.pieces} examples in each; 3 are needed.")

    def targets(self) -> np.ndarray:
        """(n, k): `Task.targets`, standardised within each piece where the outputs are."""
        if self.pieces == 1 or self.task.loss != "squared":
            return self.task.targets()
        columns = self.task.data.columns(self.task.data.targets)
        parts = np.split(columns, self.pieces)
        if any(np.any(np.ptp(part, axis=0) == 0) for part in parts):
            raise InputError(
                f"pieces = {self.pieces}: in one of them a target is the same for all examples; take fewer pieces."
            )
        return np.concatenate([np.asarray(self.task.model.standardize(jnp.asarray(p, float))) for p in parts])

    def test_targets(self) -> np.ndarray:
        """(m, k): `Task.targets` of the test examples, with the statistics of `test_outputs`."""
        if self.pieces == 1 or self.task.loss != "squared":
            return self.task.targets(test=True)
        return self._standardized(0, self.task.data.test_targets)

    def class_points(self) -> np.ndarray | None:
        """(pieces, classes, k): `Task.class_points` with the statistics of each piece; ``None`` without classes."""
        whole = self.task.class_points()
        if whole is None or self.pieces == 1 or self.task.loss != "squared":
            return None if whole is None else np.broadcast_to(whole, (self.pieces, *whole.shape))
        return np.stack([self._standardized(p, np.arange(len(whole))) for p in range(self.pieces)])

    def _standardized(self, piece: int, targets: np.ndarray) -> np.ndarray:
        """Targets (m,) or (m, k) with the statistics of the training targets of a piece."""
        columns = self.task.data.columns
        own = np.split(columns(self.task.data.targets), self.pieces)[piece]
        return np.asarray(self.task.model.standardize(jnp.asarray(own, float), jnp.asarray(columns(targets), float)))

    def _cut(self, a: Array) -> Array:
        return a.reshape(self.pieces, -1, *a.shape[1:])

    def _mean(self, function: Callable[[Array, Array], Array], inputs: Array, targets: Array) -> Array:
        """The mean over pieces of a function of their inputs and targets."""
        if self.pieces == 1:
            return function(inputs, targets)
        shape = jax.eval_shape(function, *(self._cut(a)[0] for a in (inputs, targets)))

        def add(total: Array, piece: tuple[Array, Array]) -> tuple[Array, None]:
            return jax.tree.map(jnp.add, total, function(*piece)), None

        zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape)
        total, _ = jax.lax.scan(add, zero, (self._cut(inputs), self._cut(targets)))
        mean: Array = jax.tree.map(lambda a: a / self.pieces, total)
        return mean

    def value_and_gradient(self, w: Array, inputs: Array, targets: Array, /) -> tuple[Array, Array]:
        """L(w) and grad L(w) (D,)."""
        both = jax.value_and_grad(self.task.value)
        return self._mean(lambda x, t: both(w, x, t), inputs, targets)  # type: ignore[return-value, arg-type]

    def hessian_product(
        self, theta: Array, inputs: Array, targets: Array, /, *, normal: bool = True
    ) -> Callable[[Array], Array]:
        """v (D,) -> P Hess L(theta) v at a unit vector theta (D,), P off theta; without P where not ``normal``."""
        if self.pieces == 1:
            # The forward pass is done once.
            _, once = jax.linearize(lambda w: jax.grad(self.task.value)(w, inputs, targets), theta)
        else:

            def once(v: Array) -> Array:
                def piece(x: Array, t: Array) -> Array:
                    product: Array = jax.jvp(lambda w: jax.grad(self.task.value)(w, x, t), (theta,), (v,))[1]
                    return product

                return self._mean(piece, inputs, targets)

        def product(v: Array) -> Array:
            out = once(v)
            return out - theta * (theta @ out) if normal else out

        return product

    def outputs(self, w: Array, inputs: Array, /) -> Array:
        """The outputs (n, k) of the training inputs."""
        if self.pieces == 1:
            return self.task.model.apply(w, inputs)
        parts = jax.lax.map(lambda x: self.task.model.apply(w, x), self._cut(inputs))
        return parts.reshape(-1, parts.shape[-1])

    def test_outputs(self, w: Array, inputs: Array, test_inputs: Array, /) -> Array:
        """The outputs (m, k) of test inputs, with the statistics of the training inputs: of the first piece.

        In pieces too, of no more than the training examples in one, that no memory but theirs is taken.
        """
        first, m = self._cut(inputs)[0], len(test_inputs)
        if self.pieces == 1 or m <= len(first):
            return self.task.model.apply(w, first, test_inputs)
        rounds = -(-m // len(first))
        # Outputs of test examples do not depend on each other: the last piece is filled up with any.
        filled = jnp.pad(test_inputs, ((0, rounds * len(first) - m), *((0, 0),) * (test_inputs.ndim - 1)), mode="edge")
        parts = jax.lax.map(
            lambda x: self.task.model.apply(w, first, x), filled.reshape(rounds, -1, *test_inputs.shape[1:])
        )
        return parts.reshape(-1, parts.shape[-1])[:m]

    def wrong_share(self, outputs: Array, points: Array, labels: Array, /) -> Array:
        """The share of training `outputs` (n, k) whose nearest of the `class_points` is not that of labels (n,)."""
        return jnp.mean(jax.vmap(wrong_share)(self._cut(outputs), points, self._cut(labels)))
