"""The chart flow of fields written here, with solutions in closed form."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp

from sharpflow.numerics.flows.chart_flow import GAP, integrate
from sharpflow.numerics.results import RESULTS
from sharpflow.theory.loss import Loss, Minima


def chart_flow(field, gap=None, high=3.0):
    """dp/d tau = field(p) on a circle, as the integrator reads it."""
    p = sp.Symbol("p", real=True)
    w = sp.symbols("x y z", real=True)
    point = (sp.cos(p), sp.sin(p), sp.Integer(0))
    loss = Loss(
        "flow", w, w[2] ** 2 / sum(v**2 for v in w), Minima(chart=(p,), point=point, start=(0.5,), domain=((0, high),))
    )
    return SimpleNamespace(
        loss=loss, chart=(p,), field=[field(p)], point=point, sharpness=1 + p, log_gradient_squared=p**2 + 1,
        gap=None if gap is None else gap(p), domain=loss.minima.domain,
    )  # fmt: skip


def test_the_flow_is_that_of_its_field_and_nothing_comes_after_its_end():
    solution = integrate(chart_flow(lambda p: -p, gap=lambda p: 1 + p), time=2.0)
    at = solution.at([-0.1, 0.0, 1.0, 2.0, 2.1, 3.5])
    assert list(np.isnan(at.chart[:, 0])) == [True, False, False, False, True, True]
    known = 0.5 * np.exp([0.0, -1.0, -2.0])
    np.testing.assert_allclose(at.chart[1:4, 0], known, rtol=1e-8)  # dense output at rtol 1e-9
    np.testing.assert_allclose(at.sharpness[1:4], 1 + known, rtol=1e-8)
    np.testing.assert_allclose(at.gap[1:4], 1.0)
    assert solution.trajectory().times[-1] == 2.0
    assert len(solution.trajectory()) == len(solution) == 400
    assert list(solution.at([0.0, 1.0, 3.5]).trajectory().times) == [0.0, 1.0]
    # -a/(b + c K^2) g for -2/(4 + K^2) g, where K^2 = p^2 + 1: the speed at the start is scaled by this quotient.
    other = integrate(chart_flow(lambda p: -p), time=1e-4, coefficient=(3.0, 2.0, 5.0))
    scale = 3 / (2 + 5 * 1.25) / (2 / (4 + 1.25))
    # second order in the time
    assert (0.5 - other.chart[-1, 0]) / (0.5 * 1e-4) == pytest.approx(scale, rel=1e-3)


def test_a_flow_stops_where_the_gap_is_a_thousandth():
    """gap/lambda_1 = (2 - p)/(1 + p) = GAP, to which p grows as exp(tau)."""
    solution = integrate(chart_flow(lambda p: p, gap=lambda p: 2 - p), time=5.0)
    assert solution.result is RESULTS.GAP_CLOSED
    at = (2 - GAP) / (1 + GAP)
    assert solution.chart[-1, 0] == pytest.approx(at, rel=1e-8)
    assert solution.time == pytest.approx(math.log(2 * at), rel=1e-8)


@pytest.mark.parametrize(("high", "result"), [(1.0, RESULTS.LEFT_CHART), (3.0, RESULTS.STEPSIZE_UNDERFLOW)])
def test_a_field_that_ends_at_the_end_of_the_chart_or_before(high, result):
    """dp/d tau = 1/sqrt(1 - p), which is not defined beyond p = 1."""
    solution = integrate(chart_flow(lambda p: 1 / sp.sqrt(1 - p), high=high), time=3.0)
    assert solution.result is result
    # (1 - p)^(3/2) = (1/2)^(3/2) - 3 tau/2
    assert solution.time == pytest.approx(2 / 3 * 0.5**1.5, abs=1e-4)
