"""Ratios of measured to predicted numbers, on orbits that are written down."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from sharpflow.numerics.descent import orbit as orbits
from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.descent.orbit import orbit_period
from sharpflow.numerics.measurements import rule_check
from sharpflow.numerics.measurements.rule_check import ENERGY_FLOOR, FLOOR, Ratio
from sharpflow.theory import rules

GD, FREE = rules.get("gd-wd"), rules.get("normalized-gd")
RATE, K2 = 1e-5, 1.5
STEPS = np.arange(0.0, 1001.0, 10)
# U rises through 0 at steps 107.5 and 507.5.
SWING = 0.5 * np.sin(2 * np.pi * (STEPS - 107.5) / 400)


def orbit(**changes):
    """Along Gamma by 1e-5 a step."""
    known = {
        "steps": STEPS, "u": SWING, "x": 1 + 0.1 * SWING, "log_gradient_squared": np.full(101, K2),
        "sharpness": np.full(101, 3.0), "displacement": np.outer(1e-5 * STEPS, [0.6, 0.8]) + 2.0, "period": 400.0,
        "rate": RATE, "mean": lambda values: float(np.mean(values)),
    }  # fmt: skip
    return SimpleNamespace(**{**known, **changes})


def given(monkeypatch, **changes):
    asked = []

    def make(*_, **options):
        asked.append(options)
        return orbit(**changes)

    monkeypatch.setattr(rule_check, "edge_orbit", make)
    return asked


def test_a_ratio_agrees_within_its_correction_and_the_sampling():
    found = rule_check.ratio_of("drift", [(2.2, 2.0), (2.02, 2.0), (2.002, 2.0)])
    assert found.at == pytest.approx((1.1, 1.01, 1.001))
    # What is linear in the root of the rate: two values at rates 1/10 apart.
    slope = (1.01 - 1.001) / (math.sqrt(10) - 1)
    assert found.value == pytest.approx(1.001 - slope)
    assert found.correction == pytest.approx(slope)
    assert found.predicted == 2.0
    assert found.tolerance == pytest.approx(slope + FLOOR)
    assert found.agrees
    assert math.isnan(rule_check.ratio_of("none", [(1.0, 1e-7)] * 3).value)
    for value, agrees in ((1.0149, True), (1.0151, False), (0.9851, True), (0.9849, False), (math.nan, None)):
        assert Ratio("r", (1.0,), value, 0.01, 1.0).agrees is agrees


def test_drift_is_the_way_of_a_period(monkeypatch):
    given(monkeypatch)
    assert rule_check.upward_crossings(orbit()) == pytest.approx([107.5, 507.5], abs=0.05)
    measured, predicted = rule_check.drift_pair(None, GD, RATE)
    assert measured == pytest.approx(1.0, rel=1e-3)  # 1e-5 a step, in flow time
    assert predicted == pytest.approx(2 / (4 + K2) * math.sqrt(K2))
    given(monkeypatch, period=None)
    assert math.isnan(rule_check.drift_pair(None, GD, RATE)[0])
    asked = given(monkeypatch)
    measured, predicted = rule_check.drift_pair(None, FREE, RATE)
    assert measured == pytest.approx(1.0)  # the whole way
    assert predicted == pytest.approx(math.sqrt(K2) / 4)
    assert asked[-1]["amplitude"] == 1.0


def test_mean_squares_and_periods(monkeypatch):
    asked = given(monkeypatch)
    measured, predicted = rule_check.mean_square_pair(None, GD, RATE)
    assert measured == pytest.approx(np.mean((1 + 0.1 * SWING) ** 2))
    assert predicted == pytest.approx(2 / (4 + K2))
    assert asked[-1]["amplitude"] == 1.6
    law = law_of(GD)
    known = orbit_period(*law.response(K2), float(1 + 0.1 * SWING[0]), float(SWING[0]), RATE, law.alpha)
    assert rule_check.period_pair(None, GD, RATE, 1.1) == (400.0, pytest.approx(known))
    assert asked[-1] == {"rate": RATE, "amplitude": 1.1, "periods": 2.5}
    rule_check.period_pair(None, GD, RATE, 3.0)
    assert asked[-1]["periods"] == 4.0


def test_periods_of_a_small_and_a_large_orbit(monkeypatch):
    """Measured 1 + 3 sqrt(rate) of the small orbit's, 1 - sqrt(rate) of the large one's."""
    law, asked = law_of(GD), []

    def make(*_, rate, amplitude, periods):
        asked.append((amplitude, periods))
        large = orbit_period(*law.response(K2), 2.0, 0.5, rate, law.alpha)
        period = law.period(rate) * (1 + 3 * rate**0.5) if amplitude < 2 else large * (1 - rate**0.5)
        return orbit(period=period, x=np.full(101, 2.0), u=np.full(101, 0.5))

    monkeypatch.setattr(orbits, "edge_orbit", make)
    one, two, correction = orbits.period_ratios(None, GD, coarse=1e-4, fine=1e-5)
    assert (one, two) == (pytest.approx(1), pytest.approx(1))
    assert correction == pytest.approx(3 * math.sqrt(1e-5))
    assert asked == [(1.1, 2.5), (3.0, 4.0)] * 2


@pytest.mark.parametrize(("predicted", "scale"), [(4.0, 4.0), (-4.0, 4.0), (0.2, 1.0)])
def test_energy_in_units_of_its_size_or_of_one(monkeypatch, predicted, scale):
    def growth(subject, rule, *, coarse, fine):
        shift = 0.3 if coarse == rule_check.RATES[0] else 0.1
        return SimpleNamespace(
            at=(predicted + 2 * shift, predicted + shift), measured=predicted - shift / 2, predicted=predicted,
            correction=shift / 4,
        )  # fmt: skip

    monkeypatch.setattr(rule_check, "energy_growth", growth)
    found = rule_check.growth_ratio(None, GD)
    assert found.at == pytest.approx((1 + 0.6 / scale, 1 + 0.3 / scale, 1 + 0.1 / scale))
    assert found.value == pytest.approx(1 - 0.05 / scale)
    assert found.correction == pytest.approx(0.025 / scale)
    assert (found.predicted, found.floor) == (predicted, ENERGY_FLOOR)
