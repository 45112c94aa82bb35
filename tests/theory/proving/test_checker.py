"""The independent checker: true identities pass, those with one coefficient changed do not, the rest is left open."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random
from typing import Any

import pytest
import sympy as sp

from sharpflow.theory import families
from sharpflow.theory.derivation.derivation import Derivation, derive
from sharpflow.theory.proving import zero
from sharpflow.theory.proving.checker import DEGREES, RATIONAL, _Point, confirm, confirm_step
from sharpflow.theory.proving.proof import Status, Step

x, y, p, q = sp.symbols("x y p q", real=True)
a, b = sp.symbols("a b", positive=True)
n = sp.Symbol("n", integer=True)
f = sp.Function("f")
sin, cos, tan, exp, sqrt = sp.sin, sp.cos, sp.tan, sp.exp, sp.sqrt

TRUE = (
    (1 / (x - 1) - 1 / (x + 1), 2 / (x**2 - 1)),
    (sin(2 * p), 2 * sin(p) * cos(p)),
    (cos(p - q / 2), cos(p) * cos(q / 2) + sin(p) * sin(q / 2)),
    (sin(p / 2) ** 2, (1 - cos(p)) / 2),
    (tan(p), sin(2 * p) / (1 + cos(2 * p))),
    (cos(p + q + sp.pi / 2), -sin(p + q)),
    (cos(p + sp.pi / 2, evaluate=False), -sin(p)),
    (sin(p - sp.pi / 2, evaluate=False), -cos(p)),
    (p * cos(p) ** 2, p - p * sin(p) ** 2),
    (exp(p / 2) * exp(q / 3), exp(p / 2 + q / 3)),
    (exp(x * y) + exp(-x * y), 2 * sp.cosh(x * y)),
    (1 / (sqrt(1 + p**2) - p), sqrt(1 + p**2) + p),
    (1 / (sqrt(2) + sqrt(3)), sqrt(3) - sqrt(2)),
    (sqrt(4 + 4 * cos(p) ** 2), 2 * sqrt(1 + cos(p) ** 2)),
    (sqrt(a**2 + 2 * a * b + b**2), a + b),
    (sqrt(1 - x**2) ** 3 / (1 + x), (1 - x) * sqrt(1 - x**2)),
    (sp.Matrix([[sin(p) ** 2 + cos(p) ** 2, x]]), sp.Matrix([[1, x]])),
)
FALSE = (
    (1 / (x - 1) - 1 / (x + 1), 1 / (x**2 - 1)),
    (n * (n + 1), n**2 - n),
    (sin(2 * p), sin(p) * cos(p)),
    (cos(3 * p), 3 * cos(p) ** 3 - 3 * cos(p)),
    (cos(p - q / 2), cos(p) * cos(q / 2) - sin(p) * sin(q / 2)),
    (sin(p / 2) ** 2, 1 - cos(p)),
    (cos(p + q + sp.pi / 2), sin(p + q)),
    (exp(x) + exp(-x), sp.cosh(x)),
    (1 / (sqrt(1 + p**2) - p), sqrt(1 + p**2) - p),
    (sqrt(4 + 4 * cos(p) ** 2), 4 * sqrt(1 + cos(p) ** 2)),
    (sqrt(a**2 + 2 * a * b + b**2), a - b),
    (exp(p), 1 + p + p**2 / 2),
    (sp.pi * x, sp.Rational(355, 113) * x),
    (x / 10**30, 0),
    (sp.Matrix([[1, x], [y, 4 * x]]), sp.Matrix([[1, x], [y, 3 * x]])),
)
OPEN = (
    (sp.log(a * b), sp.log(a) + sp.log(b), "log"),
    (sp.Derivative(f(x), x), f(x), "Derivative"),
    (1.5 * x, 3 * x / 2, "Float"),
    (sp.Abs(x), x, "Abs"),
    (x**y, x**y, "exponent y"),
    (cos(sp.pi / 7), x, "pi/2"),
    (sqrt(1 + sqrt(1 + x**2)), x, "expression with roots"),
    (sqrt(x**2 + 2 * x * y + y**2), x + y, "signs of the roots"),  # true for half of the points only
    (sp.E + sp.pi, sp.E * sp.pi, "e and pi"),
    (1 / (sin(p) ** 2 + cos(p) ** 2 - 1), x, "division by zero"),
    (((x**200 + 1) ** 200 + 1) ** 200, x, "degree"),
    (1 / ((x**200 + 1) ** 200 + 1) ** 200, x, "degree"),
    (x**201, x, "exponent 201"),
)


@pytest.mark.parametrize(("lhs", "rhs"), TRUE)
def test_true_identities_pass(lhs: Any, rhs: Any) -> None:
    found = confirm(lhs, rhs)
    assert (found.status, found.points, found.reason) == (Status.PROVED, 4, "")
    assert found.error_bound < 1e-20


@pytest.mark.parametrize("place", range(4))
def test_a_degree_above_the_limit_is_refused_wherever_it_comes_from(place: int) -> None:
    """Of the numerators and of the denominators of both factors."""
    point, one = _Point({}, Random(0)), {RATIONAL: Fraction(1)}
    for top, refused in ((DEGREES - 3, False), (DEGREES - 2, True)):
        degrees = [1, 1, 1, 1]
        degrees[place] = top
        pair = (one, *degrees[:2]), (one, *degrees[2:])
        if refused:
            with pytest.raises(NotImplementedError, match="degree"):
                point.times(*pair)
        else:
            assert point.times(*pair)[1:] == (degrees[0] + degrees[2], degrees[1] + degrees[3])


def test_the_chance_of_an_error_with_a_root_by_hand() -> None:
    """Sqrt(1 + p^4) counts as of degree 2, and each root that varies doubles what may be zero."""
    root = sqrt(1 + p**4)
    assert _Point({}, Random(0)).root(1 + p**4)[1:] == (2, 0)
    assert _Point({}, Random(0)).root(1 + p**3)[1:] == (2, 0)
    found = confirm((root + p**2) * (root - p**2), sp.S.One)
    assert found.status is Status.PROVED
    assert found.error_bound / (2 * 4 / 2**40) ** 4 == pytest.approx(1, rel=1e-13)


@pytest.mark.parametrize(
    ("lhs", "rhs", "top", "bottom"),
    [
        # A polynomial of degree 2; divisors of degree 1 and 2; cosine and sine of p over 1 + q^2: 4 for either side.
        ((x - 1) * (x + 1), x**2 - 1, 2, 0),
        (1 / (x - 1), (x + 1) / (x**2 - 1), 2, 3),
        (sin(2 * p), 2 * sin(p) * cos(p), 8, 0),
        (sp.cosh(x) ** 2 - sp.sinh(x) ** 2, sp.S.One, 8, 0),
    ],
)
def test_the_chance_of_an_error_by_hand(lhs: Any, rhs: Any, top: int, bottom: int) -> None:
    """(N/(R - M))^points, N and M the degrees of what is compared and of what is divided by."""
    assert confirm(lhs, rhs).error_bound / (top / (2**40 - bottom)) ** 4 == pytest.approx(1, rel=1e-13)


@pytest.mark.parametrize(("lhs", "rhs"), FALSE)
def test_one_changed_coefficient_is_found(lhs: Any, rhs: Any) -> None:
    found = confirm(lhs, rhs)
    assert found.status is Status.REFUTED
    assert found.witness


@pytest.mark.parametrize(("lhs", "rhs", "reason"), OPEN)
def test_the_rest_is_left_open(lhs: Any, rhs: Any, reason: str) -> None:
    found = confirm(lhs, rhs)
    assert found.status is Status.UNDECIDED
    assert reason in found.reason


def test_the_derivation_of_ridge(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []
    decide = zero.decide_zero

    def record(residual: Any, **options: Any) -> zero.Decision:
        decision = decide(residual, **options)
        compared.extend([residual] * (decision.status is Status.PROVED and residual != 0))
        return decision

    monkeypatch.setattr(zero, "decide_zero", record)
    derivation: Derivation = derive(families.get("ridge").default())
    steps = [s for s in derivation.steps if s.relation == "=" and s.status is Status.PROVED]
    shown = [confirm_step(step) for step in steps]
    # Most steps show names ("grad L(w)[w]") for what was compared: the residuals themselves are what can be checked.
    residuals = Counter(confirm(residual, 0).status for residual in compared)
    named = [c for c in shown if c.reason]
    print(Counter(c.status for c in shown), residuals, Counter(c.reason.split(":")[0] for c in named))
    assert all(c.status is not Status.REFUTED for c in shown)
    assert len(shown) - len(named) >= 15
    assert residuals[Status.REFUTED] == 0
    assert residuals[Status.PROVED] >= 0.5 * len(compared) > 0


def test_a_name_of_one_side_refutes_nothing_and_a_changed_step_does() -> None:
    assert confirm_step(Step("a name", x, 2 * y)).status is Status.UNDECIDED
    assert confirm_step(Step("an inequality", x**2, 0, ">=")).status is Status.UNDECIDED
    assert confirm_step(Step("a lost factor", sin(2 * p), sin(p) * cos(p))).status is Status.REFUTED
