"""The oscillation itself, predicted step by step: against gradient descent, and against the averaged flow."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.averages import resolved_errors
from sharpflow.cli import main
from sharpflow.figures.edges import oscillation
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.comparison.order import fit_power
from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.descent.orbit import orbit_period
from sharpflow.numerics.measurements.crossing import broken
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.networks import two_layer
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.predictions import resolved
from sharpflow.numerics.predictions.curve import Curve
from sharpflow.numerics.predictions.resolved import compiled_resolved_flow, resolved_flow
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError

GD = rules.get("gd-wd")
RATES = (1e-4, 1e-5, 1e-6)


def against_descent(*arguments, **options):
    """`benchmarks.averages.resolved_errors`, of a prediction that came to its end."""
    found = resolved_errors(*arguments, **options)
    assert found[2].result is RESULTS.SUCCESSFUL
    return found


@pytest.mark.parametrize(
    ("name", "amplitude"),
    [
        ("ridge", 1.5),
        *(pytest.param(*case, marks=pytest.mark.deep) for case in (("ridge", 3.0), ("conic", 1.5), ("conic", 3.0))),
    ],
)
def test_phase_and_size_over_four_periods(name, amplitude):
    objective = objective_of(families.get(name).default())
    zeta = objective.start
    errors = {
        c: [against_descent(objective, zeta, rate, amplitude, corrected=c)[:2] for rate in RATES] for c in (True, False)
    }
    for i in range(2):
        # x/sqrt(rate) and U are off by delta^2 = rate with the next order, by delta without.
        fine, plain = (fit_power(RATES, [e[i] for e in errors[c]]).slope for c in (True, False))
        assert 0.9 < fine < 1.2
        assert 0.25 < plain < 0.75
        # x and U are of order one and go round four times: a phase off by a hundredth would show.
        assert errors[True][-1][i] < 1e-3 < errors[False][-1][i]


@pytest.mark.longest  # compiles fourth derivatives of a network
@pytest.mark.parametrize("amplitude", [1.5, 3.0])
def test_a_network(amplitude):
    objective = two_layer.weight
    zeta = relax(objective).point
    errors = [against_descent(objective, zeta, rate, amplitude)[:2] for rate in RATES]
    # The least normal curvature is 0.005 lambda_1: what is taken to follow at once lags by a part of the period, and
    # the next order in delta is not reached at these rates; the error falls all the same.
    for i in range(2):
        own = [e[i] for e in errors]
        assert own[0] > own[1] > own[2]
        # Large orbits spend long at small x, where the lag is a larger part of it.
        assert fit_power(RATES, own).slope > (0.4 if amplitude < 2 else 0.2)
        assert errors[-1][i] < 0.02 * amplitude


@pytest.mark.deep
def test_every_single_step():
    objective = objective_of(families.get("conic").default())
    errors = [against_descent(objective, objective.start, rate, 1.5, every=1)[0] for rate in RATES]
    assert fit_power(RATES, errors).slope == pytest.approx(1.0, abs=0.2)
    assert errors[1] < 1e-3
    *_, found, _ = against_descent(objective, objective.start, 1e-5, 1.5, every=1)
    assert np.all(np.sign(found.x) == np.where(found.steps % 2 == 0, 1, -1))


@pytest.mark.deep
def test_the_phase_holds_over_times_of_order_one_over_the_rate():
    objective = objective_of(families.get("ridge").default())
    errors = [against_descent(objective, objective.start, r, 1.5, periods=1 / r / law_of(GD).period(r)) for r in RATES]
    # 45, 142 and 450 periods; delta^2 in each makes delta.
    assert fit_power(RATES, [e[0] for e in errors]).slope == pytest.approx(0.5, abs=0.1)
    assert errors[-1][0] < 2e-3
    assert errors[-1][1] < 5e-3


@pytest.mark.parametrize("amplitude", [pytest.param(amplitude, marks=pytest.mark.deep) for amplitude in (1.1, 3.0)])
def test_the_period_is_that_of_the_quadrature(amplitude):
    objective = objective_of(families.get("conic").default())
    rate, law = 1e-8, law_of(GD)
    steps = 20 * np.arange(4000)
    found = resolved_flow(objective, rate=rate, time=steps[-1] * rate, amplitude=amplitude, steps=steps)
    u = (found.edge - 2) / rate**0.5
    up = np.flatnonzero((u[:-1] < 0) & (u[1:] >= 0))[:2]
    first, second = steps[up] - 20 * u[up] / (u[up + 1] - u[up])
    k2 = float(np.sum(np.square(_log_gradient(objective))))
    expected = orbit_period(*law.response(k2), float(found.x[0]) / rate**0.5, 0.0, rate)
    # The quadrature leaves out terms of relative order delta = 1e-4: the orbit shrinks while it goes round.
    assert second - first == pytest.approx(expected, rel=2e-3)


def _log_gradient(objective):
    from sharpflow.numerics.spectrum.dense import log_sharpness_gradient

    return log_sharpness_gradient(objective, objective.start)


def test_its_mean_is_the_averaged_flow():
    ridge = families.get("ridge").default()
    rate = 1e-5
    steps = 2 * np.arange(25_000)
    found = resolved_flow(ridge, rate=rate, time=0.5, amplitude=2.0, steps=steps)
    run = compare(ridge, rate=rate, time=0.5, amplitude=2.0)
    assert found.sharpness[-1] == pytest.approx(run.flow.sharpness, rel=2e-3)
    # 22 periods, the last of them not whole
    assert np.mean(found.edge) == pytest.approx(2, abs=1e-3)
    square = law_of(GD).mean_square(np.sum(np.square(_log_gradient(objective_of(ridge)))))
    assert np.mean(found.x[:5000] ** 2) / rate == pytest.approx(square, rel=0.1)


@pytest.mark.deep
def test_a_planted_half_is_seen():
    """The equations of half the weight decay, against gradient descent with all of it."""

    def half(w, gradient, state, p, ops):
        return (1 - p.learning_rate * p.weight_decay / 2) * w - p.learning_rate * gradient(w), {}

    objective = objective_of(families.get("ridge").default())
    planted = replace(GD, name="half", update=half)
    assert against_descent(objective, objective.start, 1e-5, 1.5)[0] < 1e-3
    assert against_descent(objective, objective.start, 1e-5, 1.5, rule=planted)[0] > 0.3


def test_the_comparison_carries_and_draws_it(tmp_path, capsys):
    run = compare(families.get("ridge").default(), rate=1e-4, time=0.5, resolve=True)
    series = run.oscillation
    for measured, predicted in ((series.x, series.predicted_x), (series.edge, series.predicted_edge)):
        # the retraction is off by x^2 along Gamma, hence lambda_1 by rate
        assert np.abs(measured - predicted).max() < 0.05 * np.ptp(measured)
    assert len(run.to_json()["oscillation"]["steps"]) == len(series.steps)
    assert all(len(axes.lines) == 2 for axes in oscillation(run).axes)
    with pytest.raises(InputError, match="resolve=True"):
        oscillation(replace(run, oscillation=None))
    picture = tmp_path / "x.png"
    assert main(["compare", "ridge", "--rate", "1e-3", "--time", "0.3", "--resolve", str(picture)]) == 0
    assert picture.stat().st_size > 1000


def test_a_curve_between_its_records_is_on_the_sphere():
    """By the cubic through four of its points; the other series as they are."""
    times = np.array([0.0, 0.5, 1.0, 1.5])
    points = np.stack([np.cos(times), np.sin(times), 0 * times], axis=1)
    jets = np.stack([times, times**2, 0 * times, times**3], axis=1)
    curve = Curve(times, points, 2 * points, 3 * points, jets, np.zeros((4, 400, 4)), RESULTS.SUCCESSFUL)
    assert curve.spacing == 0.5
    sigma = np.array([0.25, 1.3])
    found, tops, leans, sharpness = curve.at(sigma)
    cubic = np.stack([np.polyval(np.polyfit(times, column, 3), sigma) for column in points.T], axis=1)
    np.testing.assert_allclose(found, cubic / np.linalg.norm(cubic, axis=1)[:, None], atol=1e-12)
    assert np.abs(np.linalg.norm(cubic, axis=1) - 1).max() > 1e-5
    np.testing.assert_allclose(tops, 2 * cubic, atol=1e-12)
    np.testing.assert_allclose(leans, 3 * cubic, atol=1e-12)
    np.testing.assert_allclose(sharpness, sigma**3, atol=1e-12)


def test_steps_are_reported_up_to_the_time_between_its_records(monkeypatch):
    """Four hundred and one even ones by default, fewer of a short run; the curve is as long, and a little longer."""
    asked = []

    def curve(*_, length, **options):
        asked.append(length)
        return SimpleNamespace(result=RESULTS.SUCCESSFUL, times=np.array([0.0, length]))

    def run(program, along, steps, *_):
        asked.append(steps)
        return {"sigma": np.array([2.0 if len(asked) == 2 else 0.0])}, 0

    monkeypatch.setattr(resolved, "_compiled", lambda _: (SimpleNamespace(lean=None), None))
    monkeypatch.setattr(resolved, "curve_along", curve)
    monkeypatch.setattr(resolved, "_run", run)
    monkeypatch.setattr(resolved, "_result", lambda *_: "done")
    assert resolved_flow(families.get("ridge").default(), rate=1e-4, time=0.5, amplitude=-2.0) == "done"
    assert asked[0] == pytest.approx(0.5 + resolved.AHEAD * 1e-2 * 3)
    # It ran ahead of the curve: again, along one twice as long.
    assert asked[2] == pytest.approx(2 * asked[0])
    steps = asked[1]
    assert (len(steps), steps[0], steps[-1]) == (401, 0, 5000)
    assert np.all(steps % 2 == 0)
    assert len(asked) == 4
    resolved_flow(families.get("ridge").default(), rate=1e-4, time=0.0051)
    np.testing.assert_array_equal(asked[-1], np.arange(0, 51, 2))


def test_what_is_made_of_the_solution_between_its_records():
    """theta = zeta + x v_1 + x^2 (what follows), x = sqrt(rate) X; E; and of an odd step, what one step more makes."""
    law, rate = law_of(GD), 1e-2
    times, ones = np.linspace(0.0, 1.0, 5), np.ones((5, 1))
    unit = np.eye(3)
    curve = Curve(
        times, ones * unit[0], ones * unit[1], 3 * ones * unit[2], np.stack([ones[:, 0]] * 3 + [4 + times], axis=1),
        np.zeros((4, 400, 4)), RESULTS.SUCCESSFUL,
    )  # fmt: skip
    steps, y, u, sigma = (
        np.array([0, 2, 3]),
        np.log([0.5, 0.4, 0.4]),
        np.array([0.0, 0.3, 0.3]),
        np.array([0, 0.2, 0.2]),
    )
    found = {"y": y, "u": u, "sigma": sigma, "jets": np.tile([1.5, 0.2, 0.1, 9.0], (3, 1)), "sign": -np.ones(3)}
    asked = []

    def odd(x, u, *rest):
        asked.append(rest)
        return -1.1 * x, u + 0.25

    fields = SimpleNamespace(odd=odd)
    run = resolved._result(Objective(lambda w: w @ w, (1.0, 0, 0)), law, fields, curve, found, 0, steps, rate, True)
    assert run.result is RESULTS.SUCCESSFUL
    x = np.sqrt([0.5, 0.4, 0.4]) * [-1, -1, 1.1]
    np.testing.assert_allclose(run.x, 0.1 * x)
    np.testing.assert_allclose(run.edge, 2 + 0.1 * np.array([0, 0.3, 0.55]))
    share = np.array([0.5, 0.4, 0.4]) / (2 / (4 + 1.5**2))
    np.testing.assert_allclose(run.energy, u**2 / 2 + 2 * (share - 1 - np.log(share)))
    # The clock of the curve goes on by the share of its pace that X^2 is of its mean.
    np.testing.assert_allclose(run.sharpness, 4 + sigma + [0, 0, rate * share[2]])
    expected = np.stack([np.ones(3), 0.1 * x, 3 * rate * x**2], axis=1)
    np.testing.assert_allclose(run.points, expected / np.linalg.norm(expected, axis=1)[:, None])
    np.testing.assert_allclose(run.minima_points, np.tile(unit[0], (3, 1)), atol=1e-15)
    np.testing.assert_allclose(run.effective_lr, run.edge / run.sharpness)
    assert asked[0][-1] == pytest.approx(0.1)
    plain = resolved._result(Objective(lambda w: w @ w, (1.0, 0, 0)), law, fields, curve, found, 0, steps, rate, False)
    assert asked[1][-1] == 0
    np.testing.assert_array_equal(plain.x, run.x)
    late = {**found, "sigma": np.array([0, 0.2, 1.1])}
    ran = resolved._result(Objective(lambda w: w @ w, (1.0, 0, 0)), law, fields, curve, late, 0, steps, rate, True)
    assert (ran.result, len(ran.x)) == (RESULTS.DIVERGED, 2)
    assert "flow time 0.03" in ran.message


@pytest.mark.deep
def test_nothing_compiles_twice():
    program = compiled_resolved_flow(GD)
    for name, rate in (("ridge", 1e-4), ("conic", 1e-3), ("surface", 1e-4)):
        resolved_flow(families.get(name).default(), rate=rate, time=0.2)
    before = program.compilations
    resolved_flow(families.get("ridge").default(), rate=3e-5, time=0.3, amplitude=-2.0, corrected=False)
    assert program.compilations == before


@pytest.mark.deep
def test_a_second_eigenvalue_ends_it():
    found = resolved_flow(broken, rate=1e-4, time=3.0)
    assert found.result is RESULTS.GAP_CLOSED
    assert 0.5 < found.times[-1] < 1.0
    assert "curve along Gamma ends" in found.message


@pytest.mark.deep
def test_an_oscillation_that_grows_out_of_bounds_is_named():
    found = resolved_flow(families.get("ridge").default(), rate=1e-2, time=4.0, rule=rules.get("heavy-ball"))
    assert found.result is RESULTS.DIVERGED
    assert np.all(np.isfinite(found.points))


@pytest.mark.deep
def test_running_out_of_steps_is_named(monkeypatch):
    monkeypatch.setattr(resolved, "MAX_STEPS", 50)
    found = resolved_flow(families.get("ridge").default(), rate=1e-5, time=1.0, rule=replace(GD, name="again"))
    assert found.result is RESULTS.MAX_STEPS
    assert found.times[-1] < 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": 0.0, "time": 1.0}, "rate"),
        ({"rate": 1e-3, "time": 1e-4}, "too few"),
        ({"rate": 1e-3, "time": 1.0, "amplitude": 0.0}, "nothing would ever oscillate"),
        ({"rate": 1e-3, "time": 1.0, "steps": [3, 2, 1]}, "rising"),
        ({"rate": 1e-3, "time": 1.0, "rule": rules.get("sam")}, "no slow oscillator"),
        pytest.param(
            {"rate": 1e-3, "time": 1.0, "rule": rules.get("gd-scheduled")}, "no slow oscillator", marks=pytest.mark.deep
        ),
    ],
)
def test_bad_input_is_named(options, said):
    with pytest.raises(InputError, match=said):
        resolved_flow(families.get("ridge").default(), **options)
