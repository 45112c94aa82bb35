"""What is proved of scale invariance, of the sphere and of regression: proved, and shown as it is."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.chart.flow import TAU, prove_closed_form, sharpness_flow
from sharpflow.theory.chart.geometry import double_angles, geometry_of, index_of_largest, tidy
from sharpflow.theory.chart.regression import kernel_chart, prove_kernel_decay, prove_regression_angle
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.sphere.homogeneous import euler_by_polynomials
from sharpflow.theory.sphere.invariance import (
    contracted_derivative,
    prove_euler,
    prove_euler_generic,
    prove_homogeneity,
    worst_of,
)
from sharpflow.theory.sphere.reduction import reduce_rule
from sharpflow.theory.sphere.statements import (
    prove_equilibrium_norm,
    prove_quasi_rmsprop,
    prove_rescaling,
    prove_sphere_map,
)

x, y, z = V = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
R2 = x**2 + y**2 + z**2
R = sp.sqrt(R2)
GD = reduce_rule(rules.get("gd-wd"))
ETA, DECAY = GD.parameters["learning_rate"], GD.parameters["weight_decay"]


def statements(proof):
    return [step.statement for step in proof.steps]


def test_euler_identities_are_shown_with_their_degrees():
    ridge = families.get("ridge").default()
    expected = ["grad L(w)[w] = 0", "Hess L(w)[w] = -grad L(w)", "D^3 L(w)[w] = -2*Hess L(w)"]
    assert statements(prove_euler(ridge)) == expected
    generic = prove_euler_generic()
    assert generic.status is Status.PROVED
    assert statements(generic)[:3] == expected
    assert [str(step.rhs) for step in generic.steps[3:]] == ["grad L(w)/c", "Hess L(w)/c**2"]
    assert [step.lhs.variable_count[0][1] for step in generic.steps[3:]] == [1, 2]
    (step,) = prove_homogeneity(ridge).steps
    assert (str(step.lhs), str(step.rhs)) == ("L(c*x, c*y, c*z)", "L(x, y, z)")
    assert (step.status, step.method, step.residual) == (Status.PROVED, "degree calculus", 0)
    for line in (step, *prove_euler(ridge).steps, *generic.steps):
        assert 0 <= line.seconds < 60
        assert line.residual == 0


def test_the_method_of_euler_is_told_with_its_entries():
    """sin(x/y) is not rational: every entry of D^k L is looked at, 1, 3 and 6 of them."""
    rational, other = (prove_euler(Loss("loss", V, e)) for e in (x * y / R2, sp.sin(x / y) + z / y))
    assert [step.method for step in rational.steps] == [f"polynomial arithmetic, {n} entries" for n in (1, 3, 6)]
    assert [step.method for step in other.steps] == [f"degree of each of {n} entries" for n in (1, 3, 6)]
    assert {step.residual for step in other.steps} == {0}
    # In two variables D^3 L(w)[w] has three independent entries.
    pair = prove_euler(Loss("two", (x, y), sp.sin(x / y)))
    assert [step.method for step in pair.steps] == [f"degree of each of {n} entries" for n in (1, 2, 3)]


def test_residuals_are_looked_at_one_by_one():
    assert (worst_of([]).status, worst_of([]).residual) == (Status.PROVED, 0)
    assert worst_of([(x + 1) ** 2 - x**2 - 2 * x - 1, sp.Integer(0)]).status is Status.PROVED
    found = worst_of([sp.Integer(0), x - 1])
    assert (found.status, found.residual) == (Status.REFUTED, x - 1)


def test_a_loss_that_no_calculus_covers_is_decided_by_its_expression():
    """The difference of two logarithms has degree 0 as a whole only; with a third one it has not."""
    whole = sp.log(R2) - sp.log(x**2 + 2 * y**2 + z**2)
    assert prove_homogeneity(Loss("logs", V, whole)).status is not Status.REFUTED
    assert prove_homogeneity(Loss("log", V, whole + sp.log(R2))).status is Status.REFUTED
    assert prove_euler(Loss("logs", V, whole)).status is not Status.REFUTED


@pytest.mark.parametrize("k", range(4))
def test_the_contracted_derivative_on_a_loss(k):
    """D^{k+1} L(w)[w, u, ..., u] = -k D^k L(w)[u, ..., u] along a line of a concrete loss, both differentiated."""
    loss = (x * y + z * R) / R2
    c, s = sp.Symbol("c", positive=True), sp.Symbol("s", real=True)
    at, along = dict(zip(V, (1, 2, 2), strict=True)), (1, -1, 3)
    line = loss.subs({v: c * at[v] + s * a for v, a in zip(V, along, strict=True)}, simultaneous=True)
    left = sp.diff(line, s, k, c).subs({s: 0, c: 1})
    right = sp.diff(line, s, k).subs({s: 0, c: 1})
    known = contracted_derivative(k).subs(sp.Symbol(f"h_{k}"), right)
    assert sp.simplify(left - known) == 0


# D^{k+1} f[w] = (m - k) D^k f for f of degree m: the identity of degree 0 holds where m = 0 or D^k f = 0.
@pytest.mark.parametrize(
    ("expression", "verdicts"),
    [
        (sp.Integer(3), (True, True, True)),
        (x * y / R2, (True, True, True)),
        ((x * y + z * R) / (x * R), (True, True, True)),
        (z / (3 * R) + x / (y + z), (True, True, True)),
        ((x * y + R2) / (5 * R**2) + z * R / (x**2 + y**2), (True, True, True)),
        (R**3 / (x**2 * y + z**3), (True, True, True)),
        (z**3 / R**3, (True, True, True)),
        (x * R**5 / y**6, (True, True, True)),
        (R**4 / (x * y**3) + z**5 / R**5, (True, True, True)),
        (x - 2 * y, (False, False, True)),
        (x * y, (False, False, False)),
        (1 / x, (False, False, False)),
        (R, (False, False, False)),
        (x / y + R, (False, False, False)),
        (x / (y * R), (False, False, False)),
    ],
    ids=str,
)
def test_euler_by_polynomials_for_every_degree(expression, verdicts):
    found = euler_by_polynomials(expression, V)
    assert tuple(holds for _, holds in found) == verdicts
    assert [count for count, _ in found] == [1, 3, 6]


@pytest.mark.parametrize("expression", [sp.exp(z / R), R + sp.sqrt(x**2 + y**2), sp.cbrt(R2), x / (1 + R), sp.sin(x)])
def test_what_polynomial_arithmetic_does_not_cover(expression):
    assert euler_by_polynomials(expression, V) is None


def numbers(**extra):
    """w = (2, 0) with grad L(w) = (0, 7/2), eta = 1/4, lambda = 1/3: eps = 1/12, |G(theta)| = |w| 7/2 = 7."""
    names = {"learning_rate": Fraction(1, 4), "weight_decay": Fraction(1, 3), "gradient_squared": Fraction(49),
             "norm_squared": Fraction(4)} | extra  # fmt: skip
    return lambda e: Fraction(str(sp.nsimplify(sp.sympify(e).subs({s: sp.Rational(names[s.name].numerator,
        names[s.name].denominator) for s in e.free_symbols}))))  # fmt: skip


def test_gradient_descent_on_the_sphere_at_a_hand_made_step():
    shrink = 1 - Fraction(1, 12)
    w_next = (2 * shrink, -Fraction(1, 4) * Fraction(7, 2))
    squared = w_next[0] ** 2 + w_next[1] ** 2
    before, after = Fraction(1, 4) / (shrink * 4), Fraction(1, 4) / (shrink * squared)
    at = numbers(effective_lr=before)
    proof = prove_sphere_map(GD)
    assert proof.status is Status.PROVED
    assert [at(step.rhs) for step in proof.steps] == [before, squared, squared, after]
    assert [str(step.lhs) for step in proof.steps][::3] == ["effective_lr", "effective_lr+"]
    assert GD.effective_lr == proof.steps[0].lhs

    recursion, forget = prove_quasi_rmsprop(GD).steps
    assert prove_quasi_rmsprop(GD).status is Status.PROVED
    # v = eta_in^2/effective_lr^2, here with eta_in = 1/5
    v = Fraction(1, 25) / before**2
    known = numbers(effective_lr=before, v=v, eta_in=Fraction(1, 5), beta=shrink**4)
    assert known(recursion.rhs) == Fraction(1, 25) / after**2
    assert known(forget.rhs) == Fraction(2, 25)
    # eta_in^2 = 2 eps: 1 - (1 - eps)^4 is 4 eps, to a relative 3 eps/2
    eps = 1e-6
    assert float(forget.rhs.subs({s: math.sqrt(2 * eps) for s in forget.rhs.free_symbols})) == pytest.approx(
        1 - (1 - eps) ** 4, rel=2 * eps
    )
    assert (str(recursion.lhs), str(forget.lhs)) == ("v+", "1 - beta")


def test_rescaling_is_shown_with_its_powers():
    proof = prove_rescaling(GD)
    assert proof.status is Status.PROVED
    c = sp.Symbol("c", positive=True)
    assert proof.steps[1].lhs.args == (GD.effective_lr, c**2 * ETA, DECAY / c**2)
    assert proof.steps[1].rhs.args == (GD.effective_lr, ETA, DECAY)
    # (2, 0) and c = 3: w = (6, 0), eta = 9/4, lambda = 1/27 and a gradient that is 3 times as small.
    step, gradient = Fraction(9, 4), Fraction(7, 6)
    moved = (6 * (1 - Fraction(1, 12))) ** 2 + (step * gradient) ** 2
    for side in (proof.steps[2].lhs, proof.steps[2].rhs):
        assert numbers(c=Fraction(3))(side) == moved


def test_the_norm_at_the_edge_is_that_of_its_effective_learning_rate():
    proof = prove_equilibrium_norm(GD)
    assert proof.status is Status.PROVED
    at = numbers(lambda_1=Fraction(6))
    exact = at(proof.steps[0].rhs)
    # eta/((1 - eps) |w|^2) = 2/lambda_1
    assert Fraction(1, 4) / (Fraction(11, 12) * exact) == Fraction(2, 6)
    small = numbers(lambda_1=Fraction(6), weight_decay=Fraction(1, 10**9))
    # as eps = eta lambda goes to 0; here it is 1/4 of 1e-9
    assert float(small(proof.steps[1].rhs)) == pytest.approx(float(small(proof.steps[0].rhs)), rel=1e-9)
    assert at(proof.steps[1].rhs) == Fraction(3, 4)


def slab(dimension):
    """Minimizers 1 + sum_i p_i k_i with k_i of length i + 1: lambda_1 = |zeta|^2/zeta_0^2 = 1/cos^2(alpha)."""
    w = sp.symbols(f"w0:{dimension + 2}", real=True)
    chart = sp.symbols(f"p1:{dimension + 1}", real=True)
    point = (1, *[(i + 1) * s for i, s in enumerate(chart)], 0)
    start = tuple(0.4 / (i + 1) for i in range(dimension))
    return Loss("slab", w, w[-1] ** 2 / (2 * w[0] ** 2), Minima(chart=chart, point=point, start=start))


@pytest.mark.parametrize("loss", [slab(2), families.get("bn-regression").default()], ids=["slab", "bn-regression"])
def test_the_angle_of_a_regression_by_numbers(loss):
    """alpha from zeta . w*, lambda_1 and K from the flow; d tan^2/d tau by a difference along the field."""
    proof = prove_regression_angle(loss)
    assert proof.status is Status.PROVED
    flow, geometry = sharpness_flow(loss), geometry_of(loss)
    origin, _ = kernel_chart(geometry)
    w0 = np.array(origin, dtype=float).ravel()
    names = flow.chart

    def tan2(at):
        zeta = np.array([float(sp.sympify(e).subs(dict(zip(names, at, strict=True)))) for e in flow.point])
        return (zeta @ zeta) * (w0 @ w0) / (zeta @ w0) ** 2 - 1

    def value(e, at):
        return float(sp.sympify(e).subs(dict(zip(names, at, strict=True))))

    here, there = np.array([0.3] * len(names)), np.array([-0.7] * len(names))
    k2, level, rate, solution = proof.steps
    assert level.statement == "d(lambda_1 cos^2 alpha)/dp = 0"
    shown = sp.Symbol("tan_alpha^2")
    assert float(k2.rhs.subs(shown, tan2(here))) == pytest.approx(value(flow.log_gradient_squared, here))
    assert value(flow.sharpness, here) / (1 + tan2(here)) == pytest.approx(
        value(flow.sharpness, there) / (1 + tan2(there))
    )
    velocity, h = np.array([value(f, here) for f in flow.field]), 1e-5
    slope = (tan2(here + h * velocity) - tan2(here - h * velocity)) / (2 * h)
    # central differences: h^2, and rounding 1e-16/h
    assert float(rate.rhs.subs(shown, tan2(here))) == pytest.approx(slope, abs=1e-8)
    assert rate.lhs == sp.Derivative(shown, TAU)
    # d/d tau of a solution that starts at 3 is -3 there
    assert solution.rhs.subs(TAU, 0).subs(sp.Symbol("tan_alpha_0", positive=True), 3) == -3


def test_the_kernel_component_is_shrunk_by_weight_decay():
    proof = prove_kernel_decay(slab(2), GD)
    assert proof.status is Status.PROVED
    assert numbers()(proof.steps[2].rhs) == Fraction(11, 12)
    assert statements(proof)[:2] == ["L(w + s k) - L(w) = 0", "<grad L(w), k> = 0"]
    # A loss that does see the chart's direction is refuted.
    (w0, w1, w2) = w = sp.symbols("w0:3", real=True)
    seen = Loss(
        "seen", w, w2**2 * (w0**2 + w1**2 + w2**2) / w0**4 / 2, Minima(chart=(p,), point=(1, p, 0), start=(0.3,))
    )
    refuted = prove_kernel_decay(seen, GD)
    assert [step.status is Status.REFUTED for step in refuted.steps] == [True, True, False]


def test_a_chart_that_is_not_orthogonal_to_its_origin_has_no_angle():
    from sharpflow.theory.errors import InputError

    (w0, _, w2) = w = sp.symbols("w0:3", real=True)
    loss = Loss("tilted", w, w2**2 / (2 * w0**2), Minima(chart=(p,), point=(1 + p, 2 + p, 0), start=(0.3,)))
    with pytest.raises(InputError, match="not defined"):
        kernel_chart(geometry_of(loss))


# lambda_1 = 1/cos^2 of the angle or cos^2 of it: tan falls or rises by exp(-+tau), p = sqrt(tan) by its root.
@pytest.mark.parametrize(
    ("expression", "point", "domain", "start", "expected"),
    [
        (z**2 / x**2, (1, p**2, 0), (0.1, 5), 0.7, "p_0*exp(-tau/2)"),
        (z**2 / x**2, (1, p**2, 0), (-5, -0.1), -0.7, "p_0*exp(-tau/2)"),
        (z**2 * x**2 / R2**2, (1, 1 + p**2, 0), (-5, -0.1), -0.7, "-sqrt(p_0**2*exp(tau) + exp(tau) - 1)"),
        (z**2 / x**2, (1, sp.exp(3 * p), 0), (-5, 5), 0.3, "p_0 - tau/3"),
    ],
    ids=str,
)
def test_closed_forms_in_other_charts(expression, point, domain, start, expected):
    loss = Loss("chart", V, expression / 2, Minima(chart=(p,), point=point, start=(start,), domain=(domain,)))
    flow = sharpness_flow(loss)
    known = sp.sympify(expected, locals={"tau": TAU, "p_0": sp.Symbol("p_0", real=True)})
    assert sp.simplify(flow.closed_form[p] - known) == 0
    assert prove_closed_form(flow).status is Status.PROVED
    at = {sp.Symbol("p_0", real=True): start}
    ends = [float(known.subs(at).subs(TAU, tau)) for tau in (0, 0.25)]
    gain = [float(flow.invariants[p].subs(p, end)) for end in ends]
    assert gain[1] - gain[0] == pytest.approx(0.25)


def test_double_angles_and_tidy_keep_the_value():
    for e in (sp.sin(p) ** 2, sp.cos(p) ** 2, sp.sin(p) * sp.cos(p), sp.sin(3 * p) ** 2 * sp.cos(p) ** 2 / 7,
              1 / (2 + sp.sin(p) ** 2) + sp.sin(p) * sp.cos(p)):  # fmt: skip
        assert abs((double_angles(e) - e).subs(p, sp.Rational(5, 7)).evalf(30)) < 1e-25
        assert abs((tidy(e) - e).subs(p, sp.Rational(5, 7)).evalf(30)) < 1e-25
    assert double_angles(sp.sin(p) ** 2) == sp.Rational(1, 2) - sp.cos(2 * p) / 2
    assert sp.count_ops(tidy(sp.cos(p) ** 2 - sp.sin(p) ** 2)) <= 2


def test_of_entries_of_one_size_the_first_is_the_largest():
    assert index_of_largest(sp.Matrix([1, -3, 3])) == 1
    assert index_of_largest(sp.Matrix([2, 1, 1])) == 0
    # Equal but for rounding: the choice does not depend on it.
    assert index_of_largest(sp.Matrix([sp.Float(1), sp.Float(1) + sp.Float("4e-15")])) == 0
    assert index_of_largest(sp.Matrix([1, 2 + sp.Float("1e-21") * sp.I])) == 1  # complex by rounding


def test_a_matrix_identity_is_checked_in_every_entry():
    assert prove_equal("t", sp.Matrix([p, 1]), sp.Matrix([p, 2])).status is Status.REFUTED
