"""A right loss is accused under no rule: what does not speak of a rule says so."""

from __future__ import annotations

import pytest

from sharpflow.testing import check_loss, check_rule
from sharpflow.testing.check import Outcome
from sharpflow.testing.mutants.wrong_losses import plain
from sharpflow.theory import rules
from sharpflow.theory.rule import Rule

# The checks that run the rule, those that do it below the edge first.
BELOW = ("both_forms", "rescaling_symmetry", "norm_recursion", "edge_reached")
EDGE = ("period", "mean_square", "monotone_sharpness", "tracking", "energy_law")


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("gd-l2", BELOW),
        pytest.param("rmsprop", ("both_forms", "edge_reached"), marks=pytest.mark.deep),
        ("normalized-gd", ("both_forms",)),
        ("constant-lr", ("both_forms",)),
        ("heavy-ball-coupled", ()),
        ("gd-scheduled", ()),
        ("sqrt-loss", ()),
    ],
)
def test_what_speaks_of_another_rule_is_not_applicable(name, passed):
    for result in check_loss("ridge", rule=rules.get(name), checks=BELOW):
        wanted = Outcome.PASSED if result.check in passed else Outcome.NOT_APPLICABLE
        assert result.outcome is wanted, result.explain()
        if wanted is Outcome.NOT_APPLICABLE:
            assert name in result.trial.message


@pytest.mark.deep
def test_an_oscillation_that_grows_soon_is_told_in_plain_words():
    result = check_loss("ridge", rule=rules.get("heavy-ball"), checks=["tracking"])[0]
    assert result.outcome is Outcome.NOT_APPLICABLE, result.explain()
    said = result.trial.message
    assert said.startswith("the oscillation of this loss under heavy-ball grows tenfold within flow time 0.")
    assert said.endswith("too soon for the run of flow time 2 that this check makes")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in ("gd-wd", "normalized-gd") else pytest.mark.deep) for n in rules.names()]
)
def test_a_right_loss_is_accused_under_no_rule(name):
    for result in check_loss("ridge", rule=rules.get(name), checks=EDGE):
        assert result.outcome in (Outcome.PASSED, Outcome.NOT_APPLICABLE), result.explain()


@pytest.mark.longest
@pytest.mark.parametrize("name", rules.names())
@pytest.mark.parametrize("loss", ["conic", plain()], ids=["conic", "plain"])
def test_nor_are_others(loss, name):
    report = check_loss(loss, rule=rules.get(name))
    assert report.ok, str(report)


def test_a_right_rule_that_is_never_at_rest_is_not_accused():
    def update(w, gradient, state, p, ops):
        g = gradient(w)
        return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * g / ops.norm(g), {}

    rule = Rule(
        name="normalized", update=update, rate="learning_rate**2",
        at_rate=lambda rate: {"learning_rate": rate**0.5, "weight_decay": rate**0.5},
    )  # fmt: skip
    results = {result.check: result for result in check_rule(rule)}
    assert not [result.explain() for result in results.values() if result.outcome is Outcome.FAILED]
    assert "0/0" in results["weight_decay"].trial.message
    assert "|w|" in results["law_on_iterates"].trial.message
