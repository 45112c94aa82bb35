"""Training at length: the flow beside a run, every loss with every norm, networks of paper size."""

import dataclasses
import time

import numpy as np
import pytest

from sharpflow.numerics import experiments
from sharpflow.numerics.data.examples import Examples, digits
from sharpflow.numerics.models.layers import NORMS
from sharpflow.numerics.models.task import LOSSES
from sharpflow.numerics.training import trainer as training
from sharpflow.numerics.training.experiment import Choices, task
from sharpflow.numerics.training.prediction import predict
from sharpflow.numerics.training.recipe import Recipe
from sharpflow.numerics.training.run import train_network
from sharpflow.numerics.training.statistics import mean_interval
from sharpflow.numerics.training.trainer import Trainer

# Where the learning rate is the same the runs begin alike, below the edge, and are next to Gamma when they reach it.
LEARNING_RATE, RATES = 0.0125, (1e-4, 6.25e-6)


@pytest.fixture(scope="module")
def beside():
    """Task, and at each of the rates a run of seed 0 with the flow beside it."""
    one = experiments.get("breast-cancer").task(0, Choices(examples=12, test_examples=20, sizes={"widths": (6,)}))
    recipes = [Recipe(LEARNING_RATE, rate / LEARNING_RATE, time=2.0, records=60, dtype="float64") for rate in RATES]
    runs = [train_network([one], recipe) for recipe in recipes]
    return one, [(run, predict(one, run)) for run in runs]


def missed(prediction):
    """Of the sharpness: the root mean square of the logarithm of the ratio, after the first tenth."""
    ratio = np.log(prediction.gd_sharpness / prediction.sharpness)[len(prediction.times) // 10 :]
    return float(np.sqrt(np.mean(ratio**2)))


@pytest.mark.longest
def test_the_flow_is_beside_gradient_descent(beside):
    for run, found in beside[1]:
        assert found.result.ok, found.message
        assert len(found.times) == len(run.times) - run.entry[0]
        # Gradient descent is an intrinsic_lr or so off, along which sharpness changes by the factor exp(K), K up to 10.
        assert abs(np.log(found.gd_sharpness[-1] / found.sharpness[-1])) <= 10 * run.recipe.intrinsic_lr
        assert found.gd_sharpness[0] / found.gd_sharpness[-1] > 5
    large, small = (missed(found) for _, found in beside[1])
    # With the square root of the rate it is a quarter.
    assert small < large / 2


@pytest.mark.longest
def test_the_flow_of_a_completion_goes_to_the_missing_entries():
    """Half of a 10 x 10 matrix of rank 2: the test loss falls along the flow, and along gradient descent as it does."""
    experiment = experiments.get("matrix-completion")
    one = experiment.task(0, Choices(sizes={"rows": 10, "columns": 10, "width": 10}))
    recipe = Recipe(experiment.learning_rate, 1e-3, time=4.5, records=12, count=3, dtype="float64")
    run = train_network([one], recipe)
    found = predict(one, run)
    assert found.result.ok, found.message
    assert len(found.times) == len(run.times) - run.entry[0] >= 4
    np.testing.assert_array_equal(found.gd_sharpness, run.sharpness[run.entry[0] :, 0])
    assert found.sharpness[0] / found.sharpness[-1] > 2
    # One intrinsic_lr or so off the flow, along which sharpness changes by the factor exp(K), K up to 10.
    assert missed(found) <= 10 * recipe.intrinsic_lr
    tested = run.columns["test_loss"][run.entry[0] :, 0]
    assert found.test_loss[-1] < found.test_loss[0] / 2
    assert tested[-1] < tested[0] / 2
    np.testing.assert_allclose(found.test_loss, tested, rtol=10 * recipe.intrinsic_lr)


@pytest.mark.longest
def test_the_headline():
    """`sharpflow train digits --seeds 5`: with all right sharpness falls by 20 and test error by 4 points."""
    begun, experiment = time.process_time(), experiments.get("digits")
    recipe = Recipe(experiment.learning_rate, experiment.weight_decay, time=experiment.time)
    assert recipe.rate * recipe.steps == pytest.approx(3.0)
    change = train_network(experiment.tasks(5), recipe).change()
    spent = time.process_time() - begun
    assert np.max(change.worst_train_error) == 0
    (ratio, least, _), (fall, low, _) = mean_interval(change.sharpness_ratio), mean_interval(change.test_error_fall)
    assert ratio >= 20
    assert least > 1
    assert fall >= 0.04
    assert low > 0
    # 120 seconds of two cores, whatever else the machine does meanwhile.
    assert spent <= 2 * 120


@pytest.mark.longest
def test_a_wrong_effective_learning_rate_is_told_apart(beside):
    """The flow begins with the run's own; a falsified one predicts another waiting time, and the numbers disagree."""
    one, pairs = beside
    for run, found in pairs:
        columns = {**run.columns, "effective_lr": run.columns["effective_lr"] / 4}
        wrong = predict(one, dataclasses.replace(run, columns=columns))
        # It waits until time log(4)/2, while sharpness falls by a third or more.
        assert missed(wrong) > 0.5 > 3 * missed(found)


@pytest.mark.longest
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_with_every_norm_trains(loss, norm):
    one = task("mlp", digits(n=20, test=20), norm=norm, loss=loss, widths=(12,))
    run = train_network([one], Recipe(0.5, 1e-4, steps=400, records=4, count=2))
    loss_at = run.columns["train_loss"][:, 0]
    assert loss_at[-1] < 0.7 * loss_at[0]
    assert np.isfinite(run.columns["spectrum"]).all()


@pytest.mark.longest
@pytest.mark.parametrize("network", ["resnet20", "vgg11"])
def test_networks_of_paper_size_take_steps_in_pieces(network, monkeypatch):
    monkeypatch.setattr(training, "MAX_PRODUCTS", 6)  # no sharpness is wanted, only that it runs
    images = np.random.default_rng(0).standard_normal((8, 32, 32, 3)).astype(np.float32)
    data = Examples(images, np.arange(8) % 4, images[:3] + 1, np.arange(3), name="noise")
    trainer = Trainer([task(network, data)], Recipe(0.05, 2e-3, steps=2, records=1, count=1, pieces=2))
    state, first = trainer.begin()
    assert state.weights.dtype == np.float32
    state, row = trainer.advance(state, 2)
    assert state.alive[0] == 2
    for name in ("train_loss", "test_loss", "norm_squared", "spectrum", "mean_gradient_squared"):
        assert np.isfinite(getattr(row, name)).all(), name
    assert row.train_loss[0] != first.train_loss[0]
