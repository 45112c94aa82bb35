"""Formulas of runs of gradient descent, at hand-made numbers."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.descent.descent import descend, prepare
from sharpflow.numerics.descent.edge_run import RECORDS, edge_start, run_from_edge, stretches_of
from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import log_sharpness_gradient, sharpness
from sharpflow.theory import families, rules
from sharpflow.theory.rule import Rule

RIDGE = families.get("ridge").default()
GD = rules.get("gd-wd")


def test_one_record_of_three_steps():
    start = np.array([0.9, 0.3, 0.2])
    one = descend(RIDGE, GD, start=start, rate=1e-3, effective_lr=0.5, records=1, every=3)
    assert list(one.steps) == [0, 3]
    steps = descend(RIDGE, GD, start=start, rate=1e-3, effective_lr=0.5, records=3, every=1)
    np.testing.assert_array_equal(one.points, steps.points[[0, 3]])
    assert one.failed_at == -1


def test_means_of_the_squared_gradient_are_those_at_unit_length_in_either_form():
    """w of length other than 1: |G(theta)|^2 = |w|^2 |grad L(w)|^2."""
    options = dict(start=[0.9, 0.3, 0.2], rate=1e-3, effective_lr=0.05, records=2, every=3, means=True)
    gradient = jax.grad(objective_of(RIDGE).function)
    every = descend(RIDGE, GD, **{**options, "records": 6, "every": 1, "means": False})
    squares = np.array([float(jnp.sum(gradient(jnp.asarray(theta)) ** 2)) for theta in every.points[:-1]])
    assert every.norm_squared[0] > 10  # learning_rate/effective_lr, for eps << 1
    for form in ("sphere", "weights"):
        means = descend(RIDGE, GD, form=form, **options).means
        # rounding of six steps
        np.testing.assert_allclose(means["gradient_squared"], squares.reshape(2, 3).mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(means["effective_lr"], every.effective_lr[:-1].reshape(2, 3).mean(axis=1))


def test_the_first_step_that_is_not_finite_is_named():
    """w_1/w_0 grows by 1/10 a step; the sixth step finds it at 1/2 and takes the root of -1/20."""

    def update(w, gradient, state, p, ops):
        return w * (1 + p.speed * jnp.sqrt(0.45 - w[1] / w[0])) + jnp.array([0.0, 0.1, 0.0]) * w[0], {}

    rule = Rule(name="turn", update=update, space="sphere", at_rate=lambda rate: {"speed": 0 * rate})
    objective = Objective(lambda w: w[2] ** 2 / (w @ w), (1.0, 0.0, 0.0))
    run = descend(objective, rule, rate=1e-3, records=4, every=2, form="weights")
    assert (run.result, run.failed_at) == (RESULTS.DIVERGED, 6)
    short = descend(objective, rule, rate=1e-3, records=5, every=1, form="weights")
    assert (short.result, short.failed_at) == (RESULTS.SUCCESSFUL, -1)
    descent = prepare(objective, rule, records=4, form="weights")
    numbers = {"speed": np.float64(0)}
    position, state = descent.begin(np.array([1.0, 0, 0]), None, numbers)
    later = descent.run(position, state, numbers, 2, 100)
    assert later.failed_at == 106
    assert list(later.steps) == [100, 102, 104, 106, 108]


@pytest.mark.parametrize("total", [1000, 1600, 4321, 100_000])
@pytest.mark.parametrize("tail", [100, 400, 801])
def test_sparse_records_are_even_and_leave_the_tail(total, tail):
    every, reached = stretches_of(total, tail)
    assert every % 2 == 0
    assert reached == every * RECORDS <= total - tail
    assert (every + 2) * RECORDS > total - tail


def edge(amplitude=1.3, rate=1e-4):
    objective = objective_of(RIDGE)
    start = edge_start(objective, GD, law_of(GD), zeta=objective.start, rank=1, rate=rate, amplitude=amplitude)
    return objective, start


def test_the_start_is_displaced_along_the_edge_direction():
    _, start = edge()
    g = log_sharpness_gradient(RIDGE, start.zeta)
    assert start.log_gradient_squared == pytest.approx(g @ g)
    assert start.x == pytest.approx(1.3 * math.sqrt(2e-4 / (4 + g @ g)))
    # On the sphere x becomes sin(arctan x).
    assert (start.point - start.zeta) @ start.top == pytest.approx(start.x, rel=start.x**2)
    assert start.sharpness == pytest.approx(sharpness(RIDGE, start.zeta))


def test_a_random_step_of_the_length_asked_for():
    objective, start = edge()
    moved = edge_start(
        objective, GD, law_of(GD), zeta=objective.start, rank=1, rate=1e-4, amplitude=1.3, perturbation=1e-5, seed=3
    )
    step = moved.point - start.point
    random = np.random.default_rng(3).standard_normal(3)
    random *= 1e-5 / np.linalg.norm(random)
    # but for its radial part and the second order, x times the step
    np.testing.assert_allclose(step, random - start.point * (start.point @ random), atol=2e-5 * start.x)


@pytest.mark.parametrize(("total", "tail"), [(200, 100), (2000, 400), (2010, 400)])
def test_means_between_records_are_taken_to_the_very_end(total, tail):
    objective, start = edge()
    run = run_from_edge(objective, GD, law_of(GD), start, rank=1, rate=1e-4, total=total, tail=tail, means=True)
    plain = descend(RIDGE, GD, start=start.point, effective_lr=start.effective_lr, rate=1e-4, records=2010, every=1)
    squared = [float(np.sum(np.square(objective.gradient(theta)))) for theta in plain.points[:total]]
    assert np.isnan(run.mean_loss[0])
    stride = int(run.steps[1] - run.steps[0])
    for begin, end, loss, size in zip(
        run.steps, run.steps[1:], run.mean_loss[1:], run.mean_gradient_squared[1:], strict=False
    ):
        # A step takes loss and gradient where it begins; the last mean is over no fewer steps than the others.
        begin = min(begin, end - stride)
        assert loss == pytest.approx(np.mean(plain.loss[begin:end]), rel=1e-8)
        assert size == pytest.approx(np.mean(squared[begin:end]), rel=1e-8)


@pytest.mark.parametrize(("total", "tail", "every", "reached"), [(200, 100, 2, 0), (2000, 400, 4, 1600)])
def test_a_run_from_the_edge_is_recorded_sparsely_and_then_densely(total, tail, every, reached):
    objective, start = edge()
    run = run_from_edge(objective, GD, law_of(GD), start, rank=1, rate=1e-4, total=total, tail=tail)
    assert run.result is RESULTS.SUCCESSFUL
    np.testing.assert_array_equal(run.steps, np.arange(0, total + 1, every))
    np.testing.assert_array_equal(run.tail_steps, np.arange(reached, total + 1))
    plain = descend(RIDGE, GD, start=start.point, effective_lr=start.effective_lr, rate=1e-4, records=RECORDS, every=1)
    known = plain.points[: min(total, RECORDS) + 1 : every]
    # rounding, sheared by sqrt(rate) a step
    np.testing.assert_allclose(run.points[: len(known)], known, atol=1e-12)
    known = plain.effective_lr[: min(total, RECORDS) + 1 : every]
    np.testing.assert_allclose(run.effective_lr[: len(known)], known, rtol=1e-12)
