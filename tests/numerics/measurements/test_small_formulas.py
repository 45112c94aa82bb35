"""Formulas of data, of regressions and of closed forms, each against a definition written here."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp

from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.measurements import closed_forms, energy, regression_checks
from sharpflow.numerics.measurements.bn_regression import bn_regression_objective
from sharpflow.numerics.measurements.closed_forms import closed_form_residual
from sharpflow.numerics.measurements.regression_checks import kernel_decay, tan_alpha_of_loss
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.training.prediction import Prediction
from sharpflow.numerics.training.recipe import Recipe
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError

GD = rules.get("gd-wd")
RANDOM = np.random.default_rng(3)
X, Y = RANDOM.standard_normal((5, 7)), RANDOM.standard_normal(5)
REGRESSION = bn_regression_objective(X, Y)


def test_a_regression_is_what_is_written():
    """|gamma X_c w/rms(X_c w) - y_c|^2/(2n), gamma = rms(y_c)."""
    w = RANDOM.standard_normal(7)
    x, y = X - X.mean(axis=0), Y - Y.mean()
    out = x @ w
    loss = np.mean((np.sqrt(np.mean(y**2)) * out / np.sqrt(np.mean(out**2)) - y) ** 2) / 2
    assert float(REGRESSION.objective.value(w)) == pytest.approx(loss, rel=1e-12)
    residuals = np.asarray(REGRESSION.objective.residuals(w))
    assert residuals @ residuals / 2 == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(x @ REGRESSION.interpolant, y, atol=1e-12)
    kernel = REGRESSION.kernel
    np.testing.assert_allclose(x @ kernel, 0, atol=1e-12)
    np.testing.assert_allclose(kernel @ kernel, kernel, atol=1e-12)
    assert np.trace(kernel) == pytest.approx(7 - 4)


def test_angles_to_the_interpolant():
    for tangent in (0.0, 0.4, 1.5):
        w = REGRESSION.point(tangent, seed=2)
        assert np.linalg.norm(w) == pytest.approx(1)
        assert float(REGRESSION.tan_alpha(w)) == pytest.approx(tangent, abs=1e-12)
        assert float(REGRESSION.objective.value(w)) == pytest.approx(0, abs=1e-14)
    start = REGRESSION.objective.start
    assert float(REGRESSION.tan_alpha(start)) == pytest.approx(1)
    inside = REGRESSION.kernel @ (REGRESSION.point(1.0, seed=2) - REGRESSION.point(0.0, seed=2) / math.sqrt(2))
    drawn = REGRESSION.kernel @ np.random.default_rng(2).standard_normal(7)
    assert inside @ drawn > 0


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (X[:, :4], Y, "D >= n"), (np.tile(X[:, :1], 7), Y, "rank n - 1"), (X, np.ones(5), "constant"),
        (X, np.full(5, 1e9) + 1e-5 * Y, "constant"), (X, Y[:4], "must be"),
    ],
)  # fmt: skip
def test_what_is_no_regression(x, y, said):
    with pytest.raises(InputError, match=said):
        bn_regression_objective(x, y)


def test_the_angle_to_the_interpolant_in_the_chart():
    loss = families.get("bn-regression").default()
    at = {s: 0 for s in loss.minima.chart}
    origin = np.array([float(e.subs(at)) for e in loss.minima.point])
    across = np.linalg.svd(origin[None])[2][1]
    unit = origin / np.linalg.norm(origin)
    np.testing.assert_allclose(tan_alpha_of_loss(loss, np.array([3 * unit, unit + 0.7 * across])), [0, 0.7], atol=1e-12)


def test_the_kernel_component_decays_at_the_rate(monkeypatch):
    monkeypatch.setattr(regression_checks, "real_regression", lambda **_: REGRESSION)
    assert kernel_decay(GD, rate=1e-3, steps=600) < 1e-11  # rounding of 600 steps

    def half(w, gradient, state, p, ops):
        return (1 - p.learning_rate * p.weight_decay / 2) * w - p.learning_rate * gradient(w), {}

    wrong = kernel_decay(replace(GD, name="half", update=half), rate=1e-3, steps=600)
    assert wrong == pytest.approx(1 - ((1 - 1e-3) / (1 - 5e-4)) ** 600, rel=1e-8)


def test_a_ratio_of_angles(monkeypatch):
    series = regression_checks.AngleSeries("n", 1e-3, 0.1, np.arange(3.0), np.array([1.5, 1.0, 0.6]), 4, 5)
    monkeypatch.setattr(regression_checks, "angle_series", lambda *a, **k: series)
    found = regression_checks.real_angle(GD, rate=1e-3, time=2.0)
    assert found.ratio == pytest.approx(0.4)
    monkeypatch.setattr(regression_checks, "angle_series", lambda *a, **k: replace(series, times=np.zeros(0)))
    assert math.isnan(regression_checks.real_angle(GD, rate=1e-3, time=2.0).ratio)


def test_a_closed_form_is_held_to_the_flow(monkeypatch):
    """p = p_0 exp(-tau), with -log p as what grows like tau, and one of two coordinates that stands still."""
    p, q, tau = sp.Symbol("p", real=True), sp.Symbol("q", real=True), sp.Symbol("tau", positive=True)
    p_0, q_0 = sp.symbols("p_0 q_0", real=True)

    def at(times):
        return SimpleNamespace(chart=np.stack([0.8 * np.exp(-times), 0.3 + 0 * times], axis=1))

    solution = SimpleNamespace(time=1.5, at=at)
    monkeypatch.setattr(closed_forms, "integrate", lambda *a, **k: solution)
    loss = SimpleNamespace(minima=SimpleNamespace(chart=(p, q)))

    def residual(closed=None, invariants=None, conserved=None):
        flow = SimpleNamespace(
            chart=(p, q), loss=loss, closed_form=closed, invariants=invariants or {}, conserved=conserved
        )
        return closed_form_residual(flow, time=1.5)

    assert residual() is None
    assert residual({p: p_0 * sp.exp(-tau), q: q_0}) < 1e-15
    assert residual({p: p_0 * sp.exp(-tau), q: q_0 + tau / 10}) == pytest.approx(0.15)
    assert residual(invariants={p: -sp.log(p)}) < 1e-14
    assert residual(invariants={p: -2 * sp.log(p)}) == pytest.approx(1.5)
    assert residual(conserved=q) < 1e-15
    assert residual(conserved=q + p) == pytest.approx(0.8 * (1 - math.exp(-1.5)))


def test_the_energy_of_an_orbit_that_is_written_down(monkeypatch):
    """On U^2/2 + (a/2 alpha)(e^y - y) = E_0 but for the last record, where U is larger; K moves on the way."""
    law, rate = law_of(GD), 1e-5
    k2 = np.array([0.5, 0.6, 0.7, 0.7])
    y, a = np.array([0.3, -0.2, 0.1, 0.0]), law.drive
    potential = a / (2 * law.alpha) * (np.exp(y) - y)
    u = np.sqrt(2 * (6.0 - potential))
    u[3] = math.sqrt(u[3] ** 2 + 2 * 0.25)
    orbit = SimpleNamespace(
        x=np.exp(y / 2) * np.sqrt(law.mean_square(k2)), u=u, log_gradient_squared=k2, law=law, rate=rate,
        steps=np.arange(4),
    )  # fmt: skip
    monkeypatch.setattr(energy, "edge_orbit", lambda *args, **options: orbit)
    assert a == pytest.approx(4)
    assert energy.energy_change(None, GD, rate) == pytest.approx(0.25)
    # Falling as sqrt(rate), the power is one.
    monkeypatch.setattr(energy, "energy_change", lambda loss, rule, rate: 3 * math.sqrt(rate))
    assert energy.energy_order(None, GD).slope == pytest.approx(1)


def test_numbers_of_a_recipe():
    recipe = Recipe(0.05, 2e-2, time=2.0, records=5)
    assert recipe.rate == pytest.approx(1e-3)
    assert recipe.intrinsic_lr == pytest.approx(math.sqrt(2e-3))
    assert recipe.steps == 2000
    # 2000 (k/5)^2
    assert recipe.record_steps == (0, 80, 320, 720, 1280, 2000)
    assert Recipe(0.05, 2e-2, time=0.003).steps == 4  # even
    assert Recipe(0.05, 2e-2, time=0.0009).steps == 2
    assert Recipe(0.05, 0.0, steps=10, records=10).record_steps == (0, 2, 4, 6, 8, 10)
    # At chosen flow times, in any order and twice; in iterations where there is no flow time.
    chosen = Recipe(0.05, 2e-2, time=2.0, record_times=[1.5, 0.001, 0.5, 0.5003, 2.0])
    assert chosen.record_steps == (0, 500, 1500, 2000)
    assert Recipe(0.05, 0.0, steps=10, record_times=(4.0, 7.0)).record_steps == (0, 4, 8, 10)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": 0.0}, "positive"), ({"weight_decay": -0.1}, "negative"), ({"dtype": "float16"}, "float64"),
        ({"weight_decay": 2.0}, "below 0.1"), ({"learning_rate": 2e-6, "weight_decay": 1.0}, "larger rate"),
        ({"records": 0}, "at least 1"), ({"count": True}, "at least 1"), ({"weight_decay": 0.0}, "number of steps"),
        ({"time": 0.0}, "positive"), ({"time": 1.1e6}, "too many"), ({"steps": 3}, "even"), ({"steps": 0}, "even"),
        ({"record_times": (1.1,)}, "1.1 is not between 0 and the end of the run, 1 .flow"),
        ({"record_times": (math.nan,)}, "nan is not between"), ({"record_times": (-0.1,)}, "-0.1 is not"),
    ],
)  # fmt: skip
def test_recipes_out_of_range(options, said):
    with pytest.raises(InputError, match=said):
        Recipe(**{"learning_rate": 0.05, "weight_decay": 2e-2, "time": 1.0, **options})
    assert Recipe(0.05, 2.0 * (1 - 1e-9), time=1.0).rate < 0.1


def test_the_worst_ratio_of_two_sharpnesses():
    none = np.zeros(0)
    ours, theirs = np.array([[2.0, 1.0], [4.0, 1.0], [np.nan, 1.0]]), np.array([[3.0, 5.0], [1.0, 1.0], [9.0, 0.0]])
    found = Prediction(
        0, np.arange(3.0), ours[:, 0], theirs[:, 0], none, none, ours, theirs, none, none, None, RESULTS.SUCCESSFUL
    )
    assert found.worst_ratio == pytest.approx(4)
    assert found.worst_spectrum_ratio(2) == pytest.approx(5)
