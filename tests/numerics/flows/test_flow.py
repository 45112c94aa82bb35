"""The flow two ways: in the chart and on the implicit manifold; and the ways it can end."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp

from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.flows.chart_flow import compiled_flow, integrate
from sharpflow.numerics.flows.manifold_flow import manifold_flow
from sharpflow.numerics.objective import minima_point
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss, Minima
from tests.numerics.reference_flows import reference_flow, top_of_rank_one


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("ridge", "gd-wd"),
        ("two-layer", "normalized-gd"),
        *(pytest.param(name, "gd-wd", marks=pytest.mark.deep) for name in ("conic", "surface", "two-layer")),
        pytest.param("conic", "rmsprop", marks=pytest.mark.deep),
    ],
)
def test_chart_flow_equals_manifold_flow(name, rule):
    loss = families.get(name).default()
    law = law_of(rules.get(rule))
    solution = integrate(reference_flow(loss, top_of_rank_one(loss)), time=1.5, coefficient=law.coefficient)
    path = manifold_flow(loss, minima_point(loss, loss.minima.start), time=1.5, drift=law.mean_square)
    at = solution.at(path.times)
    # Runge-Kutta with step 0.0037: 1e-10 and a constant of the field; dense output of Tsit5 at rtol 1e-9: some 1e-8.
    np.testing.assert_allclose(at.points, path.points, atol=1e-7)
    np.testing.assert_allclose(at.sharpness, path.sharpness, rtol=1e-7)
    assert solution.result is path.result is RESULTS.SUCCESSFUL
    assert np.all(np.diff(path.sharpness) < 1e-12)  # sharpness never rises


def test_batch_norm_regression_solves_in_closed_form():
    loss = families.get("bn-regression").default()
    path = manifold_flow(loss, minima_point(loss, loss.minima.start), time=2.0)
    cosine = path.points @ minima_point(loss, (0.0,) * len(loss.minima.chart))
    tangent = np.sqrt(1 / cosine**2 - 1)
    # Runge-Kutta with step 0.005: 1e-10 and a constant of the field
    np.testing.assert_allclose(tangent, tangent[0] * np.exp(-path.times), atol=1e-8)


@pytest.mark.parametrize(
    ("rule", "known"),
    [
        ("gd-wd", lambda squares: 2 / (4 + squares)),
        ("normalized-gd", lambda squares: 0.25),
        pytest.param("rmsprop", lambda squares: 2 / (8 + squares), marks=pytest.mark.deep),
    ],
)
def test_laws_are_read_off_the_rules(rule, known):
    squares = np.array([0.0, 1.0, 7.0])
    np.testing.assert_allclose(law_of(rules.get(rule)).mean_square(squares), known(squares), rtol=1e-15)


def crossing_flow():
    loss = families.get("crossing").default()
    p = loss.minima.chart[0]
    return reference_flow(loss, 3 + sp.cos(2 * p), sp.Rational(1, 2) + sp.cos(2 * p))


def test_flow_stops_where_the_gap_closes():
    solution = integrate(crossing_flow(), time=5.0)
    assert solution.result is RESULTS.GAP_CLOSED
    # 1/2 + cos 2p = 0 at p = pi/3; GAP = 1e-3 of 2.5 shifts that by 2.5e-3/(2 sin 2p) = 1.4e-3
    assert solution.chart[-1, 0] == pytest.approx(np.pi / 3, abs=2e-3)
    assert np.all(np.isnan(solution.at([solution.time + 0.1]).points))
    loss = families.get("crossing").default()
    path = manifold_flow(loss, minima_point(loss, loss.minima.start), time=5.0)
    assert path.result is RESULTS.GAP_CLOSED
    assert path.times[-1] == pytest.approx(solution.time, abs=0.02)  # records are 0.0125 apart


def test_a_gap_that_touches_zero_is_seen():
    flow = SimpleNamespace(**vars(crossing_flow()))
    flow.gap = (flow.chart[0] - 1) ** 2
    solution = integrate(flow, time=20.0)
    assert solution.result is RESULTS.GAP_CLOSED
    assert solution.chart[-1, 0] < 1


def test_flow_that_leaves_its_chart():
    loss = families.get("ridge").default()
    short = Loss(
        name="short", variables=loss.variables, expression=loss.expression,
        minima=Minima(chart=loss.minima.chart, point=loss.minima.point, start=(0.35,), domain=((0, sp.Rational(1,
        2)),)),
    )  # fmt: skip
    solution = integrate(reference_flow(short, top_of_rank_one(loss)), time=30.0)
    assert solution.result is RESULTS.LEFT_CHART
    assert solution.chart[-1, 0] == pytest.approx(0.5, abs=1e-6)


def test_one_compilation_for_all_times_and_starts():
    loss = families.get("ridge").default()
    flow = reference_flow(loss, top_of_rank_one(loss))
    integrate(flow, time=1.0).trajectory()
    seconds = compiled_flow(flow).compile_seconds
    integrate(flow, time=2.5, start=(0.8,)).at(np.linspace(0, 2, 33))
    assert compiled_flow(flow).compile_seconds == seconds > 0


@pytest.mark.parametrize("options", [dict(time=0.0), dict(time=np.nan), dict(time=1.0, start=(9.0,))])
def test_bad_arguments(options):
    loss = families.get("ridge").default()
    with pytest.raises(InputError):
        integrate(reference_flow(loss, top_of_rank_one(loss)), **options)
