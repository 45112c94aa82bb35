"""The referee: every mutant is caught by its check with a counterexample, and no right loss or rule is accused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import InputError, Objective, resolve_loss
from sharpflow.testing import check_loss, check_rule, checks
from sharpflow.testing.check import Outcome
from sharpflow.testing.mutants.self_test import Row, caught, markdown, mutants
from sharpflow.testing.mutants.wrong_losses import plain
from sharpflow.theory import families, rules

NAMES = [*checks.names("loss"), *checks.names("rule")]
MUTANTS = mutants()
QUICK = ("purity", "precision", "homogeneity", "euler_identities")


@pytest.mark.parametrize("name", NAMES)
def test_a_check_says_what_it_means_and_what_to_do(name):
    check = checks.get(name)
    assert check.meaning
    assert "\n" not in check.meaning
    assert check.source
    assert check.advice.endswith(".")
    order = checks.names(check.about)
    # What a check supposes is of the same kind and comes before it.
    assert all(order.index(other) < order.index(name) for other in check.supposes)
    assert name.isidentifier()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
# The table of `sharpflow check --self-test`, which .ci/run runs: so these, and those of right ones, are deep.
@pytest.mark.longest
def test_each_mutant_is_caught_by_its_check(mutant):
    result = caught(mutant)
    assert result.outcome is Outcome.FAILED, result.explain()
    text = result.explain()
    assert checks.get(mutant.caught_by).meaning in text
    assert "What to do" in text
    # A number or a place, and never a page of it.
    assert len(text) < 2500


def test_there_are_enough_mutants():
    assert len(MUTANTS) >= 40
    assert len({m.name for m in MUTANTS}) == len(MUTANTS)
    watched = {m.caught_by for m in MUTANTS}
    # What runs gradient descent on a loss cannot be wrong where the foundations hold: it is the theory that is tested.
    untouched = {"both_forms", "rescaling_symmetry", "norm_recursion", "edge_reached", "period", "mean_square",
                 "monotone_sharpness", "second_route", "tracking", "energy_law", "transformations",
                 "law_on_iterates"}  # fmt: skip
    assert set(NAMES) - watched == untouched


TEXT = "z^2/(x^2 + y^2 + z^2)*(2 + x*y/(x^2 + y^2 + z^2))"


@pytest.mark.longest
@pytest.mark.parametrize("spec", ["ridge", "crossing", TEXT])
def test_no_right_loss_is_accused(spec):
    report = check_loss(spec)
    assert report.ok, str(report)
    assert all(r.outcome is not Outcome.INCONCLUSIVE for r in report)
    expected = {"simple_sharpness"} if spec == "crossing" else set()
    assert {r.check for r in report if r.outcome is Outcome.EXPECTED_FAILURE} == expected


@pytest.mark.longest
def test_no_right_objective_is_accused():
    report = check_loss(plain())
    assert report.ok, str(report)
    assert {r.check for r in report if r.outcome is Outcome.NOT_APPLICABLE} == {
        "residuals", "chart", "second_route",
    }  # fmt: skip


@pytest.mark.longest
@pytest.mark.parametrize("name", ["gd-wd", "rmsprop", "sam", "constant-lr", "normalized-gd"])
def test_no_built_in_rule_is_accused(name):
    report = check_rule(name)
    assert report.ok, str(report)


@pytest.mark.longest
@pytest.mark.parametrize("name", families.names())
def test_no_family_is_accused(name):
    assert check_loss(name).ok


@pytest.mark.longest
@pytest.mark.parametrize("name", rules.names())
def test_no_rule_is_accused(name):
    assert check_rule(name).ok


# Measurements that only the theory itself could get wrong: a planted error there is caught by them.
@pytest.mark.parametrize(
    ("check", "place", "factor"),
    [
        pytest.param(
            "energy_law", "sharpflow.numerics.predictions.horizon.predicted_coefficient", 0.75, marks=pytest.mark.deep
        ),
        ("period", "sharpflow.numerics.descent.orbit.orbit_period", 0.5),
        pytest.param("second_route", "sharpflow.numerics.descent.law.Law.drift", 0.75, marks=pytest.mark.longest),
        pytest.param(
            "tracking", "sharpflow.numerics.flows.edge_step.curvature_gradients", 0.75, marks=pytest.mark.longest
        ),
        ("edge_reached", "sharpflow.numerics.measurements.probes.steps_to_edge", 2.0),
    ],
)
def test_a_planted_factor_is_caught(check, place, factor, monkeypatch):
    from sharpflow.numerics.descent.law import Law

    if place.endswith("Law.drift"):
        right = Law.drift
        monkeypatch.setattr(Law, "drift", lambda self, k2, top: factor * right(self, k2, top))
        loss = resolve_loss("ridge(a=3)")
    else:
        import importlib

        module, name = place.rsplit(".", 1)
        right = getattr(importlib.import_module(module), name)
        monkeypatch.setattr(place, lambda *a, **k: factor * right(*a, **k))
        loss = plain() if check == "tracking" else resolve_loss("ridge")
    assert check_loss(loss, checks=[check])[0].outcome is Outcome.FAILED


def test_an_expected_failure_is_one_and_an_unexpected_pass_is_wrong():
    mutant = next(m for m in MUTANTS if m.name == "epsilon").make()
    report = check_loss(mutant, checks=["homogeneity"], expected_failed={"homogeneity": "a real network"})
    assert report.ok
    assert report["homogeneity"].outcome is Outcome.EXPECTED_FAILURE
    assert report["homogeneity"].trial.message.startswith("a real network: ")
    report = check_loss(plain(), checks=["purity"], expected_failed={"purity": "so I thought"})
    assert not report.ok
    assert report["purity"].outcome is Outcome.UNEXPECTED_PASS
    with pytest.raises(AssertionError, match="PASSED, was expected to fail"):
        report.raise_for_failures()


def test_a_report_is_a_sequence_that_prints_and_shows():
    report = check_loss(plain(), checks=QUICK)
    assert [r.check for r in report] == list(QUICK)
    assert len(report) == 4
    assert report.ok
    assert str(report).startswith("check")
    assert "plain: 4 passed." in str(report)
    assert "<table>" in report._repr_html_()
    json.dumps(report[0].to_json(), default=str)
    mutant = next(m for m in MUTANTS if m.name == "epsilon").make()
    failed = check_loss(mutant, checks=["homogeneity"])
    assert "counterexample" in str(failed)
    assert "<pre>homogeneity on epsilon: FAILED" in failed._repr_html_()
    rows = [Row("epsilon", next(m for m in MUTANTS if m.name == "epsilon"), check_loss(mutant))]
    assert "| epsilon | an epsilon in the normalization, as real batch norm has | . | . | " in markdown(rows)
    assert "1 of 1 mutants" in markdown(rows)


def test_the_page_in_the_docs_is_of_these_mutants_and_checks():
    page = (Path(__file__).parents[2] / "docs" / "referee.md").read_text(encoding="utf-8")
    again = "write docs/referee.md anew: sharpflow check --self-test --output docs/referee.md"
    for mutant in MUTANTS:
        assert f"| {mutant.name} | {mutant.what.replace('|', chr(92) + '|')} |" in page, again
    for about in ("loss", "rule"):
        assert f"| what is wrong | {' | '.join(checks.names(about))} |" in page, again
    assert f"{len(MUTANTS)} of {len(MUTANTS)} mutants are caught" in page, again


def test_a_counterexample_has_few_digits():
    result = caught(next(m for m in MUTANTS if m.name == "formula-epsilon"))
    w = np.asarray(result.trial.counterexample["w"])
    assert np.array_equal(w, np.round(w, 3))
    assert np.sum(w != 0) <= 2


def test_what_a_user_does_wrong_is_told():
    with pytest.raises(InputError, match="no check 'homogenity'"):
        check_loss(plain(), checks=["homogenity"])
    with pytest.raises(InputError, match="no check"):
        check_loss(plain(), expected_failed={"homogenity": "why"})
    with pytest.raises(InputError, match="a rule goes to check_rule"):
        check_loss(rules.get("gd-wd"))
    with pytest.raises(InputError, match="a loss goes to check_loss"):
        check_rule(plain())


def test_a_function_that_raises_later_fails_with_what_it_said():
    right = plain()

    def function(w):
        if w.dtype == np.float32:
            raise ValueError("only double precision here")
        return right.function(w)

    loss = replace(right, function=function)
    report = check_loss(loss, checks=["single_precision"])
    assert report[0].outcome is Outcome.FAILED
    assert "only double precision here" in report[0].trial.message


def branch(condition):
    """z^2 (2 + x/r)/(2 r^2), which is nan where ``condition`` of w and u = w/|w| holds."""

    def function(w):
        u = w / jnp.linalg.norm(w)
        return jnp.where(condition(w, u), jnp.nan, u[2] ** 2 * (2 + u[0]) / 2)

    return Objective(function, (0.9, 0.4, 0.3), name="branch")


@pytest.mark.parametrize("far", [20.0, pytest.param(100.0, marks=pytest.mark.longest)])
def test_nan_at_another_length_is_no_scale_invariance(far):
    result = check_loss(branch(lambda w, u: jnp.linalg.norm(w) > far), checks=["homogeneity"])[0]
    assert result.outcome is Outcome.FAILED
    assert "nan" in str(result.trial.counterexample)
    assert check_loss(branch(lambda w, u: False), checks=["homogeneity"])[0].outcome is Outcome.PASSED


@pytest.mark.parametrize("threshold", [-0.3, pytest.param(-0.6, marks=pytest.mark.longest)])
def test_a_part_of_the_sphere_without_derivatives_is_found(threshold):
    """jnp.where(u < t, 0, (u - t)**5.5): the value is right everywhere, the derivative nan where u < t."""

    def function(w):
        u = w / jnp.linalg.norm(w)
        bump = jnp.where(u[0] < threshold, 0.0, (u[0] - threshold) ** 5.5)
        return u[2] ** 2 * (2 + bump) / 2

    result = check_loss(Objective(function, (0.9, 0.4, 0.3), name="part"), checks=["finite"])[0]
    assert result.outcome is Outcome.FAILED
    assert "grad L" in str(result.trial.counterexample)
