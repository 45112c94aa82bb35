"""The law of a rule at numbers, roots of quadratic factors, closed forms of one coordinate: by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import sympy as sp

from theory import rules
from theory.edge_jets import EdgeJets
from theory.edge_law import edge_law
from theory.flow import TAU, _solve, initial
from theory.geometry import _roots, _square_root

T = sp.Symbol("t", positive=True)


def test_the_energy_coefficient_at_numbers():
    # c = 2 (3 K^2 + 8)/(K^2 + 4) - 4 B/(K^2 + 4)^2 + 4 Q/(3 (K^2 + 4)), Q = c_4 - 3 c_3^2 - 3 sum c_21j^2/m_j
    law = edge_law(rules.get("gd-wd"))
    jets = EdgeJets(*(sp.Rational(*v) for v in ((3, 2), (5, 7), (2, 3), (11, 5), (1, 4))))
    k2, bend, cubic, quartic, mixed = 1.5, 5 / 7, 2 / 3, 11 / 5, 1 / 4
    q = quartic - 3 * cubic - 3 * mixed
    wanted = 2 * (3 * k2 + 8) / (k2 + 4) - 4 * bend / (k2 + 4) ** 2 + 4 * q / (3 * (k2 + 4))
    assert float(law.coefficient_on(jets)) == pytest.approx(wanted, rel=1e-12)


def test_what_is_said_of_tracking_follows_the_multipliers():
    gd, momentum = edge_law(rules.get("gd-wd")), edge_law(rules.get("heavy-ball"))
    assert gd.largest_multiplier < 1
    assert "another multiplier" not in gd.tracking
    # momentum 1/2: the product of the two multipliers of a direction is 1/2, whatever its curvature
    assert momentum.largest_multiplier == pytest.approx(0.5**0.5, rel=1e-9)
    # no edge, and nothing that is damped there
    assert edge_law(rules.get("normalized-gd")).largest_multiplier == 0


@pytest.mark.parametrize(
    ("coefficients", "roots"),
    [
        ((5, 6), (2, 3)),
        ((sp.Rational(7, 2), sp.Rational(3, 2)), (3, sp.Rational(1, 2))),
        ((2 * T, T**2 - 2), (T + sp.sqrt(2), T - sp.sqrt(2))),
        ((3, 1), ((3 + sp.sqrt(5)) / 2, (3 - sp.sqrt(5)) / 2)),
        # 2 mu^2 - 5 mu + 1, whose leading coefficient is not 1
        ((sp.Rational(5, 2), sp.Rational(1, 2)), ((5 + sp.sqrt(17)) / 4, (5 - sp.sqrt(17)) / 4)),
    ],
)
def test_roots_have_the_sums_and_products_asked_for(coefficients, roots):
    found = _roots([sp.sympify(c) for c in coefficients])
    order = lambda e: float(sp.sympify(e).subs(T, 3))  # noqa: E731
    difference = [sp.simplify(a - b) for a, b in zip(sorted(found, key=order), sorted(roots, key=order), strict=True)]
    assert difference == [0, 0]


@pytest.mark.parametrize("root", [T, 3 * T / 2, (T + 1) / T**3, T**2 * (1 + T), 5 / (1 + T**2)])
def test_square_roots_of_squares(root):
    assert sp.simplify(_square_root(sp.expand(root**2)) ** 2 - root**2) == 0
    assert not _square_root(sp.factor(root**2)).has(sp.sqrt(T))
    assert sp.simplify(_square_root(root**2 * (1 + T)) ** 2 - root**2 * (1 + T)) == 0


@pytest.mark.parametrize("rate", [sp.Integer(-2), sp.Rational(-1, 3)])
def test_a_coordinate_that_decays_on_its_own(rate):
    p, q = sp.symbols("p q", real=True)
    geometry = SimpleNamespace(chart=(p, q))
    invariants, closed = _solve(geometry, sp.Matrix([rate * p, sp.Rational(3, 5)]))
    assert sp.simplify(closed[p] - initial(p) * sp.exp(rate * TAU)) == 0
    assert closed[q] == initial(q) + sp.Rational(3, 5) * TAU
    # along the flow each invariant grows as tau
    assert sp.simplify(sp.diff(invariants[q], q) * sp.Rational(3, 5)) == 1
    positive = sp.Symbol("p", positive=True)
    assert sp.simplify(sp.diff(invariants[p].subs(p, positive), positive) * rate * positive) == 1
