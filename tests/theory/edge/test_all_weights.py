"""The flow of all weights, and of group norms: derived from the exact step, and planted errors are refuted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

import sharpflow.theory.edge.all_weights as weights
import sharpflow.theory.edge.several_edges as edges
from sharpflow.theory import rules
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.sphere.reduction import reduce_rule

REDUCTION = reduce_rule(rules.get("gd-wd"))


def test_the_flows_follow_from_the_exact_step():
    for prove in (weights.prove_all_weights, weights.prove_group_norms):
        proof = prove(REDUCTION)
        assert proof.status is Status.PROVED
        assert all(step.method for step in proof.steps)
    drift, growth = weights.step_of_all(REDUCTION)
    assert all(d.has(edges.XS[0]) and not d.has(edges.SIGMA[0, 0]) for d in (*drift, growth))
    # What of u is normal to Gamma is held by the slope of L, and is not pulled along.
    assert not any(d.has(*weights.Z0) for d in drift)


def test_without_other_weights_it_is_the_flow_on_the_sphere():
    """c = a = 1: tr Sigma is in units of theta/sqrt e, and A along the gradient of S H S/2, not of log lambda."""
    on_sphere = {**dict.fromkeys(weights.C, 1), **dict.fromkeys(weights.A_PARTS, 1), weights.E: 1}
    found = weights.operator(edges.SIGMA).subs(on_sphere)
    assert sp.expand(found - edges.operator(edges.SIGMA)) == sp.zeros(2)
    drift, growth = (sp.sympify(v).subs(on_sphere) for v in (weights.step_of_all(REDUCTION)[0][0],
                                                             weights.step_of_all(REDUCTION)[1]))  # fmt: skip
    theirs = edges.edge_map(REDUCTION)
    assert sp.expand(drift - theirs[0][0]) == 0
    assert sp.expand(growth - theirs[1]) == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("operator", lambda old: lambda sigma: old(sigma) - 2 * weights.E * weights._shared() * sigma.trace()),
        ("_shared", lambda old: lambda: sp.eye(2)),  # as if the whole oscillation were in theta
        ("_pull", lambda old: lambda: [2 * p for p in old()]),
        ("_pull", lambda old: lambda: [-p for p in old()]),
        ("_pull", lambda old: lambda: [p / weights.R for p in old()]),  # the decay of theta in the place of that of u
        ("push", lambda old: lambda sigma: [2 * p for p in old(sigma)]),
    ],
)
def test_planted_errors_are_refuted(monkeypatch, name, change):
    monkeypatch.setattr(weights, name, change(getattr(weights, name)))
    proof = weights.prove_all_weights(REDUCTION)
    assert proof.status is Status.REFUTED
    assert any(step.witness for step in proof.steps)


def test_a_planted_schedule_is_refuted():
    forgotten = replace(REDUCTION, schedule=REDUCTION.schedule * (1 + REDUCTION.gradient_squared))
    assert weights.prove_all_weights(forgotten).status is Status.REFUTED


@pytest.mark.parametrize(
    ("step", "change"),
    [
        (0, {"next_norm_squared": 2 * REDUCTION.next_norm_squared}),
        (0, {"scale": 2 * REDUCTION.scale}),
        (0, {"step": 3 * REDUCTION.step}),
        (1, {"schedule": REDUCTION.schedule * (1 + REDUCTION.gradient_squared)}),
        (1, {"schedule": 7 * REDUCTION.schedule}),
        (1, {"effective_lr_of_norm": 2 * REDUCTION.effective_lr_of_norm}),
    ],
)
def test_group_norms_are_those_of_the_rule(step, change):
    assert weights.prove_group_norms(replace(REDUCTION, **change)).steps[step].status is Status.REFUTED


@pytest.mark.parametrize(
    ("name", "step", "change"),
    [
        ("order_of", 2, lambda old: lambda expression, power: 2 * old(expression, power)),
        ("averaged", 4, lambda old: lambda expression: 2 * old(expression)),
        ("mean_square", 5, lambda old: lambda: old() / 2),
    ],
)
def test_a_planted_error_in_the_group_norms_is_refuted(monkeypatch, name, step, change):
    monkeypatch.setattr(weights, name, change(getattr(weights, name)))
    assert weights.prove_group_norms(REDUCTION).steps[step].status is Status.REFUTED
