"""Sources of noise: one definition for the run, which draws samples from a key, and for the law, which has its moments.

    label noise:  L_t(w) = |r(w) + s xi_t|^2/2,             xi_t ~ N(0, I), s^2 = variance
    mini-batches: L_t(w) = (n/b) sum over B_t of r_i(w)^2/2, B_t of b examples, with or without replacement
    covariance:   grad L_t(w) = grad L(w) + s R(w) xi_t,    of covariance s^2 R R^T

In iteration t the sample is drawn from the key folded with t: a run that goes on from a state draws what it would have
drawn, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp

from sharpflow.numerics.config import configure
from sharpflow.numerics.numbers import check_not_negative, check_whole
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

__all__ = ["Batches", "Covariance", "LabelNoise", "Source", "noisy_value_and_gradient"]

configure()

Array = jax.Array


class Source(Hashable, Protocol):
    """A source of noise; its ``strength`` is handed to the program as a number, its ``kind`` is compiled."""

    @property
    def strength(self) -> float:
        """The number of a run that it has."""

    @property
    def kind(self) -> Source:
        """The same at some one strength: what programs are made for."""

    def draw(self, key: Array, count: int) -> Array:
        """A sample for ``count`` residuals (0 where there are none)."""

    def loss(self, objective: Objective, w: Array, sample: Array, strength: Array) -> Array:
        """The loss of one step at w (D,)."""


@dataclass(frozen=True)
class LabelNoise:
    """r + s xi with s^2 = ``variance``.

    Examples:
        >>> LabelNoise(1e-4).strength
        0.01
    """

    variance: float

    def __post_init__(self) -> None:
        check_not_negative("variance", self.variance)

    @property
    def strength(self) -> float:
        """s."""
        return float(self.variance) ** 0.5

    @property
    def kind(self) -> LabelNoise:
        """Of variance 1."""
        return LabelNoise(1.0)

    def draw(self, key: Array, count: int) -> Array:
        """xi (n,)."""
        return jax.random.normal(key, (count,))

    def loss(self, objective: Objective, w: Array, sample: Array, strength: Array) -> Array:
        """|r + s xi|^2/2 without its part that no weight changes."""
        residuals = _residuals(objective)(w)
        return residuals @ (residuals / 2 + strength * sample)


@dataclass(frozen=True)
class Batches:
    """Batches of ``size`` examples, each an equal share of the residuals; with replacement an example may be twice.

    Examples:
        >>> Batches(4).replacement
        False
    """

    size: int
    replacement: bool = False
    strength: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        check_whole("size", self.size)

    @property
    def kind(self) -> Batches:
        """Itself: a batch has no other number."""
        return self

    def draw(self, key: Array, count: int) -> Array:
        """How often each residual is in the batch, times n/b; its mean is 1."""
        if not self.replacement and self.size > count:
            raise InputError(f"a batch of {self.size} is larger than the {count} residuals there are.")
        if self.replacement:
            chosen = jax.random.randint(key, (self.size,), 0, count)
        else:
            chosen = jax.random.permutation(key, count)[: self.size]
        return jnp.zeros(count).at[chosen].add(count / self.size)

    def loss(self, objective: Objective, w: Array, sample: Array, strength: Array) -> Array:
        """sum_i sample_i r_i^2/2."""
        value: Array = sample @ _residuals(objective)(w) ** 2 / 2
        return value


@dataclass(frozen=True)
class Covariance:
    """Noise of covariance variance*R R^T on the gradient, ``root(w)`` = R (D, columns) at any w.

    For it to be noise of a scale-invariant loss R falls as 1/|w| and is orthogonal to w.

    Examples:
        >>> Covariance(lambda w: jnp.eye(3), columns=3, variance=0.25).strength
        0.5
    """

    root: Callable[[Array], Array]
    columns: int
    variance: float = 1.0

    def __post_init__(self) -> None:
        check_whole("columns", self.columns)
        check_not_negative("variance", self.variance)

    @property
    def strength(self) -> float:
        """s."""
        return float(self.variance) ** 0.5

    @property
    def kind(self) -> Covariance:
        """Of variance 1."""
        return Covariance(self.root, self.columns)

    def draw(self, key: Array, count: int) -> Array:
        """xi (columns,)."""
        return jax.random.normal(key, (self.columns,))

    def loss(self, objective: Objective, w: Array, sample: Array, strength: Array) -> Array:
        """L(w) + s <R xi, w> with R held fixed."""
        value: Array = objective.function(w) + strength * (jax.lax.stop_gradient(self.root(w)) @ sample) @ w
        return value


def _residuals(objective: Objective) -> Callable[[Array], Array]:
    if objective.residuals is None:
        raise InputError(
            f"{objective.name!r} has no residuals, and this noise is of these: give Objective(..., residuals=...)."
        )
    return objective.residuals


def noisy_value_and_gradient(
    objective: Objective, source: Source, /
) -> Callable[[Any, Array, Array, int], Callable[[Array], tuple[Array, Array]]]:
    """(key, iteration, strength, n) -> value_and_gradient of the loss of that iteration."""

    def at(key: Any, iteration: Array, strength: Array, count: int) -> Callable[[Array], tuple[Array, Array]]:
        sample = source.draw(jax.random.fold_in(key, iteration), count)
        return jax.value_and_grad(lambda w: source.loss(objective, w, sample, strength))

    return at
