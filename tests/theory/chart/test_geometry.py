"""Gamma in its chart, against differences of the loss itself; and charts that do not hold what they promise."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from hypothesis import example, given, settings

from sharpflow.theory import families
from sharpflow.theory.chart.assumptions import (
    prove_chart,
    prove_log_sharpness_gradient,
    prove_minimal_kernel,
    prove_minimizers,
    prove_simple_sharpness,
)
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.proving.proof import Status
from tests.theory.members import members

x, y, z, u = sp.symbols("x y z u", real=True)
p, q = sp.symbols("p q", real=True)
R2 = x**2 + y**2 + z**2
S2 = R2 + u**2
CIRCLE = Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0))
DIGITS = 50
# Central differences have an error h^2 times derivatives of order one to 1e4 (close to the end of a chart), and
# rounding 1e-50/h^4 at most.
H = mpmath.mpf(10) ** -10
TOLERANCE = 1e-12


def numbers(loss):
    """The loss on R^D and the chart's unit point, as functions of 50-digit numbers: nothing else is used below."""
    f = sp.lambdify(loss.variables, loss.expression, "mpmath")
    point = sp.lambdify(loss.minima.chart, list(loss.minima.point), "mpmath")

    def zeta(*chart):
        entries = mpmath.matrix([mpmath.mpf(e) for e in point(*chart)])
        return entries / mpmath.norm(entries)

    return (lambda w: f(*w)), zeta


def shifted(values, i, by):
    return [v + by if j == i else v for j, v in enumerate(values)]


def hessian(f, w):
    """D x D second differences."""
    d = len(w)
    result = mpmath.matrix(d, d)
    for i in range(d):
        for j in range(i, d):
            total = mpmath.mpf(0)
            for a in (1, -1):
                for b in (1, -1):
                    at = list(w)
                    at[i] += a * H
                    at[j] += b * H
                    total += a * b * f(at)
            result[i, j] = result[j, i] = total / (4 * H**2)
    return result


def top(f, w):
    return max(mpmath.eigsy(hessian(f, w), eigvals_only=True))


@pytest.mark.deep
@settings(max_examples=8, deadline=None)
@given(members())
def test_geometry_against_differences_of_the_loss(loss):
    geometry = geometry_of(loss)
    with mpmath.workdps(DIGITS):
        f, zeta = numbers(loss)
        chart = [mpmath.mpf(v.p) / v.q for v in geometry.start.values()]
        m = len(chart)
        tangents = [(zeta(*shifted(chart, i, H)) - zeta(*shifted(chart, i, -H))) / (2 * H) for i in range(m)]
        metric = mpmath.matrix(m, m)
        for i in range(m):
            for j in range(m):
                metric[i, j] = (tangents[i].T * tangents[j])[0]
        sharpness = top(f, zeta(*chart))
        # Wider steps here, as the Hessian inside has errors of its own: 1e-20/1e-6.
        wide = mpmath.mpf(10) ** -6
        slopes = mpmath.matrix([
            (mpmath.log(top(f, zeta(*shifted(chart, i, wide)))) - mpmath.log(top(f, zeta(*shifted(chart, i, -wide)))))
            / (2 * wide)
            for i in range(m)
        ])  # fmt: skip
        gradient = mpmath.lu_solve(metric, slopes)
        squared = (slopes.T * gradient)[0]

    def at_start(expression):
        return float(expression.subs(geometry.start).evalf(20))

    for i in range(m):
        for j in range(m):
            assert at_start(geometry.metric[i, j]) == pytest.approx(float(metric[i, j]), rel=TOLERANCE, abs=TOLERANCE)
    assert at_start(geometry.sharpness) == pytest.approx(float(sharpness), rel=TOLERANCE)
    # wide^2 times third derivatives of log lambda_1, up to 1e3 near the end of a chart
    for i in range(m):
        assert at_start(geometry.log_sharpness_gradient[i]) == pytest.approx(float(gradient[i]), rel=1e-8, abs=1e-8)
    assert at_start(geometry.log_sharpness_gradient_squared) == pytest.approx(float(squared), rel=1e-8, abs=1e-8)


@pytest.mark.deep
@settings(max_examples=5, deadline=None)
@given(members("ridge", "conic", "surface", "two-layer", "rayleigh", "bn-regression"))
def test_every_assumption_holds_for_members(loss):
    for prove in (
        prove_minimizers, prove_chart, prove_minimal_kernel, prove_simple_sharpness, prove_log_sharpness_gradient,
    ):  # fmt: skip
        assert prove(loss).status is Status.PROVED, prove.__name__


# Found: members whose eigenvalues stay apart were in the range, and were said to cross.
@settings(max_examples=3, deadline=None)
@given(members("crossing"))
@example(families.get("crossing").member(a="16/5", b="9/4"))
def test_a_crossing_is_refuted_where_it_happens(loss):
    proof = prove_simple_sharpness(loss)
    (gap,) = proof.failed()
    assert gap.title == "gap to lambda_2"
    at = sp.Rational(gap.witness["p"])
    a, b = geometry_of(loss).eigenvalues
    assert float((a - b).subs(p, at)) <= 0
    assert prove_minimal_kernel(loss).status is Status.PROVED


def test_a_member_that_does_not_cross_is_not_expected_to():
    loss = families.get("crossing").member(a=4)
    assert not loss.expects_to_fail
    assert prove_simple_sharpness(loss).status is Status.PROVED


def test_gamma_that_misses_the_minimizers():
    """The circle y = 0 for the minimizers z = 0."""
    loss = Loss(
        name="missed", variables=(x, y, z), expression=z**2 / R2,
        minima=Minima(chart=(p,), point=(sp.cos(p), 0, sp.sin(p))),
    )  # fmt: skip
    proof = prove_minimizers(loss)
    assert [s.status for s in proof.steps] == [Status.REFUTED] * 2
    for step in proof.steps:
        at = sp.Rational(step.witness["p"])
        assert float(step.residual.subs(p, at)) == pytest.approx(float(step.witness["residual"]), rel=1e-6)
    assert prove_minimal_kernel(loss).status is Status.REFUTED


def test_gamma_of_maxima():
    """-z^2/|w|^2 is critical on z = 0, and largest there."""
    loss = Loss(name="maxima", variables=(x, y, z), expression=-(z**2) / R2, minima=CIRCLE)
    assert prove_minimizers(loss).status is Status.PROVED  # critical it is
    proof = prove_minimal_kernel(loss)
    assert proof.status is Status.REFUTED
    assert proof.failed()[0].witness == {"value": "-2.0000000"}
    assert prove_simple_sharpness(loss).status is Status.REFUTED


def test_gamma_of_saddles():
    loss = families.get("rayleigh").member(a=-1)
    assert prove_minimizers(loss).status is Status.PROVED
    proof = prove_minimal_kernel(loss)
    assert {s.title for s in proof.failed()} == {
        "e_1 of the 2 normal eigenvalues is positive",
        "e_2 of the 2 normal eigenvalues is positive",
    }


def test_saddles_with_a_positive_trace_do_not_pass():
    """e_1 = 1 > 0, yet one eigenvalue is negative."""
    loss = families.get("rayleigh").member(a="-1/2")
    proof = prove_minimal_kernel(loss)
    assert [s.title for s in proof.failed()] == ["e_2 of the 2 normal eigenvalues is positive"]


def test_gamma_larger_than_its_chart():
    """The minimizers u = 0 form a sphere, the chart is a circle on it: the kernel is too large."""
    loss = Loss(
        name="larger", variables=(x, y, z, u), expression=u**2 / S2,
        minima=Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0, 0)),
    )  # fmt: skip
    proof = prove_minimal_kernel(loss)
    assert [s.title for s in proof.failed()] == ["e_2 of the 2 normal eigenvalues is positive"]


def test_a_degenerate_minimum():
    """z^4/|w|^4: the Hessian vanishes on Gamma."""
    loss = Loss(name="flat", variables=(x, y, z), expression=z**4 / R2**2, minima=CIRCLE)
    assert prove_minimizers(loss).status is Status.PROVED
    assert prove_minimal_kernel(loss).status is Status.REFUTED
    assert prove_simple_sharpness(loss).status is Status.REFUTED
    with pytest.raises(NoClosedForm, match="no eigenvector"):
        _ = geometry_of(loss).edge_direction


# Found: it failed for want of an eigenvector before it came to say that the gap is zero.
def test_a_tie_everywhere_is_refuted():
    loss = families.get("rayleigh").member(a=1)
    proof = prove_simple_sharpness(loss)
    assert [s.title for s in proof.failed()] == ["gap to lambda_2"]
    assert proof.failed()[0].witness == {"value": "0"}
    with pytest.raises(NoClosedForm, match="multiple eigenvalue"):
        _ = geometry_of(loss).edge_direction


def test_a_chart_that_stands_still():
    """(cos p^2, sin p^2, 0) has no velocity at p = 0."""
    loss = Loss(
        name="still", variables=(x, y, z), expression=z**2 / R2,
        minima=Minima(chart=(p,), point=(sp.cos(p**2), sp.sin(p**2), 0), start=(0.7,), domain=((-1, 1),)),
    )  # fmt: skip
    (step,) = prove_chart(loss).failed()
    assert step.witness == {"p": "0", "value": "0"}


# Found: the direction of (p, p^2, 0) jumps to its antipode at p = 0, where the metric sees nothing.
def test_a_chart_through_the_origin():
    loss = Loss(
        name="origin", variables=(x, y, z), expression=z**2 / R2,
        minima=Minima(chart=(p,), point=(p, p**2, 0), start=(0.5,), domain=((-1, 1),)),
    )  # fmt: skip
    (step,) = prove_chart(loss).failed()
    assert step.title == "the chart's point does not vanish"
    assert step.witness == {"p": "0", "value": "0"}


def test_a_chart_with_a_coordinate_too_many():
    loss = Loss(
        name="redundant", variables=(x, y, z, u), expression=u**2 / S2,
        minima=Minima(chart=(p, q), point=(sp.cos(p + q), sp.sin(p + q), 0, 0)),
    )  # fmt: skip
    assert prove_chart(loss).status is Status.REFUTED
    with pytest.raises(InputError, match="does not depend on every one of"):
        _ = geometry_of(loss).inverse_metric


def test_an_irreducible_cubic_is_no_mistake():
    a = sp.symbols("a1:6", real=True)
    r2 = sum(v**2 for v in a)
    form = (a[1] + a[2] + a[3]) ** 2 + a[1] ** 2 + 2 * a[2] ** 2 + 3 * a[3] ** 2 * (2 + a[0] * a[4] / r2) + a[1] * a[2]
    loss = Loss(
        name="cubic", variables=a, expression=form / (2 * r2),
        minima=Minima(chart=(p,), point=(sp.cos(p), 0, 0, 0, sp.sin(p))),
    )  # fmt: skip
    assert prove_minimal_kernel(loss).status is Status.PROVED  # without any eigenvalue
    with pytest.raises(NoClosedForm, match="no closed form"):
        _ = geometry_of(loss).eigenvalues


# Found: their characteristic polynomial was a cubic with sines in it, which did not factor.
def test_normals_that_are_not_coupled_have_their_own_eigenvalues():
    v = sp.Symbol("v", real=True)
    r2 = S2 + v**2
    loss = Loss(
        name="apart", variables=(x, y, z, u, v),
        expression=(z**2 * (6 + x * y / r2) + 2 * u**2 * (1 + x**2 / r2) + v**2) / (2 * r2),
        minima=Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0, 0, 0), domain=((-3, 3),)),
    )  # fmt: skip
    found = geometry_of(loss).eigenvalues
    for value, known in zip(found, (6 + sp.sin(2 * p) / 2, 2 + 2 * sp.cos(p) ** 2, sp.Integer(1)), strict=True):
        assert sp.simplify(value - known) == 0
    assert prove_simple_sharpness(loss).status is Status.PROVED


def test_no_chart_no_geometry():
    with pytest.raises(InputError, match="minima=None"):
        geometry_of(Loss(name="bare", variables=(x, y, z), expression=z**2 / R2))


def test_geometry_is_made_once():
    loss = families.get("ridge").default()
    assert geometry_of(loss) is geometry_of(families.get("ridge").default())


@settings(max_examples=2, deadline=None)
@given(members("ridge", "conic"))
def test_the_chart_does_not_matter(loss):
    """K^2 and lambda_1 are functions on Gamma: in the chart s with p = s + s^3/9 they are the same."""
    s = sp.Symbol("s", real=True)
    new = s + s**3 / 9
    other = Loss(
        name="other", variables=loss.variables, expression=loss.expression,
        minima=Minima(chart=(s,), point=tuple(e.subs(p, new) for e in loss.minima.point), start=(0.4,)),
    )  # fmt: skip
    ours, theirs = geometry_of(loss), geometry_of(other)
    for name in ("sharpness", "log_sharpness_gradient_squared"):
        difference = getattr(ours, name).subs(p, new) - getattr(theirs, name)
        assert abs(difference.subs(s, sp.Rational(2, 5)).evalf(30)) < 1e-25
