"""What the kit says where a user's file, rule or expectation is wrong: one failure, by its name, with what to do."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sympy as sp

from sharpflow import InputError, Loss, Minima, Objective, Rule, claims, resolve_loss
from sharpflow.claim import Case, Numeric
from sharpflow.terminal.output import to_json
from sharpflow.testing import check_loss, check_rule
from sharpflow.testing.check import Outcome, Trial
from sharpflow.testing.mutants.wrong_losses import plain
from sharpflow.testing.mutants.wrong_rules import wrong_rules
from sharpflow.testing.parametrize import cases
from sharpflow.testing.result import CheckResult
from sharpflow.theory import families, rules

BUILT = """
import sympy as sp
from sharpflow import Loss
x, y, z, q = sp.symbols("x y z q", real=True)
def build(name, e):
    return Loss(name=name, variables=(x, y, z), expression=e)
good = build("good", z**2/(x**2 + y**2 + z**2))
bad = build(
    "worse", q*z**2/(x**2 + y**2 + z**2))
"""


def rough(w, gradient, state, p, ops):
    import jax.numpy as jnp

    return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * gradient(w) / jnp.linalg.norm(w), {}


@pytest.mark.parametrize(
    ("small", "large", "which"), [(np.nan, np.nan, "either"), (np.nan, 1.0, "small"), (1.0, np.nan, "large")]
)
def test_a_period_that_was_not_seen_says_what_the_energy_does_meanwhile(monkeypatch, small, large, which):
    monkeypatch.setattr("sharpflow.numerics.descent.orbit.period_ratios", lambda *a, **k: (small, large, 1e-4))
    monkeypatch.setattr("sharpflow.numerics.predictions.horizon.predicted_coefficient", lambda *a: -500.0)
    found = claims.get("period").measure(Case(families.get("ridge").default(), rules.get("gd-wd")))
    assert found.status is Numeric.INCONCLUSIVE
    assert f"no whole period of {which} orbit was seen" in found.message
    # exp(c rate pi/sqrt(2 rate)), rate 1e-5 and 1e-6
    assert "multiplied by 0.03 and 0.33 within a period" in found.message


def test_an_objective_is_told_of_its_start_and_not_of_a_chart():
    import jax.numpy as jnp

    def function(w):
        u = w / jnp.linalg.norm(w)
        return (u[2] ** 2 + u[3] ** 4) / 2 + u[0] ** 2 * u[3] ** 2 * jnp.where(u[1] > 0.3, 0.0, 1.0)

    flat = Objective(function, (0.9, 0.0, 0.1, 0.05), name="flat")
    result = check_loss(flat, checks=["minimal_kernel"])[0]
    assert result.outcome is Outcome.FAILED, result.explain()
    assert "is taken from the rank of the Hessian" in result.trial.message
    assert "chart" not in result.advice
    assert "Minima" not in result.advice


def test_an_isolated_minimum_is_called_a_point():
    point = Objective(lambda w: (w[1] ** 2 + 2 * w[2] ** 2) / (w @ w), (0.9, 0.1, 0.2), name="isolated")
    said = check_loss(point, checks=["minimizers"])[0].trial.message
    assert "the minimum is a point, and there is no flow along it" in said


def test_a_bad_loss_is_named_with_the_line_that_built_it(tmp_path):
    (tmp_path / "built.py").write_text(BUILT)
    with pytest.raises(InputError) as caught:
        resolve_loss(f"{tmp_path}/built.py:good")
    assert "built.py, line 8, bad (in line 6): loss 'worse': the expression uses q" in str(caught.value)
    assert "nothing else of the file is read" in str(caught.value)


def test_an_unexpected_pass_says_what_was_expected_and_what_to_do():
    report = check_loss(plain(), checks=["purity"], expected_failed={"purity": "it draws numbers"})
    text = report["purity"].explain()
    assert "PASSED, was expected to fail" in text
    assert "expected to fail: it draws numbers" in text
    assert "Take purity out of expected_failed" in text
    assert "np.random" not in text


def test_expectations_are_given_for_each_subject_by_name():
    calls = cases(["ridge", "conic"], checks=["purity"], expected_failed={"ridge": {"purity": "so I thought"}})
    assert [dict(call.runner.expected) for call in calls] == [{"purity": "so I thought"}, {}]
    calls = cases(["ridge", "conic"], checks=["purity"], expected_failed={"purity": "all"})
    assert [dict(call.runner.expected) for call in calls] == [{"purity": "all"}, {"purity": "all"}]
    with pytest.raises(InputError, match="names no subject: 'rige'"):
        cases(["ridge"], expected_failed={"rige": {"purity": "why"}})


def test_a_rate_is_text():
    with pytest.raises(InputError, match="give rate as text"):
        Rule(name="mine", update=rough, rate=lambda p: p.learning_rate)


def test_jax_inside_an_update_is_told_in_a_sentence():
    text = check_rule(Rule(name="rough", update=rough), checks=["derivation"])[0].explain()
    assert "norm of jax.numpy was given what is no array of JAX" in text
    assert "ops.norm" in text
    assert "<function" not in text


def test_a_state_that_stays_is_named():
    still = next(m for m in wrong_rules() if m.name == "still-state").make()
    result = check_rule(still, checks=["rule_purity"])[0]
    assert result.trial.message.startswith("state momentum never changes")
    for name in ("heavy-ball", "constant-lr", "rmsprop"):
        assert check_rule(rules.get(name), checks=["rule_purity"]).ok


@pytest.mark.deep
def test_a_forgotten_decay_is_one_failure():
    report = check_rule(next(m for m in wrong_rules() if m.name == "forgotten-decay").make())
    assert [result.check for result in report.failed] == ["weight_decay"]


def test_a_gradient_on_gamma_is_measured_against_its_tolerance():
    x, y, z = sp.symbols("x y z", real=True)
    p = sp.Symbol("p", real=True)
    circle = Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0))
    r2 = x**2 + y**2 + z**2
    loss = Loss(name="tilted", variables=(x, y, z), expression=(z**2 + z * x / 10) / r2, minima=circle)
    result = check_loss(loss, checks=["minimizers"])[0]
    assert result.outcome is Outcome.FAILED
    assert 0.01 < result.trial.measured < 0.11
    assert result.trial.expected == 0
    assert 1e-8 < result.trial.tolerance < 4e-8
    assert ", expected 0, tolerance " in result.explain()


def told(**places):
    trial = Trial(Outcome.FAILED, "", -0.0, 0.0, 1.0, places)
    return CheckResult("finite", "mine", "", "", "", trial, Outcome.FAILED)


def test_there_is_no_negative_zero_and_no_entry_that_cannot_be_had():
    short, long = told(w=np.array([-0.0, 1.0]), c=-0.0), told(w=np.arange(9.0), note="n" * 20)
    assert "-0" not in short.explain()
    assert "All entries" not in short.explain()
    assert "(9 entries)" in long.explain()
    assert "All entries: `sharpflow check --json FILE`, or report['finite'].trial" in long.explain()
    assert json.loads(to_json(long.to_json()))["counterexample"]["w"] == list(range(9))


def test_any_dependence_on_the_norm_is_told_of():
    result = check_loss("(x^2 + y^2)^(1/2)*z^2/(x^2 + y^2 + z^2)", checks=["homogeneity"])[0]
    assert result.outcome is Outcome.FAILED
    assert "(a power, a logarithm)" in result.explain()


def test_a_loss_that_is_not_real_is_a_wrong_input():
    with pytest.raises(InputError, match=r"not a finite real number at x = .*a root or a logarithm"):
        check_loss("sqrt(-z^2/(x^2 + z^2))")


def test_a_file_may_be_given_more_time_or_less(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(20)\n")
    monkeypatch.setenv("SHARPFLOW_FILE_SECONDS", "0.3")
    with pytest.raises(InputError, match=r"line 2: still running after 0.3 s.*SHARPFLOW_FILE_SECONDS"):
        resolve_loss(f"{tmp_path}/slow.py:loss")
    monkeypatch.setenv("SHARPFLOW_FILE_SECONDS", "soon")
    with pytest.raises(InputError, match="is no number of seconds"):
        resolve_loss(f"{tmp_path}/slow.py:loss")
