"""Gradient descent against the flow, at the edge."""

from __future__ import annotations

import json

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.data.regression import NAMES, regression_data
from sharpflow.numerics.descent.descent import descend
from sharpflow.numerics.descent.oscillation import oscillation, window_mean
from sharpflow.numerics.flows.manifold_flow import manifold_flow
from sharpflow.numerics.measurements.bn_regression import bn_regression_objective
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss, Minima
from tests.numerics.reference_flows import reference_flow, top_of_rank_one

RIDGE = families.get("ridge").default()
FLOW = reference_flow(RIDGE, top_of_rank_one(RIDGE))


def test_ridge_tracks():
    c = compare(RIDGE, rate=1e-4, time=1.0, flow=FLOW)
    assert c.result is RESULTS.SUCCESSFUL
    # the constant is of order one; it starts at 1.2/sqrt(4 + K^2) = 0.58
    assert 0.5 * c.intrinsic_lr < c.max_distance < 5 * c.intrinsic_lr
    assert c.max_distance_on_minima < c.max_distance
    assert c.gd.steps == 10_000
    # 2 + O(intrinsic_lr^2), intrinsic_lr^2 = 2e-4
    assert c.gd.mean_edge == pytest.approx(2, abs=1e-3)
    assert c.flow.edge_count == 1
    assert np.linalg.norm(c.gd.end - c.flow.end) < 5 * c.intrinsic_lr
    assert c.gd.sharpness == pytest.approx(c.flow.sharpness, abs=5 * c.intrinsic_lr)


@pytest.mark.parametrize(
    "name", ["ridge", *(pytest.param(name, marks=pytest.mark.deep) for name in ("surface", "two-layer"))]
)
def test_small_oscillation_has_the_universal_period_and_mean_square(name):
    loss = families.get(name).default()
    flow = reference_flow(loss, top_of_rank_one(loss))
    c = compare(loss, rate=1e-5, time=1.0, amplitude=1.1, flow=flow)
    # at 10 % of amplitude the pendulum is slower by 0.1 %; the next order in intrinsic_lr = 4.5e-3 moves it as much
    assert c.gd.period == pytest.approx(np.pi / c.intrinsic_lr, rel=0.01)
    end = flow_chart_end(flow, c)
    squared = float(flow.log_gradient_squared.subs(dict(zip(flow.chart, end, strict=True))))
    # relative corrections are of order intrinsic_lr; K^2 moves within the last period by as much
    assert c.gd.mean_square_oscillation == pytest.approx(2e-5 / (4 + squared), rel=5 * c.intrinsic_lr)


def flow_chart_end(flow, comparison):
    from sharpflow.numerics.flows.chart_flow import integrate

    return integrate(flow, start=comparison.start, time=comparison.time).chart[-1]


def test_period_is_null_at_rest():
    c = compare(RIDGE, rate=1e-5, time=1.0, amplitude=1.0, flow=FLOW)
    assert c.gd.period is None
    assert c.to_json()["gd"]["period"] is None
    assert c.gd.mean_edge == pytest.approx(2, abs=1e-4)


# The law of RMSprop takes long to derive.
@pytest.mark.parametrize("rule", [pytest.param("rmsprop", marks=pytest.mark.deep), "normalized-gd"])
def test_other_rules_track_their_own_flow(rule):
    c = compare(RIDGE, rule=rules.get(rule), rate=1e-5, time=1.0, flow=flow_of_rule(rule))
    assert c.result is RESULTS.SUCCESSFUL
    assert c.max_distance < 5 * c.intrinsic_lr
    assert (c.gd.mean_edge is None) == (rule == "normalized-gd")


def flow_of_rule(rule):
    from types import SimpleNamespace

    k2 = FLOW.log_gradient_squared
    factor = {"rmsprop": 2 / (8 + k2), "normalized-gd": k2**0 / 4}[rule] * (4 + k2) / 2
    return SimpleNamespace(**{**vars(FLOW), "field": FLOW.field * factor})


def test_json_and_csv(tmp_path):
    c = compare(RIDGE, rate=1e-3, time=1.0, flow=FLOW, start=(0.5,))
    written = json.loads(json.dumps(c.to_json(), allow_nan=False))
    assert set(written) >= {
        "loss", "rule", "rate", "intrinsic_lr", "time", "start", "gd", "flow", "max_distance", "max_distance_on_minima",
        "times", "distance", "sharpness", "edge", "seconds",
    }  # fmt: skip
    assert set(written["gd"]) == {"end", "steps", "mean_square_oscillation", "mean_edge", "period", "sharpness"}
    assert set(written["flow"]) == {"end", "sharpness", "edge_count"}
    assert set(written["seconds"]) == {"gd", "flow", "compile"}
    assert len(written["times"]) == len(written["distance"]) == len(written["sharpness"]) == len(written["edge"])
    assert written["start"] == [0.5]
    assert written["times"][-1] == pytest.approx(1.0)
    c.to_csv(tmp_path / "c.csv")
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[0].startswith("time,distance")
    assert len(lines) == len(c.times) + 1
    assert c.gd_trajectory().points.shape == c.flow_trajectory().points.shape == (len(c.times), 3)


@pytest.mark.deep
def test_an_objective_agrees_with_its_loss():
    def function(w):
        x, y, z = w
        r2 = w @ w
        return z**2 / (2 * r2) * (2 + (x**2 - y**2) / r2)

    a = compare(RIDGE, rate=1e-4, time=1.0, flow=FLOW)
    b = compare(Objective(function, [np.cos(0.35), np.sin(0.35), 0]), rate=1e-4, time=1.0, perturbation=0.0)
    # Both walk the same orbit; the flow without a chart is asked for a hundredth of intrinsic_lr.
    np.testing.assert_allclose(b.points, a.points, atol=1e-7)
    assert b.max_distance == pytest.approx(a.max_distance, abs=0.01 * a.intrinsic_lr)
    np.testing.assert_allclose(b.flow.end, a.flow.end, atol=0.01 * a.intrinsic_lr)


@pytest.mark.deep
def test_gap_closing_is_a_result():
    loss = families.get("crossing").default()
    from tests.numerics.flows.test_flow import crossing_flow

    c = compare(loss, rate=1e-4, time=4.0, flow=crossing_flow())
    assert c.result is RESULTS.GAP_CLOSED
    assert "ended at time" in c.message
    assert c.to_json()["distance"][-1] is None
    assert np.isfinite(c.max_distance)


def test_an_objective_without_minima_is_a_result():
    def quartic(w):
        u = w / jnp.linalg.norm(w)
        return u[2] ** 4 + 0 * u[0]

    c = compare(Objective(quartic, [1.0, 0.5, 0.0]), rate=1e-3, time=0.1)
    assert c.result is RESULTS.NOT_AT_MINIMA
    json.dumps(c.to_json(), allow_nan=False)


@pytest.mark.longest
@pytest.mark.parametrize("name", NAMES)
def test_batch_norm_regression_on_real_data(name):
    problem = bn_regression_objective(*regression_data(name, seed=1), name=name)
    c = compare(problem.objective, rate=1e-4, time=1.0, start=problem.point(1.0))
    closed_form = np.exp(-c.times)
    # the flow's own error is asked to be a hundredth of intrinsic_lr
    np.testing.assert_allclose(problem.tan_alpha(c.flow_points), closed_form, atol=0.01 * c.intrinsic_lr)
    # and the fourth-order flow of one eigenvalue has 1e-8
    path = manifold_flow(problem.objective, problem.point(1.0), time=1.0)
    np.testing.assert_allclose(problem.tan_alpha(path.points), np.exp(-path.times), atol=1e-8)
    np.testing.assert_allclose(problem.tan_alpha(c.minima_points), closed_form, atol=5 * c.intrinsic_lr)
    # with no flow in it: weight decay alone moves the kernel part of w, by 1 - rate at each step
    rate, steps = 1e-3, 400
    run = descend(
        problem.objective, rules.get("gd-wd"), effective_lr=0.1, rate=rate, records=20, every=20, form="weights"
    )
    w = run.points * np.sqrt(run.norm_squared)[:, None]
    inside = w @ problem.kernel
    # each step rounds the D entries of w
    expected = (1 - rate) ** run.steps[:, None] * inside[0]
    np.testing.assert_allclose(inside, expected, atol=steps * 1e-15 * np.linalg.norm(w[0]) * 10)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(rate=0.0), "rate"),
        (dict(rate=-1e-4), "rate"),
        (dict(rate=np.nan), "rate"),
        (dict(rate=0.2), "rate"),
        (dict(rate="fast"), "rate"),
        (dict(rate=1e-300), "too many"),
        (dict(time=0.0), "time"),
        (dict(time=np.inf), "time"),
        (dict(time=1e-4), "too few"),
        (dict(amplitude=0.0), "oscillate"),
        (dict(amplitude=np.inf), "amplitude"),
        (dict(start=(0.1, 0.2)), "start"),
        (dict(start=(4.0,)), "off the chart"),
        (dict(perturbation=-1.0), "perturbation"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(InputError, match=words):
        compare(RIDGE, **{"rate": 1e-4, "time": 1.0, "flow": FLOW, **options})


def test_oscillation_of_a_known_signal():
    steps = np.arange(1000)
    edge = 2 + 0.01 * np.sin(2 * np.pi * (steps - 3.3) / 310)
    found = oscillation(steps, edge, nominal=300.0, intrinsic_lr=1e-3)
    # linear interpolation of a sine: (2 pi/310)^2/8 of a step
    assert found.period == pytest.approx(310, abs=0.01)
    assert window_mean(steps, edge, found.first, found.last) == pytest.approx(2, abs=1e-6)
    assert oscillation(steps, edge, nominal=300.0, intrinsic_lr=0.1).period is None
    assert oscillation(steps, None, nominal=300.0, intrinsic_lr=0.1).period is None


X, Y, Z, P = (*sp.symbols("x y z", real=True), sp.Symbol("p", real=True))
R2 = X**2 + Y**2 + Z**2


def on_circle(expression, height=0, name="bad"):
    minima = Minima(chart=(P,), point=(sp.cos(P), sp.sin(P), height), start=(0.35,), domain=((-3, 3),))
    return Loss(name=name, variables=(X, Y, Z), expression=expression, minima=minima)


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        (on_circle(Z**2 * (2 + X * Y / R2)), "not scale-invariant: at c ="),
        (on_circle(Z**2 / R2 * (2 + X * Y / R2), height=1), "not on a manifold of minimizers"),
        (on_circle(-(Z**2) / R2 * (2 + X * Y / R2)), "no minimum"),
        (
            Objective(lambda w: w[2] ** 2 / (w @ w + 1e-4), start=(1.0, 0.3, 0.1), name="epsilon"),
            "take any epsilon out",
        ),
    ],
    ids=["scale", "gamma", "maximum", "epsilon"],
)
def test_what_is_no_loss_or_no_minimum_is_named(subject, message):
    with pytest.raises(InputError, match=message):
        compare(subject, rate=1e-3, time=0.1)


# The delay until the oscillation sets in


@pytest.mark.parametrize("amplitude", [0.1, 1e-3, 1e-6])
def test_the_onset_of_a_small_oscillation_is_foretold(amplitude):
    result = compare(families.get("ridge").default(), rate=1e-4, time=0.2, amplitude=amplitude)
    found = result.onset
    assert found.displacement == pytest.approx(amplitude * found.size, rel=1e-3)
    # A record every 4 steps; x feels its own size at the last.
    assert 0 <= found.measured - found.predicted < 0.1 * found.predicted
    assert found.largest_edge == pytest.approx(found.predicted_edge, abs=0.2 * (found.predicted_edge - 2))
    # Where nothing seeds it the delay grows as the root of log(size/x): effective_lr*lambda_1 - 2 grows as 4 rate t.
    assert found.predicted == pytest.approx(np.sqrt(1e-4 * -np.log(amplitude) / 2), rel=0.1)
    assert found.distance_before < found.distance_after == result.max_distance
    assert result.to_json()["onset"]["measured"] == found.measured


def test_a_full_oscillation_has_no_delay():
    assert compare(families.get("ridge").default(), rate=1e-4, time=0.05, amplitude=1.2).onset.predicted == 0


@pytest.mark.parametrize("rule", ["normalized-gd", pytest.param("heavy-ball", marks=pytest.mark.deep)])
def test_other_rules_have_no_onset(rule):
    assert compare(families.get("ridge").default(), rule=rules.get(rule), rate=1e-4, time=0.05).onset is None


def test_a_perturbation_along_the_oscillation_seeds_it():
    loss = families.get("ridge").default()
    alone = compare(loss, rate=1e-4, time=0.05, amplitude=1e-6).onset
    seeded = compare(loss, rate=1e-4, time=0.05, amplitude=1e-6, perturbation=1e-4, seed=1).onset
    assert seeded.displacement > 10 * alone.displacement
    assert seeded.predicted < 0.9 * alone.predicted
    assert seeded.measured < 0.9 * alone.measured


def test_an_oscillation_below_rounding_has_no_onset_that_could_be_foretold():
    onset = compare(families.get("conic").default(), rate=1e-3, time=0.05, amplitude=1e-30).onset
    assert onset.displacement == 0
    assert np.isnan(onset.predicted)
