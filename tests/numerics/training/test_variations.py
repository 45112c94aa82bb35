"""Batches, momentum, label noise and schedules in training: against a plain loop, and resumed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.training.recipe import Recipe
from sharpflow.numerics.training.run import digest_of
from sharpflow.numerics.training.trainer import Trainer
from sharpflow.numerics.training.variations import factor, sample
from sharpflow.theory.errors import InputError

MORE = {"batch": 6, "momentum": 0.5, "label_noise": 0.1, "schedule": "cosine"}


def test_all_of_them_are_a_plain_loop_and_resume_bit_for_bit(tasks):
    recipe = Recipe(0.05, 2e-3, steps=40, records=2, count=1, dtype="float64", **MORE)
    trainer = Trainer(tasks[:1], recipe)
    begin, _ = trainer.begin()
    whole, row = trainer.advance(begin, 40)
    half, _ = trainer.advance(begin, 20)
    rest, _ = trainer.advance(half, 40)
    np.testing.assert_array_equal(rest.weights, whole.weights)
    np.testing.assert_array_equal(rest.momentum, whole.momentum)
    one = tasks[0]
    x, t = jnp.asarray(one.data.inputs), jnp.asarray(one.targets())
    both = jax.jit(jax.value_and_grad(one.value))
    w, m = jnp.asarray(one.start), jnp.zeros(len(one.start))
    seen = set()
    for k in range(40):
        inputs, targets = sample(recipe, jax.random.fold_in(jax.random.key(0), k), x, t)
        assert inputs.shape[0] == 6
        assert not np.isin(np.asarray(targets), np.asarray(t)).any()  # each has its noise
        seen |= {tuple(row) for row in np.asarray(inputs)}
        eta = 0.05 * (1 + np.cos(np.pi * k / 40)) / 2
        m = 0.5 * m + both(w, inputs, targets)[1]
        w = (1 - eta * 2e-3) * w - eta * m
    assert len(seen) == len(x)
    np.testing.assert_allclose(whole.weights[0], w, rtol=0, atol=1e-10 * float(jnp.abs(w).max()))
    assert recipe.edge == 3
    last = float(factor("cosine", 39, 40))
    assert row.effective_lr[0] == pytest.approx(0.05 * last / ((1 - 1e-4) * float(w @ w)), rel=1e-9)


def test_schedules():
    assert [float(factor("step", t, 9)) for t in (0, 3, 8)] == pytest.approx([1, 0.1, 0.01])
    assert [float(factor("wsd", t, 100)) for t in (0, 4, 50, 80, 90, 99)] == pytest.approx([0.2, 1, 1, 1, 0.5, 0.05])
    assert float(factor("constant", 5, 10)) == 1


def test_a_plain_recipe_keeps_its_hash_and_a_varied_one_has_its_own(tasks):
    plain = Recipe(0.05, 2e-3, steps=40)
    varied = {digest_of(tasks, Recipe(0.05, 2e-3, steps=40, **{name: value})) for name, value in MORE.items()}
    assert plain.variations == {}
    assert len(varied | {digest_of(tasks, plain)}) == 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"batch": 2}, "at least 3"),
        ({"batch": 5, "pieces": 2}, "a batch is one piece"),
        ({"momentum": 1.0}, "below 1"),
        ({"schedule": "linear"}, "constant, cosine, step, wsd"),
    ],
)
def test_bad_variations_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        Recipe(0.05, 2e-3, steps=40, **wrong)
