"""Sources of noise: one definition for the run, which draws samples from a key, and for the law, which has its moments.

    label noise:  L_t(w) = |r(w) + s xi_t|^2/2,             xi_t ~ N(0, I), s^2 = variance
    mini-batches: L_t(w) = (n/b) sum over B_t of r_i(w)^2/2, B_t of b examples, with or without replacement

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

__all__ = ["Batches", "LabelNoise", "Source", "noisy_value_and_gradient"]

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
        """A sample for ``count`` residuals."""

    def loss(self, residuals: Array, sample: Array, strength: Array) -> Array:
        """The loss of one step, of the residuals (n,)."""


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

    def loss(self, residuals: Array, sample: Array, strength: Array) -> Array:
        """|r + s xi|^2/2 without its part that no weight changes."""
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

    def loss(self, residuals: Array, sample: Array, strength: Array) -> Array:
        """sum_i sample_i r_i^2/2."""
        return sample @ residuals**2 / 2


def noisy_value_and_gradient(
    objective: Objective, source: Source, /
) -> Callable[[Any, Array, Array, int], Callable[[Array], tuple[Array, Array]]]:
    """(key, iteration, strength, n) -> value_and_gradient of the loss of that iteration."""
    if objective.residuals is None:
        raise InputError(
            f"{objective.name!r} has no residuals, and this noise is of these: give Objective(..., residuals=...)."
        )
    residuals = objective.residuals

    def at(key: Any, iteration: Array, strength: Array, count: int) -> Callable[[Array], tuple[Array, Array]]:
        sample = source.draw(jax.random.fold_in(key, iteration), count)
        return jax.value_and_grad(lambda w: source.loss(residuals(w), sample, strength))

    return at
