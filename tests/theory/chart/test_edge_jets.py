"""The jets at the edge: the exact expressions in the chart against automatic differentiation at points of it."""

from __future__ import annotations

import pytest
import sympy as sp

from sharpflow.numerics.minima.jets import STEP, edge_jets_at
from sharpflow.numerics.objective import minima_point, objective_of
from sharpflow.theory import families
from sharpflow.theory.chart.edge_jets import edge_jets
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.loss import Loss, Minima
from tests.theory.members import CHARTED

# K^2 comes with some 1e-14 of rounding, 1e-12 where lambda_1 is ill separated; the bend divides that by half a step.
RTOL = ATOL = 1e-12 / (STEP / 2)


def coupled():
    """Three normal directions, cubic terms between all of them, |P| and |w| other than 1: every built-in mixed is 0."""
    x, y, z, u, v = w = sp.symbols("x y z u v", real=True)
    p = sp.Symbol("p", real=True)
    r2 = x**2 + y**2 + z**2 + u**2 + v**2
    top, other = z + 2 * u, u - 2 * z
    loss = top**2 * (6 + (x**2 - y**2) / r2) / r2 + top**3 * (x + y) / r2**2
    loss += ((other * x + top**2) ** 2 + (v * x + other * y + 2 * top**2) ** 2) / r2**2
    return Loss("coupled", w, loss / 2, Minima(chart=(p,), point=(1, p, 0, 0, 0), start=(0.4,)))


def exact(jets, point):
    return {name: float(sp.N(getattr(jets, name).subs(point), 20)) for name in vars(jets)}


def numeric(geometry, point):
    zeta = minima_point(geometry.loss, tuple(float(v) for v in point.values()))
    jets = edge_jets_at(objective_of(geometry.loss), zeta, rank=geometry.codimension)
    assert jets.sharpness == pytest.approx(float(geometry.sharpness.subs(point)), rel=1e-12)
    return {
        "log_gradient_squared": jets.log_gradient_norm**2,
        "bend": jets.bend,
        "cubic_squared": jets.cubic**2,
        "quartic": jets.quartic,
        "mixed": jets.mixed,
        "sharpness": jets.sharpness,
    }


def check(loss):
    geometry = geometry_of(loss)
    jets = edge_jets(geometry)
    for shift in (0, sp.Rational(1, 10)):
        point = {s: v + shift for s, v in geometry.start.items()}
        assert exact(jets, point) == pytest.approx(numeric(geometry, point), rel=RTOL, abs=ATOL)
    return jets


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "conic" else pytest.mark.deep) for n in CHARTED])
def test_both_paths_find_the_same_jets(name):
    check(families.get(name).default())


@pytest.mark.longest
def test_mixed_terms():
    jets = check(coupled())
    assert jets.mixed != 0


def test_a_wrong_factor_is_seen():
    geometry = geometry_of(families.get("conic").default())
    right, found = exact(edge_jets(geometry), geometry.start), numeric(geometry, geometry.start)
    wrong = right | {"quartic": right["quartic"] * 3 / 4}
    assert right == pytest.approx(found, rel=RTOL, abs=ATOL)
    assert wrong != pytest.approx(found, rel=RTOL, abs=ATOL)
