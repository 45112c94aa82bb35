"""Inequalities that hold by convexity, monotonicity or squares, and their planted opposites."""

from __future__ import annotations

import pytest
import sympy as sp

from sharpflow import prove
from sharpflow.theory.proving.calculus import sign_by_calculus
from sharpflow.theory.proving.sign import prove_sign

SYMBOLS = {"x": "real", "y": "real", "b": "real", "c": "real", "a": "positive", "d": "positive"}

RIGHT = (
    "exp(x) >= 1 + x", "log(a) <= a - 1", "sin(a) < a", "cos(x) >= 1 - x^2/2", "tanh(a) < a", "exp(x*y) >= 1 + x*y",
    "a*log(a) >= -exp(-1)", "exp(-a) <= 1/(1 + a)", "sqrt(1 + a) <= 1 + a/2", "abs(x + y) <= abs(x) + abs(y)",
    "x^2 + x*y + y^2 >= 0", "b^2 + c^2 = 1 => b <= 1", "b^2 + c^2 = 1 => b + c <= sqrt(2)",
    "b^2 + c^2 = 1 => b*c <= 1/2", "b^2 + c^2 <= 1 => b >= -1", "x^2 <= 4 => x <= 2",
    "x*y = 1; x > 0 => x + y >= 2", "x < y => exp(x) < exp(y)",
    "a < d => a^2 < d^2", "log(a*d^2) = log(a) + 2*log(d)", "log(a*b^2) = log(a) + 2*log(abs(b))",
)  # fmt: skip
# Each of these fails somewhere, most of them where the right one is an equality.
WRONG = (
    "exp(x) > 1 + x", "log(a) < a - 1", "exp(x) >= 1 + x + x^2/2", "cos(x) <= 1 - x^2/2", "sin(x) <= x",
    "exp(x) >= 1 + y", "log(b*c) = log(b) + log(c)",
    "abs(x + y) < abs(x) + abs(y)", "x^2 + 3*x*y + y^2 >= 0", "b^2 + c^2 = 1 => b < 1", "b^2 + c^2 = 1 => b <= 9/10",
    "b^2 + c^2 = 1 => b*c < 1/2", "x*y = 1; x > 0 => x + y > 2", "x < y => x^2 < y^2", "x <= y => exp(x) < exp(y)",
    "a*log(a) >= 0", "tanh(x) <= x", "log(a*d^2) = log(a) + 3*log(d)", "b^2 + c^2 >= 1 => b <= 1",
)  # fmt: skip


@pytest.mark.parametrize("statement", RIGHT)
def test_what_calculus_and_squares_decide(statement):
    assert prove(statement, symbols=SYMBOLS).proof == "proved"


@pytest.mark.parametrize("statement", WRONG)
def test_no_opposite_is_proved(statement):
    assert prove(statement, symbols=SYMBOLS).proof != "proved"


def test_a_constant_is_not_above_itself_because_its_derivative_is_not_negative():
    a, x = sp.symbols("a x", positive=True)

    def sees(f, strict, domain):
        return bool(f.is_positive or (not strict and f.is_nonnegative))

    flat = sp.exp(x) * sp.exp(-x, evaluate=False) - 1
    assert not sign_by_calculus(sp.cosh(x) ** 2 - sp.sinh(x) ** 2 - 1, True, {}, sees)
    assert not sign_by_calculus(flat, True, {}, sees)
    # exp(k x) rises only where k > 0.
    k = sp.Symbol("k", nonnegative=True)
    assert not sign_by_calculus(sp.exp(k * x) - 1, True, {}, sees)
    assert sign_by_calculus(sp.exp(a * x) - 1, True, {}, sees)


def test_a_bound_that_a_root_attains_and_no_bound_below_it():
    p = sp.Symbol("p", real=True)
    k = sp.sqrt(sp.cos(4 * p) / 2 + sp.Rational(1, 2))

    def proved(*statement):
        return prove_sign("", *statement, domain={p: (-3, 3)}).status.value == "proved"

    speed, two_fifths = 2 * k / (4 + k**2), sp.Rational(2, 5)
    assert proved(k, "<=", 1)
    assert proved(speed, "<=", two_fifths)
    assert proved(-1, "<=", -k)
    assert proved(1 / (2 + k), ">=", sp.Rational(1, 3))
    for wrong in ((k, "<", 1), (k, ">=", 1), (speed, "<=", sp.Rational(39, 100)), (1 / (2 - 3 * k), ">=", -1)):
        assert not proved(*wrong)
