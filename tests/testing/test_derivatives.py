"""Derivatives by JAX against extrapolated differences: small errors are seen, steep losses are not accused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from sharpflow import Loss, Minima, Objective
from sharpflow.numerics.inspection.differences import (
    COARSE,
    ROUNDING,
    SAFETY,
    Estimate,
    derivative_residual,
    extrapolated_derivatives,
)
from sharpflow.numerics.inspection.many_digits import derivatives_by_differences
from sharpflow.numerics.objective import objective_of
from sharpflow.testing import check_loss
from sharpflow.testing.check import Outcome
from sharpflow.testing.mutants.wrong_losses import START, plain


def outcome_of(loss):
    return check_loss(loss, checks=["derivatives"])[0]


def network(gain):
    """One layer of tanh(gain u X), fitted to what it gives at another u."""
    random = np.random.default_rng(0)
    inputs, teacher = random.standard_normal((8, 6)), random.standard_normal(6)

    def function(w):
        signal = jnp.asarray(inputs) @ jnp.stack([w / jnp.linalg.norm(w), jnp.asarray(teacher)], axis=1)
        return jnp.sum(jnp.diff(jnp.tanh(gain * signal), axis=1) ** 2) / 2

    return Objective(function, random.standard_normal(6), name=f"gain-{gain:g}")


def wrong_gradient(error):
    """The right loss with a gradient that is too large by a factor 1 + error, in all directions."""
    right = plain().function
    function = jax.custom_jvp(right)

    @function.defjvp
    def rule(primals, tangents):
        value, slope = jax.jvp(right, primals, tangents)
        return value, (1 + error) * slope

    return Objective(function, START, name="wrong")


@pytest.mark.parametrize(
    ("f", "first", "second"),
    [
        (lambda t: np.exp(3 * t), 3.0, 9.0),
        (lambda t: np.sin(1e3 * (t + 1e-4)), 1e3 * np.cos(0.1), -1e6 * np.sin(0.1)),
        (lambda t: 1 / (1 + (t - 0.02) ** 2 * 1e4), 16.0, 1760.0),
        (lambda t: 1e4 + np.cos(t) - 1e4, 0.0, -1.0),
    ],
)
def test_differences_say_how_far_they_are_off(f, first, second):
    for found, right in zip(extrapolated_derivatives(f), (first, second), strict=True):
        assert abs(found.value - right) <= SAFETY * found.error
        assert found.error < 1e-6 * max(1, abs(right))


def test_differences_of_what_they_cannot_resolve_say_so():
    for found in extrapolated_derivatives(lambda t: np.sin(1e7 * t + 0.3)):
        assert SAFETY * found.error > COARSE * abs(found.value)
    assert all(np.isinf(found.error) for found in extrapolated_derivatives(lambda t: np.nan))


@pytest.mark.parametrize(
    "gain", [pytest.param(1, marks=pytest.mark.deep), pytest.param(15, marks=pytest.mark.longest), 100]
)
def test_a_steep_right_network_is_not_accused(gain):
    result = outcome_of(network(gain))
    assert result.outcome is Outcome.PASSED, result.explain()
    assert result.trial.tolerance < 1e-8


@pytest.mark.parametrize("error", [4e-6, pytest.param(-1e-7, marks=pytest.mark.deep)])
def test_a_slightly_wrong_gradient_is_caught(error):
    result = outcome_of(wrong_gradient(error))
    assert result.outcome is Outcome.FAILED
    assert result.trial.measured == pytest.approx(abs(error), rel=0.1)
    assert {"by JAX", "by differences"} <= set(result.trial.counterexample)


def test_a_wrong_gradient_is_measured_in_the_size_of_gradients():
    """A constant too much in the gradient, where second derivatives are right, and forty times as large."""

    def right(w):
        return jnp.sin(40 * w[0] / jnp.linalg.norm(w)) / 40

    function = jax.custom_jvp(right)

    @function.defjvp
    def rule(primals, tangents):
        value, slope = jax.jvp(right, primals, tangents)
        return value, slope + 1e-6 * jnp.sum(tangents[0])

    near = np.array([[0.6, 0.5, 0.4, 0.1], [0.5, 0.6, 0.4, 0.1]])
    found = derivative_residual(Objective(function, START, name="wrong"), near, None)
    assert found.finding.note == "D L(w)[u]"
    slope = 1e-6 * abs(found.finding.witness["u"].sum())
    assert (
        0.5 * slope < found.finding.value < 10 * slope
    )  # of derivatives between 0.1 and 2; 1/20 of it for second ones


def test_where_differences_are_too_coarse_nothing_is_decided():
    result = outcome_of(network(1e5))
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "L changes over shorter distances" in result.trial.message


def on_cone(power):
    """|f|^power and a smooth loss with the minima f = 0, a curve whose points are known up to rounding."""
    x, y, z = sp.symbols("x y z", real=True)
    p = sp.Symbol("p", real=True)
    r2 = x**2 + y**2 + z**2
    f = (x * y - z**2) / r2
    minima = Minima(chart=(p,), point=(sp.exp(p), sp.exp(-p), 1), start=(0.4,), domain=((-1, 1),))
    return Loss("power", (x, y, z), sp.Abs(f) ** sp.Rational(power) + f**2 / 2 * (1 + x**2 / r2), minima)


@pytest.mark.parametrize("power", [*(pytest.param(power, marks=pytest.mark.deep) for power in ("3/2", "9/4")), "5/2"])
def test_a_fractional_power_is_left_to_the_check_of_smoothness(power):
    """Next to f = 0 differences over 1e-12 tell D^2 |f|^(5/2) to 1e-6 only, and JAX is right."""
    report = check_loss(on_cone(power), checks=["derivatives", "smoothness"])
    assert [result.check for result in report.failed] == ["smoothness"]
    assert report["derivatives"].outcome is Outcome.PASSED


def test_differences_in_many_digits_say_how_far_they_are_off():
    exact, u = derivatives_by_differences(on_cone("5/2")), np.array([0.6, 0.0, -0.8])
    for estimate in exact(np.array([0.3, 0.9, 0.2]), u):
        assert 0 < estimate.error < 1e-20
    # On f = 0 up to rounding: the second derivative of |f|^(5/2) changes like the root of the distance.
    first, second = exact(np.ones(3) / np.sqrt(3), u)
    assert first.error < ROUNDING < second.error
    x, y, z = sp.symbols("x y z", real=True)
    nothing = derivatives_by_differences(Loss("root", (x, y, z), sp.sqrt(-(x**2) / (x**2 + y**2 + z**2))))
    assert all(np.isnan(e.value) and np.isinf(e.error) for e in nothing(np.ones(3), u))


@pytest.mark.parametrize("error", [4e-6, pytest.param(-1e-7, marks=pytest.mark.deep)])
def test_a_slightly_wrong_gradient_of_a_formula_is_caught(error):
    loss = on_cone("5/2")
    right = objective_of(loss)
    function = jax.custom_jvp(right.function)

    @function.defjvp
    def rule(primals, tangents):
        value, slope = jax.jvp(right.function, primals, tangents)
        return value, (1 + error) * slope

    near = np.ones((3, 3)) / np.sqrt(3)
    found = derivative_residual(Objective(function, right.start, name="wrong"), near, derivatives_by_differences(loss))
    assert found.finding.value == pytest.approx(abs(error), rel=0.1)
    assert found.tolerance < 1.1 * ROUNDING


def test_where_many_digits_meet_nothing_smooth_nothing_is_decided():
    rough = (Estimate(1.0, 1e-6), Estimate(1.0, 1e-6))
    found = derivative_residual(plain(), np.ones((3, 4)) / 2, lambda w, u: rough)
    assert np.isnan(found.finding.value)
    assert "see the check smoothness" in found.finding.note
