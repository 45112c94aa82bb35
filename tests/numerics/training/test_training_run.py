"""What a training run says of itself, on runs written down: the wait, the fall from the edge on, and divergence."""

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.rank_correlation import rank_correlation
from sharpflow.numerics.training.recipe import Recipe
from sharpflow.numerics.training.run import TrainingRun
from sharpflow.numerics.training.statistics import spread
from sharpflow.numerics.training.trainer import Row, State

STEPS = np.array([0, 10, 40, 90, 160, 250, 360, 490])
RATE, START, SHARPNESS = 1e-3, 0.012, 100.0


def made(*, seeds=2, decay=RATE, entry=-1, alive=None, **changed):
    """Seeds at rest on Gamma from the start, effective_lr growing by weight decay alone; columns (N,) or (N, S)."""
    shape = (len(STEPS), seeds)
    columns = {name: np.zeros(shape) for name in Row._fields}
    growth = START * (1 - RATE) ** (-2.0 * STEPS)
    columns |= {"train_loss": np.where(STEPS > 0, 1e-4, 1.0), "effective_lr": growth, **changed}
    columns = {k: np.broadcast_to(v if np.ndim(v) == 2 else np.reshape(v, (-1, 1)), shape) for k, v in columns.items()}
    sharpness = np.asarray(changed.get("sharpness", SHARPNESS))
    columns["spectrum"] = np.broadcast_to(sharpness if sharpness.ndim == 2 else sharpness.reshape(-1, 1), shape)[
        ..., None
    ]
    zeros = np.zeros((seeds, 3))
    state = State(
        490, zeros, np.full(seeds, 490) if alive is None else np.asarray(alive), zeros[..., None],
        np.broadcast_to(entry, seeds).copy(), zeros,
    )  # fmt: skip
    recipe = Recipe(1.0, decay, steps=490)
    return TrainingRun(recipe, ("made",) * seeds, {**columns, "step": STEPS}, state, 0.0, 0.0, True)


# The wait for the edge


def test_the_wait_is_that_of_effective_lr_growing_to_two_over_sharpness():
    run = made()
    predicted, measured = run.waiting()
    # START SHARPNESS (1 - rate)^(-2 t) = 2, and the logarithm of the edge is linear in t: no error of interpolation.
    exact = RATE * math.log(2 / (START * SHARPNESS)) / (-2 * math.log(1 - RATE))
    np.testing.assert_allclose(predicted, exact, rtol=1e-9)
    np.testing.assert_allclose(measured, exact, rtol=1e-9)
    assert STEPS[0] * RATE < exact < STEPS[-1] * RATE


def test_who_is_not_at_rest_before_the_edge_has_no_prediction():
    late = np.where(STEPS > 300, 1e-4, 1.0)  # the edge is passed at step 256
    run = made(train_loss=np.stack([late, np.where(STEPS > 0, 1e-4, 1.0)], axis=1))
    predicted, measured = run.waiting()
    assert np.isnan(predicted[0])
    assert np.isfinite(predicted[1])
    assert np.isfinite(measured).all()
    assert all(np.isnan(part).all() for part in made(decay=0.0).waiting())


# From entry to the end


def test_the_change_is_from_the_entry_to_the_end():
    falls = np.array([500, 400, 300, 200, 150, 120, 110, 100.0])
    wrong = np.array([0.5, 0.4, 0.0, 0.0, 0.03, 0.0, 0.02, 0.0])
    test = np.array([0.9, 0.8, 0.35, 0.3, 0.25, 0.2, 0.18, 0.16])
    run = made(sharpness=falls, train_error=wrong, test_error=test, entry=[90, -1])
    change = run.change()
    assert change.sharpness_ratio[0] == pytest.approx(2.0)
    assert change.test_error_fall[0] == pytest.approx(0.14)
    assert change.worst_train_error[0] == pytest.approx(0.03)  # in the middle; the last record is right
    assert all(np.isnan(part[1]) for part in dataclasses.astuple(change))


def test_an_entry_whose_record_is_missing():
    """A damaged record is not there: the next whole one stands for it, or none where there is none."""
    run = made(entry=[90, 490])
    cut = {name: np.delete(column, [3, 7], axis=0) for name, column in run.columns.items()}
    assert dataclasses.replace(run, columns=cut).entry.tolist() == [3, -1]
    assert np.isnan(dataclasses.replace(run, columns=cut).change().sharpness_ratio[1])


# Divergence


@pytest.mark.parametrize(
    ("edge", "said"),
    [(5.0, "beyond the edge 2: lower the learning rate"), (2.06, "about the edge 2"), (0.5, "below the edge 2")],
)
@pytest.mark.parametrize("decay", [RATE, 0.0])
def test_why_a_seed_diverged(edge, said, decay):
    run = made(effective_lr=np.full(len(STEPS), edge / SHARPNESS), alive=[490, 300], decay=decay, entry=90)
    (sentence,) = run.failures()
    assert f"seed 1 is not finite from iteration 301 on{' (time 0.301)' if decay else ';'}" in sentence
    assert "iteration 250, effective_lr*sharpness was" in sentence
    assert said in sentence
    assert ("float64" in sentence) == (edge < 3)


# Means


def test_a_mean_says_of_how_many_it_is():
    assert spread([1.0, 2.0, 3.0]) == "2 [-0.484, 4.48]"
    assert spread([1.0, np.nan, 3.0, 2.0, np.nan]) == "2 [-0.484, 4.48] (3 of 5)"
    assert spread([np.nan, 2.0]) == "2 (1 of 2)"
    assert spread([np.nan]) == "none"


def test_the_interval_of_a_rank_correlation_is_of_95_percent():
    """Independent pairs: rho of 300 has a standard deviation 1/sqrt(299), the interval 1.96 of it to each side."""
    random = np.random.default_rng(1)
    found = rank_correlation(random.standard_normal(300), random.standard_normal(300))
    half = (found.high - found.low) / 2
    # The bootstrap knows that deviation from one sample: its relative error is a few times 1/sqrt(2*300).
    assert half == pytest.approx(1.96 / 299**0.5, rel=0.2)
