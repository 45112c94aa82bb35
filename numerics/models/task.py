"""A network, data and a loss: L(w) = mean squared error of f(w, x) against standardised targets, or cross-entropy.

squared: L = sum_ij (f_j(w, x_i) - t_ij)^2/(n k), t the targets (indicators of the classes) with mean 0 and variance 1
along the axis that the head of the network normalises, which is a fixed affine map that makes 0 attainable: residuals
(f - t) sqrt(2/(n k)).

cross-entropy: L = -sum_ij q_ij log softmax(s f(w, x_i))_j/n, q_ij = 1 - a + a/k for the class of example i and a/k for
the others, with smoothing a = 0.1 and a fixed logit scale s = 2: normalised outputs are bounded, and s must be large
enough for the best logits, log(k(1 - a)/a + 1) apart, to be among them. No residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.data.examples import Examples
from sharpflow.numerics.models.network import Model
from sharpflow.numerics.objective import Objective, check_vector
from sharpflow.theory.errors import InputError

__all__ = ["LOSSES", "Errors", "Task", "wrong_share"]


LOSSES = ("squared", "cross-entropy")


@dataclass(frozen=True)
class Errors:
    """Losses and shares of wrong answers at one w; ``None`` without test examples, and of answers without classes."""

    train_loss: float
    test_loss: float | None
    train_wrong: float | None
    test_wrong: float | None


@dataclass(frozen=True, eq=False)
class Task:
    """A network on data, to be trained.

    Attributes:
        model: the network, with as many outputs as the loss needs.
        data: the examples.
        loss: one of `LOSSES`.
        smoothing, logit_scale: a and s of the cross-entropy.
        start: w (D,) of the objective.
        name: of the objective.

    Raises:
        InputError: an option is out of range, or network and data do not fit.
    """

    model: Model
    data: Examples
    start: Any
    loss: str = "squared"
    smoothing: float = 0.1
    logit_scale: float = 2.0
    name: str = "network"

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"loss = {self.loss!r} must be {' or '.join(LOSSES)}.")
        if not 0 < self.smoothing < 1 or not 0 < self.logit_scale < np.inf:
            raise InputError(
                f"smoothing = {self.smoothing} must lie in (0, 1), logit_scale = {self.logit_scale} above 0."
            )
        wanted = outputs_for(self.data, self.loss)
        if self.model.outputs != wanted or self.model.input_shape != self.data.inputs.shape[1:]:
            raise InputError(
                f"the network takes inputs of shape {self.model.input_shape} to {self.model.outputs} outputs; "
                f"{self.data.name} needs {self.data.inputs.shape[1:]} to {wanted}."
            )
        check_vector(self.start, "start", self.model.dimension)

    @cached_property
    def objective(self) -> Objective:
        """L as a function of w alone.

        The examples are part of this function, the one place where arrays are closed over: they become constants of
        what is compiled. Where they are many, compile `value` with the examples as arguments.
        """
        inputs, targets = self.data.inputs, self.targets()

        # Each is traced once: every program and derivative takes it over as it is.
        @jax.jit
        def residuals(w: jax.Array) -> jax.Array:
            return self.residuals(w, inputs, targets)

        @jax.jit
        def value(w: jax.Array) -> jax.Array:
            return self.value(w, inputs, targets)

        return Objective(value, self.start, residuals if self.loss == "squared" else None, self.name)

    def value(self, w: jax.Array, inputs: Any, targets: Any, /) -> jax.Array:
        """L(w), of w (D,), training inputs (n, ...) and `targets` (n, k); pure, without arrays of its own."""
        if self.loss == "squared":
            r = self.residuals(w, inputs, targets)
            return r @ r / 2
        return self._entropy(self.model.apply(w, inputs), targets)

    def residuals(self, w: jax.Array, inputs: Any, targets: Any, /) -> jax.Array:
        """(f - t) sqrt(2/(n k)), (n k,), with |residuals|^2/2 = L, of the squared loss."""
        missed = self.model.apply(w, inputs) - jnp.asarray(targets, w.dtype)
        return missed.reshape(-1) * (2 / missed.size) ** 0.5

    def targets(self, test: bool = False) -> np.ndarray:
        """The numbers that the loss compares the outputs with, (n, k): standardised targets, or smoothed indicators."""
        chosen = self.data.test_targets if test else self.data.targets
        if self.loss == "squared":
            train = jnp.asarray(self.data.columns(self.data.targets), float)
            return np.asarray(self.model.standardize(train, jnp.asarray(self.data.columns(chosen), float)))
        assert self.data.classes is not None
        return (1 - self.smoothing) * np.eye(self.data.classes)[chosen] + self.smoothing / self.data.classes

    def errors(self, w: Any, /) -> Errors:
        """Losses and shares of wrong answers at w (D,); test outputs have the statistics of the training inputs."""
        w = jnp.asarray(w)
        trained = self._measure(self.model.compiled(w, self.data.inputs), test=False)
        if self.data.test_inputs is None:
            return Errors(trained[0], None, trained[1], None)
        tested = self._measure(self.model.compiled(w, self.data.inputs, self.data.test_inputs), test=True)
        return Errors(trained[0], tested[0], trained[1], tested[1])

    def _measure(self, outputs: jax.Array, *, test: bool) -> tuple[float, float | None]:
        targets = jnp.asarray(self.targets(test), outputs.dtype)
        value = self.mean_loss(outputs, targets)
        points = self.class_points()
        if points is None:
            return float(value), None
        labels = self.data.test_targets if test else self.data.targets
        return float(value), float(wrong_share(outputs, jnp.asarray(points, outputs.dtype), jnp.asarray(labels)))

    def mean_loss(self, outputs: jax.Array, targets: jax.Array, /) -> jax.Array:
        """The loss of outputs (m, k) against `targets` (m, k)."""
        if self.loss == "squared":
            return jnp.mean((outputs - targets) ** 2)
        return self._entropy(outputs, targets)

    def class_points(self) -> np.ndarray | None:
        """(classes, k): the answer to outputs (k,) is the class whose point is nearest; ``None`` without classes.

        The standardised target of each class, or for cross-entropy its unit vector: then it is the largest output.
        """
        if self.data.classes is None:
            return None
        if self.loss != "squared":
            return np.eye(self.data.classes)
        train = jnp.asarray(self.data.columns(self.data.targets), float)
        every = jnp.asarray(self.data.columns(np.arange(self.data.classes)), float)
        return np.asarray(self.model.standardize(train, every))

    def _entropy(self, outputs: jax.Array, targets: Any) -> jax.Array:
        logs = jax.nn.log_softmax(self.logit_scale * outputs, axis=-1)
        return -jnp.mean(jnp.sum(jnp.asarray(targets, outputs.dtype) * logs, axis=-1))


def wrong_share(outputs: jax.Array, points: jax.Array, labels: jax.Array, /) -> jax.Array:
    """The share of outputs (m, k) whose nearest of the `Task.class_points` (classes, k) is not that of labels (m,)."""
    answers = jnp.argmin(jnp.sum((outputs[:, None] - points) ** 2, axis=-1), axis=-1)
    # In the precision of the outputs: a mean of booleans is in float64 by default.
    return jnp.mean((answers != labels).astype(outputs.dtype))


def outputs_for(data: Examples, loss: str, /) -> int:
    """k, how many outputs a loss needs: cross-entropy needs one a class, and two for two."""
    if loss == "squared":
        return data.outputs
    if data.classes is None:
        raise InputError(f"cross-entropy needs classes; {data.name} has real targets: take the squared loss.")
    return data.classes
