"""The law of a rule at numbers, roots of quadratic factors, closed forms of one coordinate: by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.chart.flow import TAU, initial, invert, quadratures
from sharpflow.theory.chart.geometry import geometry_of, roots_of, square_root
from sharpflow.theory.chart.law import prove_law_drift
from sharpflow.theory.derivation.generic import generic_derivation
from sharpflow.theory.derivation.horizon import tracking_in_chart
from sharpflow.theory.derivation.rational_map import confirm_map
from sharpflow.theory.edge.edge_law import K2, LAMBDA, QUARTIC_RESPONSE, TURN, edge_law, energy_ratio
from sharpflow.theory.edge.jets import CUBIC, CURVATURE, MIXED, QUARTIC, RATIO, TILT, TWIST, EdgeJets, K, generic_loss
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.rule import Rule

T = sp.Symbol("t", positive=True)
RATIO_OF_ENERGIES = energy_ratio()  # 6.86: log of (100 - 1 - log 100)/(1.44 - 1 - log 1.44)


def test_the_energy_coefficient_at_numbers():
    # c = 2 (3 K^2 + 8)/(K^2 + 4) - 4 B/(K^2 + 4)^2 + 4 Q/(3 (K^2 + 4)), Q = c_4 - 3 c_3^2 - 3 sum c_21j^2/m_j
    law = edge_law(rules.get("gd-wd"))
    jets = EdgeJets(*(sp.Rational(*v) for v in ((3, 2), (5, 7), (2, 3), (11, 5), (1, 4), (7, 3))))
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
    found = roots_of([sp.sympify(c) for c in coefficients])
    order = lambda e: float(sp.sympify(e).subs(T, 3))  # noqa: E731
    difference = [sp.simplify(a - b) for a, b in zip(sorted(found, key=order), sorted(roots, key=order), strict=True)]
    assert difference == [0, 0]


@pytest.mark.parametrize("root", [T, 3 * T / 2, (T + 1) / T**3, T**2 * (1 + T), 5 / (1 + T**2)])
def test_square_roots_of_squares(root):
    assert sp.simplify(square_root(sp.expand(root**2)) ** 2 - root**2) == 0
    assert not square_root(sp.factor(root**2)).has(sp.sqrt(T))
    assert [square_root(sp.Integer(n)) for n in (0, 1, 4)] == [0, 1, 2]
    assert sp.simplify(square_root(root**2 * (1 + T)) ** 2 - root**2 * (1 + T)) == 0


@pytest.mark.parametrize("rate", [sp.Integer(-2), sp.Rational(-1, 3)])
def test_a_coordinate_that_decays_on_its_own(rate):
    p, q = sp.symbols("p q", real=True)
    geometry = SimpleNamespace(chart=(p, q))
    invariants, closed = quadratures(geometry, sp.Matrix([rate * p, sp.Rational(3, 5)]))
    assert sp.simplify(closed[p] - initial(p) * sp.exp(rate * TAU)) == 0
    assert closed[q] == initial(q) + sp.Rational(3, 5) * TAU
    # along the flow each invariant grows as tau
    assert sp.simplify(sp.diff(invariants[q], q) * sp.Rational(3, 5)) == 1
    positive = sp.Symbol("p", positive=True)
    assert sp.simplify(sp.diff(invariants[p].subs(p, positive), positive) * rate * positive) == 1


def test_the_jets_are_the_derivatives_they_are_named_after():
    x, y, s = sp.symbols("x y s", real=True)
    named = {
        (x, x): 1, (y, y): RATIO, (x, x, s): K, (x, s, s): -CURVATURE, (x, x, x): CUBIC, (x, x, x, x): QUARTIC,
        (x, x, y): MIXED, (x, x, x, s): TILT, (x, y, s): TWIST, (x,): 0, (s, s): 0, (x, y): 0, (y, y, y): 0,
    }  # fmt: skip
    for along, jet in named.items():
        assert sp.diff(generic_loss(), *along).subs({x: 0, y: 0, s: 0}) == jet, along
    assert len(sp.Add.make_args(generic_loss())) == 9


def test_a_quadrature_that_decays_is_inverted():
    """-log(p)/3 = -log(p_0)/3 + tau: p = p_0 exp(-3 tau)."""
    p = sp.Symbol("p", real=True)
    assert sp.simplify(invert(-sp.log(sp.Abs(p)) / 3, p, sp.Rational(1, 2)) - initial(p) * sp.exp(-3 * TAU)) == 0


@pytest.mark.parametrize(
    ("c", "expected"),
    [(3.0, RATIO_OF_ENERGIES / 3), (-1.0, math.inf), (0.0, math.inf), (0.1, RATIO_OF_ENERGIES / 0.1)],
)
def test_the_horizon_of_a_constant_coefficient(c, expected):
    """log(E_max/E_0)/c, also beyond what is looked at."""
    p = sp.Symbol("p", real=True)
    found = tracking_in_chart((p,), (0.3,), sp.Matrix([-p]), sp.Float(c))
    assert found.horizon == pytest.approx(expected, rel=1e-9)
    assert found.coefficient == c
    assert (found.tracks(1.0), found.tracks(100.0)) == (expected > 1, expected > 100)
    assert found.sentence(100.0).endswith(": it tracks." if expected > 100 else ": it does not track.")


def test_the_horizon_where_the_coefficient_changes_along_the_flow():
    """p = e^-tau and c = 4 - 8 p: int c = 4 tau - 8 (1 - e^-tau) falls first, and reaches the ratio in the end."""
    p = sp.Symbol("p", real=True)
    found = tracking_in_chart((p,), (1.0,), sp.Matrix([-p]), 4 - 8 * p)
    assert found.coefficient == -4
    tau = found.horizon
    assert 4 * tau - 8 * (1 - math.exp(-tau)) == pytest.approx(RATIO_OF_ENERGIES, rel=1e-4)  # linear within a step
    assert found.growth == pytest.approx(4 * 4 - 8 * (1 - math.exp(-4)), rel=1e-8)
    # A flow that leaves the reals is followed as far as it goes, and a coefficient that is no number is none.
    ends = tracking_in_chart((p,), (1.0,), sp.Matrix([-1 / sp.sqrt(p)]), sp.Integer(0) * p + 2)
    assert ends.horizon == pytest.approx(RATIO_OF_ENERGIES / 2)
    assert tracking_in_chart((p,), (0.0,), sp.Matrix([-p]), 1 / p) is None


def remembering(w, gradient, state, p, ops):
    """W+ = (1 - eps) w - eta ((1 + a) G - a G_before): what is remembered of a step is gone after the next."""
    g = gradient(w)
    return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * ((1 + p.a) * g - p.a * state.before), {
        "before": g
    }


def test_a_rule_that_forgets_at_once():
    """Multiplier 0: solved for, the damped part has entries 1. Along -1, G_before = -G: a step (1 + 2 a) G."""
    law = edge_law(Rule(name="remembering", update=remembering, state=("before",), constants={"a": 0.25}))
    a = sp.Symbol("a", positive=True)
    # effective_lr is that of a step from rest, (1 + a) G
    assert sp.simplify(law.edge - 2 * (1 + a) / (1 + 2 * a)) == 0
    assert sp.simplify(law.drift - 2 / (4 + K2)) == 0
    assert sp.simplify(law.coefficient.subs(a, 0) - edge_law(rules.get("gd-wd")).coefficient) == 0
    assert confirm_map(law.single, law.energy.steps).status is Status.PROVED


def test_the_drift_of_a_law_is_proved_on_a_loss():
    step = prove_law_drift(geometry_of(families.get("ridge").default()), edge_law(rules.get("gd-wd"))).steps[0]
    assert (step.status, sp.simplify(step.rhs + 2 * K2 / (4 + K2))) == (Status.PROVED, 0)


def test_what_is_shown_of_gradient_descent():
    """X' = X U, U' = 4 - 2 (4 + K^2) X^2, s' = -K X^2 and what follows, as the reader sees it."""
    x, u, omega = sp.Symbol("X", real=True), sp.Symbol("U", real=True), sp.Symbol("omega", positive=True)
    names = [sp.Symbol(name) for name in ("c", "<U^2>", "<dE/dT>/delta", "<ds/dtau>")]
    c, square, change, drift = names
    d = 2 / (4 + K2)
    law = 2 * (3 * K2 + 8) / (K2 + 4) - 4 * TURN / (K2 + 4) ** 2 + 4 * QUARTIC_RESPONSE / (3 * (K2 + 4))
    shown = {
        "two steps move X by": (sp.Symbol("X'"), x * u),
        "and the edge by": (sp.Symbol("U'"), 4 - 2 * (4 + K**2) * x**2),
        "and s by": (sp.Symbol("ds/dtau"), -K * x**2),
        "frequency of small orbits, in T": (omega**2, 8),
        "mean of s' over a closed orbit": (drift, -K * d),
        "dE/dT at the next order is c U^2 and a derivative along the orbit": (change, c * square),
        "and nothing else": (change - c * square, 0),
        "of the jets only K, its slope B = K^2 dK/ds, and Q are left": (c, law),
    }
    steps = {step.title: step for step in generic_derivation(rules.get("gd-wd")).steps}
    for title, sides in shown.items():
        for found, known in zip((steps[title].lhs, steps[title].rhs), sides, strict=True):
            same = found.xreplace({s: sp.Symbol(s.name) for s in found.free_symbols})
            known = sp.sympify(known)
            assert sp.simplify(same - known.xreplace({s: sp.Symbol(s.name) for s in known.free_symbols})) == 0, title
    # X^2 is its mean and a derivative along the orbit.
    mean = steps["mean square over a closed orbit"]
    rest = mean.rhs.replace(lambda e: isinstance(e, sp.Derivative), lambda e: sp.Integer(0))
    assert {s.name for s in mean.lhs.free_symbols} == {"X"}
    assert sp.simplify(rest - d.subs(K2, next(s for s in rest.free_symbols if s.name == "K2"))) == 0
    for order in (1, 2, 3):
        step = steps[f"what is damped is a function of X, U and s, at order delta^{order}"]
        assert step.rhs == sp.Symbol(f"V_{order}(X+, U+, S+)")


@pytest.mark.parametrize(("name", "strength"), [("normalized-gd", sp.Rational(1, 4)), ("sqrt-loss", LAMBDA / 8)])
def test_what_is_shown_of_rules_that_are_not_smooth(name, strength):
    steps = {step.title: step for step in generic_derivation(rules.get(name)).steps}
    assert sp.simplify(steps["drift along g"].rhs + K * strength) == 0
    assert sp.simplify(steps["and carries the same drift"].rhs + K * strength) == 0
    assert {step.status for step in steps.values()} == {Status.PROVED}


def test_what_is_shown_of_the_orbit_of_a_rule_that_attracts():
    steps = {step.title: step for step in generic_derivation(rules.get("sam")).steps}
    eta = next(s for s in steps["drift along g"].rhs.free_symbols if s.name == "learning_rate")
    strength = 2 * eta * LAMBDA / (2 - eta * LAMBDA) ** 2
    for title in ("the drift it carries", "drift along g"):
        assert sp.simplify(steps[title].rhs + K * strength) == 0
