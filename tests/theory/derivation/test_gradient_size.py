"""Rules whose step depends on the size of the gradient: by hand, on rational numbers, and with errors planted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.chart.edge_jets import edge_jets
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.derivation.generic import generic_derivation
from sharpflow.theory.derivation.oscillator_steps import energy_steps
from sharpflow.theory.derivation.plan import Plan
from sharpflow.theory.derivation.rational_map import confirm_map
from sharpflow.theory.edge.edge_law import K2, LAMBDA, edge_law
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.rule import Rule

GD = edge_law(rules.get("gd-wd"))


def shortened(length):
    """W+ = (1 - eps) w - eta grad L/length(w, grad L)."""

    def update(w, gradient, state, p, ops):
        g = gradient(w)
        decayed = (1 - p.learning_rate * p.weight_decay) * w
        return decayed - p.learning_rate * g / length(w, g, p, ops), {}

    return update


def shorter_at_a_loss(w, gradient, state, p, ops):
    """W+ = (1 - eps) w - eta grad L/(1 + L - min L)."""
    decayed = (1 - p.learning_rate * p.weight_decay) * w
    return decayed - p.learning_rate * gradient(w) / (1 + gradient.excess_loss(w)), {}


def rule_of(name, length, **constants):
    return Rule(name=name, update=shortened(length), constants=constants)


# |w|^2 |grad L|^2 = |G|^2 = lambda_1^2 x^2 and L - min L = lambda_1 x^2/2 at leading order.
RULES = {
    "a fraction": (rule_of("fraction", lambda w, g, p, o: 1 + o.dot(g, g) * o.dot(w, w)), LAMBDA**2),
    "a root": (rule_of("root", lambda w, g, p, o: o.sqrt(1 + o.dot(g, g) * o.dot(w, w))), LAMBDA**2 / 2),
    "a root with a constant": (
        rule_of("constant", lambda w, g, p, o: o.sqrt(1 + p.a * o.dot(g, g) * o.dot(w, w)), a=1.0),
        sp.Symbol("a", positive=True) * LAMBDA**2 / 2,
    ),
    "the loss": (Rule(name="loss", update=shorter_at_a_loss), LAMBDA / 2),
}


@pytest.mark.parametrize("name", RULES)
def test_a_step_shortened_where_the_gradient_is_large_is_proved(name):
    """-eta G (1 - share x^2) has x+ = -x + 2 share x^3 more: of c_4/3, 2 share are lost."""
    rule, share = RULES[name]
    found = generic_derivation(rule)
    assert {step.status for step in found.steps} == {Status.PROVED}
    # l = x^2/2 + c_4 x^4/24 gives x+ = -x - c_4 x^3/3: Q is less by 6 share; c has 4 Q/(3 (4 + K^2)).
    wanted = GD.coefficient - 8 * share / (4 + K2)
    assert sp.simplify(found.law.coefficient - wanted) == 0
    assert sp.simplify(found.law.drift - GD.drift) == 0
    (left,) = (step for step in found.steps if step.title.startswith("of the jets only"))
    assert left.title.endswith("besides lambda_1")


@pytest.mark.parametrize("wrong", [2 * LAMBDA, LAMBDA**2, sp.Integer(1)])
def test_another_power_of_the_sharpness_is_refuted(wrong):
    law = edge_law(RULES["a fraction"][0])
    planted = replace(law)
    planted.__dict__["coefficient"] = law.coefficient.subs(LAMBDA, wrong)
    (step,) = (s for s in energy_steps(law.energy, planted) if s.title.startswith("of the jets only"))
    assert step.status is Status.REFUTED
    assert step.witness


def test_a_root_forgotten_is_refuted_on_rational_numbers():
    whole, root = (edge_law(RULES[name][0]) for name in ("a fraction", "a root"))
    step = confirm_map(replace(root.single, frame=whole.single.frame), root.energy.steps)
    assert (step.status, step.witness["coefficient"]) == (Status.REFUTED, "X, delta^2")


def test_the_coefficient_in_a_chart_knows_the_sharpness():
    jets = edge_jets(geometry_of(families.get("ridge").default()))
    difference = edge_law(RULES["a fraction"][0]).coefficient_on(jets) - GD.coefficient_on(jets)
    wanted = -8 * jets.sharpness**2 / (4 + jets.log_gradient_squared)
    at = dict.fromkeys(difference.free_symbols, sp.Rational(1, 3))
    assert float(difference.subs(at)) == pytest.approx(float(wanted.subs(at)), rel=1e-12)


def test_a_step_that_grows_with_the_norm():
    """effective_lr = eta/|w|: growth 2 and brake 2 (2 + K^2), as |w|^2 grows by 4 x^2 + ... and shrinks by 2 eps."""
    law = edge_law(rule_of("longer", lambda w, g, p, o: 1 / o.norm(w)))
    assert sp.simplify(law.drift - 1 / (2 + K2)) == 0
    assert confirm_map(law.single, law.energy.steps).status is Status.PROVED


UNDECIDED = [
    (lambda w, g, p, o: o.sqrt(2 + o.dot(g, g)), "takes a root that is not rational"),
    (lambda w, g, p, o: abs(o.dot(g, g)), "does not run on rational numbers"),
    (lambda w, g, p, o: 1 + o.dot(w, w), "does not run on rational numbers"),
]


@pytest.mark.parametrize(("length", "reason"), UNDECIDED)
def test_what_does_not_run_on_rational_numbers_is_undecided_and_no_error(length, reason):
    """Against the map of gradient descent, which none of them would be."""
    frame = replace(GD.single.frame, rule=rule_of("other", length))
    step = confirm_map(replace(GD.single, frame=frame), GD.energy.steps)
    assert (step.status, step.residual) == (Status.UNDECIDED, None)
    assert reason in step.method
    assert step.witness["at rational points"]


def test_on_a_loss_it_takes_the_way_by_the_jets():
    """The routes of normalized gradient descent are for steps of a fixed length."""
    rule = RULES["a fraction"][0]
    plan = Plan(families.get("ridge").default(), rule)
    assert (plan.reduces, plan.is_reference) == (False, True)
    assert not Plan(families.get("ridge").default(), rules.get("normalized-gd")).reduction.is_smooth
    assert all(Plan(plan.loss, rules.get(name)).reduces for name in ("gd-wd", "rmsprop", "normalized-gd"))


def test_a_length_that_is_not_smooth_on_gamma_says_what_is_missing():
    """g/(1 + |g|) = g - g |g| + ...: at leading order gradient descent, which multiplies M by one number."""
    rule = Rule(name="kinked", update=shortened(lambda w, g, p, ops: 1 + ops.norm(g)))
    with pytest.raises(NoClosedForm, match=r"not smooth on Gamma .* and 0 values of M come back to themselves"):
        edge_law(rule)
