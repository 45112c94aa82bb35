"""The equations of several eigenvalues at the edge: planted errors are refuted, and the numbers agree with numerics."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import sharpflow.theory.edge.several_edges as edges
from sharpflow.numerics.flows.complementarity import edge_covariance
from sharpflow.theory import rules
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.sphere.reduction import reduce_rule

REDUCTION = reduce_rule(rules.get("gd-wd"))


def test_the_equations_follow_from_the_exact_step():
    for prove in (edges.prove_several_edges, edges.prove_edge_sharpness_falls, edges.prove_central_flow):
        proof = prove(REDUCTION)
        assert proof.status is Status.PROVED
        assert all(step.method for step in proof.steps)


def test_no_step_compares_a_thing_with_itself():
    drift, growth = edges.edge_map(REDUCTION)
    assert growth.has(edges.XS[0])
    assert not growth.has(edges.SIGMA[0, 0])
    assert all(d.has(edges.XS[0]) for d in drift)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda e: e.subs(edges.SIGMA[0, 1], 2 * edges.SIGMA[0, 1]), "drift"),
        (lambda e: 2 * e, "drift"),
        (lambda e: -e, "drift"),
        (lambda e: e + edges.SIGMA.trace(), "growth"),  # a 3 for the 4
        (lambda e: e - 1, "growth"),
    ],
)
def test_planted_errors_are_refuted(change, part):
    drift, growth = edges.edge_map(REDUCTION)
    true = edges.averaged(drift[0] if part == "drift" else growth)
    right = -edges.push(edges.SIGMA)[0] if part == "drift" else 2 - 4 * edges.SIGMA.trace()
    assert prove_equal("true", true, right).status is Status.PROVED
    step = prove_equal("planted", true, change(right))
    assert step.status is Status.REFUTED
    assert step.witness


def test_a_planted_operator_is_refuted(monkeypatch):
    def wrong(sigma):
        return edges_operator(sigma) - sigma.trace() * sp.eye(2)

    edges_operator = edges.operator
    monkeypatch.setattr(edges, "operator", wrong)
    assert edges.prove_several_edges(REDUCTION).status is Status.REFUTED
    assert edges.prove_central_flow(REDUCTION).status is Status.REFUTED


def test_a_slope_that_counts_twice_is_refuted(monkeypatch):
    real = edges.edge_map
    monkeypatch.setattr(edges, "edge_map", lambda reduction, slope: real(reduction, tuple(2 * b for b in slope)))
    assert edges.prove_central_flow(REDUCTION).status is Status.REFUTED


def test_without_a_slope_it_is_the_flow_along_the_minima():
    sloping, flat = edges.edge_map(REDUCTION, edges.SLOPE), edges.edge_map(REDUCTION)
    at_rest = dict.fromkeys(edges.SLOPE, 0)
    assert [sp.expand(d.subs(at_rest)) for d in sloping[0]] == flat[0] != sloping[0]
    assert sloping[1] == flat[1]


def test_a_planted_schedule_is_refuted():
    from dataclasses import replace

    forgotten = replace(REDUCTION, schedule=REDUCTION.schedule * (1 + REDUCTION.gradient_squared))
    assert edges.prove_several_edges(forgotten).status is Status.REFUTED
    assert edges.prove_edge_sharpness_falls(forgotten).status is Status.REFUTED


def test_the_solver_solves_these_equations():
    rng = np.random.default_rng(0)
    for _ in range(5):
        a = rng.standard_normal((2, 2, 2))
        a = (a + a.transpose(1, 0, 2)) / 2
        found = edge_covariance(a)
        values = {edges.JETS[i, j, m]: a[i, j, m] for i in range(2) for j in range(2) for m in range(2)}
        values |= {edges.SIGMA[i, j]: found.sigma[i, j] for i in range(2) for j in range(2)}
        slack = np.array((edges.operator(edges.SIGMA) - 2 * sp.eye(2)).subs(values), dtype=float)
        assert np.linalg.eigvalsh(slack)[0] > -1e-9
        assert abs(np.sum(slack * found.sigma)) < 1e-9
        # d log lambda_1/d tau = 4 tr Sigma - 2 = -|push|^2/tr Sigma
        push = np.einsum("ij,ijm->m", found.sigma, a)
        trace = np.trace(found.sigma)
        assert 4 * trace - 2 == pytest.approx(-push @ push / trace, abs=1e-8)
