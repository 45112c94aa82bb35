"""Errors planted in what the engine found: a step refutes each, with a witness; and what leaves before the edge."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import sympy as sp

from sharpflow.theory import rules
from sharpflow.theory.derivation.generic_steps import field_steps, smooth_proofs
from sharpflow.theory.derivation.oscillator_steps import (
    _polynomials,
    correction_steps,
    drift_steps,
    energy_steps,
    oscillator_steps,
    tracking_steps,
)
from sharpflow.theory.edge.edge_law import K2, edge_law
from sharpflow.theory.edge.energy_law import decompose
from sharpflow.theory.edge.first_crossing import first_crossing
from sharpflow.theory.edge.jets import K
from sharpflow.theory.edge.one_step import U, X
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.rule import Rule

GD = edge_law(rules.get("gd-wd"))


def three_for_four(e):
    return e.xreplace({sp.Integer(4): sp.Integer(3)})


def with_parts(law, **changes):
    """A law of other parts: what it derives from them is derived anew."""
    other = replace(law)
    parts = {"single": law.single, "energy": law.energy, "orbit": law.orbit} | changes
    other.__dict__["_parts"] = tuple(parts.values())
    return other


def planted(**changes):
    """Gradient descent's law with something in its energy law or of its own replaced."""
    own = {field.name for field in fields(GD.energy)}
    law = with_parts(GD, energy=replace(GD.energy, **{name: value for name, value in changes.items() if name in own}))
    law.__dict__.update({name: value for name, value in changes.items() if name not in own})  # cached properties
    return law


def verdicts(part, law):
    return [step for step in part(law.energy, law) if step.status is not Status.PROVED]


def field(_, law):
    return field_steps(law)


D = GD.drift
ERRORS = {
    "mean square, 3 for 4": (oscillator_steps, {"mean_square": three_for_four(GD.mean_square)}, "mean square over"),
    "mean square, a lost half": (oscillator_steps, {"mean_square": 2 * GD.mean_square}, "mean square over"),
    "drift, 3 for 4": (drift_steps, {"drift": three_for_four(D)}, "mean of s'"),
    "drift, the other sign": (drift_steps, {"drift": -D}, "mean of s'"),
    "push, a lost half": (field, {"push": GD.energy.push / 2}, "and s by"),
    "growth, 3 for 4": (field, {"growth": sp.Integer(3)}, "and the edge by"),
    "brake, 3 for 4": (field, {"brake": three_for_four(GD.energy.brake)}, "and the edge by"),
    "alpha, the other sign": (field, {"alpha": -GD.energy.alpha}, "two steps move X by"),
    "P, the change of the brake lost": (
        energy_steps,
        {"rate": GD.energy.rate.subs(sp.Symbol("K_s", real=True), 0)},
        "and changes at the next",
    ),
    "P, a lost half": (energy_steps, {"rate": GD.energy.rate / 2}, "and changes at the next"),
    "P, the other sign": (energy_steps, {"rate": -GD.energy.rate}, "and changes at the next"),
    "c, 3 for 4": (energy_steps, {"coefficient": three_for_four(GD.coefficient)}, "of the jets only"),
    "c, the other sign": (energy_steps, {"coefficient": -GD.coefficient}, "of the jets only"),
    "c, a lost half": (energy_steps, {"coefficient": GD.coefficient / 2}, "of the jets only"),
    "brake that forgets Gamma": (energy_steps, {"moving": (sp.Integer(4), sp.Integer(8))}, "with K moving"),
}


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_planted_in_a_step_is_refuted_there(error):
    part, changes, title = ERRORS[error]
    assert verdicts(part, GD) == []
    wrong = verdicts(part, planted(**changes))
    assert any(step.title.startswith(title) for step in wrong), [step.title for step in wrong]
    assert all(step.status is Status.REFUTED and step.witness for step in wrong)


@pytest.mark.parametrize("name", ["constant", "square", "potential"])
def test_an_error_planted_in_an_average_is_refuted(name):
    energy = replace(GD.energy)
    part = GD.energy.energy
    energy.__dict__["energy"] = replace(part, **{name: getattr(part, name) + X**2})
    wrong = verdicts(energy_steps, with_parts(GD, energy=energy))
    assert wrong
    assert all(step.status is Status.REFUTED and step.witness for step in wrong)
    correction = replace(GD.energy)
    part = GD.energy.edge
    correction.__dict__["edge"] = replace(part, **{name: getattr(part, name) + X**2})
    (step,) = verdicts(correction_steps, with_parts(GD, energy=correction))
    assert step.title.startswith("mean of effective_lr")
    assert step.witness


def test_a_decomposition_does_not_take_what_has_no_mean_of_its_own():
    """Every monomial it takes comes back as its mean and a derivative; X^4 with a wrong one does not."""
    a, b, alpha = sp.Integer(4), 8 + 2 * K**2, sp.Integer(1)
    for monomial in (U, X**2, X**4, X**2 * U**2, X**2 * U, X * U**2, X**3):
        part = decompose(monomial, alpha, a, b)
        along = sp.diff(part.potential, X) * alpha * X * U + sp.diff(part.potential, U) * (a - b * X**2)
        odd = {sp.Symbol("<X>"): X, sp.Symbol("<X^3>"): X**3}
        assert sp.simplify(part.constant.subs(odd) + part.square * U**2 + along - monomial) == 0


def test_a_forgotten_one_minus_eps_is_refuted_on_rational_numbers():
    """The law of w+ = (1 - eps) w - eta grad L against the steps of w+ = (1 - eps) (w - eta grad L), as GD's is not."""

    def both(w, gradient, state, p, ops):
        return (1 - p.learning_rate * p.weight_decay) * (w - p.learning_rate * gradient(w)), {}

    other = edge_law(replace(rules.get("gd-wd"), name="both", update=both))
    mixed = with_parts(other, single=replace(GD.single, frame=other.single.frame))
    (step,) = next(p for p in smooth_proofs(with_parts(mixed, energy=GD.energy)) if "rational" in p.title).steps
    # effective_lr is eta/|w|^2 there and eta/((1 - eps) |w|^2) here: theta moves alike, and the edge is the same.
    assert step.status is Status.PROVED
    forgotten = replace(
        rules.get("gd-wd"), name="forgotten", update=lambda w, g, s, p, o: (w - p.learning_rate * g(w), {})
    )
    wrong = with_parts(GD, single=replace(GD.single, frame=edge_law(forgotten).single.frame))
    (step,) = next(p for p in smooth_proofs(wrong) if "rational" in p.title).steps
    assert step.status is Status.REFUTED
    assert step.witness["coefficient"] == "U, delta"


def delayed(share):
    """W+ = (1 - eps) w - eta (G + share G_before): z^2 = z (1 - e) - share e."""

    def update(w, gradient, state, p, ops):
        g = gradient(w)
        return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * (p.share * state.last + g), {"last": g}

    return edge_law(Rule(name="delayed", update=update, state=("last",), constants={"share": share}))


@pytest.mark.deep
def test_a_pair_that_leaves_before_the_edge_is_seen():
    """|z|^2 = share e for a complex pair: for share = 0.7 it is outside from e = 10/7 on, and -1 comes at 20/3."""
    law = delayed(0.7)
    found = first_crossing(law.single.frame, law.single.edge, law.defaults)
    assert law.edge.subs(law.defaults) == sp.Rational(20, 3)
    assert (found.count, found.status) == (1, Status.REFUTED)
    assert sp.Rational(10, 7) < found.outside < sp.Rational(20, 3)
    assert next(iter(found.inside.values())) == pytest.approx(
        (0.7 * 5 / 7) ** 0.5, rel=2e-3
    )  # in the middle of (0, 10/7)
    assert law.tracking.startswith("no: another multiplier leaves")
    early = delayed(-0.5)
    assert first_crossing(early.single.frame, early.single.edge, early.defaults).status is Status.PROVED


@pytest.mark.parametrize(
    "name",
    [
        "constant-lr",
        "gd-l2",
        *(pytest.param(n, marks=pytest.mark.deep) for n in ("gd-scheduled", "heavy-ball", "rmsprop-after")),
    ],
)
def test_nothing_leaves_before_the_edge_of_a_built_in_rule(name):
    law = edge_law(rules.get(name))
    found = first_crossing(law.single.frame, law.single.edge, law.defaults)
    assert (found.count, found.status, found.outside) == (0, Status.PROVED, None)


def by_name(e):
    """With plain symbols, and derivatives that stay as they are written: along T nothing here depends on it."""
    plain = sp.sympify(e).xreplace({s: sp.Symbol(s.name) for s in sp.sympify(e).free_symbols})
    return plain.replace(sp.Derivative, lambda inner, *_: sp.Function("change")(sp.expand(inner)))


def test_what_is_shown_of_open_and_of_closed_orbits():
    """X' = X U, U' = -2 K^2 X^2; and U' = 4 - 2 (4 + K^2) X^2: as the reader sees it, in the symbols' names alone."""
    x, u, k, time, drive = (sp.Symbol(name) for name in ("X", "U", "K", "T", "sharpening"))
    rate, energy, y, square = (sp.Symbol(name) for name in ("rate", "E", "y", "<U^2>"))
    edge, moved = sp.Symbol("edge") * sp.Symbol("s'"), sp.Symbol("<ds/dtau>")
    still = edge_law(rules.get("constant-lr"))
    shown = {
        "in y = log X^2": (energy, u**2 / 2 + k**2 * sp.exp(y)),
        "it leaves the edge": (sp.Derivative(u**2 / 2 + k**2 * x**2, time), 0),
        "the brake is the motion": (sp.Symbol("U'"), k * edge),
        "what an oscillator needs": (x**2, drive / k**2 - sp.Derivative(u, time) / (2 * k**2)),
        "then the drift undoes it": (drive + k * moved, 0),
    }
    closed = {
        "in y = log X^2": (energy, u**2 / 2 - 2 * y + (4 + k**2) * sp.exp(y)),
        "U is a derivative": (sp.Derivative(sp.log(sp.Abs(x)), time), u),
        "mean square over": (x**2, 2 / (4 + sp.Symbol("K2")) - sp.Derivative(u, time) / (2 * (4 + k**2))),
        "iterations of a small orbit": (sp.Symbol("period"), 2 * sp.pi / sp.sqrt(8 * rate)),
        "mean of s'": (moved, -2 * k / (4 + sp.Symbol("K2"))),
        "mean of effective_lr": (
            sp.Symbol("-alpha <U>/delta"),
            -square / 2
            - 2 * sp.Symbol("B") / (4 + sp.Symbol("K2")) ** 2
            + 2 * sp.Symbol("Q") / (3 * (4 + sp.Symbol("K2"))),
        ),
        "mean square of X at even": (
            sp.Symbol("(brake <X^2> - growth)/delta"), -2 * sp.Symbol("<X^3>") * sp.Symbol("c_3") * (4 + k**2)
        ),
    }  # fmt: skip
    for law, known in ((still, shown), (GD, closed)):
        steps = list(oscillator_steps(law.energy, law))
        if law is GD:
            steps += [*drift_steps(law.energy, law), *correction_steps(law.energy, law)]
        for title, sides in known.items():
            step = next(s for s in steps if s.title.startswith(title))
            for found, expected in zip((step.lhs, step.rhs), sides, strict=True):
                assert sp.simplify(by_name(found) - by_name(expected)) == 0, title


def test_the_oscillator_of_momentum_with_an_alpha_of_its_own():
    law = edge_law(rules.get("heavy-ball"))
    assert law.energy.alpha != 1
    assert {step.status for step in oscillator_steps(law.energy, law)} == {Status.PROVED}


def test_how_long_tracking_lasts_at_a_constant_coefficient():
    """E_0 e^(c tau) = E_max at tau = log(E_max/E_0)/c; of small orbits <U^2> is E above its minimum."""
    small, horizon = tracking_steps(GD.energy, GD)
    assert small.status is horizon.status is Status.PROVED
    c, start, end = (sp.Symbol(name, positive=True) for name in ("c", "E_0", "E_max"))
    assert sp.simplify(horizon.rhs - sp.log(end / start) / c) == 0
    assert str(small.lhs) == "<U^2>"
    assert sp.simplify(small.rhs - sp.Symbol("E", real=True) + sp.Symbol("min E")) == 0


def test_what_a_constant_learning_rate_needs():
    """x+ = (1 - e (1 + K s)) x, s+ = s - e K x^2/2 + rate p/K: <x^2> = p rate/K^2, and s stays where it is."""
    law = edge_law(rules.get("constant-lr"))
    steps = {step.title: step for step in oscillator_steps(law.energy, law)}
    assert all(step.status is Status.PROVED for step in steps.values())
    shown = next(step for title, step in steps.items() if title.startswith("what an oscillator needs"))
    drive = sp.Symbol("sharpening", positive=True)
    assert sp.simplify(shown.rhs.args[0] - drive / K**2) == 0 or sp.simplify(shown.rhs.args[1] - drive / K**2) == 0
    k, p, rate = 0.8, 1.5, 1e-5
    x, s, squares, places = (2.0 * p * rate) ** 0.5 / k, 0.0, [], []
    for _ in range(100_000):
        sharp = 1 + k * s
        squares.append(x * x)
        places.append(s)
        x, s = (1 - 2 * sharp) * x, s - k * x * x + rate * p / k
    half = len(squares) // 2
    # Over many periods of 2 pi/sqrt(4 p rate) = 811 steps; what is left is of the order of sqrt(rate).
    assert sum(squares[half:]) / half == pytest.approx(p * rate / k**2, rel=0.02)
    assert abs(sum(places[half:]) / half) < 0.02
    assert K2 not in law.energy.growth.free_symbols


def test_the_energy_of_an_oscillator_with_a_denominator_in_a_constant():
    """Nesterov's momentum: SymPy splits cases on whether (1 - beta)(2 beta + 1)^4 vanishes where it is expanded."""
    b = sp.Symbol("beta", positive=True)
    own = {
        "alpha": (2 * b + 1) ** 2 / ((b + 1) * (3 * b + 1)),
        "growth": 4 * (b + 1) ** 2 / (2 * b + 1),
        "brake": -2 * (K**2 + 4) * (b + 1) ** 3 / ((b - 1) * (2 * b + 1) ** 2),
    }
    law = with_parts(GD, energy=replace(GD.energy, **own))
    law.__dict__["defaults"] = {b: sp.Rational(3, 10)}
    steps = list(oscillator_steps(law.energy, law))
    assert {step.status for step in steps} == {Status.PROVED}
    assert not any(side.has(sp.Piecewise) for step in steps for side in (step.lhs, step.rhs))
    height = 2 * (b + 1) ** 3 * (3 * b + 1) / (2 * b + 1) ** 3
    y = sp.Symbol("y", real=True)
    assert sp.simplify(law.potential(y).coeff(y) + height) == 0


def test_identities_are_compared_over_what_is_divided_by():
    a, b, x = sp.symbols("a b x")
    ring = _polynomials(x / (a + 1) + b * x, [a, b, x])
    assert ring == sp.QQ.frac_field(a)[b, x]
    assert ring.from_sympy((x + a * x) / (a + 1) - x) == 0
    assert ring.from_sympy((x + a * x) / (a + 1) - b * x) != 0
    assert (_polynomials(a * x, [a, x]), _polynomials(x / a / x**2, [a, x])) == (sp.QQ[a, x], sp.QQ.frac_field(a, x))
