"""Gradient descent: two forms, one orbit; no compilation but the first; batches; failures named."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpflow.numerics.descent.descent import descend, descend_batch, parameters_of, prepare
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError
from sharpflow.theory.rule import Rule

RIDGE = families.get("ridge").default()
GD = rules.get("gd-wd")
EDGE = 2 / (2 + np.cos(0.7))


def ridge_start(x=0.01):
    theta = np.array([np.cos(0.35), np.sin(0.35), x])
    return theta / np.linalg.norm(theta)


def rounding(steps, rate):
    """Growth of rounding at the edge: each step adds one, and the oscillator shears phases by sqrt(rate) per step."""
    return 10 * steps * np.finfo(float).eps * (1 + np.sqrt(rate) * steps)


@pytest.mark.parametrize("name", ["ridge", "conic", "surface", "two-layer"])
def test_both_forms_give_one_orbit(name):
    loss = families.get(name).default()
    rate, steps = 1e-4, 4000
    # off Gamma: on it, rounding alone would seed the oscillation, and differently in each form
    theta = objective_of(loss).start + 0.02 * np.cos(np.arange(loss.dimension))
    options = dict(start=theta, effective_lr=1.0, rate=rate, records=40, every=steps // 40)
    sphere, weights = descend(loss, GD, form="sphere", **options), descend(loss, GD, form="weights", **options)
    np.testing.assert_allclose(sphere.points, weights.points, atol=rounding(steps, rate))
    np.testing.assert_allclose(sphere.effective_lr, weights.effective_lr, rtol=rounding(steps, rate))
    np.testing.assert_allclose(sphere.norm_squared, weights.norm_squared, rtol=rounding(steps, rate))
    assert sphere.result is RESULTS.SUCCESSFUL


@pytest.mark.parametrize("rule", ["rmsprop", "normalized-gd"])
def test_rules_on_the_sphere_run_as_written(rule):
    options = dict(start=ridge_start(), rate=1e-4, effective_lr=EDGE, records=20, every=100)
    written, reduced = (descend(RIDGE, rules.get(rule), form=form, **options) for form in ("weights", "sphere"))
    np.testing.assert_allclose(written.points, reduced.points, atol=rounding(2000, 1e-4))
    np.testing.assert_allclose(np.linalg.norm(written.points, axis=1), 1, rtol=1e-15)
    assert np.all(np.isnan(reduced.effective_lr)) == (rule == "normalized-gd")


def test_weights_form_against_a_plain_loop():
    rate, w = 1e-3, 0.8 * ridge_start()

    def gradient(w):
        x, y, z = w
        r2 = w @ w
        f, h = z * z / (2 * r2), 2 + (x * x - y * y) / r2
        df = np.array([0, 0, z / r2]) - f * 2 * w / r2
        dh = np.array([2 * x, -2 * y, 0]) / r2 - 2 * (x * x - y * y) * w / r2**2
        return df * h + f * dh

    run = descend(RIDGE, GD, start=w, parameters=dict(learning_rate=0.5, weight_decay=2e-3), records=50, form="weights")
    for _ in range(100):
        w = (1 - rate) * w - 0.5 * gradient(w)
    np.testing.assert_allclose(run.points[-1], w / np.linalg.norm(w), atol=rounding(100, rate))
    assert run.norm_squared[-1] == pytest.approx(w @ w, rel=rounding(100, rate))


@settings(deadline=None, max_examples=15)
@given(st.floats(0.2, 5, allow_subnormal=False))
def test_rescaling_symmetry(c):
    """(eta, lambda, w) and (c^2 eta, lambda/c^2, c w) give the same directions."""
    base = descend(
        RIDGE, GD, start=ridge_start(), parameters=dict(learning_rate=0.7, weight_decay=1e-3), form="weights"
    )
    scaled = descend(
        RIDGE,
        GD,
        start=c * ridge_start(),
        form="weights",
        parameters=dict(learning_rate=0.7 * c**2, weight_decay=1e-3 / c**2),
    )
    np.testing.assert_allclose(scaled.points, base.points, atol=rounding(800, 7e-4))
    np.testing.assert_allclose(scaled.effective_lr, base.effective_lr, rtol=rounding(800, 7e-4))


def test_new_numbers_compile_nothing(caplog):
    options = dict(effective_lr=EDGE, records=30)
    descend(RIDGE, GD, start=ridge_start(), rate=1e-4, every=2, **options)
    count = prepare(RIDGE, GD, records=30)._run.compilations
    with jax.log_compiles(), caplog.at_level("WARNING"):
        descend(RIDGE, GD, start=ridge_start(0.02), rate=3e-5, every=200, **options)
    assert prepare(RIDGE, GD, records=30)._run.compilations == count == 1
    assert not [r for r in caplog.records if "ompil" in r.getMessage()]


def test_a_batch_is_a_loop():
    starts, rates = np.stack([ridge_start(x) for x in (0.01, 0.02, -0.015)]), np.array([1e-4, 1e-3, 1e-5])
    options = dict(effective_lr=EDGE, records=25, every=10)
    batch = descend_batch(RIDGE, GD, starts=starts, rates=rates, **options)
    assert batch.points.shape == (3, 26, 3)
    for i in range(3):
        one = descend(RIDGE, GD, start=starts[i], rate=float(rates[i]), **options)
        np.testing.assert_allclose(batch.points[i], one.points, atol=rounding(250, rates[i]))


def test_resuming_goes_on_where_it_stopped():
    whole = descend(RIDGE, GD, start=ridge_start(), rate=1e-4, effective_lr=EDGE, records=20, every=10)
    descent = prepare(RIDGE, GD, records=10)
    parameters = {"learning_rate": np.float64(1), "weight_decay": np.float64(1e-4)}
    position, state = descent.begin(ridge_start(), EDGE, parameters)
    first = descent.run(position, state, parameters, 10)
    second = descent.run(first.position, first.state, parameters, 10, 100)
    np.testing.assert_array_equal(second.points, whole.points[10:])
    np.testing.assert_array_equal(second.steps, whole.steps[10:])


def test_means_are_means_of_every_step():
    every = descend(RIDGE, GD, start=ridge_start(), rate=1e-3, effective_lr=EDGE, records=60, every=1)
    means = descend(RIDGE, GD, start=ridge_start(), rate=1e-3, effective_lr=EDGE, records=6, every=10, means=True).means
    np.testing.assert_allclose(means["loss"], every.loss[:-1].reshape(6, 10).mean(axis=1), rtol=1e-11)
    np.testing.assert_allclose(means["effective_lr"], every.effective_lr[:-1].reshape(6, 10).mean(axis=1), rtol=1e-13)
    assert means["gradient_squared"].shape == (6,)


def test_divergence_is_named_with_its_step():
    def function(w):
        u = w / jnp.linalg.norm(w)
        return u[2] ** 2 + jnp.sqrt(u[0] - 0.9)

    def turn(w, gradient, state, p, ops):
        return w + 0.01 * jnp.array([0.0, 1.0, 0.0]) + p.learning_rate * 0 * gradient(w), {}

    rule = Rule(name="turn", update=turn, space="sphere", at_rate=lambda rate: {"learning_rate": rate})
    run = descend(Objective(function, [1.0, 0, 0]), rule, rate=1e-3, records=100, every=2, form="weights")
    assert run.result is RESULTS.DIVERGED
    # tan of the angle grows by about 0.01 a step, cos = 0.9 at tan = 0.484
    assert 45 < run.failed_at < 60
    assert np.all(np.isnan(run.points[-1]))
    assert np.all(np.isfinite(run.points[: (run.failed_at - 1) // 2 + 1]))


@pytest.mark.parametrize(
    "options",
    [
        dict(rate=1e-4, records=0),
        dict(rate=1e-4, every=0),
        dict(rate=1e-4, every=1.5),
        dict(rate=1e-4, effective_lr=-1.0),
        dict(rate=1e-4, effective_lr=np.nan),
        dict(rate=1e-4, start=[1.0, 2.0]),
        dict(rate=1e-4, form="other"),
        dict(),
        dict(rate=1e-4, parameters={"learning_rate": 1.0}),
        dict(parameters={"learning_rate": 1.0}),
        dict(parameters={"learning_rate": 1.0, "weight_decay": np.inf}),
    ],
)
def test_bad_arguments(options):
    with pytest.raises(InputError):
        descend(RIDGE, GD, **{"effective_lr": 1.0, **options})


def test_memory_is_that_of_the_records():
    descent = prepare(RIDGE, GD, records=400)
    numbers = parameters_of(GD, 1e-5, None)
    position, state = descent.begin(ridge_start(), EDGE, numbers)
    compiled = descent._run.compilations
    for every in (2, 5000):
        descent.run(position, state, numbers, every)
    assert descent._run.compilations - compiled <= 1  # one program, whatever the number of steps
    executable, _ = descent._run.prepare(position, state, dict(numbers), np.int64(5000))
    sizes = executable.memory_analysis()
    # theta, effective_lr, |w|^2 and the loss at 401 records; twice that, and a page, while they are put together.
    record = 401 * (3 + 3) * 8
    assert sizes.output_size_in_bytes < record + 4096
    assert sizes.temp_size_in_bytes < 2 * record + 4096


@pytest.mark.deep
def test_the_compiled_scan_is_150_times_as_fast_as_a_loop(capsys):
    from benchmarks.descent import main

    assert main() == 0, capsys.readouterr().out
