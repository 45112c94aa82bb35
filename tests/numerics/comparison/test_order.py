"""Fitted orders: on powers known in advance, and of the tracking error."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from sharpflow.numerics.comparison.order import Fit, _fine, fit_power, judge, order
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import families
from sharpflow.theory.errors import InputError
from tests.numerics.flows.test_flow import crossing_flow
from tests.numerics.reference_flows import reference_flow, top_of_rank_one

RIDGE = families.get("ridge").default()


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_known_powers_are_found(power):
    x = np.geomspace(1e-3, 1e-1, 9)
    noise = np.exp(0.05 * np.random.default_rng(3).standard_normal(9))
    fit = fit_power(x, 3 * x**power * noise)
    assert fit.low < power < fit.high
    assert fit.constant == pytest.approx(3, rel=0.2)
    slope, intercept = np.polyfit(np.log(x), np.log(3 * x**power * noise), 1)
    assert fit.slope == pytest.approx(slope, rel=1e-10)
    assert np.log(fit.constant) == pytest.approx(intercept, rel=1e-10)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_a_power_is_found_under_its_next_term(power):
    x = np.geomspace(1e-3, 1e-1, 9)
    noise = np.exp(0.01 * np.random.default_rng(3).standard_normal(9))
    fit = fit_power(x, 3 * x**power * np.exp(-40 * x**2) * noise, bend=True)
    assert fit.low < power < fit.high
    assert fit.high - fit.low < 0.05  # a tenth of what half-integer powers are apart
    assert fit.constant == pytest.approx(3, rel=0.1)
    assert fit_power(x, 3 * x**power * np.exp(-40 * x**2), bend=True).deviation < 1e-12


def test_a_fit_has_a_degree_of_freedom_left():
    with pytest.raises(InputError, match="at least four points"):
        fit_power((1, 2, 3), (1, 2, 3), bend=True)
    with pytest.raises(InputError, match="three different"):
        fit_power((1, 2, 1, 2), (1, 2, 3, 4), bend=True)
    fit_power((1, 2, 3), (1, 2, 3))


def test_the_flow_of_a_fit_has_an_error_out_of_sight():
    """0.2 tolerance^(2/3), for all steps together, is a thousandth of intrinsic_lr."""
    for small in (1e-1, 1e-3):
        assert 0.2 * _fine(small) ** (2 / 3) == pytest.approx(1e-3 * small)


def test_verdicts():
    assert judge(Fit(1.0, 0.98, 1.02, 1, 0)) == "consistent"
    assert judge(Fit(0.5, 0.4, 0.6, 1, 0)) == "inconsistent"
    assert judge(Fit(0.8, 0.6, 1.0, 1, 0)) == "inconclusive"
    assert judge(Fit(1.0, -1.0, 3.0, 1, 0)) == "inconclusive"


def test_tracking_is_of_order_one():
    result = order(RIDGE, flow=reference_flow(RIDGE, top_of_rank_one(RIDGE)))
    assert result.verdict == "consistent"
    assert result.estimate == pytest.approx(1, abs=0.05)
    # retracted to Gamma the oscillation itself is gone, and what is left is still of order one
    assert result.on_minima[0] > 0.9
    json.dumps(result.to_json(), allow_nan=False)


# Raw distances of order one each; on Gamma sqrt(intrinsic_lr), large enough to count or not, or of order one too.
@pytest.mark.parametrize(
    ("size", "power", "verdict"), [(0.1, 0.5, "inconsistent"), (1e-5, 0.5, "consistent"), (0.1, 1.0, "consistent")]
)
def test_an_error_on_gamma_of_lower_order_refutes_where_it_is_seen(monkeypatch, size, power, verdict):
    def run(subject, /, *, rate, **options):
        small = rate**0.5
        return SimpleNamespace(
            loss="ridge", rule="gd-wd", result=RESULTS.SUCCESSFUL, intrinsic_lr=small, max_distance=0.7 * small,
            max_distance_on_minima=size * small**power,
        )  # fmt: skip

    monkeypatch.setattr(importlib.import_module("sharpflow.numerics.comparison.order"), "compare", run)
    result = order(RIDGE, rates=(1e-6, 1e-5, 1e-4))
    assert (result.verdict, result.estimate) == (verdict, pytest.approx(1))
    assert result.on_minima[0] == pytest.approx(power)


def planted(distance, on_minima):
    """`compare` with distances that are functions of intrinsic_lr."""

    def run(subject, /, *, rate, **options):
        small = (2 * rate) ** 0.5
        return SimpleNamespace(
            loss="ridge", rule="gd-wd", result=RESULTS.SUCCESSFUL, intrinsic_lr=small, max_distance=distance(small),
            max_distance_on_minima=on_minima(small),
        )  # fmt: skip

    return run


# The first is what a network showed: the oscillation across Gamma, and an error along it, at right angles. What is not
# of order two on Gamma is no such error, however steep the rest of it is.
@pytest.mark.parametrize(
    ("across", "along", "verdict", "estimate"),
    [
        (lambda s: 0.3 * s, lambda s: 28 * s**2, "consistent", 1.0),
        (lambda s: 0.3 * s, lambda s: 0.1 * s, "consistent", 1.0),
        (lambda s: 0.3 * s + 1e-3, lambda s: 1e-3 + 0 * s, "inconsistent", 0.55),
        (lambda s: 0.3 * s**0.5, lambda s: 28 * s**2, "inconsistent", 0.5),
        (lambda s: s**1.5, lambda s: s**1.5, "inconsistent", 1.5),
        (lambda s: 0 * s, lambda s: s**2, "inconsistent", 2.0),
        (lambda s: s, lambda s: np.hypot(1.66e-3, 178 * s**2), "inconclusive", 1.25),
        (lambda s: s, lambda s: 2.45e-3 + 316 * s**2, "inconclusive", 1.31),
        (lambda s: 0.1 * s, lambda s: s**0.75 + 316 * s**2, "inconclusive", 1.11),
        (lambda s: 0.3 * s**0.5, lambda s: 2e-16 + 0 * s, "inconsistent", 0.5),
    ],
    ids=[
        "next-term",
        "one",
        "constant",
        "half",
        "three-halves",
        "two",
        "hidden",
        "hidden-constant",
        "hidden-power",
        "rounding",
    ],
)
def test_a_next_term_is_no_other_power(monkeypatch, request, across, along, verdict, estimate):
    def distance(small):
        return np.hypot(across(small), along(small))

    monkeypatch.setattr(
        importlib.import_module("sharpflow.numerics.comparison.order"), "compare", planted(distance, along)
    )
    result = order(RIDGE)
    assert (result.verdict, result.estimate) == (verdict, pytest.approx(estimate, abs=0.1))
    # Why it is not of order one is said where what stays is seen on Gamma.
    stays = request.node.callspec.id == "constant"
    assert ("hardly falls with the rate (0.001 at 1e-06)" in result.message) == stays
    bent = request.node.callspec.id == "next-term"
    assert ("next term is fitted" in result.message) == bent
    small = np.array(result.intrinsic_lrs)
    fitted = result.constant * small**result.estimate * np.exp(result.bend * small**2)
    if bent:
        np.testing.assert_allclose(fitted, result.distances, rtol=0.05)
        assert result.to_json()["bend"] == result.bend > 0
    else:
        assert result.bend == 0


def test_failed_runs_are_named():
    result = order(families.get("crossing").default(), flow=crossing_flow(), rates=(1e-3, 1e-4, 1e-5), time=4.0)
    assert result.verdict == "inconclusive"
    assert "gap_closed" in result.message


@pytest.mark.parametrize(
    "rates", [(1e-4, 1e-5), (1e-4, 5e-5, 2e-5), (1e-4, 3e-5, 5e-6), (1e-4, 0, 1e-6), "abc", (1e-4, np.nan, 1e-6)]
)
def test_bad_rates(rates):
    with pytest.raises(InputError):
        order(RIDGE, rates=rates)
