"""Truncated power series in delta, against SymPy's own ``series``, and what they refuse."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpflow.theory.edge.series import DELTA, NotEnoughOrders, NotSmooth, Series, SeriesRing
from sharpflow.theory.errors import InputError, NoClosedForm

X, Y = sp.symbols("x y", real=True)
R = sp.Symbol("r", positive=True)
ORDER = 4
RING = SeriesRing((R,), (X, Y), ORDER)
# Leading coefficients are units or squares of units; the rest is anything the ring holds.
A = R + X * DELTA + (Y**2 - R) * DELTA**3
B = R**2 + (X + 1) * DELTA - 3 * X * Y / R * DELTA**2 + DELTA**4
SMALL = X * DELTA + Y * DELTA**2


def coefficients(expression):
    """c_0, ..., c_ORDER by SymPy."""
    expanded = sp.series(expression, DELTA, 0, ORDER + 1).removeO()
    return [sp.expand(expanded).coeff(DELTA, k) for k in range(ORDER + 1)]


def agrees(series, expression):
    found, expected = series.coefficients, coefficients(expression)
    return len(found) == ORDER + 1 and all(
        sp.simplify(a.as_expr() - b) == 0 for a, b in zip(found, expected, strict=True)
    )


CASES = [
    A + B, A - B, 2 - A, A * B, SMALL * B, SMALL * SMALL * A, A / B, SMALL / A, 1 / B, sp.sqrt(B), SMALL / sp.sqrt(B),
    A**3, A**-2, B ** sp.Rational(3, 2), B ** sp.Rational(-1, 2), (1 + SMALL) / (1 - SMALL), sp.Rational(1, 3) * A + X,
]  # fmt: skip


@pytest.mark.parametrize("expression", CASES, ids=str)
def test_read_agrees_with_sympy(expression):
    assert agrees(RING.read(expression), expression)


def test_operators_are_those_of_python():
    a, b = RING.read(A), RING.read(B)
    for series, expression in (
        (2 * a - b / 3, 2 * A - B / 3), (X + a, X + A), (1 - a, 1 - A), (R / a, R / A), (0.5 * a, A / 2),
        (a**2 * b.sqrt(), A**2 * sp.sqrt(B)), (b**-0.5, 1 / sp.sqrt(B)), (b**0, sp.Integer(1)),
    ):  # fmt: skip
        assert isinstance(series, Series)
        assert agrees(series, expression)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=5, max_size=5), st.lists(st.integers(-4, 4), min_size=4, max_size=4))
def test_division_undoes_multiplication_and_squaring_the_root(p, q):
    a = RING.read(sum(c * X**i * DELTA**i for i, c in enumerate(p)))
    b = RING.read(R**2 + sum(c * Y * DELTA ** (i + 1) for i, c in enumerate(q)))
    for left, right in (((a * b) / b, a), (b.sqrt() * b.sqrt(), b), ((a / b) * b, a)):
        assert left.coefficients == right.coefficients


def test_a_quotient_by_a_power_of_delta_knows_less():
    ratio = R * SMALL / DELTA
    series = RING.read(R * SMALL) / RING.power(1)
    assert len(series.coefficients) == ORDER
    assert [series[k].as_expr() for k in range(ORDER)] == [ratio.expand().coeff(DELTA, k) for k in range(ORDER)]
    with pytest.raises(NotEnoughOrders, match=r"delta\^4 is not known"):
        _ = series[ORDER]
    # What is multiplied by delta^2 again is known as far as the ring goes, and no sum knows more than its parts.
    assert len((series * RING.power(2)).coefficients) == ORDER + 1
    assert len((series + RING.read(A)).coefficients) == ORDER
    assert len((series * RING.read(A)).coefficients) == ORDER


def test_the_root_of_a_square_of_delta_knows_less():
    """sqrt(delta^2 R^2 (1 + ...)): two orders go into the leading power, one comes back."""
    series = RING.read(R**2 * DELTA**2 + X * DELTA**3).sqrt()
    assert series.valuation == 1
    assert sp.expand(series[2].as_expr() - X / (2 * R)) == 0
    with pytest.raises(NotEnoughOrders):
        _ = series[ORDER]


def test_substitute():
    """x -> -x + delta r, in every coefficient; the result is that of substituting in the expression."""
    at = {X: RING.read(-X + R * DELTA), Y: RING.read(Y + X * DELTA**2)}
    expected = B.subs({X: -X + R * DELTA, Y: Y + X * DELTA**2}, simultaneous=True)
    assert agrees(RING.read(B).substitute(at), expected)
    known = RING.read(SMALL) / RING.power(1)
    assert len(known.substitute(at).coefficients) == ORDER


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: 1 / RING.read(X + DELTA), NotSmooth, "a division by x, which vanishes on Gamma"),
        (lambda: RING.read(X**2 + Y).sqrt(), NotSmooth, "square root of"),
        (lambda: RING.read(2 + DELTA).sqrt(), NoClosedForm, "the square root of 2"),
        (lambda: RING.read(R + DELTA).sqrt(), NoClosedForm, "the square root of r"),
        (lambda: RING.read(R * DELTA).sqrt(), NoClosedForm, "odd power of delta"),
        (lambda: RING.read(B) ** sp.Rational(1, 3), NoClosedForm, "neither an integer nor half of one"),
        (lambda: RING.read(sp.exp(DELTA)), NoClosedForm, "sums, products, powers and square roots"),
        (lambda: RING.constant(sp.sin(X)), NoClosedForm, "no polynomial over the rational functions"),
        (lambda: RING.read(A) / RING.zero, InputError, "divides by something that is 0 on Gamma"),
        (lambda: RING.read(A) / RING.power(1), InputError, "grows without bound"),
        (lambda: RING.read(A) / RING.zero.shift(-1), NotEnoughOrders, "to the order that is known"),
    ],
)
def test_what_is_refused(call, error, message):
    """NotSmooth is for what a rule does on Gamma; a root of a number that is not rational is only not covered."""
    with pytest.raises(error, match=message) as raised:
        call()
    assert type(raised.value) is error
