"""Small formulas of the approximate wing, each against a definition written here."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sharpflow.numerics.comparison.order import Fit, judge
from sharpflow.numerics.descent.edge_run import edge_start, run_from_edge
from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.descent.orbit import at_zero_rate, edge_orbit, orbit_period
from sharpflow.numerics.flows.chart_flow import integrate
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import eigenvalues, log_sharpness_gradient, sharpness
from sharpflow.theory import families, rules
from sharpflow.theory.chart.flow import sharpness_flow

RIDGE = families.get("ridge").default()
GD = rules.get("gd-wd")


def test_extrapolation_removes_the_first_power_of_the_root_of_the_rate():
    def q(rate):
        return 3.0 + 7.0 * math.sqrt(rate)

    value, correction = at_zero_rate(q(1e-5), q(1e-6))
    assert value == pytest.approx(3.0, abs=1e-14)
    assert correction == pytest.approx(7.0 * math.sqrt(1e-6))


@pytest.mark.parametrize("alpha", [1.0, 1.7])
@pytest.mark.parametrize(("x", "u"), [(1.5, 0.0), (0.4, 0.9), (3.0, -1.0)])
def test_the_period_by_quadrature_is_that_of_the_differential_equation(alpha, x, u):
    growth, brake, rate = 2.0, 5.0, 1e-4

    def field(_, y):
        return [alpha * y[1], growth - brake * math.exp(2 * y[0])]

    def back(_, y):
        return (y[0] - math.log(x)) * alpha * u + (y[1] - u) * (growth - brake * x**2)

    back.direction = 1
    found = solve_ivp(field, (0, 50), [math.log(x), u], events=back, rtol=1e-10, atol=1e-12)
    times = [t for t in found.t_events[0] if t > 1e-6]
    near = [t for t, y in zip(found.t_events[0], found.y_events[0], strict=True)
            if t > 1e-6 and abs(y[0] - math.log(x)) + abs(y[1] - u) < 1e-5]  # fmt: skip
    assert times
    assert orbit_period(growth, brake, x, u, rate, alpha) == pytest.approx(near[0] / math.sqrt(rate), rel=1e-4)


def test_the_period_of_a_small_orbit():
    rest = math.sqrt(2.0 / 5.0)
    assert orbit_period(2.0, 5.0, rest, 0.0, 1e-4) == pytest.approx(2 * math.pi / math.sqrt(4.0 * 1e-4))


def test_records_of_an_orbit():
    orbit = edge_orbit(RIDGE, GD, rate=1e-5, amplitude=1.5, periods=2.5)
    every = orbit.steps[1] - orbit.steps[0]
    assert every % 2 == 0
    nominal = law_of(GD).period(1e-5)
    assert 2.5 * nominal <= orbit.steps[-1] <= 2.5 * nominal + 2 * len(orbit.steps)
    # L - min L = lambda_1 x^2/2 to leading order, with x = X delta.
    expected = orbit.sharpness * orbit.x**2 * orbit.rate / 2
    np.testing.assert_allclose(orbit.excess, expected, rtol=0.05, atol=1e-12)


def test_the_start_of_a_run_is_off_gamma_by_the_amplitude():
    objective = objective_of(RIDGE)
    begun = edge_start(objective, GD, law_of(GD), zeta=objective.start, rank=1, rate=1e-5, amplitude=1.3)
    g = log_sharpness_gradient(RIDGE, objective.start)
    x = 1.3 * math.sqrt(2e-5 / (4 + g @ g))
    assert np.linalg.norm(begun.point - objective.start) == pytest.approx(x, rel=1e-4)
    assert begun.effective_lr * sharpness(RIDGE, objective.start) == pytest.approx(2.0)
    np.testing.assert_allclose(begun.along * np.linalg.norm(g), g, atol=1e-12)


def test_the_law_at_the_start_of_a_run():
    """Effective_lr grows by 2 rate a step, on Gamma <x^2> = 2 rate/(4 + K^2), and small orbits take pi/sqrt(2 rate)."""
    law, free = law_of(GD), law_of(rules.get("normalized-gd"))
    assert (law.growth, free.growth) == (pytest.approx(2), 0)
    assert law.amplitude(1.5, 1e-4, 3.0) == pytest.approx(math.sqrt(2e-4 / 5.5))
    assert law.period(1e-4) == pytest.approx(math.pi / math.sqrt(2e-4))
    assert law.response(1.5) == pytest.approx((4, 2 * 5.5))
    assert law.drift(1.5) == pytest.approx(2 / 5.5)
    assert free.drift(1.5) == pytest.approx(1 / 4)


def test_momentum_at_the_start_of_a_run_is_that_of_the_oscillation():
    """|x| stays as it is from step to step; with none, or with the other sign, it would not."""
    objective, rule = objective_of(RIDGE), rules.get("heavy-ball")
    begun = edge_start(objective, rule, law_of(rule), zeta=objective.start, rank=1, rate=1e-6, amplitude=1.0)
    run = run_from_edge(objective, rule, law_of(rule), begun, rank=1, rate=1e-6, total=200, tail=100)
    x = (run.points[:10] - begun.zeta) @ begun.top
    # Records are two steps apart; corrections are of the order sqrt(rate).
    np.testing.assert_allclose(x, begun.x, rtol=0.01)


def test_the_flow_sets_off_along_its_drift():
    """d zeta/d tau = -2 g/(4 + |g|^2), by a difference of the integrated flow."""
    zeta = objective_of(RIDGE).start
    g = log_sharpness_gradient(RIDGE, zeta)
    solution = integrate(sharpness_flow(RIDGE), start=(0.35,), time=0.1)
    h = 1e-4
    early = solution.at(np.array([0.0, h])).points
    np.testing.assert_allclose((early[1] - early[0]) / h, -2 * g / (4 + g @ g), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(solution.at(np.linspace(0, 0.1, 7)).points, axis=1), 1, atol=1e-12)
    assert len(solution.at(np.linspace(0, 0.1, 401)).points) == 401


def test_relaxation_says_how_far_it_moved():
    start = np.array([0.8, 0.5, 0.3])
    found = relax(objective_of(RIDGE), start)
    assert found.result.ok
    assert found.moved == pytest.approx(np.linalg.norm(found.point - start / np.linalg.norm(start)))


def test_relaxation_without_a_frame_says_when_it_has_not_arrived(monkeypatch):
    """Five hundred weights, for which no rank is looked for: |grad L| of order one where the flow has gone nowhere."""
    start = np.concatenate([[0.8, 0.5, 0.3], np.full(497, 1e-3)])
    big = Objective(lambda w: (w[2] ** 2 * (2 + w[0] ** 2 / (w @ w))) / (w @ w), start, name="big")
    monkeypatch.setattr(
        importlib.import_module("sharpflow.numerics.minima.relax"), "_compiled", lambda *_: lambda theta, scale: theta
    )
    found = relax(big)
    assert found.result is RESULTS.NOT_AT_MINIMA
    assert "where gradient flow ended" in found.message


def test_eigenvalues_from_residuals_are_those_of_the_hessian():
    import jax.numpy as jnp

    def residuals(w):
        u = w / jnp.linalg.norm(w)
        return jnp.stack([2.0 * u[2], u[3] * (1.0 + u[0] ** 2)])

    with_them = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, (0.6, 0.8, 0.0, 0.0), residuals)
    without = Objective(with_them.function, with_them.start)
    np.testing.assert_allclose(eigenvalues(with_them, with_them.start)[:2], eigenvalues(without, without.start)[:2])
    assert eigenvalues(with_them, with_them.start)[0] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("slope", "low", "high", "verdict"),
    [
        (1.0, 0.95, 1.05, "consistent"),
        (1.0, 0.8, 1.25, "consistent"),
        (1.0, 0.7, 1.3, "inconclusive"),
        (0.5, 0.4, 0.6, "inconsistent"),
        (1.5, 1.4, 1.6, "inconsistent"),
        (0.85, 0.8, 0.95, "inconclusive"),
    ],
)
def test_a_fitted_order_is_judged_by_estimate_and_interval(slope, low, high, verdict):
    assert judge(Fit(slope, low, high, 1.0, 0.0)) == verdict


def test_what_is_read_off_an_orbit():
    """On an orbit written down: its period, a mean over it, and the coefficients of the oscillator by least squares."""
    from sharpflow.numerics.descent.orbit import EdgeOrbit

    rate, alpha, a, b = 1e-4, 1.3, 2.0, 5.0
    delta = math.sqrt(rate)
    steps = np.arange(0, 2 * 401, 2)

    def field(_, y):
        return [alpha * y[1], a - b * math.exp(2 * y[0])]

    at = solve_ivp(field, (0, steps[-1] * delta), [0.0, -0.3], t_eval=steps * delta, rtol=1e-11, atol=1e-12).y
    x, u = np.exp(at[0]), at[1]
    nothing = np.zeros(len(steps))
    orbit = EdgeOrbit(rate, steps, x, u, nothing, nothing, nothing, nothing, 1.0, np.zeros((len(steps), 3)),
                      finite=True, law=law_of(GD))  # fmt: skip
    assert orbit.period == pytest.approx(orbit_period(a, b, float(x[0]), float(u[0]), rate, alpha), rel=1e-3)
    assert orbit.mean(x**2) == pytest.approx(a / b, rel=2e-3)
    assert orbit.mean(u) == pytest.approx(0.0, abs=2e-3)
    assert orbit.response() == pytest.approx((a, b), rel=2e-3)
    assert orbit.growth() == pytest.approx(alpha, rel=2e-3)
