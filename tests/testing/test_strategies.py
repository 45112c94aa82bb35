"""The strategies: what they draw is what they say, and shrinks to something small."""

from __future__ import annotations

import math

import pytest
import sympy as sp
from hypothesis import HealthCheck, find, given, settings

from sharpflow.testing import check_loss, strategies
from sharpflow.theory.chart.assumptions import prove_minimizers
from sharpflow.theory.sphere.invariance import prove_homogeneity

SOME = settings(
    max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
FEW = settings(SOME, max_examples=1)


@SOME
@given(strategies.unit_vectors(4), strategies.rates())
def test_points_and_rates(theta, rate):
    assert math.isclose(sum(x * x for x in theta), 1)
    assert 1e-6 * (1 - 1e-12) <= rate <= 1e-3


@SOME
@given(strategies.new_losses())
def test_a_new_loss_has_the_minima_it_says(loss):
    assert prove_homogeneity(loss).status == "proved"
    function = sp.lambdify(loss.variables, [loss.expression, *(loss.expression.diff(v) for v in loss.variables)])
    point = sp.lambdify(loss.minima.chart, loss.minima.point)
    for p in (0.3, -1.1, 2.0):
        at = [float(v) for v in point(*(p, 0.4)[: len(loss.minima.chart)])]
        assert max(abs(v) for v in function(*at)) < 1e-14
        above = function(*(a + 0.3 * (k + 1) for k, a in enumerate(at)))[0]
        assert above > -1e-14


@pytest.mark.longest
@settings(SOME, max_examples=5)
@given(strategies.new_losses(dimension=3))
def test_a_new_loss_is_nowhere_lower(loss):
    assert prove_minimizers(loss).status != "refuted"


@pytest.mark.deep
@FEW
@given(strategies.new_losses())
def test_a_new_loss_passes_the_checks(loss):
    report = check_loss(loss, checks=["homogeneity", "derivatives", "minimizers", "minimal_kernel", "simple_sharpness"])
    assert report.ok, str(report)


def test_losses_shrink_to_small_ones():
    x, y, z = sp.symbols("x y z", real=True)
    assert find(strategies.new_losses(), lambda loss: True).expression == z**2 / (x**2 + y**2 + z**2) / 4
    curved = find(strategies.new_losses(), lambda loss: loss.minima.point[-1] != 0)
    assert sp.count_ops(curved.expression) < 30
    assert find(strategies.members("ridge"), lambda loss: True).name.startswith("ridge(a=2")
    assert find(strategies.rules(), lambda rule: True).name == "gd-wd"
    assert find(strategies.weights(3), lambda w: True).count(0.0) == 2
