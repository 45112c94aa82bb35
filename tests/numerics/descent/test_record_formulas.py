"""What is read off a record or a spectrum, at hand-made numbers."""

from __future__ import annotations

import importlib
import math
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from sharpflow.numerics.descent.oscillation import oscillation, window_mean
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.predictions import delay
from sharpflow.numerics.predictions.horizon import reached_at
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import fix_sign, normal_rank, top_eigenvalues


def test_a_delay_by_hand(monkeypatch):
    """effective_lr*mu = 3/2 + tau: log|x| changes by log(1/2 + tau)/rate, and is back where its integral is 0 again."""
    rate, end = 1e-2, 2.0

    def at(times):
        points = np.stack([np.ones(len(times)), 0 * times, 0 * times], axis=1)
        return SimpleNamespace(points=points, effective_lr=0.5 * np.ones(len(times)))

    def hidden(*_):
        return lambda points: 2 * (1.5 + np.linspace(0, end, len(points)))

    path = SimpleNamespace(times=np.array([0.0, end]), at=at, result=RESULTS.SUCCESSFUL, message="")
    monkeypatch.setattr(delay, "edge_flow", lambda *a, **k: path)
    monkeypatch.setattr(delay, "_hidden", hidden)
    even = Objective(lambda w: (w[2] ** 2 + w[3] ** 2) / (w @ w), (1.0, 0, 0, 0))
    mask = np.array([True, True, True, False])
    found = delay.bifurcation_delay(even, mask, rate=rate, time=end, seed=1e-3)

    def integral(tau):
        return (0.5 + tau) * math.log(0.5 + tau) - tau - 0.5 * math.log(0.5)

    back = brentq(integral, 0.6, end)
    step = end / (delay.SAMPLES - 1)
    assert found.entry == pytest.approx(0.5, abs=1.01 * step)
    assert found.entry > 0.5
    assert back <= found.exit <= back + 2 * step
    assert found.overshoot == pytest.approx(1.5 + found.exit)
    assert found.deepest == pytest.approx(integral(0.5) / rate, rel=1e-4)
    assert found.returns
    # exp(-700) is the smallest number of float64, or so.
    for factor, returns in ((0.99, True), (1.01, False)):
        slow = integral(0.5) / (delay.VANISHED - math.log(1e-3)) / factor
        assert delay.bifurcation_delay(even, mask, rate=slow, time=end, seed=1e-3).returns is returns
    monkeypatch.setattr(delay, "_hidden", lambda *_: lambda points: np.full(len(points), 2.0))
    stable = delay.bifurcation_delay(even, mask, rate=rate, time=end)
    assert math.isnan(stable.entry)
    assert math.isnan(stable.exit)


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_points_are_worked_off_in_blocks_of_one_size(monkeypatch, count):
    sizes = []

    def program(*_):
        def values(points):
            sizes.append(len(points))
            return 2 * points[:, :2]

        return values

    monkeypatch.setattr(importlib.import_module("sharpflow.numerics.spectrum.dense"), "_batch", program)
    points = np.arange(3.0 * count).reshape(count, 3)
    found = top_eigenvalues(Objective(lambda w: w @ w, (1.0, 0, 0)), points, rank=2, block=4)
    np.testing.assert_array_equal(found, 2 * points[:, :2])
    assert sizes == [4] * -(-count // 4)


def test_when_an_integral_reaches_a_value():
    tau, total = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 3.0])
    assert reached_at(tau, total, 2.0, 0.0) == 0.0
    assert reached_at(tau, total, 2.0, 2.0) == 1.5
    assert reached_at(tau, total, 2.0, 5.0) == 3.0  # 3 at 2, and 2 more at the rate 2
    assert reached_at(tau, total, 0.0, 5.0) == reached_at(tau, total, -1.0, 5.0) == math.inf
    assert reached_at(tau, -total, 4.0, 1.0) == 3.0


def test_the_mean_over_a_window_is_that_of_the_trapezoids():
    steps, values = np.array([0.0, 2.0, 4.0, 8.0]), np.array([1.0, 3.0, 5.0, 1.0])
    assert window_mean(steps, values, 0.0, 8.0) == pytest.approx((4 + 8 + 12) / 8)
    assert window_mean(steps, values, 0.0, 2.0) == pytest.approx(2.0)
    assert window_mean(steps, values, 1.0, 2.0) == pytest.approx(2.0)  # the cumulated area is interpolated linearly
    assert window_mean(steps, values, 2.0, 8.0) == pytest.approx((8 + 12) / 6)
    assert window_mean(steps, values, 3.0, 3.0) == 1.0  # nothing to average over: the last value


@pytest.mark.parametrize(("period", "shift"), [(310.0, 3.3), (301.0, 50.0), (410.0, 100.0)])
def test_periods_of_a_sine(period, shift):
    steps = np.arange(0, 2000, 2)
    values = 2 + 0.01 * np.sin(2 * np.pi * (steps - shift) / period)
    found = oscillation(steps, values, nominal=300.0, intrinsic_lr=1e-3)
    # linear interpolation of a sine over two steps: (2 pi/period)^2/2 of a step at most
    assert found.period == pytest.approx(period, abs=0.05)
    assert (found.first - shift) % period == pytest.approx(0, abs=0.1) or (found.first - shift) % period > period - 0.1
    assert found.last - found.first == found.period
    assert steps[-1] - period <= found.last <= steps[-1]


def test_jitter_of_the_fast_oscillation_is_no_period():
    steps = np.arange(2000)
    slow = np.sin(2 * np.pi * (steps - 3.3) / 400)
    jitter = 0.02 * (-1.0) ** steps
    found = oscillation(steps, 2 + 0.01 * (slow + jitter), nominal=300.0, intrinsic_lr=1e-3)
    # The slope of the sine is 2 pi/400: jitter of 0.02 moves a crossing by 1.3 steps, back and forth.
    assert found.period == pytest.approx(400, abs=3)


def test_two_crossings_close_to_each_other_are_one():
    """Up at 100, down at 102, up at 104: less than half a nominal period apart."""
    steps = np.arange(200)
    values = np.where((steps < 100) | ((steps >= 102) & (steps < 104)), -1.0, 1.0)
    assert oscillation(steps, values, nominal=100.0, intrinsic_lr=1e-3).period is None


def test_what_is_at_rest_or_too_short_has_no_period():
    steps = np.arange(0, 1000)
    wave = np.sin(2 * np.pi * (steps - 3.3) / 310)
    rest = oscillation(steps, 2 + 1.9e-4 * wave, nominal=300.0, intrinsic_lr=1e-2)
    assert (rest.period, rest.first, rest.last) == (None, 699.0, 999.0)
    # REST = 2 half ranges in intrinsic_lr^2
    assert oscillation(steps, 2 + 2.1e-4 * wave, nominal=300.0, intrinsic_lr=1e-2).period is not None
    short = oscillation(steps[:200], 2 + wave[:200], nominal=300.0, intrinsic_lr=1e-3)
    assert (short.period, short.first, short.last) == (None, 0.0, 199.0)
    assert oscillation(steps[:3], wave[:3], nominal=1.0, intrinsic_lr=1e-3).period is None
    assert oscillation(steps[:4], np.array([-1.0, 1, -1, 1]), nominal=1.0, intrinsic_lr=1e-3).period == 2.0
    assert oscillation(steps, np.where(steps == 7, np.nan, wave), nominal=300.0, intrinsic_lr=1e-3).period is None


def test_the_first_entry_that_counts_is_positive():
    np.testing.assert_array_equal(fix_sign(jnp.array([-2.0, 1.0])), [2.0, -1.0])
    np.testing.assert_array_equal(fix_sign(jnp.array([0.5, -1.0])), [0.5, -1.0])
    # Below 1e-8 of the largest is rounding.
    np.testing.assert_array_equal(fix_sign(jnp.array([1e-10, -1.0])), [-1e-10, 1.0])
    np.testing.assert_array_equal(fix_sign(jnp.array([1e-7, -1.0])), [1e-7, -1.0])


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_the_rank_does_not_depend_on_the_unit_of_the_loss(unit):
    """Eigenvalues 4, 2 and 0 along the circle: two normal directions, and rounding in the third."""

    def function(w):
        u = w / jnp.linalg.norm(w)
        return unit * (2 * u[2] ** 2 + u[3] ** 2 * (1 + u[0] * u[2]))

    assert normal_rank(Objective(function, (0.6, 0.8, 0.0, 0.0)), (0.6, 0.8, 0.0, 0.0)) == 2


def test_a_start_on_minima_that_are_no_manifold_has_not_moved():
    """Two weights: at rest, but with no direction for a flow."""
    found = relax(Objective(lambda w: w[1] ** 2 / (w @ w), (1.0, 0.0)))
    assert (found.result, found.rank, found.moved) == (RESULTS.NOT_AT_MINIMA, 0, 0.0)
