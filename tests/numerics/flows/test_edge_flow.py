"""The flow with several eigenvalues at the edge: against charts, closed forms, gradient descent; failures."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from sharpflow.numerics.descent.descent import descend
from sharpflow.numerics.flows.chart_flow import derived_flow, integrate
from sharpflow.numerics.flows.edge_flow import _landed, compiled_edge_flow, edge_flow
from sharpflow.numerics.measurements.bn_regression import bn_regression_objective
from sharpflow.numerics.measurements.crossing import broken
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.networks.two_layer import two_layer
from sharpflow.numerics.objective import Objective, minima_point, objective_of
from sharpflow.numerics.residuals import interpolating
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import eigenvalues
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError


def circle(*normal, name="circle"):
    """L = sum_i a_i(x, y) z_i^2/2 on the unit sphere: Gamma is a circle, the a_i its eigenvalues; with residuals."""
    k = len(normal)

    def residuals(w):
        t = w / jnp.linalg.norm(w)
        return jnp.stack([a(t[0], t[1]) ** 0.5 * t[2 + i] for i, a in enumerate(normal)])

    start = np.append([np.cos(0.35), np.sin(0.35)], np.zeros(k))
    return Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, start, residuals, name=name)


def ridge_like(x, y):
    return 2 + x**2 - y**2


# For several tests, as each compiles what is its own.
ONE, TWO = circle(ridge_like), circle(ridge_like, lambda x, y: 2.4 + 0 * x)


@pytest.mark.parametrize("name", ["ridge", pytest.param("surface", marks=pytest.mark.deep)])
def test_agrees_with_the_chart(name):
    loss = families.get(name).default()
    start = loss.minima.start
    times = np.linspace(0, 1.5, 31)
    chart = integrate(derived_flow(loss), start=start, time=1.5).at(times)
    flow = edge_flow(loss, minima_point(loss, start), time=1.5, tolerance=1e-7)
    assert flow.result is RESULTS.SUCCESSFUL
    # some 500 steps, each within 1e-7 or better
    assert np.abs(flow.points[-1] - chart.points[-1]).max() < 2e-5
    assert np.abs(flow.at(times).points - chart.points).max() < 2e-5
    np.testing.assert_allclose(flow.spectrum[-1, 0], chart.sharpness[-1], rtol=1e-4)
    assert flow.residual <= 1e-10
    # on the edge throughout: |w|^2 = learning_rate lambda_1/2
    np.testing.assert_allclose(flow.effective_lr * flow.sharpness, 2, rtol=1e-5)


@pytest.mark.deep
def test_second_order():
    loss = families.get("surface").default()
    zeta = minima_point(loss, loss.minima.start)
    exact = integrate(derived_flow(loss), time=2.0).end
    runs = [edge_flow(loss, zeta, time=2.0, tolerance=t) for t in (1e-5, 1e-6, 1e-7, 1e-8)]
    errors = [np.linalg.norm(run.points[-1] - exact) for run in runs]
    order = -np.polyfit(np.log([len(run.times) for run in runs]), np.log(errors), 1)[0]
    assert 1.7 < order < 2.5


def test_two_eigenvalues_meet_where_one_stands_still():
    # a falls along the circle until it meets b, which is constant: nothing can lower b, and the flow stops there.
    flow = edge_flow(TWO, time=6.0)
    assert flow.result is RESULTS.SUCCESSFUL
    x, y = flow.points[-1][:2]
    assert x**2 - y**2 == pytest.approx(0.4, abs=1e-3)
    assert flow.edge_count[0] == 1
    assert flow.edge_count[-1] == 2
    np.testing.assert_allclose(flow.mean_square[-1], 0.5, rtol=1e-3)  # effective_lr rests: 2 = 4 tr Sigma


@pytest.mark.deep
def test_gradient_descent_follows_through_the_crossing():
    flow = edge_flow(broken, time=4.0)
    ratios = []
    for rate in (1e-3, 1e-4, 1e-5):
        start = flow.points[0] + np.sqrt(rate) * np.array([0, 0, 0, 0.7, 0.05])
        every = round(4 / rate / 800) * 2
        run = descend(
            broken, rules.get("gd-wd"), start=start, effective_lr=flow.effective_lr[0], rate=rate, every=every
        )
        at = flow.at(run.steps * rate)
        zeta, spectrum = at.points, at.spectrum
        ratios.append(np.nanmax(np.linalg.norm(run.points - zeta, axis=1)) / np.sqrt(2 * rate))
        sharpness = eigenvalues(broken, run.points[-1] * [1, 1, 1, 0, 0])[0]
        assert sharpness == pytest.approx(spectrum[-1, 0], rel=0.02 if rate < 1e-4 else 0.1)
    # intrinsic_lr is the size of the oscillation itself, which is in the distance
    assert max(ratios) < 3
    assert flow.edge_count[-1] == 2


@pytest.mark.longest
def test_eigenvalues_join_and_leave():
    # b alone at the edge after the start; a joins as b falls and a is constant; then all three meet.
    losses = circle(ridge_like, lambda x, y: 2.4 - 0.3 * x * y, lambda x, y: 2.2 + 0.2 * y**2)
    flow = edge_flow(losses, time=8.0)
    assert flow.result is RESULTS.SUCCESSFUL
    assert np.all(flow.effective_lr * flow.sharpness < 2 * (1 + 1e-4))
    one = edge_flow(losses, time=8.0, count=1)
    # with one eigenvalue to begin with, more are taken along when they are needed
    assert one.sigma.shape[1] > 1
    assert np.linalg.norm(one.points[-1] - flow.points[-1]) < 1e-3


def test_below_the_edge_it_waits():
    loss = families.get("ridge").default()
    zeta = minima_point(loss, loss.minima.start)
    top = eigenvalues(loss, zeta)[0]
    flow = edge_flow(loss, zeta, time=2.0, effective_lr=0.2 / top)
    waiting = np.log(10) / 2  # effective_lr grows as exp(2 tau)
    resting = flow.times < waiting - 0.05
    assert resting.sum() >= 3
    np.testing.assert_allclose(flow.points[resting], np.tile(zeta, (resting.sum(), 1)), atol=1e-9)
    np.testing.assert_allclose(flow.effective_lr[resting] * top / 0.2, np.exp(2 * flow.times[resting]), rtol=1e-9)
    later = edge_flow(loss, zeta, time=2.0 - waiting)
    assert np.linalg.norm(flow.points[-1] - later.points[-1]) < 1e-3
    assert flow.mean_square[0] == pytest.approx(0, abs=1e-10)


@pytest.mark.deep
def test_residuals_that_do_not_vanish_are_not_used():
    def residuals(w):
        t = w / jnp.linalg.norm(w)
        # |r|^2 = a z^2 + 2, least at z = 0, where r = (0, 1, 1): H is not J^T J = 0 there.
        return jnp.stack([jnp.sqrt(1 + ridge_like(t[0], t[1]) * t[2] ** 2 / 2)] * 2)

    objective = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, np.array([0.94, 0.34, 0.0]), residuals)
    start = objective.start / np.linalg.norm(objective.start)
    assert interpolating(objective, start).residuals is None
    plain = Objective(lambda w: ridge_like(*(w / jnp.linalg.norm(w))[:2]) * (w[2] / jnp.linalg.norm(w)) ** 2 / 2, start)
    flows = [edge_flow(o, start, time=1.0) for o in (objective, plain)]
    np.testing.assert_allclose(flows[0].points[-1], flows[1].points[-1], atol=1e-10)
    vanishing = circle(ridge_like)
    assert interpolating(vanishing, vanishing.start) is vanishing


@pytest.mark.longest
def test_residuals_that_do_not_vanish_are_not_used_on_the_way_down_either():
    def residuals(w):
        t = w / jnp.linalg.norm(w)
        return jnp.stack([jnp.sqrt(1 + ridge_like(t[0], t[1]) * t[2] ** 2 / 2)] * 2)

    start = np.array([0.94, 0.34, 0.2])
    found = relax(Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, start, residuals))
    plain = relax(Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, start))
    assert found.result is RESULTS.SUCCESSFUL
    assert found.rank == plain.rank == 1
    np.testing.assert_allclose(found.point, plain.point, atol=1e-9)


@pytest.mark.longest
def test_a_start_an_oscillation_away_is_brought_to_the_minima():
    """Its residuals do not vanish yet, and its Hessian has no clear rank: what it is, is asked where it lands."""
    network = two_layer("batch", examples=6, inputs=4, hidden=3)
    zeta = relax(network).point
    away = np.random.default_rng(0).standard_normal(len(zeta))
    flow = edge_flow(network, zeta + 1e-2 * away / np.linalg.norm(away), time=0.2)
    assert flow.result is RESULTS.SUCCESSFUL
    assert np.linalg.norm(flow.points[0] - zeta) < 0.02
    assert np.linalg.norm(network.residuals(flow.points[0])) < 1e-10
    assert flow.off_minima < 1e-8


@pytest.mark.deep
def test_the_distance_to_the_minima_is_one_along_soft_directions_too():
    objective = circle(lambda x, y: 2.0 + 0 * x, lambda x, y: 0.002 + 0 * x)
    flow = edge_flow(objective, time=0.1, rank=2)
    moved = flow.points[-1] + np.array([0, 0, 0, 1e-3])
    path = replace(flow, points=np.append(flow.points[:-1], [moved / np.linalg.norm(moved)], axis=0))
    landed = _landed(objective, 2, path)
    # |grad L|/lambda_1 is 1e-6 there.
    assert landed.off_minima == pytest.approx(1e-3, rel=1e-3)
    assert landed.result is RESULTS.LEFT_MINIMA
    assert "1.0e-03" in landed.message


def test_lost_rank_is_named():
    # The first curvature drives x to 0, and the second, x^4, with it.
    objective = circle(ridge_like, lambda x, y: x**4)
    flow = edge_flow(objective, time=20.0, rank=2)
    assert flow.result is RESULTS.LOST_RANK
    assert "curvature" in flow.message
    assert np.all(np.isfinite(flow.points))


@pytest.mark.deep
def test_regression_with_2000_weights_against_its_closed_form():
    """Random features of real data, batch normalization: tan(alpha) falls as exp(-tau), and no flow is in that."""
    data, random = load_breast_cancer(), np.random.default_rng(0)
    inputs = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    rows = random.permutation(len(inputs))[:20]
    features = np.tanh(inputs[rows] @ random.standard_normal((30, 2000)) / 30**0.5) / 2000**0.5
    problem = bn_regression_objective(features, data.target[rows].astype(float))
    flow = edge_flow(problem.objective, problem.point(1.0), time=2.0, tolerance=1e-6)
    assert flow.result is RESULTS.SUCCESSFUL
    np.testing.assert_allclose(problem.tan_alpha(flow.points), np.exp(-flow.times), rtol=1e-3)
    assert flow.off_minima < 1e-12


@pytest.mark.deep
def test_leaving_the_minima_is_named():
    def function(w):
        x, y, s, z = w / jnp.linalg.norm(w)
        # Gamma is z = 0, y = x^2 (1 + s), bent; the second direction normal to it is kept from the flow.
        return ridge_like(x, s) * z**2 / 2 + 0.1 * (y - x**2 * (1 + s)) ** 2

    bent = Objective(function, np.array([0.7, 0.5, 0.5, 0.0]))
    start = relax(bent).point
    good = edge_flow(bent, start, time=0.5)
    assert good.result is RESULTS.SUCCESSFUL
    assert good.off_minima < 1e-8
    lost = edge_flow(bent, start, time=0.5, rank=1)
    assert lost.result is RESULTS.LEFT_MINIMA
    assert lost.off_minima > 1e-3
    assert "way back to them" in lost.message


@pytest.mark.longest  # compiles for 4, 8 and 16 eigenvalues
def test_too_many_edges_are_named():
    def residuals(w):
        t = w / jnp.linalg.norm(w)
        return ridge_like(t[0], t[1]) ** 0.5 * t[2:]

    start = np.append([np.cos(0.35), np.sin(0.35)], np.zeros(18))
    flow = edge_flow(Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, start, residuals), time=1.0)
    assert flow.result is RESULTS.EDGES_EXHAUSTED
    assert "16 eigenvalues" in flow.message


@pytest.mark.deep
def test_what_is_not_finite_is_named_and_left_out():
    def function(w):
        t = w / jnp.linalg.norm(w)
        return jnp.where(t[0] < 0.8, jnp.nan, 1.0) * ridge_like(t[0], t[1]) * t[2] ** 2 / 2

    flow = edge_flow(Objective(function, np.array([0.94, 0.34, 0.0])), time=3.0)
    assert flow.result is RESULTS.DIVERGED
    assert "not finite" in flow.message
    assert np.all(np.isfinite(flow.points))
    assert 0 < flow.times[-1] < 3


def test_running_out_of_steps_is_named():
    flow = edge_flow(ONE, time=5.0, tolerance=1e-9, max_steps=300)
    assert flow.result is RESULTS.MAX_STEPS
    assert flow.times[-1] < 5


def test_nothing_compiles_twice():
    edge_flow(TWO, time=1.0)
    program = compiled_edge_flow(TWO, rank=2, k=2)
    before = program.begin.compilations, program.run.compilations
    edge_flow(TWO, time=2.0, tolerance=1e-5, effective_lr=0.1)
    assert (program.begin.compilations, program.run.compilations) == before == (1, 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time": -1.0}, "time"),
        ({"time": 1.0, "tolerance": 0.0}, "tolerance"),
        ({"time": 1.0, "count": 17}, "from 1 to 16"),
        ({"time": 1.0, "effective_lr": 5.0}, "at most 2/lambda_1"),
        ({"time": 1.0, "start": np.array([0.0, 0.0, 1.0])}, "not near a manifold of minimizers"),
    ],
)
def test_bad_input_is_named(options, said):
    start = options.pop("start", None)
    with pytest.raises(InputError, match=said):
        edge_flow(objective_of(families.get("ridge").default()), start, **options)


def test_the_start_may_be_off_gamma_by_an_oscillation():
    flow = edge_flow(ONE, np.array([0.94, 0.34, 1e-3]), time=0.5)
    assert abs(flow.points[0, 2]) < 1e-12
    assert jax.tree.all(jax.tree.map(lambda a: np.isfinite(a).all(), (flow.points, flow.spectrum)))


@pytest.mark.deep
def test_conditions_that_are_not_met_are_named(monkeypatch):
    """Newton's method for Sigma stopped after two steps: no path may come of that unnoticed."""
    monkeypatch.setattr("sharpflow.numerics.flows.complementarity.NEWTON_STEPS", 2)
    objective = circle(ridge_like, lambda x, y: 2.4 - 0.3 * x * y, name="stopped")
    flow = edge_flow(objective, time=3.0)
    assert flow.result is RESULTS.UNCONVERGED
    assert "covariance of the oscillation" in flow.message
    assert flow.residual <= 1e-10  # of the steps that were taken
    assert flow.times[-1] < 3
