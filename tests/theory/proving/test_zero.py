"""Deciding zero: proved only by an identity, refuted only with a witness, and undecided otherwise."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpflow.theory.kernel.terms import plain
from sharpflow.theory.proving.proof import Proof, Status, Step, combine
from sharpflow.theory.proving.zero import _rational, decide_zero, normal_form, prove_equal, witness_of

x, y, p, q = sp.symbols("x y p q", real=True)
c = sp.Symbol("c", positive=True)
n = sp.Symbol("n", integer=True)
f = sp.Function("f")
IDENTITIES = (
    (x + y) ** 2 - x**2 - 2 * x * y - y**2,
    1 / (x - 1) - 1 / (x + 1) - 2 / (x**2 - 1),
    sp.sin(2 * p) - 2 * sp.sin(p) * sp.cos(p),
    sp.cos(3 * p) - 4 * sp.cos(p) ** 3 + 3 * sp.cos(p),
    sp.cos(p + q) - sp.cos(p) * sp.cos(q) + sp.sin(p) * sp.sin(q),
    sp.sin(p / 2) ** 2 - (1 - sp.cos(p)) / 2,
    sp.tan(p) - sp.sin(2 * p) / (1 + sp.cos(2 * p)),
    sp.sec(p) ** 2 - sp.tan(p) ** 2 - 1,
    sp.cot(p) - sp.cos(p) / sp.sin(p),
    sp.cosh(p) ** 2 - sp.sinh(p) ** 2 - 1,
    sp.exp(p / 2) * sp.exp(p / 3) - sp.exp(5 * p / 6),
    sp.exp(2 * p) + sp.exp(-2 * p) - 2 * sp.cosh(2 * p),
    1 / (sp.sqrt(1 + p**2) - p) - sp.sqrt(1 + p**2) - p,
    sp.sqrt(1 + p**2) ** 3 - (1 + p**2) * sp.sqrt(1 + p**2),
    1 / (sp.sqrt(2) + sp.sqrt(3)) - sp.sqrt(3) + sp.sqrt(2),
    sp.sqrt(6) - sp.sqrt(2) * sp.sqrt(3),
    sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6)),
    sp.sqrt(1 - sp.cos(p) ** 2) - sp.Abs(sp.sin(p)),
    sp.diff(f(x) ** 2, x) - 2 * f(x) * sp.diff(f(x), x),
    c ** sp.Rational(3, 2) / sp.sqrt(c) - c,
)
FALSEHOODS = (
    x,
    sp.Rational(1, 3),
    (x + y) ** 2 - x**2 - y**2,
    sp.sin(2 * p) - sp.sin(p) * sp.cos(p),
    sp.cosh(p) ** 2 - sp.sinh(p) ** 2 + 1,
    sp.sqrt((x - y) ** 2) - (x - y),
    sp.sqrt(1 - sp.cos(p) ** 2) - sp.sin(p),
    sp.atan(p) + sp.atan(1 / p) - sp.pi / 2,
    sp.sin(n * sp.pi / 2) ** 2 - 1,
    sp.exp(p) - 1 - p - p**2 / 2,
    f(x) * f(y) - f(x * y),
    sp.diff(f(x), x) - f(x),
    x + sp.pi - sp.Rational(355, 113) - x,
)
# Zero or not, nothing here decides them; to say more would be a guess.
OPEN = (
    sp.Max(p, 100) - 100,
    sp.cos(sp.pi / 7) - sp.cos(2 * sp.pi / 7) + sp.cos(3 * sp.pi / 7) - sp.Rational(1, 2),
    sp.log(x * y) - sp.log(x) - sp.log(y),
    sp.nan,
    sp.zoo,
)


@pytest.mark.parametrize("identity", IDENTITIES, ids=str)
def test_identities_are_proved(identity):
    decision = decide_zero(identity)
    assert decision.status is Status.PROVED
    assert decision.residual == 0
    assert not decision.witness


@pytest.mark.parametrize("falsehood", FALSEHOODS, ids=str)
def test_falsehoods_are_refuted_with_a_witness(falsehood):
    decision = decide_zero(falsehood)
    assert decision.status is Status.REFUTED
    assert set(decision.witness) == {s.name for s in falsehood.free_symbols} | {"residual"}
    if not falsehood.has(f):  # the witness for a statement about every f is a point and an f
        point = {s: sp.Rational(decision.witness[s.name]) for s in falsehood.free_symbols}
        assert float(falsehood.subs(point)) == pytest.approx(float(decision.witness["residual"]), rel=1e-6)
        assert float(decision.witness["residual"]) != 0


@pytest.mark.parametrize("expression", OPEN, ids=str)
def test_what_no_method_closes_is_undecided(expression):
    assert decide_zero(expression).status is Status.UNDECIDED


@st.composite
def algebraic(draw):
    """An element of Q(p)[cos p, sin p, exp p, sqrt(1 + p^2)]."""
    atoms = (p, sp.sin(p), sp.cos(p), sp.exp(p), sp.sqrt(1 + p**2), sp.cos(2 * p))
    total = sp.Integer(0)
    for _ in range(draw(st.integers(1, 3))):
        term = sp.Rational(draw(st.integers(-4, 4)), draw(st.integers(1, 3)))
        for atom in draw(st.lists(st.sampled_from(atoms), min_size=1, max_size=3)):
            term *= atom
        total += term
    return total


@settings(max_examples=15, deadline=None)
@given(algebraic(), algebraic())
def test_the_normal_form_keeps_values_and_decides(a, b):
    quotient = (a + b) * (a - b) / (2 + sp.cos(p) + p**2)
    reduced = normal_form(quotient)
    at = {p: sp.Rational(7, 5)}
    # 15 digits are evaluated; cancellation costs at most the size of the terms, 1e4 here
    assert float(sp.N((quotient - reduced).subs(at))) == pytest.approx(0, abs=1e-9)
    assert decide_zero(quotient - (a**2 - b**2) / (2 + sp.cos(p) + p**2)).status is Status.PROVED
    assert decide_zero(quotient - (a**2 - b**2) / (2 + sp.cos(p) + p**2) - sp.sin(p) / 7).status is Status.REFUTED


def test_equal_arguments_of_functions_become_one_symbol():
    radius = sp.sqrt(sp.cos(p) ** 2 + sp.sin(p) ** 2)
    assert normal_form(sp.exp(sp.cos(p) / radius) - sp.exp(sp.cos(p))) == 0
    assert normal_form(sp.log(2 + sp.sin(p) / radius**2) - sp.log(2 + sp.sin(p))) == 0
    assert normal_form(sp.sin(sp.exp(x / (x + 1) + 1 / (x + 1))) - sp.sin(sp.E)) == 0
    assert normal_form(sp.tanh(sp.cos(p) / radius) - sp.sinh(sp.cos(p)) / sp.cosh(sp.cos(p))) == 0
    assert normal_form(sp.exp(sp.cos(p) / radius) - sp.exp(sp.sin(p))) != 0


# Found: SymPy's rewrite in exponentials went on into the argument, and lambda_1 came out complex.
def test_hyperbolic_functions_of_an_angle_stay_real():
    form = sp.tanh(sp.sin(2 * p) / 2) + sp.cosh(sp.cos(p))
    assert not normal_form(form).has(sp.I)
    assert not plain(form).has(sp.I)


# Found: a numerator that is zero, but not yet expanded, has degree -oo, and came out as nan.
def test_a_zero_that_is_not_expanded():
    assert normal_form(sp.sin(p) * (1 + x) - sp.sin(p) - sp.sin(p) * x) == 0


def test_a_witness_lies_in_the_domain():
    inside = {p: (sp.sqrt(2), 3), q: (-sp.oo, -5), x: (4, sp.oo)}
    witness = witness_of(p + q + x + 100, domain=inside)
    assert sp.sqrt(2) < sp.sympify(witness["p"]) < 3
    assert sp.sympify(witness["q"]) < -5
    assert sp.sympify(witness["x"]) > 4
    # An identity on the domain only is not refuted by a point off it.
    assert not witness_of(sp.Abs(p) - p, domain={p: (0, 1)})
    assert witness_of(sp.Abs(p) - p, domain={p: (-1, 0)})


def test_matrices_are_compared_entry_by_entry():
    left = sp.Matrix([sp.sin(p) ** 2, 1])
    assert prove_equal("t", left, sp.Matrix([1 - sp.cos(p) ** 2, 1])).status is Status.PROVED
    wrong = prove_equal("t", left, sp.Matrix([1 - sp.cos(p) ** 2, 2]))
    assert wrong.status is Status.REFUTED
    assert wrong.residual == -1
    assert prove_equal("t", sp.zeros(2, 2), 0).status is Status.PROVED
    # One open entry leaves the matrix undecided, one wrong entry refutes it all the same.
    assert prove_equal("t", sp.Matrix([0, OPEN[0]]), sp.zeros(2, 1)).status is Status.UNDECIDED
    assert prove_equal("t", sp.Matrix([OPEN[0], x]), sp.zeros(2, 1)).status is Status.REFUTED


def test_a_conjunction_is_as_good_as_its_worst_part():
    proved, open_, wrong = (Step("t", 0, 0, status=s) for s in (Status.PROVED, Status.UNDECIDED, Status.REFUTED))
    assert Proof("t", (proved, proved)).status is Status.PROVED
    assert Proof("t", (proved, open_)).status is Status.UNDECIDED
    assert Proof("t", (open_, wrong, proved)).status is Status.REFUTED
    assert Proof("t", (open_, wrong, proved)).failed() == (open_, wrong)
    assert Proof("t").status is Status.NONE
    assert combine([Status.PROVED, Status.NOT_APPLICABLE]) is Status.NOT_APPLICABLE


@pytest.mark.parametrize("attempt", range(6))
def test_samples_lie_inside_the_domain(attempt):
    """Within 2 of 0 on the line, within 2.1 of the end of a half-line, one third to four thirds where only positive."""
    s, positive, n = sp.Symbol("s", real=True), sp.Symbol("p", positive=True), sp.Symbol("n", integer=True)
    for index in range(3):
        assert -2 <= _rational(s, index, attempt, (-sp.oo, sp.oo)) <= 2
        assert -1.2 <= _rational(s, index, attempt, (-sp.oo, 1)) < 1
        assert 1 < _rational(s, index, attempt, (1, sp.oo)) <= 3.2
        assert 3 <= _rational(s, index, attempt, (3, 4)) <= 4
        assert sp.Rational(1, 3) <= _rational(positive, index, attempt, None) <= sp.Rational(4, 3)
        assert _rational(n, index, attempt, None) == 1 + index + attempt
        assert sp.Rational(1, 5) <= abs(_rational(s, index, attempt, None)) <= sp.Rational(6, 5)
    drawn = [_rational(s, index, attempt, None) for index in range(4)]
    assert len({abs(value) for value in drawn}) == 4
    assert {value > 0 for value in drawn} == {True, False}


@pytest.mark.parametrize(
    "e",
    [
        sp.sqrt(1 + 1 / p**2) ** 3 + p,
        1 / (sp.sqrt(1 + 1 / p**2) ** 3 + p),
        (sp.sqrt(1 + 1 / p**2) ** 3 + p) / (sp.sqrt(1 + 1 / p**2) ** 2 + q),
        sp.sqrt(2 + p) ** 3 / (sp.sqrt(3) + sp.sqrt(2 + p)),
        sp.tan(p) + 1 / sp.cos(p) ** 3,
        sp.cot(p) + p,
        sp.coth(p) + sp.tanh(p) ** 2,
    ],
)
def test_a_normal_form_has_the_same_value(e):
    at = {p: sp.Rational(7, 10), q: sp.Rational(9, 7)}
    assert abs(sp.N((normal_form(e) - e).subs(at), 20)) < 1e-18
