"""Samples of a training step, batches and label noise, and schedules of the learning rate.

    cosine  eta_t = eta (1 + cos(pi t/T))/2
    step    eta_t = eta, eta/10 and eta/100 in the three thirds of a run
    wsd     eta_t up from 0 over the first twentieth, eta, and down to 0 over the last fifth

The sample of iteration t is drawn from the key of the seed folded with t: a run that is gone on with draws the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from sharpflow.numerics.config import configure

if TYPE_CHECKING:
    from sharpflow.numerics.training.recipe import Recipe

__all__ = ["factor", "sample"]

configure()

Array = jax.Array
WARM, COOL = 0.05, 0.2


def factor(schedule: str, step: Array, steps: int, /) -> Array:
    """eta_t/eta at iteration ``step`` of ``steps``.

    >>> [round(float(factor("cosine", t, 100)), 3) for t in (0, 50, 99)]
    [1.0, 0.5, 0.0]
    """
    share = jnp.asarray(step) / steps
    if schedule == "cosine":
        return (1 + jnp.cos(jnp.pi * share)) / 2
    if schedule == "step":
        return 10.0 ** -jnp.floor(3 * share)
    if schedule == "wsd":
        return jnp.minimum(jnp.minimum(1.0, (share + 1 / steps) / WARM), (1 - share) / COOL)
    return jnp.ones(())


def sample(recipe: Recipe, key: Array, inputs: Array, targets: Array, /) -> tuple[Array, Array]:
    """Inputs and targets of one step: ``batch`` of the examples without replacement, targets with noise."""
    chosen, noise = jax.random.split(key)
    if recipe.batch is not None:
        index = jax.random.permutation(chosen, len(inputs))[: recipe.batch]
        inputs, targets = inputs[index], targets[index]
    if recipe.label_noise > 0:
        targets = targets + recipe.label_noise * jax.random.normal(noise, targets.shape, targets.dtype)
    return inputs, targets
