"""What the probes measure, on functions and runs whose numbers are known by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.measurements.probes import (
    POINTS,
    RECORDS,
    descent_bound,
    euler_residuals,
    euler_table,
    forms,
    multipliers,
    random_directions,
    scaling_residual,
    steps_to_edge,
)
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.theory import families, rules

GD = rules.get("gd-wd")
RIDGE = objective_of(families.get("ridge").default())
START = (1.0, 2.0, -2.0)
# Lengths and factors as they are drawn for seed 0.
DRAWN = np.random.default_rng(1)
LENGTHS, FACTORS = DRAWN.uniform(0.5, 2, POINTS), np.exp(DRAWN.uniform(-2, 2, POINTS))


def test_directions_are_spread_about_the_start():
    objective = Objective(lambda w: w @ w, START)
    noise = np.random.default_rng(5).standard_normal((4, 3)) * 0.7 / math.sqrt(3)
    expected = noise + np.array(START) / 3
    found = random_directions(objective, 4, 5)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1)[:, None], rtol=1e-14)


def test_the_scaling_residual_of_a_logarithm():
    """log |c w| - log |w| = log c, over the largest |log |w||."""
    found = scaling_residual(Objective(lambda w: jnp.log(w @ w) / 2, START))
    assert found == pytest.approx(np.abs(np.log(FACTORS)).max() / np.abs(np.log(LENGTHS)).max())
    assert scaling_residual(RIDGE) < 1e-13


def test_the_residuals_of_euler_on_a_square():
    """L = |w|^2/2 in R^3: grad L = w, Hess L = I, D^3 L = 0; |I| = sqrt 3."""
    objective = Objective(lambda w: w @ w / 2, START)
    points, table = euler_table(objective)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), LENGTHS)
    expected = [np.ones(POINTS), np.full(POINTS, 2 / (math.sqrt(3) + 1)), np.full(POINTS, 2.0), np.abs(FACTORS**2 - 1)]
    np.testing.assert_allclose(table.T, expected, rtol=1e-12)
    assert euler_residuals(objective) == pytest.approx([column.max() for column in expected])
    assert max(euler_residuals(RIDGE)) < 1e-12


def test_the_excess_over_the_descent_lemma_of_a_quartic():
    """L = |w|^4/4 on the sphere: G = theta, S = 3, s = 2/3 of a share: ((1 - s)^4 - 1)/4 + s - 3 s^2/2 over 3 s^2."""
    shares = np.random.default_rng(2).uniform(0.05, 1.5, POINTS)
    s = 2 / 3 * shares
    expected = ((1 - s) ** 4 / 4 - 1 / 4 + s * (1 - 3 * s / 2)) / (3 * s**2)
    assert descent_bound(Objective(lambda w: (w @ w) ** 2 / 4, START)) == pytest.approx(expected.max(), rel=1e-8)


def test_three_runs_are_one_and_a_planted_half_is_seen():
    found = forms(RIDGE, GD, rate=1e-3)
    assert found.finite
    assert found.steps == RECORDS
    assert max(found.sphere, found.rescaled, found.schedule) < 1e-12  # rounding of 200 steps below the edge

    def half(w, gradient, state, p, ops):
        return (1 - p.learning_rate * p.weight_decay / 2) * w - p.learning_rate * gradient(w), {}

    wrong = forms(RIDGE, replace(GD, name="half", update=half), rate=1e-3)
    # v is multiplied by (1 - eps/2)^4 in a step in place of (1 - eps)^4; e is measured by the factor 1 - eps/2.
    assert wrong.schedule == pytest.approx(2e-3, rel=0.05)


def test_two_runs_of_what_is_not_scale_invariant_differ():
    rough = Objective(lambda w: w[2] ** 2 * (2 + w[0] ** 2 / (w @ w)) / (1 + w @ w), START)
    assert forms(rough, GD, rate=1e-3).rescaled > 1e-4


def test_steps_to_the_edge_at_rest():
    """effective_lr grows by (1 - eps)^-2 in a step: from 1/2 to 2 over lambda_1 in log 4/(-2 log(1 - eps))."""
    zeta = RIDGE.start
    top = float(np.linalg.eigvalsh(np.asarray(RIDGE.hessian(zeta)))[-1])
    for rate in (1e-3, 3e-3):
        expected = math.log(4) / (-2 * math.log1p(-rate))
        assert steps_to_edge(RIDGE, GD, zeta, top, rate=rate) == pytest.approx(expected, rel=1e-9)
    resting = replace(GD, name="resting", update=lambda w, g, s, p, o: (w - p.learning_rate * g(w), {}))
    assert math.isnan(steps_to_edge(RIDGE, resting, zeta, top, rate=1e-3))


def test_multipliers_on_gamma():
    """1 - e lambda_1 across Gamma, 1 along it, 0 along theta."""
    zeta = RIDGE.start
    top = float(np.linalg.eigvalsh(np.asarray(RIDGE.hessian(zeta)))[-1])
    for e in (0.3, 0.9):
        np.testing.assert_allclose(multipliers(RIDGE, GD, zeta, e, rate=1e-3), sorted([1 - e * top, 0, 1]), atol=1e-12)
