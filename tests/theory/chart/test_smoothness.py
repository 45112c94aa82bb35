"""Smoothness near Gamma, by composition, by one-sided derivatives and by automatic differentiation."""

import pytest
import sympy as sp

from sharpflow.numerics.inspection.kinks import derivative_jump
from sharpflow.theory import families
from sharpflow.theory.chart.smoothness import _conditions, prove_smoothness
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.proving.proof import Status

x, y, z = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
r2 = x**2 + y**2 + z**2
s = z / sp.sqrt(r2)
CIRCLE = Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0), start=(0.35,), domain=((-3, 3),))
SMOOTH = {
    "fifth power": s**2 + sp.Abs(s) ** 5,
    "exponential": s**2 * sp.exp(s),
    "root": sp.sqrt(1 + s**2) - 1,
    "maximum away from its tie": sp.Max(s**2, 2 * s**2 - 1),
    "logarithm": sp.log(1 + s**2),
    "modulus away from 0": s**2 * sp.Abs(2 + s),
}
ROUGH = {
    "cube of a modulus": (s**2 + sp.Abs(s) ** 3, "3"),
    "power below four": (s**2 + sp.Abs(s) ** sp.Rational(7, 2), "4"),
    "two pieces": (sp.Piecewise((s**2, z > 0), (2 * s**2, True)), "2"),
    "modulus": (sp.Abs(s), "1"),
}


def loss_of(expression, name):
    return Loss(name=name, variables=(x, y, z), expression=expression, minima=CIRCLE)


@pytest.mark.parametrize(
    ("expression", "conditions"),
    [
        (x**3 * sp.sin(y), []),
        (1 / (x - 3), [(x - 3) ** 2]),
        (sp.sqrt(x - 3), [x - 3]),
        (sp.Abs(x - 3), [(x - 3) ** 2]),
        (sp.log(x - 3), [x - 3]),
        (sp.tan(x), [sp.cos(x) ** 2]),
        (sp.cot(x), [sp.sin(x) ** 2]),
        (sp.asin(x), [1 - x**2]),
        (sp.acosh(x), [x - 1]),
        (sp.Max(x, y, z), [(x - y) ** 2, (x - z) ** 2, (y - z) ** 2]),
        (sp.exp(1 / sp.log(x)), [x, sp.log(x) ** 2]),
        (sp.Abs(x) ** 5, []),
        (x**2 * sp.Abs(x) ** 3, []),
        (sp.Abs(x) ** 3, [x**2]),
        (sp.Abs(x) ** sp.Rational(9, 2), []),
    ],
)
def test_what_must_be_positive(expression, conditions):
    found = [condition for _, condition in _conditions(expression)]
    assert sorted(map(sp.expand, found), key=str) == sorted(map(sp.expand, conditions), key=str)


@pytest.mark.parametrize("name", families.names())
def test_every_family_is_smooth(name):
    loss = families.get(name).default()
    proof = prove_smoothness(loss)
    assert proof.status is Status.PROVED
    assert len(proof.steps) > 1  # there is a denominator at least, since no polynomial is scale-invariant


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth(name):
    loss = loss_of(SMOOTH[name], name)
    assert prove_smoothness(loss).status is Status.PROVED
    assert derivative_jump(loss) < 0.01


@pytest.mark.parametrize("name", ROUGH)
def test_rough_with_the_order_of_the_jump(name):
    expression, order = ROUGH[name]
    loss = loss_of(expression, name)
    proof = prove_smoothness(loss)
    assert proof.status is Status.REFUTED
    assert proof.steps[-1].witness["k"] == order
    assert proof.steps[-1].witness["u"] == "along z"
    assert derivative_jump(loss) > 0.2


def test_a_failed_condition_alone_decides_nothing():
    # cos(sqrt(u)) is analytic in u, but its parts are not at u = 0.
    loss = loss_of(1 - sp.cos(sp.sqrt(s**2 * (1 + s))), "hidden")
    assert prove_smoothness(loss).status is Status.UNDECIDED
    assert "decides nothing" in prove_smoothness(loss).steps[-1].note
