"""The sharpness-reduction flow against oracles that share no line with it: numbers in many digits, and by hand."""

from __future__ import annotations

import math
import random
from dataclasses import FrozenInstanceError, replace

import mpmath
import pytest
import sympy as sp

from theory import families
from theory.errors import InputError, NoClosedForm
from theory.flow import TAU, SharpnessFlow, flow_coefficient, prove_closed_form, sharpness_flow
from theory.loss import Loss, Minima
from theory.proof import Status

x, y, z, u = sp.symbols("x y z u", real=True)
p, q = sp.symbols("p q", real=True)
R2 = x**2 + y**2 + z**2
CIRCLE = (sp.cos(p), sp.sin(p), 0)

# Where the top eigenvalue is simple; the charts' domains are wider.
REGIONS = {
    "ridge": ((-3, 3),),
    "conic": ((-4, 4),),
    "surface": ((-3, 3), (-3, 3)),
    "rayleigh": ((-3, 3),),
    "two-layer": ((-0.6, 0.6),),
    "crossing": ((-1, 1),),  # the eigenvalues 3 + cos 2p and 5/2 meet at pi/3
    "bn-regression": ((-2, 2),),
}
MEMBERS = [
    ("ridge", {}),
    ("ridge", {"a": "3/2"}),
    ("conic", {}),
    ("conic", {"a": 2}),
    ("surface", {}),
    ("surface", {"a": 4, "b": "-1/2"}),
    ("rayleigh", {}),
    ("two-layer", {}),
    ("two-layer", {"t": "3/20"}),
    ("crossing", {}),
    ("bn-regression", {}),
    ("bn-regression", {"seed": 3}),
]


def flow_of(name, **values):
    return sharpness_flow(families.get(name).member(**values))


def great_circle(name, expression, start=0.3, domain=(-1.5, 1.5)):
    minima = Minima(chart=(p,), point=CIRCLE, start=(start,), domain=(domain,))
    return Loss(name=name, variables=(x, y, z), expression=expression, minima=minima)


# On a great circle lambda_1(p) = 2 L(cos p, sin p, z)/z^2 as z -> 0.
COSINE = great_circle("cosine", z**2 * x**2 / (2 * R2**2))  # lambda_1 = cos^2 p, dp/d tau = sin p cos p
GNOMONIC = Loss(
    name="gnomonic", variables=(x, y, z, u), expression=u**2 / (2 * x**2),
    minima=Minima(chart=(p, q), point=(1, p, q, 0), start=(0.4, -0.8)),
)  # fmt: skip


def test_every_family_has_a_region():
    assert set(REGIONS) == set(families.names()) == {name for name, _ in MEMBERS}


# Oracles


class Oracle:
    """lambda_1, K^2 and the field by finite differences of L alone: 60 digits leave room for two nested ones."""

    def __init__(self, loss):
        self.loss = sp.lambdify(loss.variables, loss.expression, "mpmath")
        self.point = sp.lambdify(loss.minima.chart, loss.minima.point, "mpmath")
        self.m = len(loss.minima.chart)

    def zeta(self, at):
        point = mpmath.matrix(self.point(*at))
        return point / mpmath.norm(point)

    def sharpness(self, at):
        """Top eigenvalue of P H P, P the projector on the tangent space of the sphere; its error is step^2."""
        zeta, step = self.zeta(at), mpmath.mpf(10) ** -12
        d = len(zeta)
        unit = [mpmath.matrix([step * (i == j) for j in range(d)]) for i in range(d)]
        hessian = mpmath.matrix(d, d)
        for i in range(d):
            for j in range(i + 1):
                corners = sum(s * t * self.loss(*(zeta + s * unit[i] + t * unit[j])) for s in (1, -1) for t in (1, -1))
                hessian[i, j] = hessian[j, i] = corners / (4 * step**2)
        projector = mpmath.eye(d) - zeta * zeta.T
        return max(mpmath.eigsy(projector * hessian * projector, eigvals_only=True))

    def moved(self, function, at, i):
        """d function/d p_i by a central difference of error step^2."""
        step = mpmath.mpf(10) ** -8
        ahead, behind = (function([v + s * step * (i == k) for k, v in enumerate(at)]) for s in (1, -1))
        return (ahead - behind) / (2 * step)

    def flow(self, at):
        with mpmath.workdps(60):
            at = [mpmath.mpf(v) for v in at]
            tangents = [self.moved(self.zeta, at, i) for i in range(self.m)]
            slopes = mpmath.matrix([self.moved(lambda a: mpmath.log(self.sharpness(a)), at, i) for i in range(self.m)])
            metric = mpmath.matrix([[(a.T * b)[0] for b in tangents] for a in tangents])
            g = mpmath.lu_solve(metric, slopes)
            squared = (slopes.T * g)[0]
            return self.sharpness(at), squared, [-2 * entry / (4 + squared) for entry in g]


@pytest.mark.parametrize(("name", "values"), MEMBERS, ids=lambda value: str(value))
def test_the_field_by_finite_differences(name, values):
    flow, oracle = flow_of(name, **values), Oracle(families.get(name).member(**values))
    ours = sp.lambdify(flow.chart, [flow.sharpness, flow.log_gradient_squared, *flow.field], "mpmath")
    generator = random.Random(20)
    for _ in range(2):
        at = [generator.uniform(*interval) for interval in REGIONS[name]]
        sharpness, squared, field = oracle.flow(at)
        with mpmath.workdps(30):
            for mine, theirs in zip(ours(*at), (sharpness, squared, *field), strict=True):
                # Both steps of the oracle leave 1e-16 times third derivatives, which are below 1e3 here.
                assert abs(mine - theirs) < 1e-12 * (1 + abs(theirs))


def test_ridge_by_hand():
    flow = flow_of("ridge")
    g = -2 * sp.sin(2 * p) / (2 + sp.cos(2 * p))  # the chart is arc length
    for mine, known in (
        (flow.sharpness, 2 + sp.cos(2 * p)),
        (flow.log_sharpness_gradient[0], g),
        (flow.log_gradient_squared, g**2),
        (flow.field[0], -2 * g / (4 + g**2)),
    ):
        assert sp.simplify(mine - known) == 0


def test_crossing_by_hand():
    """The flow and the gap of the eigenvalue that is on top at the start; where the gap closes both are given still."""
    flow = flow_of("crossing")
    g = -2 * sp.sin(2 * p) / (3 + sp.cos(2 * p))
    assert sp.simplify(flow.field[0] + 2 * g / (4 + g**2)) == 0
    assert sp.simplify(flow.gap - sp.cos(2 * p) - sp.Rational(1, 2)) == 0
    assert flow.gap.subs(p, sp.pi / 3) == 0
    assert flow.gap.subs(p, sp.Rational(7, 5)) < 0  # where 5/2 is on top, and the flow is not the theory's
    (start,) = flow.loss.minima.start
    assert flow.gap.subs(p, start) > 0


def test_regression_by_hand():
    """K = 2 tan(alpha), and tan(alpha) falls as exp(-tau) to the minimum-norm interpolant."""
    flow = flow_of("bn-regression")
    ray = sp.Matrix(flow.loss.minima.point)
    nearest = ray.subs(p, 0)
    cosine2 = ray.dot(nearest) ** 2 / (ray.dot(ray) * nearest.dot(nearest))
    tan2 = 1 / cosine2 - 1
    assert sp.simplify(flow.log_gradient_squared - 4 * tan2) == 0
    start = sp.Symbol("p_0", real=True)
    assert sp.simplify(tan2.subs(p, flow.closed_form[p]) - tan2.subs(p, start) * sp.exp(-2 * TAU)) == 0
    assert not nearest.cross(sp.zeros(3, 1)).norm() if len(nearest) == 3 else nearest != sp.zeros(*nearest.shape)


def test_rayleigh_stands_still():
    flow = flow_of("rayleigh")
    assert flow.stands_still
    assert flow.field == sp.zeros(1, 1)
    assert flow.closed_form == {p: sp.Symbol("p_0", real=True)}
    assert flow.invariants == {}
    assert flow.conserved is None
    assert not flow_of("ridge").stands_still


@pytest.mark.parametrize("name", families.names())
def test_what_the_flow_holds(name):
    flow = flow_of(name)
    minima = flow.loss.minima
    assert isinstance(flow, SharpnessFlow)
    assert (flow.chart, flow.domain) == (minima.chart, minima.domain)
    assert flow.field.shape == flow.log_sharpness_gradient.shape == (len(flow.chart), 1)
    at = dict(zip(minima.chart, (sp.Rational(str(v)) for v in minima.start), strict=True))
    ours, given = (sp.Matrix(point).subs(at).evalf(30) for point in (flow.point, minima.point))
    assert (ours - given / given.norm()).norm() < 1e-25
    # The gap is of the normal eigenvalues: with one of them only there is none.
    assert (flow.gap is None) == (flow.loss.dimension - 1 - len(flow.chart) == 1)
    assert flow.gap is None or flow.gap.subs(at) > 0


def test_coefficient():
    assert flow_coefficient(sp.Integer(0)) == sp.Rational(1, 2)
    assert flow_coefficient(sp.Integer(4)) == sp.Rational(1, 4)


# Along the flow


def integrate(flow, start, time=1.0, steps=400):
    """Runge-Kutta of order four: at this step its error is below 1e-10."""
    field = sp.lambdify(flow.chart, list(flow.field), "math")
    at, h = list(start), time / steps
    for _ in range(steps):
        k1 = field(*at)
        k2 = field(*(a + h / 2 * k for a, k in zip(at, k1, strict=True)))
        k3 = field(*(a + h / 2 * k for a, k in zip(at, k2, strict=True)))
        k4 = field(*(a + h * k for a, k in zip(at, k3, strict=True)))
        at = [a + h / 6 * (b + 2 * c + 2 * d + e) for a, b, c, d, e in zip(at, k1, k2, k3, k4, strict=True)]
    return at


def value(expression, flow, at):
    return float(expression.subs(dict(zip(flow.chart, at, strict=True))))


# On every side of the rest points, where logarithms change the sign of what is in them.
STARTS = {
    "ridge": [(0.35,), (-0.35,), (2.0,)],
    "conic": [(0.8,), (1.4,), (-0.5,), (-2.5,)],
    "two-layer": [(0.5,), (-0.3,)],
    "crossing": [(0.35,), (-0.6,), (2.5,)],
    "bn-regression": [(1.2,), (-0.7,)],
    "surface": [(0.4, -0.8), (-0.5, -0.6), (2.0, 0.3)],
}


@pytest.mark.parametrize(("name", "start"), [(name, start) for name, starts in STARTS.items() for start in starts])
def test_what_is_claimed_along_the_flow(name, start):
    flow = flow_of(name)
    end = integrate(flow, start)
    assert flow.invariants or flow.conserved is not None
    for invariant in flow.invariants.values():
        assert value(invariant, flow, end) - value(invariant, flow, start) == pytest.approx(1, abs=1e-9)
    if flow.conserved is not None:
        assert value(flow.conserved, flow, end) == pytest.approx(value(flow.conserved, flow, start), abs=1e-9)
    assert value(flow.sharpness, flow, end) < value(flow.sharpness, flow, start)


@pytest.mark.parametrize(
    ("flow", "start"),
    [
        (flow_of("bn-regression"), (1.2,)),
        (sharpness_flow(COSINE), (0.3,)),
        (sharpness_flow(COSINE), (-1.1,)),
        (sharpness_flow(GNOMONIC), (0.4, -0.8)),
    ],
    ids=lambda value: value.loss.name if isinstance(value, SharpnessFlow) else str(value),
)
def test_closed_forms_against_integration(flow, start):
    at = {sp.Symbol(f"{s.name}_0", real=True): v for s, v in zip(flow.chart, start, strict=True)}
    for found, symbol in zip(integrate(flow, start), flow.chart, strict=True):
        assert float(flow.closed_form[symbol].subs({**at, TAU: 1})) == pytest.approx(found, abs=1e-9)
