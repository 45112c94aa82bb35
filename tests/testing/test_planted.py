"""Checks that no wrong loss of the referee reaches: each is seen to fail on an error planted in what it measures."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from sharpflow import Objective
from sharpflow.testing import check_loss, check_rule
from sharpflow.testing.check import Outcome
from sharpflow.testing.mutants.wrong_losses import START, plain
from sharpflow.theory import rules

GD = rules.get("gd-wd")
BELOW = ("both_forms", "rescaling_symmetry", "norm_recursion")


def failing(results):
    """The one check that failed; its text says what it means, what was measured, and what to do."""
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    assert len(failed) == 1, [result.check for result in failed]
    text = failed[0].explain()
    assert failed[0].meaning in text
    assert "What to do: " in text
    assert "Traceback" not in text
    assert "nan" not in text
    assert len(text) < 2500
    return failed[0]


def two_faced(change):
    """A rule that SymPy reads as gradient descent with weight decay, and JAX runs with a changed step."""

    def update(w, gradient, state, p, ops):
        decay, step = change(w, ops) if hasattr(w, "aval") else (1, 1)
        return (1 - decay * p.learning_rate * p.weight_decay) * w - step * p.learning_rate * gradient(w), {}

    return replace(GD, name="two-faced", update=update)


def test_a_loss_without_forward_mode():
    """custom_vjp: right values and gradients, and no jvp."""
    right = plain().function
    function = jax.custom_vjp(right)
    function.defvjp(lambda w: (right(w), w), lambda w, slope: (slope * jax.grad(right)(w),))
    loss = Objective(function, START, name="no-forward-mode")
    result = failing(check_loss(loss, checks=["purity", "precision", "transformations"]))
    assert result.check == "transformations"
    assert "under forward mode it fails: TypeError" in result.trial.message


def test_a_loss_that_is_another_one_in_a_batch():
    right = plain().function

    @jax.custom_batching.custom_vmap
    def factor(w):
        return jnp.ones(())

    @factor.def_vmap
    def rule(size, batched, w):
        return 1.001 * jnp.ones(size), True

    loss = Objective(lambda w: right(w) * factor(jax.lax.stop_gradient(w)), START, name="other-in-a-batch")
    result = failing(check_loss(loss, checks=["purity", "precision", "transformations"]))
    assert result.check == "transformations"
    assert "plain and vmap" in result.explain()
    assert result.trial.measured == pytest.approx(1e-3, rel=0.01)


def test_a_sphere_form_with_another_schedule(monkeypatch):
    from sharpflow.numerics.descent import forms as rule_forms

    right = rule_forms.reduction_of

    def planted(rule):
        return replace(right(rule), schedule=1.001 * right(rule).schedule)

    # Of another schedule, rescaling and recursion, which speak of gradient descent, are not tried.
    monkeypatch.setattr(rule_forms, "reduction_of", planted)
    result = failing(check_loss(plain(), rule=replace(GD, name="planted"), checks=BELOW))
    assert result.check == "both_forms"
    assert "form on the sphere" in result.explain()


def test_a_step_that_depends_on_the_length_of_w():
    rule = two_faced(lambda w, ops: (1, 1 + 1e-6 * ops.norm(w)))
    found = check_loss(plain(), rule=rule, checks=["rescaling_symmetry"])
    result = failing(found)
    assert result.check == "rescaling_symmetry"
    assert "3.7 w" in result.explain()


def test_a_decay_that_is_larger_by_a_tenth():
    result = failing(check_loss(plain(), rule=two_faced(lambda w, ops: (1.1, 1)), checks=["norm_recursion"]))
    assert result.check == "norm_recursion"
    # v is multiplied by (1 - 1.1 eps)^4, not by (1 - eps)^4, and e is measured by the factor 1 - eps: eps = 1e-3.
    assert result.trial.measured == pytest.approx(4e-4, rel=0.1)


def test_a_tenth_less_in_the_mean_square(monkeypatch):
    from sharpflow.numerics.descent.law import Law

    right = Law.mean_square
    monkeypatch.setattr(Law, "mean_square", lambda self, *arguments: 0.9 * right(self, *arguments))
    result = failing(check_loss("ridge", checks=["mean_square", "monotone_sharpness"]))
    assert result.check == "mean_square"
    assert result.trial.measured == pytest.approx(result.trial.expected / 0.9, rel=0.02)


@pytest.mark.deep
def test_a_tenth_less_in_the_law_of_a_rule(monkeypatch):
    from sharpflow.numerics.descent.law import Law

    right = Law.mean_square
    monkeypatch.setattr(Law, "mean_square", lambda self, *arguments: 0.9 * right(self, *arguments))
    result = failing(check_rule("gd-wd"))
    assert result.check == "law_on_iterates"
    assert {"loss", "quantity", "measured over derived"} <= set(result.trial.counterexample)


@pytest.mark.deep
def test_a_flow_that_goes_up(monkeypatch):
    from sharpflow.numerics.flows import edge_step

    right = edge_step.curvature_gradients
    monkeypatch.setattr(edge_step, "curvature_gradients", lambda *a, **k: -right(*a, **k))
    result = failing(check_loss(plain(), checks=["monotone_sharpness"]))
    assert result.check == "monotone_sharpness"
    assert result.trial.bound == "<="
    assert result.trial.measured > 1e-6


def quartic(size):
    """The plain loss and a quartic term, of which c is made: the larger, the smaller the rates at which c is seen."""
    right = plain().function
    return Objective(
        lambda w: right(w) + size * (w[2] ** 2 / (w @ w)) ** 2 / 2, START, name=f"quartic-{size:g}"
    )  # fmt: skip


@pytest.mark.longest
def test_an_energy_law_that_is_not_reached_is_inconclusive():
    result = check_loss(quartic(1e4), checks=["energy_law"])[0]
    assert result.outcome is Outcome.INCONCLUSIVE, result.explain()
    assert "has not settled as the rate falls" in result.trial.message
    assert result.trial.expected > 1e3


@pytest.mark.parametrize(
    ("at", "status"),
    [
        # Predicted is 2, at rates 1e-5, 1e-6 and 1e-7: settled and wrong; right; falling still; anything.
        ((1.5032, 1.5010, 1.5003), "inconsistent"),
        ((2.0032, 2.0010, 2.0003), "consistent"),
        ((1.0, 1.9, 1.5), "inconclusive"),
        ((0.01, 0.3, 0.9), "inconclusive"),
        ((float("nan"), 1.5010, 1.5003), "inconclusive"),
    ],
)
def test_c_is_judged_where_it_has_settled(at, status, monkeypatch):
    from sharpflow import claims
    from sharpflow.claim import Case
    from sharpflow.numerics.measurements import energy as energy_law

    known = dict(zip((1e-5, 1e-6, 1e-7), at, strict=True))
    monkeypatch.setattr(energy_law, "_slope", lambda subject, rule, rate: (known[rate], 2.0, 0.1))
    assert claims.get("energy-law").measure(Case(plain(), GD)).status == status
