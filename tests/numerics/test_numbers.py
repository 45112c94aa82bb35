"""Numbers of callers: what each kind takes and refuses, and that every function refuses the same."""

import math

import numpy as np
import pytest

from sharpflow.numerics import numbers
from sharpflow.theory.errors import InputError

NO_NUMBERS = ("1e-3", True, None, 1j, [1.0], np.ones(1), b"1")


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (numbers.check_rate, (1e-12, 1e-4, 0.1, np.float32(0.0625)), (0.0, -1e-4, math.nextafter(0.1, 1), math.nan)),
        (numbers.check_time, (1e-9, 1, np.float64(3.0)), (0.0, -1.0, math.inf, math.nan)),
        (numbers.check_amplitude, (1.2, -5, 1e-30), (0, -0.0, math.inf, math.nan)),
        (lambda x: numbers.check_positive("x", x), (1e-300, 2), (0, -1e-300, math.inf, math.nan)),
        (lambda x: numbers.check_not_negative("x", x), (0, 1e-300, 2.5), (-1e-300, math.inf, math.nan)),
    ],
)
def test_real_numbers(check, good, bad):
    for value in good:
        found = check(value)
        assert found == value
        assert type(found) is float
    for value in (*bad, *NO_NUMBERS):
        with pytest.raises(InputError, match="must "):
            check(value)


def test_nan_and_infinity_are_numbers():
    assert math.isnan(numbers.check_number("x", math.nan))
    assert numbers.check_number("x", np.float32(-math.inf)) == -math.inf
    with pytest.raises(InputError, match="x = 'fast' must be a number"):
        numbers.check_number("x", "fast")


def test_whole_numbers():
    for value in (1, 16, np.int32(7)):
        assert numbers.check_whole("k", value, most=16) == value
        assert type(numbers.check_whole("k", value, most=16)) is int
    assert numbers.check_whole("k", 10**30) == 10**30
    assert numbers.check_whole("k", -2, least=-2) == -2
    for value in (0, -1, 2.0, "3", True, None, np.float64(2), np.ones(1, int)):
        with pytest.raises(InputError, match=r"k = .* must be a whole number, at least 1, or so"):
            numbers.check_whole("k", value, hint=", or so")
    with pytest.raises(InputError, match="k = 17 must be a whole number from 1 to 16"):
        numbers.check_whole("k", 17, most=16)


def test_rates_are_different_and_rise():
    assert numbers.check_rates([1e-3, 0.1, 1e-3, np.float64(1e-5)]) == (1e-5, 1e-3, 0.1)
    for bad in ([], "abc", 1e-3, [1e-3, 0.2], [1e-3, "x"], [None]):
        with pytest.raises(InputError, match="rate"):
            numbers.check_rates(bad)


def test_iterations():
    numbers.check_iterations(0.2, 0.1)
    numbers.check_iterations(1.0, 1e-10)
    with pytest.raises(InputError, match=r"1\.9 iterations are too few"):
        numbers.check_iterations(0.19, 0.1)
    with pytest.raises(InputError, match=r"1e\+11 iterations are too many"):
        numbers.check_iterations(10.0, 1e-10)


def test_effective_lr_up_to_the_edge():
    assert numbers.check_below_edge(1, 2.0, "loss") == 1.0
    assert numbers.check_below_edge(1 + 9e-7, 2.0, "loss") > 1
    # Where no curvature is positive there is no edge to be beyond.
    assert numbers.check_below_edge(1e9, -1.0, "loss") == numbers.check_below_edge(1e9, 0.0, "loss") == 1e9
    with pytest.raises(InputError, match=r"effective_lr = 1.1 must be at most 2/lambda_1 = 1 .* of 'loss'"):
        numbers.check_below_edge(1.1, 2.0, "loss")
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="positive and finite"):
            numbers.check_below_edge(bad, 2.0, "loss")


def test_seeds():
    drawn = np.random.default_rng(7).standard_normal(3)
    np.testing.assert_array_equal(numbers.generator(7).standard_normal(3), drawn)
    np.testing.assert_array_equal(numbers.generator(np.int64(4), stream=3).standard_normal(3), drawn)
    assert numbers.check_seed(2**63 - 1) == 2**63 - 1
    for bad in (-1, 2**63, 0.0, None, True, "0"):
        with pytest.raises(InputError, match=r"seed = .* must be a whole number from 0"):
            numbers.generator(bad)


def test_a_negative_seed_is_refused_by_every_function_that_takes_one(tmp_path):
    from sharpflow import check_loss, check_rule, compare, sweep, top_eigenpairs, verify
    from sharpflow.numerics.data.examples import digits, mislabel
    from sharpflow.numerics.data.mnist1d import mnist1d
    from sharpflow.numerics.data.regression import regression_data
    from sharpflow.numerics.training.experiment import task
    from sharpflow.theory import families

    ridge = families.get("ridge").default()
    data = mnist1d(n=10, test=0)
    calls = (
        lambda: compare(ridge, rate=1e-3, time=0.1, seed=-1), lambda: digits(seed=-1), lambda: mnist1d(seed=-1),
        lambda: regression_data("diabetes", seed=-1), lambda: task("mlp", data, seed=-1),
        lambda: sweep([ridge], rates=[1e-3], starts=1, out=tmp_path / "s", seed=-1),
        lambda: top_eigenpairs(ridge, (1.0, 0.0, 0.0), count=1, seed=-1), lambda: mislabel(data, 0.5, seed=-1),
        lambda: check_loss("ridge", seed=-1), lambda: check_rule("gd-wd", seed=-1), lambda: verify([ridge], seed=-1),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(InputError, match="seed = -1 must be a whole number from 0"):
            call()
