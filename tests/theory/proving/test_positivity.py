"""Strict inequalities over a domain: proved by enclosures, refuted by a point of the domain, else undecided."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpflow.theory.proving.positivity import _rational_inside, prove_positive
from sharpflow.theory.proving.proof import Status

p, q = sp.symbols("p q", real=True)
HALF = sp.Rational(1, 2)
PROVED, REFUTED, UNDECIDED = Status.PROVED, Status.REFUTED, Status.UNDECIDED
LINE = (-sp.oo, sp.oo)

TABLE = [
    # expression, domain of p, verdict
    (sp.Integer(3), LINE, PROVED),
    (sp.Rational(1, 10**40), LINE, PROVED),
    (sp.Integer(0), LINE, REFUTED),
    (sp.pi - 3, LINE, PROVED),
    (1 + p**2, LINE, PROVED),
    (p**2 - p + 1, LINE, PROVED),
    (1 / (p**2 - p + 1), LINE, PROVED),
    (p**2 - p + HALF**3, LINE, REFUTED),
    (p**2 - p + HALF**2, LINE, UNDECIDED),  # touches 0 at a point that is on no grid
    (2 + sp.cos(2 * p) + sp.sin(p) / 3, LINE, PROVED),
    (1 + sp.cos(2 * p), LINE, UNDECIDED),
    (sp.cos(p), (-1, 1), PROVED),
    (sp.cos(p), (-2, 2), REFUTED),
    (p, (0, 1), PROVED),  # the domain is open
    (p * (1 - p), (0, 1), PROVED),
    (p, (0, sp.oo), PROVED),
    (1 - p, (-sp.oo, 1), PROVED),
    (p - 1, (0, sp.oo), REFUTED),
    (sp.exp(p) - p / 2, LINE, UNDECIDED),  # true, but there is no enclosure on the whole line
    (sp.exp(p) - p / 2, (-3, 3), PROVED),
    (sp.log(p), (2, 3), PROVED),
    (sp.log(p), (HALF, 3), REFUTED),
    (sp.log(p), (-1, HALF), REFUTED),
    (sp.sqrt(p) - HALF, (1, 2), PROVED),
    (1 / p, (-1, 1), REFUTED),
    (1 / p**2, (-1, 1), UNDECIDED),  # not defined at 0
    ((p - sp.Rational(1, 3)) ** 2 + sp.Rational(1, 10**12), (0, 1), UNDECIDED),  # true, but too close to tell
    (sp.Abs(p) + 1, (-1, 1), PROVED),
    (sp.DiracDelta(p), (-1, 1), UNDECIDED),  # mpmath has no such function
]


@pytest.mark.parametrize(("expression", "interval", "verdict"), TABLE, ids=str)
def test_verdicts(expression, interval, verdict):
    step = prove_positive("t", expression, domain={p: interval})
    assert step.status is verdict, step.method
    assert bool(step.witness) == (verdict is REFUTED)


# Each was found: a rounding error of the right sign was taken for a positive number.
@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_is_zero_is_not_positive(sign):
    zero = sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6))
    step = prove_positive("t", sign * zero, domain={})
    assert step.status is REFUTED
    assert step.witness == {"value": "0"}
    sevenths = sp.cos(sp.pi / 7) - sp.cos(2 * sp.pi / 7) + sp.cos(3 * sp.pi / 7) - HALF  # zero, but who can tell
    assert prove_positive("t", sign * sevenths, domain={}).status is UNDECIDED


def test_a_number_that_is_not_real_is_not_compared():
    assert prove_positive("t", sp.I, domain={}).status is UNDECIDED


# Found: grid points fell outside a domain with irrational ends, and refuted what holds on it.
def test_no_witness_lies_outside_a_domain_with_irrational_ends():
    assert prove_positive("t", p - sp.Rational(7, 5), domain={p: (sp.sqrt(2), 3)}).status is PROVED
    step = prove_positive("t", p - 2, domain={p: (sp.sqrt(2), sp.pi)})
    assert step.status is REFUTED
    assert sp.sqrt(2) < sp.Rational(step.witness["p"]) < 2


def test_irrational_ends_are_moved_in_by_a_billionth_of_a_thousandth():
    low, high = _rational_inside(sp.sqrt(2), sp.pi)
    margin = sp.Rational(1, 10**12) * (sp.pi - sp.sqrt(2))
    assert float((low - sp.sqrt(2)) / margin) == pytest.approx(1, rel=0.01)
    assert float((sp.pi - high) / margin) == pytest.approx(1, rel=0.01)
    assert _rational_inside(sp.Rational(1, 3), 2) == (sp.Rational(1, 3), 2)


def test_two_coordinates():
    domain = {p: (-2, 2), q: (-2, 2)}
    assert prove_positive("t", 3 + (p**2 - p * q) / (1 + p**2 + q**2), domain=domain).status is PROVED
    step = prove_positive("t", p**2 + q - 1, domain=domain)
    assert step.status is REFUTED
    assert float((p**2 + q - 1).subs({p: step.witness["p"], q: step.witness["q"]})) <= 0


def test_a_bound():
    assert prove_positive("t", 2 + sp.cos(p), domain={}, bound=HALF).status is PROVED
    assert prove_positive("t", 2 + sp.cos(p), domain={}, bound=2).status is REFUTED


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=4),
    st.tuples(st.integers(-3, 3), st.integers(1, 4)),
    st.booleans(),
)
def test_a_proof_is_never_wrong(coefficients, interval, trigonometric):
    """What is proved is positive at many points, what is refuted is not at its witness."""
    inner = sp.cos(p) if trigonometric else p
    expression = sum((k * inner**i for i, k in enumerate(coefficients)), sp.Integer(0))
    low, high = interval[0], interval[0] + interval[1]
    step = prove_positive("t", expression, domain={p: (low, high)})
    points = [low + (high - low) * sp.Rational(i, 97) for i in range(1, 97)]
    values = [float(expression.subs(p, v)) for v in points]
    if step.status is PROVED:
        assert min(values) > 0
    elif step.status is REFUTED and expression.free_symbols:
        at = sp.Rational(step.witness["p"])
        assert low < at < high
        assert float(expression.subs(p, at)) <= 1e-12  # rounding of numbers of order one
    if min(values) <= -1e-9:
        assert step.status is not PROVED
