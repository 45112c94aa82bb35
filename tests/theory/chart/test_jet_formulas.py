"""The jets at the edge of a loss written in orthonormal coordinates, where every one of them can be read off."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
import sympy as sp

from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.minima.jets import STEP, edge_jets_at
from sharpflow.numerics.objective import minima_point, objective_of
from sharpflow.numerics.predictions.curve import curve_along
from sharpflow.theory import families, rules
from sharpflow.theory.chart.edge_jets import edge_jets
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.loss import Loss, Minima

x, y, z, u, v = W = sp.symbols("x y z u v", real=True)
p = sp.Symbol("p", real=True)
R2 = sum(e**2 for e in W)
POINTS = (sp.Rational(1, 2), sp.Rational(-4, 3))
# What `sharpflow.numerics.minima.jets` promises of the bend, the least accurate of its jets: 1e-12 over half a step.
RTOL = 1e-12 / (STEP / 2)
# Orthonormal; the edge direction (0, 0, 3/4, 1, 0) and the point (1, p, 0, 0, 0) of the chart have other lengths.
TOP, OTHER = (3 * z + 4 * u) / 5, (4 * z - 3 * u) / 5


def planted():
    """L r^2 = lambda t^2/2 + o^2 + o v + v^2 + x t^2 (o/2 + v + t)/r^2 + t^4/r^2, with lambda = 9 + y^2/r^2.

    The normal directions other than v_1 have the Hessian A = ((2, 1), (1, 2)) on Gamma.
    """
    loss = (9 + y**2 / R2) * TOP**2 / 2 + OTHER**2 + OTHER * v + v**2
    loss += x * TOP**2 * (OTHER / 2 + v + TOP) / R2 + TOP**4 / R2
    return Loss("planted", W, loss / R2, Minima(chart=(p,), point=(1, p, 0, 0, 0), start=(0.5,)))


def by_hand(at):
    """At the angle phi = arctan p from x: zeta = (cos phi, sin phi, 0, 0, 0)."""
    phi = sp.Symbol("phi")
    sharp = 9 + sp.sin(phi) ** 2
    g = sp.diff(sp.log(sharp), phi)
    cos2, sin2 = 1 / (1 + at**2), at**2 / (1 + at**2)
    lam = 9 + sin2
    value = lambda e: float(sp.N(e.subs(phi, sp.atan(at)), 20))  # noqa: E731
    # On zeta + s v_1 the radius is 1 + s^2: L = (9 + sin^2/(1 + s^2)) s^2/(2 (1 + s^2)) + cos s^3 + s^4 + O(s^5).
    fourth = 24 * (1 - sp.Rational(9, 2) - sin2)
    # b = D^3 L(v_1, v_1, .) = 2 cos (1/2, 1), A^(-1) = ((2, -1), (-1, 2))/3: (1/2, 1) A^(-1) (1/2, 1) = 1/2.
    mixed = 4 * cos2 * sp.Rational(1, 2) / lam
    return {
        "log_gradient_squared": value(g**2),
        "bend": value(g * sp.diff(g**2, phi) / 2),
        "cubic_squared": float(36 * cos2 / lam**2),
        "quartic": float(fourth / lam),
        "mixed": float(mixed),
    }


@pytest.mark.parametrize("at", POINTS)
def test_the_jets_of_a_planted_loss(at):
    loss = planted()
    jets = edge_jets(geometry_of(loss))
    found = {name: float(sp.N(getattr(jets, name).subs(p, at), 20)) for name in vars(jets)}
    assert found.pop("sharpness") == pytest.approx(float(9 + at**2 / (1 + at**2)), rel=1e-13)
    assert found == pytest.approx(by_hand(at), rel=1e-13)  # rounding of the doubles compared


@pytest.mark.parametrize("at", POINTS)
def test_the_same_by_automatic_differentiation(at):
    loss = planted()
    found = edge_jets_at(objective_of(loss), minima_point(loss, (float(at),)), rank=3)
    assert found.cubic > 0  # x t^3, at x > 0 and along (0, 0, 3/5, 4/5, 0)
    assert found.sharpness == pytest.approx(float(9 + at**2 / (1 + at**2)), rel=1e-12)
    assert {
        "log_gradient_squared": found.log_gradient_norm**2, "bend": found.bend,
        "cubic_squared": found.cubic**2, "quartic": found.quartic, "mixed": found.mixed,
    } == pytest.approx(by_hand(at), rel=RTOL)  # fmt: skip


def test_the_same_along_a_curve():
    """K, c_3, c_4 - 3 c_3^2 - 3 (mixed) and lambda_1 where the resolved oscillation begins."""
    at = POINTS[0]
    zeta, law = minima_point(planted(), (float(at),)), law_of(rules.get("gd-wd"))
    curve = curve_along(objective_of(planted()), zeta, rank=3, length=0.01, law=law, lean=jnp.zeros_like)
    known = by_hand(at)
    response = known["quartic"] - 3 * known["cubic_squared"] - 3 * known["mixed"]
    slope, cubic, *rest = curve.jets[0]
    assert (slope**2, cubic**2) == pytest.approx((known["log_gradient_squared"], known["cubic_squared"]), rel=RTOL)
    assert rest == pytest.approx([response, float(9 + at**2 / (1 + at**2))], rel=RTOL)


def test_a_minimizer_of_codimension_one_has_no_mixed_term():
    assert edge_jets(geometry_of(families.get("ridge").default())).mixed == 0
