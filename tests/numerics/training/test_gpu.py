"""The same code on a GPU: float32 is float32, results are those of the CPU, a run goes on bit for bit."""

import dataclasses

import jax
import numpy as np
import pytest

from sharpflow.numerics.data.examples import Examples
from sharpflow.numerics.training.experiment import task
from sharpflow.numerics.training.full_batch import FullBatch
from sharpflow.numerics.training.run import train_network
from sharpflow.numerics.training.trainer import Row, State, Trainer
from tests.numerics.training.small_training import RECIPE

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def _gpu():
    if jax.default_backend() != "gpu":
        pytest.skip(f"JAX computes on {jax.default_backend()} here")


def images(n=64):
    random = np.random.default_rng(0)
    return Examples(random.standard_normal((n, 32, 32, 3)), np.arange(n) % 10, classes=10, name="noise")


@pytest.mark.parametrize("network", ["resnet20", "vgg11"])
def test_products_are_not_rounded_to_ten_bits(network):
    one = task(network, images())

    def gradient(kind):
        arrays = [np.asarray(a, kind) for a in (one.start, one.data.inputs, one.targets())]
        return np.asarray(FullBatch(one).value_and_gradient(*arrays)[1], float)

    exact = gradient(np.float64)
    # Rounding of 20 layers, 1e-7 each; TF32 has 5e-4 each.
    assert np.linalg.norm(gradient(np.float32) - exact) <= 2e-4 * np.linalg.norm(exact)


def test_gradient_descent_and_records_are_those_of_the_cpu(tasks):
    def first_steps():
        trainer = Trainer(tasks, RECIPE)
        return trainer.advance(trainer.begin()[0], 40)

    (state, row), place = first_steps(), jax.devices("cpu")[0]
    with jax.default_device(place):
        cpu_state, cpu_row = first_steps()
    np.testing.assert_allclose(state.weights, cpu_state.weights, rtol=0, atol=1e-9 * np.abs(cpu_state.weights).max())
    for name in set(Row._fields) - {"spectrum_residual"}:  # rounding itself
        np.testing.assert_allclose(getattr(row, name), getattr(cpu_row, name), rtol=1e-8, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_run_goes_on_bit_for_bit(tasks, kind, tmp_path):
    recipe = dataclasses.replace(RECIPE, dtype=kind)
    whole = train_network(tasks, recipe)
    asked = iter([False, False, False, True])
    train_network(tasks, recipe, out=str(tmp_path / "run"), stop=lambda: next(asked))
    run = train_network(tasks, recipe, out=str(tmp_path / "run"), resume=True)
    for name in Row._fields:
        np.testing.assert_array_equal(run.columns[name], whole.columns[name], err_msg=name)
    for name, one, two in zip(State._fields, run.state, whole.state, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
