"""Formulas of the exact wing against definitions written here: averages, roots, the waiting time, multipliers."""

from __future__ import annotations

import math
from itertools import product

import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.chart.geometry import elementary, geometry_of, roots_of
from sharpflow.theory.edge.edge_law import energy_ratio, horizon
from sharpflow.theory.edge.energy_law import BEND, decompose, log_rate
from sharpflow.theory.edge.jets import K
from sharpflow.theory.edge.one_step import U, X
from sharpflow.theory.sphere.entering import (
    prove_descent_lemma,
    prove_edge_multiplier,
    prove_waiting_time,
    waiting_time,
)
from sharpflow.theory.sphere.reduction import reduce_rule

ALPHA, A, B = sp.symbols("alpha a b", positive=True)


@pytest.mark.parametrize(
    "power", [(0, 0), (0, 2), (2, 0), (2, 2), (4, 0), (1, 2), (1, 0), (3, 0), (0, 1), (1, 1), (2, 1), (3, 1)]
)
def test_a_monomial_is_its_mean_and_a_derivative_along_the_orbit(power):
    """X' = alpha X U, U' = a - b X^2: what is neither 1, U^2 nor an odd power of X is d/dT of the potential."""
    monomial = X ** power[0] * U ** power[1]
    found = decompose(monomial, ALPHA, A, B)
    along = sp.diff(found.potential, X) * ALPHA * X * U + sp.diff(found.potential, U) * (A - B * X**2)
    kept = sp.sympify(found.constant).subs({sp.Symbol("<X>"): X, sp.Symbol("<X^3>"): X**3})
    assert sp.expand(monomial - kept - found.square * U**2 - along) == 0
    free = sp.sympify(found.square).free_symbols | sp.sympify(found.constant).free_symbols
    assert not free & {X, U}


def test_the_rate_of_a_logarithm_follows_g_and_the_slow_scalars():
    q, push = sp.symbols("q sigma", positive=True)
    found = log_rate(K**2 * q**3, push, {q: sp.Integer(5)})
    assert sp.expand(found - (2 * BEND * push * X**2 / K + 15)) == 0


@pytest.mark.parametrize(("name", "factor"), [("gd-wd", 1), ("gd-l2", 1)])
def test_the_waiting_time_solves_the_schedule(name, factor):
    reduction = reduce_rule(rules.get(name))
    time, start, sharp = waiting_time(reduction)
    numbers = {"learning_rate": 0.5, "weight_decay": 0.02}
    values = {reduction.parameters[k]: v for k, v in numbers.items()} | {start: 0.01, sharp: 3.0}
    t = float(time.subs(values))
    assert t == pytest.approx(math.log(2 / (3.0 * 0.01)) / (-2 * math.log(1 - 0.01)))
    proof = prove_waiting_time(reduction)
    assert proof.status == "proved"
    assert len(proof.steps) == 2
    # What is shown is what is proved.
    left, right = proof.steps[0].lhs, proof.steps[0].rhs
    assert float((left - right).subs(values | {s: 7.0 for s in left.free_symbols if s.name == "t"})) == pytest.approx(0)


def test_the_descent_lemma_and_the_multiplier_are_proved():
    reduction = reduce_rule(rules.get("gd-wd"))
    lemma = prove_descent_lemma(reduction)
    assert lemma.status == "proved"
    assert len(lemma.steps) >= 6
    multiplier = prove_edge_multiplier(reduction)
    assert multiplier.status == "proved"
    mu, e = sp.Symbol("mu", positive=True), reduction.effective_lr
    statements = [(step.lhs, step.rhs) for step in multiplier.steps]
    assert statements[0][1] == 1 - e * mu
    assert statements[1] == (e, 2 / mu)
    # At the edge of mu, an eigenvalue mu/(1 + s) has 1 + multiplier = 2 s/(1 + s) > 0.
    s = sp.Symbol("s", positive=True)
    assert sp.simplify(statements[3][0] - 2 * s / (1 + s)) == 0


def test_the_multiplier_of_another_step_is_refuted():
    from dataclasses import replace

    reduction = reduce_rule(rules.get("gd-wd"))
    wrong = replace(reduction, step=2 * reduction.step)
    assert prove_edge_multiplier(wrong).status == "refuted"
    assert prove_descent_lemma(wrong).status == "refuted"


@pytest.mark.parametrize("values", [(5, 3), (7, 2, 2), (4, 1, 9), (2, 2, 2), (1, 3, 5, 7)])
def test_elementary_symmetric_functions_and_roots(values):
    """A matrix with these eigenvalues, and one more 0: e_k by Newton's identities, roots by factors."""
    n = len(values)
    change = sp.Matrix(n + 1, n + 1, lambda i, j: sp.Rational((i + 2) ** j, 1 + i + j))
    matrix = change * sp.diag(*values, 0) * change.inv()
    found = elementary(matrix, n)
    t = sp.Symbol("t")
    expected = sp.Poly(sp.prod(1 + v * t for v in values), t).all_coeffs()[::-1][1:]
    assert list(found) == expected
    assert sorted(roots_of(found)) == sorted(sp.Integer(v) for v in values)


def test_roots_of_a_quadratic_that_does_not_factor():
    found = roots_of((sp.Integer(6), sp.Integer(7)))  # mu^2 - 6 mu + 7
    assert {sp.simplify(r) for r in found} == {3 - sp.sqrt(2), 3 + sp.sqrt(2)}
    assert roots_of((sp.Integer(1), sp.Integer(1), sp.Integer(3))) == []  # mu^3 - mu^2 + mu - 3 is irreducible


@pytest.mark.parametrize("name", ["ridge", "conic", "crossing", "two-layer"])
def test_the_top_eigenvector_is_one(name):
    geometry = geometry_of(families.get(name).default())
    start = dict(geometry.start)
    vector = geometry.edge_direction.subs(start).evalf()
    hessian = geometry.hessian.subs(start).evalf()
    top = float(geometry.eigenvalues[0].subs(start))
    assert float((hessian * vector - top * vector).norm()) < 1e-9 * top
    # Its largest entry at the start is 1.
    assert max(abs(float(e)) for e in vector) == pytest.approx(1.0)


def test_the_horizon_is_the_growth_over_the_coefficient():
    def energy(amplitude):
        return amplitude**2 - 1 - 2 * math.log(amplitude)

    for small, large in product((1.2, 1.5), (5.0, 10.0)):
        ratio = math.log(energy(large) / energy(small))
        assert energy_ratio(small, large) == pytest.approx(ratio)
        assert horizon(2.0, small, large) == pytest.approx(ratio / 2)
    assert horizon(0.0) == horizon(-1.0) == math.inf
    assert energy_ratio(1.0) == math.inf
    assert energy_ratio(10.0, 2.0) == 0.0
