"""The central flow: against the flow along Gamma, against gradient descent on cross-entropy; failures."""

from __future__ import annotations

import json

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.averages import cross_entropy, seeded_descent
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.comparison.order import fit_power
from sharpflow.numerics.descent.descent import descend
from sharpflow.numerics.flows.central_flow import central_flow, compiled_central_flow
from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.measurements.crossing import broken, crossing, tilted
from sharpflow.numerics.measurements.crossing_checks import down_a_slope
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import eigenvalues
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError

GD = rules.get("gd-wd")


def distance(flow, times, points):
    """Largest distance of a central flow to points (N, D) at flow times (N,) up to its end."""
    inside = times <= flow.times[-1]
    return np.linalg.norm(flow.at(times).points - points, axis=1)[inside].max()


@pytest.mark.deep
def test_it_comes_to_the_flow_along_gamma_as_the_rate_goes_to_zero():
    # On the conic c_3 is not 0: the oscillation holds theta off Gamma, at a distance proportional to the rate.
    conic = objective_of(families.get("conic").default())
    flow = edge_flow(conic, time=1.0, tolerance=1e-7)
    rates = (1e-2, 1e-3, 1e-4)
    central = [central_flow(conic, flow.points[0], rate=rate, time=1.0, tolerance=3e-6) for rate in rates]
    far = [distance(c, flow.times, flow.points) for c in central]
    assert fit_power(rates, far).slope == pytest.approx(1.0, abs=0.2)
    assert far[-1] < 2e-4
    # no more steps at small rates, where one of them spans many thousands of gradient descent
    steps = [len(c.times) for c in central]
    assert max(steps) < 1.5 * min(steps)


@pytest.mark.deep
def test_two_eigenvalues_at_the_edge_as_on_gamma():
    flow = edge_flow(broken, time=3.0, tolerance=1e-7)
    for rate in (1e-3, 1e-6):
        central = central_flow(broken, flow.points[0], rate=rate, time=3.0, tolerance=1e-5)
        assert central.result is RESULTS.SUCCESSFUL
        # at its own hundred times: at most 5e-5 away while the second eigenvalue joins
        assert np.linalg.norm(flow.at(central.times).points - central.points, axis=1).max() < 1e-4
        assert central.edge_count[-1] == flow.edge_count[-1] == 2
        np.testing.assert_allclose(central.sigma[-1, :2, :2], flow.sigma[-1, :2, :2], atol=0.02)
        assert np.all(central.effective_lr * central.sharpness < 2 * (1 + 1e-3))
        assert central.residual < 1e-10


@pytest.mark.deep
def test_conditions_that_are_not_met_are_named(monkeypatch):
    """Newton's method for S stopped after one step."""
    monkeypatch.setattr("sharpflow.numerics.flows.complementarity.NEWTON_STEPS", 1)
    # an objective of its own: programs are kept by objective
    stopped = Objective(broken.function, broken.start, name="stopped")
    path = central_flow(stopped, broken.start, rate=1e-3, time=3.0)
    assert path.result is RESULTS.UNCONVERGED
    assert "covariance of the oscillation" in path.message
    assert path.residual <= 1e-10


@pytest.mark.deep
def test_down_a_slope():
    """Where there is no manifold of minimizers: with the slope left out, or the oscillation, it is far off."""
    for rate in (1e-3, 1e-4):
        found = down_a_slope(GD, rate=rate, time=3.0)
        assert found.central < 3
        assert found.without_slope > 10
        assert found.without_oscillation > 10


@pytest.mark.parametrize(
    ("smoothing", "scale", "rate"),
    [
        pytest.param(0.0, 1.0, 1e-4, marks=pytest.mark.longest),
        pytest.param(0.0, 1.0, 1e-5, marks=pytest.mark.longest),
        pytest.param(0.1, 2.0, 1e-5, marks=pytest.mark.longest),
    ],
)
def test_gradient_descent_on_cross_entropy(smoothing, scale, rate):
    objective, theta = cross_entropy(smoothing, scale)
    time = 1.0
    central, control = (
        central_flow(objective, theta, rate=rate, time=time, oscillating=oscillating) for oscillating in (True, False)
    )
    assert central.result is RESULTS.SUCCESSFUL
    run = seeded_descent(objective, theta, rate, central.effective_lr[0])
    times = run.steps * rate
    at = central.at(times)
    spectrum, effective_lr = at.spectrum, at.effective_lr
    near, far = (distance(flow, times, run.points) for flow in (central, control))
    # 0.021, 0.011 and 0.013 were seen, over paths of 0.45, 0.52 and 0.69; 0.43, 0.46 and 0.66 without the oscillation.
    assert near < 0.04
    assert far > 10 * near
    assert np.abs(np.log(run.effective_lr / effective_lr)).max() < 0.05
    assert np.abs(np.log(control.at(times).effective_lr / run.effective_lr)).max() > 1
    # At single iterates the oscillation adds a tenth to the sharpness; halfway to the next there is little left of it.
    late = range(250, 501, 10)
    sharp = []
    for theta, lr in zip(run.points[late], run.effective_lr[late], strict=True):
        after = theta - lr * np.asarray(objective.gradient(theta))
        sharp.append(eigenvalues(objective, theta + after / np.linalg.norm(after))[0])
    assert np.mean(sharp) == pytest.approx(np.mean(spectrum[late, 0]), rel=0.1)
    mean_loss = np.interp(times, central.times, central.mean_loss)
    lower = np.interp(times, central.times, central.loss)
    measured = run.means["loss"][250:].mean()
    assert measured == pytest.approx(mean_loss[250:].mean(), rel=2e-3)
    # What the oscillation adds is in it: without, the loss would be off by more.
    assert abs(measured - mean_loss[250:].mean()) < 0.5 * abs(measured - lower[250:].mean())
    assert central.edge_count[-1] >= 2


def test_before_the_edge_it_is_gradient_flow():
    ridge = objective_of(families.get("ridge").default())
    start = np.array([0.7, 0.1, 0.7]) / np.linalg.norm([0.7, 0.1, 0.7])
    rate, small = 1e-4, 1e-3
    central = central_flow(ridge, start, rate=rate, time=0.2, effective_lr=small)
    run = descend(ridge, GD, start=start, effective_lr=small, rate=rate, every=10, records=200)
    times = run.steps * rate
    # steps of gradient descent of 0.002 of the way down
    assert distance(central, times, run.points) < 2e-3
    assert np.abs(np.log(run.effective_lr / central.at(times).effective_lr)).max() < 1e-3
    assert np.all(central.sigma == 0) or np.abs(central.sigma).max() < 1e-8


@pytest.mark.deep
def test_eigenvalues_are_taken_along_when_needed():
    one = central_flow(broken, rate=1e-4, time=2.0, count=1)
    assert one.sigma.shape[1] > 1
    assert np.linalg.norm(one.points[-1] - central_flow(broken, rate=1e-4, time=2.0).points[-1]) < 1e-3


def test_nothing_compiles_twice():
    central_flow(tilted, rate=1e-4, time=0.5)
    program = compiled_central_flow(tilted, k=4, oscillating=True)
    before = program.begin.compilations, program.run.compilations
    central_flow(tilted, rate=1e-5, time=0.3, tolerance=1e-5, effective_lr=0.1)
    assert (program.begin.compilations, program.run.compilations) == before == (1, 1)


def nowhere(w):
    t = w / jnp.linalg.norm(w)
    return jnp.where(t[0] < 0.8, jnp.nan, 1.0) * (2 + t[0] ** 2 - t[1] ** 2) * t[2] ** 2 / 2


@pytest.mark.deep
def test_what_is_not_finite_is_named_and_left_out():
    flow = central_flow(Objective(nowhere, np.array([0.94, 0.34, 0.0])), rate=1e-4, time=3.0)
    # The steps towards the place where it ends are made shorter and shorter first.
    assert flow.result in (RESULTS.STEPSIZE_UNDERFLOW, RESULTS.DIVERGED)
    assert np.all(np.isfinite(flow.points))
    assert 0 < flow.times[-1] < 3


@pytest.mark.deep
def test_a_loss_that_bends_within_an_iteration_is_named():
    # Ten times as rough, which of the two fails first, the step or what Sigma is computed from, is up to rounding.
    rough = Objective(lambda w: broken.function(w) + 1e-4 * jnp.cos(3000 * w[2] / jnp.linalg.norm(w)), broken.start)
    flow = central_flow(rough, rate=1e-2, time=1.0, tolerance=1e-9)
    assert flow.result is RESULTS.STEPSIZE_UNDERFLOW
    assert "single iteration" in flow.message


def test_running_out_of_steps_is_named():
    flow = central_flow(tilted, rate=1e-4, time=3.0, tolerance=1e-8, max_steps=200)
    assert flow.result is RESULTS.MAX_STEPS
    assert flow.times[-1] < 3


@pytest.mark.longest  # compiles for 4, 8 and 16 eigenvalues
def test_too_many_edges_are_named():
    def function(w):
        t = w / jnp.linalg.norm(w)
        return (2 + t[0] ** 2 - t[1] ** 2) * jnp.sum(t[2:] ** 2) / 2

    start = np.append([np.cos(0.35), np.sin(0.35)], np.zeros(18))
    flow = central_flow(Objective(function, start), rate=1e-3, time=1.0)
    assert flow.result is RESULTS.EDGES_EXHAUSTED
    assert "16 eigenvalues" in flow.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": 0.0, "time": 1.0}, "rate"),
        ({"rate": 1e-3, "time": -1.0}, "time"),
        ({"rate": 1e-3, "time": 1.0, "count": 17}, "from 1 to 16"),
        ({"rate": 1e-3, "time": 1.0, "effective_lr": 5.0}, "at most 2/lambda_1"),
        ({"rate": 1e-3, "time": 1.0, "start": np.array([0.0, 0, 0, 1, 0])}, "give effective_lr"),
    ],
)
def test_bad_input_is_named(options, said):
    start = options.pop("start", None)
    with pytest.raises(InputError, match=said):
        central_flow(broken, start, **options)


def test_too_many_weights_are_named():
    with pytest.raises(InputError, match="1000"):
        central_flow(Objective(lambda w: (w[0] / jnp.linalg.norm(w)) ** 2, np.ones(1001)), rate=1e-3, time=1.0)


@pytest.mark.longest
def test_compare_takes_it_where_there_are_no_minima():
    from sharpflow.figures.edges import edges

    # On this slope the minimum is a point, and no gap tells the curvatures normal to a manifold from those along it.
    run = compare(crossing(0.2, slope=0.01), rate=1e-3, time=1.5)
    assert run.result is RESULTS.SUCCESSFUL
    assert "central flow" in run.message
    assert run.max_distance < 3 * run.intrinsic_lr
    assert np.isnan(run.max_distance_on_minima)
    assert run.flow.edge_count >= 1
    late = run.times > 0.3
    series = run.edges
    # a period is a third of a record or more: averages over some of them
    for measured, predicted in (
        (series.mean_square, series.flow_mean_square), (series.excess_loss, series.flow_excess_loss),
    ):  # fmt: skip
        assert np.mean(measured[late]) == pytest.approx(np.mean(predicted[late]), rel=0.1)
    json.dumps(run.to_json(), allow_nan=False)
    assert len(edges(run).axes) == 6
