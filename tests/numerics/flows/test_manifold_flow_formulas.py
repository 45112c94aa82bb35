"""The flow on the manifold: how long it goes, and where it must not set off."""

from __future__ import annotations

import numpy as np
import pytest

from sharpflow.numerics.flows.chart_flow import integrate
from sharpflow.numerics.flows.manifold_flow import manifold_flow
from sharpflow.numerics.measurements.crossing import symmetric
from sharpflow.numerics.objective import objective_of
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import families
from sharpflow.theory.chart.flow import sharpness_flow

RIDGE = families.get("ridge").default()


def test_the_flow_on_the_manifold_goes_all_the_time_asked_for():
    """It ends where the flow in the chart does, over less than one unit of time, in records of several steps."""
    zeta = objective_of(RIDGE).start
    path = manifold_flow(RIDGE, zeta, time=0.5, records=5, step=0.04)
    np.testing.assert_allclose(path.times, np.linspace(0, 0.5, 6), rtol=1e-12)
    chart = integrate(sharpness_flow(RIDGE), start=(0.35,), time=0.5)
    # a step of fourth order: (1/30)^4, times less than one
    np.testing.assert_allclose(path.points[-1], chart.at(np.array([0.5])).points[0], atol=1e-6)


@pytest.mark.deep
def test_no_flow_sets_off_where_two_eigenvalues_are_one():
    """A gap of 5e-4, along a drift that would widen it."""
    for t in np.linspace(0, 1, 2001):  # from the start to where b > a
        w = np.array([0.8 - 0.8 * t, 0.48 + 0.4 * t, 0.36, 0, 0])
        x, y, s, *_ = w = w / np.linalg.norm(w)
        a, b = 3 + x**2 - y**2, 2.6 + 0.8 * y**2 + 0.6 * x * s
        if a - b < 5e-4 * a:
            break
    assert a > b
    path = manifold_flow(symmetric, w, time=0.5, rank=2, records=5, drift=uphill)
    assert (path.result, len(path.times)) == (RESULTS.GAP_CLOSED, 1)


def uphill(log_gradient_squared, sharpness):
    return -2 / (4 + log_gradient_squared)
