"""Predictions of whole runs, and of the delay of a hidden eigenvalue: against gradient descent."""

from __future__ import annotations

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.descent.descent import descend
from sharpflow.numerics.measurements.crossing import broken, symmetric
from sharpflow.numerics.networks import two_layer
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.predictions.delay import bifurcation_delay
from sharpflow.numerics.predictions.whole_run import whole_run
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import sharpness
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError

RATE = 1e-3
INSIDE = np.array([True, True, True, True, False])


@pytest.mark.deep
def test_one_call_predicts_the_whole_run():
    objective = two_layer.weight
    start = objective.start / np.linalg.norm(objective.start)
    run = whole_run(objective, start, effective_lr=1e-4, time=2.5)
    assert run.result is RESULTS.SUCCESSFUL
    gd = descend(objective, rules.get("gd-wd"), start=start, effective_lr=1e-4, rate=RATE, every=10, records=250)
    at = run.flow.at(gd.steps * RATE)
    zeta, effective_lr = at.points, at.effective_lr
    # Down on Gamma, where the least normal curvature takes some 1000 steps; the coupling of the directions of a network
    # seeds the oscillation.
    settled = gd.steps > 2000
    assert np.linalg.norm((gd.points - zeta)[settled], axis=1).max() < 3 * np.sqrt(2 * RATE)
    np.testing.assert_allclose(gd.effective_lr[settled], effective_lr[settled], rtol=0.1)
    # t* of the theory, and the flow time of it
    assert run.waiting_steps(RATE) * RATE == pytest.approx(run.waiting, rel=RATE)
    assert run.flow.times[np.argmax(run.flow.edge_count > 0)] == pytest.approx(run.waiting, abs=0.1)


@pytest.mark.parametrize(
    ("rate", "displacement"),
    [
        (5e-3, 1e-3),
        *(pytest.param(1e-3, displacement, marks=pytest.mark.deep) for displacement in (1e-3, 1e-6)),
    ],
)
def test_the_onset_of_the_oscillation(rate, displacement):
    objective = objective_of(families.get("ridge").default())
    zeta = objective.start
    lr = 1.6 / (2 + zeta[0] ** 2 - zeta[1] ** 2)  # effective_lr lambda_1 = 1.6 on arrival
    run = whole_run(objective, zeta, effective_lr=lr, time=1.0)
    assert run.waiting == pytest.approx(np.log(2 / 1.6) / 2, rel=1e-6)
    onset = run.onset(rate, displacement=displacement)
    gd = descend(
        objective, rules.get("gd-wd"), start=zeta + np.array([0, 0, displacement]), effective_lr=lr, rate=rate, every=1,
        records=round(1 / rate),
    )  # fmt: skip
    x = np.abs(gd.points[:, 2])
    low = int(np.argmin(x))
    seen = gd.steps[low + np.argmax(x[low:] > np.sqrt(rate * run.flow.mean_square.max()))] * rate
    assert seen == pytest.approx(onset.time, abs=4 * rate)
    assert np.log(x.min()) == pytest.approx(onset.lowest, rel=0.02)
    assert onset.edge > 2.1
    # What keeps up an amplitude brings it in sooner, and nearer to the edge.
    kept = run.onset(rate, displacement=displacement, floor=displacement / 2)
    assert run.waiting < kept.time < onset.time
    assert 2 < kept.edge < onset.edge


def test_the_descent_lowers_effective_lr():
    # 1/effective_lr grows by the loss that is lost; by steps so small that they are the gradient flow.
    objective = objective_of(families.get("ridge").default())
    start = np.array([0.7, 0.1, 0.7]) / np.linalg.norm([0.7, 0.1, 0.7])
    run = whole_run(objective, start, effective_lr=0.01, time=0.5)
    gd = descend(objective, rules.get("gd-wd"), start=start, effective_lr=0.01, rate=1e-12, every=100, records=100)
    assert gd.effective_lr[-1] == pytest.approx(run.arrival_lr, rel=1e-4)
    assert run.arrival_lr < 0.01 * (1 - 1e-4)


@pytest.mark.deep
def test_where_the_edge_is_met_on_the_way_down():
    # lambda_1 grows on the way down to Gamma, and effective_lr will be a fifth too large for it there.
    objective = objective_of(families.get("ridge").default())
    start = np.array([0.7, 0.1, 0.7]) / np.linalg.norm([0.7, 0.1, 0.7])
    quiet = whole_run(objective, start, effective_lr=0.01, time=0.5)
    assert quiet.meets is None
    arrival = 1.2 * 2 / sharpness(objective, quiet.relaxed.point)
    run = whole_run(objective, start, effective_lr=1 / (1 / arrival - float(objective.value(start))), time=0.5)
    assert run.arrival_lr == pytest.approx(arrival)
    assert run.result is RESULTS.OFF_EDGE
    assert run.flow is None
    assert 0 < float(objective.value(run.meets)) < float(objective.value(start))
    # One of some hundred points on the way, the first beyond it.
    assert 2 < run.meets_lr * sharpness(objective, run.meets) < 2.3
    # From a start beyond the edge nothing else can be said.
    steep = Objective(lambda w: objective.function(w) * (1 + 20 * (w[2] / jnp.linalg.norm(w)) ** 2), [0.8, 0.3, 0.5])
    beyond = whole_run(steep, effective_lr=2.1 * 2 / sharpness(steep, steep.start), time=0.5)
    assert beyond.result is RESULTS.OFF_EDGE
    np.testing.assert_allclose(beyond.meets, steep.start / np.linalg.norm(steep.start))


def test_an_eigenvalue_that_is_not_found_promises_nothing(monkeypatch):
    objective = objective_of(families.get("ridge").default())
    found = np.r_[1.0, 1.0, np.full(110, np.nan)]
    monkeypatch.setattr(sys.modules[whole_run.__module__], "_sharpness", lambda _: lambda points: found[: len(points)])
    run = whole_run(objective, np.array([0.7, 0.1, 0.7]), effective_lr=0.01, time=0.1)
    assert run.result is RESULTS.UNCONVERGED
    assert run.flow is None
    assert "not known" in run.message
    with pytest.raises(InputError, match="no flow"):
        run.onset(1e-4, displacement=1e-3)


def test_an_amplitude_that_is_zero_never_comes_back():
    objective = objective_of(families.get("ridge").default())
    zeta = objective.start
    run = whole_run(objective, zeta, effective_lr=0.3 / (2 + zeta[0] ** 2 - zeta[1] ** 2), time=2.0)
    onset = run.onset(1e-4, displacement=1e-3)
    assert np.isnan(onset.time)
    assert onset.lowest < -700
    # A floor, or a rate that leaves less time to decay, and it does.
    assert np.isfinite(run.onset(1e-4, displacement=1e-3, floor=1e-200).time)
    assert np.isfinite(run.onset(1e-2, displacement=1e-3).time)


def test_beyond_the_edge_on_arrival_is_said():
    run = whole_run(broken, np.array([0.8, 0.4, 0.3, 0.2, 0.1]), effective_lr=3.0, time=1.0)
    assert run.result is RESULTS.OFF_EDGE
    assert "smaller effective_lr" in run.message
    with pytest.raises(InputError, match="no flow"):
        run.onset(1e-4, displacement=1e-3)


def test_no_minima_is_a_result():
    flat = Objective(lambda w: (w[2] / jnp.linalg.norm(w)) ** 4 + 0 * w[0], [1.0, 0.5, 0.1])
    assert whole_run(flat, effective_lr=0.1, time=1.0).result is RESULTS.NOT_AT_MINIMA


@pytest.mark.parametrize("rate", [1e-2, *(pytest.param(rate, marks=pytest.mark.deep) for rate in (5e-3, 2e-3))])
def test_the_exit_of_a_hidden_eigenvalue_is_predicted(rate):
    seed = 1e-3
    delay = bifurcation_delay(symmetric, INSIDE, rate=rate, time=3.0, seed=seed)
    assert delay.returns
    assert delay.entry < delay.exit
    assert delay.overshoot > 2.2
    start = symmetric.start + np.array([0, 0, 0, 0.7 * np.sqrt(rate), seed])
    lr = 2 / (3 + symmetric.start[0] ** 2 - symmetric.start[1] ** 2)
    records = round(3 / rate / 2)
    gd = descend(symmetric, rules.get("gd-wd"), start=start, effective_lr=lr, rate=rate, records=records, every=2)
    hidden = np.abs(gd.points[:, 4])
    low = int(np.argmin(hidden))
    back = gd.steps[low + np.argmax(hidden[low:] >= seed)] * rate
    # growth after the entry is some |log(1.2)| a step: terms of order 1 in log|x| are a few steps of each period
    assert back == pytest.approx(delay.exit, abs=8 * rate)
    assert np.log(hidden.min() / seed) == pytest.approx(delay.deepest, rel=0.05, abs=1)


def test_at_small_rates_it_never_comes_back():
    assert not bifurcation_delay(symmetric, INSIDE, rate=1e-4, time=3.0).returns


@pytest.mark.deep
def test_a_flow_that_failed_inside_is_told_apart_from_never():
    def function(w):
        x, y, z, u, hidden = w / jnp.linalg.norm(w)
        # The first curvature drives x to 0, and the second, x^4, with it.
        return ((2 + x**2 - y**2) * z**2 + x**4 * u**2 + hidden**2) / 2

    lost = Objective(function, [0.94, 0.34, 0, 0, 0])
    delay = bifurcation_delay(lost, INSIDE, rate=1e-3, time=20.0)
    assert delay.result is RESULTS.LOST_RANK
    assert "curvature" in delay.message
    assert np.isnan(delay.exit)
    assert bifurcation_delay(symmetric, INSIDE, rate=1e-3, time=3.0).result.ok


def test_a_coupling_is_no_symmetry():
    coupled = Objective(lambda w: (w @ jnp.array([0, 0, 0, 1.0, 0.1]) / jnp.linalg.norm(w)) ** 2, symmetric.start)
    with pytest.raises(InputError, match="gradient points out"):
        bifurcation_delay(coupled, INSIDE, rate=1e-3, time=1.0)
    with pytest.raises(InputError, match="at least three"):
        bifurcation_delay(symmetric, [True] * 5, rate=1e-3, time=1.0)
