"""How a comparison is put together, of runs and flows that are written down."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sharpflow.numerics.comparison import measured
from sharpflow.numerics.comparison.setting import Setting
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import rules
from sharpflow.theory.errors import InputError

GD = rules.get("gd-wd")
RATE = 1e-4
# A little over a whole period of a small oscillation, pi/sqrt(2 rate) = 222 iterations.
PERIOD, TAIL = 200.0, np.arange(0, 802)
BOWL = Objective(lambda w: 0.25 + w[2] ** 2 / (w @ w), (1.0, 0, 0), name="bowl")


def made(shift=0.0):
    """A run of three records and a tail in which effective_lr*lambda_1 swings about 2 + shift once in 200 steps."""
    swing = 0.1 * np.sin(2 * np.pi * (TAIL - 30.5) / PERIOD)
    points = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0.6, 0.8]])
    on = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0, 1, 0]])
    return SimpleNamespace(
        steps=np.array([0, 1000, 2000]), points=points, effective_lr=np.array([0.5, 0.4, 0.25]),
        loss=np.array([0.3, 0.2, 0.1]), normal=SimpleNamespace(retraction=SimpleNamespace(point=on),
        sharpness=np.array([4.0, 5.0, 8.0])), tail_steps=TAIL, tail_effective_lr=(2 + shift + swing) / 5,
        tail_normal=SimpleNamespace(sharpness=np.full(len(TAIL), 5.0), retraction=SimpleNamespace(
            distance=0.03 * np.ones(len(TAIL)))),
        result=RESULTS.SUCCESSFUL, failed_at=-1, seconds=1.0, compile_seconds=2.0,
        mean_gradient_squared=np.array([np.nan, 50.0, 64.0]), mean_loss=np.array([np.nan, 0.35, 0.45]),
        spectrum=None, message="",
    )  # fmt: skip


SIGMA = np.array([0.2, 0.4, 0.3])[:, None, None]
FLOW = Path(
    np.array([0.0, 0.1, 0.2]), np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0, 1, 0]]), np.array([0.5, 0.4, 0.3]),
    np.array([[4.0, 1], [5.5, 1], [8.5, 1]]), SIGMA, seconds=3.0, compile_seconds=4.0,
)  # fmt: skip
SETTING = Setting(rule=GD, rate=RATE, time=0.2)


def join(run, **changes):
    path = replace(FLOW, **changes)
    return measured.join(BOWL, SETTING, run, path, FLOW, shown=(0.1,))


def test_distances_and_means():
    run = join(made())
    np.testing.assert_allclose(run.distance, [0, np.hypot(0.2, 0.2), np.hypot(0.4, 0.8)])
    np.testing.assert_allclose(run.distance_on_minima, [0, np.hypot(0.2, 0.2), 0], atol=1e-15)
    np.testing.assert_allclose(run.edge, 2)
    np.testing.assert_allclose(run.times, [0, 0.1, 0.2])
    np.testing.assert_allclose(run.flow_sharpness, [4, 5.5, 8.5])
    assert run.gd.period == pytest.approx(PERIOD, abs=0.1)
    # A whole period of the swing: its mean is that of the edge.
    assert run.gd.mean_edge == pytest.approx(2, abs=1e-3)
    assert run.gd.mean_square_oscillation == pytest.approx(9e-4)
    assert run.gd.sharpness == pytest.approx(5)
    assert run.gd.steps == 2000
    assert run.seconds == {"gd": 1.0, "flow": 3.0, "compile": 6.0}
    assert (run.result, run.message) == (RESULTS.SUCCESSFUL, "")


def foretell(monkeypatch, time):
    """A horizon of tracking at this flow time."""
    found = SimpleNamespace(time=time, coefficient=4.0)
    monkeypatch.setattr("sharpflow.numerics.predictions.horizon.tracking_horizon", lambda *a, **k: found)


@pytest.mark.parametrize(("shift", "result"), [(0.4, RESULTS.SUCCESSFUL), (0.6, RESULTS.OFF_EDGE),
                                               (-0.4, RESULTS.SUCCESSFUL), (-0.6, RESULTS.OFF_EDGE)])  # fmt: skip
def test_a_mean_a_quarter_from_the_edge_is_off_it(monkeypatch, shift, result):
    foretell(monkeypatch, 0.1)
    run = join(made(shift))
    assert run.result is result
    assert ("the energy law foretells it: c = 4 at the start" in run.message) == (result is RESULTS.OFF_EDGE)
    # What would come after the end of the run foretells nothing.
    foretell(monkeypatch, 0.3)
    assert join(made(shift)).message == ""


def test_what_ended_early_is_said():
    early = join(made(), result=RESULTS.GAP_CLOSED, times=np.array([0.0, 0.1, 0.15]))
    assert (early.result, early.message) == (RESULTS.GAP_CLOSED, "the flow ended at time 0.15")
    run = made()
    run.failed_at = 0
    assert join(run).message == "not finite from iteration 0 on"
    run = made()
    run.result, run.message = RESULTS.UNCONVERGED, "stopped"
    assert (join(run).result, join(run).message) == (RESULTS.UNCONVERGED, "stopped")


def test_series_of_several_eigenvalues(monkeypatch):
    monkeypatch.setattr(measured, "top_eigenvalues", lambda *a, **k: np.ones((3, 9)))
    found = measured.edges(BOWL, made(), FLOW, 1, RATE)
    np.testing.assert_allclose(found.mean_square[1:], [50 / 25, 64 / 64])
    np.testing.assert_allclose(found.flow_mean_square, RATE * FLOW.mean_square)
    np.testing.assert_allclose(found.excess_loss[1:], [0.1, 0.2])  # above L = 1/4 on Gamma
    np.testing.assert_allclose(found.flow_excess_loss, RATE * np.array([4 * 0.2, 5.5 * 0.4, 8.5 * 0.3]) / 2)
    run = made()
    run.spectrum = np.tile(np.arange(9.0), (3, 1))  # found on the way
    np.testing.assert_array_equal(measured.edges(BOWL, run, FLOW, None, RATE).spectrum, run.spectrum[:, :8])


def test_an_oscillation_that_is_not_known_to_the_end(monkeypatch):
    asked = {}

    def known(objective, zeta, **options):
        asked.update(options)
        return SimpleNamespace(steps=TAIL[:700], x=-0.1 * np.ones(700), edge=2 * np.ones(700))

    monkeypatch.setattr(measured, "resolved_flow", known)
    found = measured.resolved(BOWL, SETTING, BOWL.start, made())
    assert asked["time"] == pytest.approx(801 * RATE)
    assert len(found.predicted_x) == len(found.predicted_edge) == len(TAIL)
    np.testing.assert_allclose(found.predicted_x[:700], 0.1)
    assert np.isnan(found.predicted_x[700:]).all()
    np.testing.assert_allclose(found.edge, made().tail_effective_lr * 5)


@pytest.mark.parametrize(
    "numbers",
    [
        (0.0, 1.0, 1.2, 0.0),
        (0.101, 1.0, 1.2, 0.0),
        (1e-3, 0.0, 1.2, 0.0),
        (1e-3, 1.0, 0.0, 0.0),
        (1e-3, 1.0, 1.2, -1e-9),
        (1e-3, 1.9e-3, 1.2, 0.0),
        (1e-9, 1e4, 1.2, 0.0),
    ],
)
def test_numbers_out_of_range(numbers):
    with pytest.raises(InputError):
        compare_with(*numbers)


@pytest.mark.parametrize("numbers", [(0.1, 0.2, -1.0, 0.0), (1e-3, 2e-3, 0.5, 1e-9)])
def test_numbers_at_the_ends_of_their_range_are_taken(numbers, monkeypatch):
    class Taken(Exception):
        pass

    def take(subject):
        raise Taken

    # What comes after the numbers have been looked at.
    module = importlib.import_module("sharpflow.numerics.comparison.compare")
    monkeypatch.setattr(module, "require_scale_invariant", take)
    with pytest.raises(Taken):
        compare_with(*numbers)


def compare_with(rate, time, amplitude, perturbation):
    from sharpflow.numerics.comparison.compare import compare

    return compare(BOWL, rate=rate, time=time, amplitude=amplitude, perturbation=perturbation)
