"""Scale invariance and the Euler identities, for every built-in loss and for losses of other kinds."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings

from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.zero import decide_zero, witness_of
from sharpflow.theory.sphere.homogeneous import degree, euler_by_polynomials
from sharpflow.theory.sphere.invariance import prove_euler, prove_euler_generic, prove_homogeneity
from tests.theory.members import members

x, y, z = sp.symbols("x y z", real=True)
c = sp.Symbol("c", positive=True)
R2 = x**2 + y**2 + z**2
R = sp.sqrt(R2)
V = (x, y, z)


@settings(max_examples=8, deadline=None)
@given(members())
def test_every_member_is_scale_invariant_and_obeys_euler(loss):
    assert prove_homogeneity(loss).status is Status.PROVED
    euler = prove_euler(loss)
    assert euler.status is Status.PROVED
    assert len(euler.steps) == 3


@settings(max_examples=10, deadline=None)
@given(members())
def test_euler_by_numbers_alone(loss):
    """The same identities at one point in 50-digit arithmetic, by differences of the expression itself."""
    f = sp.lambdify(loss.variables, loss.expression, "mpmath")
    w = [sp.Rational(3 + 2 * i, 7 - i) for i in range(loss.dimension)]
    import mpmath

    with mpmath.workdps(50):
        # D^k L(w)[w, ..., w] = (d/dt)^k L((1 + t) w) at 0, and L(c w) is constant in c: they all vanish.
        values = [f(*[mpmath.mpf(v.p) / v.q * (1 + mpmath.mpf(t) / 8) for v in w]) for t in (-2, -1, 0, 1, 2)]
        assert max(abs(v - values[2]) for v in values) < mpmath.mpf(10) ** -45


# Not of the kinds the families are of: functions, other radicals, absolute values, roots inside functions.
OTHERS = [
    sp.exp(z / R),
    sp.atan(x / y) ** 2,
    sp.log(R2) - sp.log(x**2 + 2 * y**2 + z**2),
    sp.Abs(z) / R,
    sp.cbrt(x**4 + y**4 + z**4) / R ** sp.Rational(4, 3),
    (x * y + z * R) / R2,
    sp.sqrt(x**2 + y**2) * z / R2,
    sp.sin(x / R) * sp.sqrt(x**2 + 2 * z**2) / R,
    1 - (x + 2 * y) / R,
]


@pytest.mark.parametrize("expression", OTHERS, ids=str)
def test_other_kinds_of_losses(expression):
    loss = Loss(name="other", variables=V, expression=expression)
    homogeneity, euler = prove_homogeneity(loss), prove_euler(loss)
    assert Status.REFUTED not in (homogeneity.status, euler.status)
    # A difference of logarithms has degree 0 only as a whole, which no rule of the calculus sees; |z| has no second
    # derivative at z = 0. Both stay open, at worst.
    if not expression.has(sp.log, sp.Abs):
        assert (homogeneity.status, euler.status) == (Status.PROVED, Status.PROVED)


@pytest.mark.parametrize("k", [-2, -1, 1, 2])
def test_euler_is_refuted_for_every_other_degree(k):
    proof = prove_euler(Loss(name="other", variables=V, expression=R**k * z / R))
    assert proof.status is Status.REFUTED
    assert all(step.witness for step in proof.steps if step.status is Status.REFUTED)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (x**2 * y / z, 2),
        (sp.Integer(0), 0),
        (sp.pi, 0),
        (R, 1),
        (1 / R**3, -3),
        (sp.exp(x / y) * z, 1),
        (sp.Abs(x * y), 2),
        ((x / y) ** (z / y), 0),
        ((x + y) * x - x * y, 2),
        (x + y**2, None),
        (sp.exp(x), None),
        (x ** (x / y), None),
        (x**2 + x * (y + z * R / x), 2),
    ],
    ids=str,
)
def test_degree(expression, expected):
    found = degree(expression, V)
    assert found == expected
    if found is not None:
        scaled = expression.subs({v: c * v for v in V}, simultaneous=True)
        assert decide_zero(scaled - c**found * expression).status is Status.PROVED


def test_a_symbol_that_is_no_variable_has_degree_zero():
    assert degree(c * x, V) == 1
    assert degree(c**2, V) == 0


@settings(max_examples=8, deadline=None)
@given(members("ridge", "conic", "surface", "two-layer", "rayleigh", "crossing"))
def test_polynomial_arithmetic_agrees_with_the_derivatives_of_the_expression(loss):
    verdicts = euler_by_polynomials(loss.expression, loss.variables)
    assert verdicts is not None
    assert all(holds for _, holds in verdicts)
    d = loss.dimension
    assert [count for count, _ in verdicts] == [1, d, d * (d + 1) // 2]
    # A loss of degree one fails it, and an entry of the derivatives of the expression is a witness.
    broken = loss.expression * loss.variables[0]
    assert not any(holds for _, holds in euler_by_polynomials(broken, loss.variables))
    assert witness_of(sum(v * sp.diff(broken, v) for v in loss.variables))


def test_the_generic_proof_needs_no_loss():
    proof = prove_euler_generic()
    assert proof.status is Status.PROVED
    assert len(proof.steps) == 5
