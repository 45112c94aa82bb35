"""Stationary moments under label noise: closed forms, the limit without noise, and planted errors."""

from dataclasses import replace

import pytest
import sympy as sp

from sharpflow.theory import rules
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.noise.central_path import prove_central_path, prove_moments
from sharpflow.theory.noise.moments import CURVATURE, LR, lyapunov, noise_law
from sharpflow.theory.proving.proof import Proof, Status

e, h = LR, CURVATURE
BETA = sp.Symbol("beta", positive=True)


def test_noise_is_the_central_path_is_proved_line_by_line():
    proof = prove_central_path(rules.get("gd-wd"))
    assert proof.status is Status.PROVED
    assert all(step.second == "" or "confirmed" in step.second for step in proof.steps)


@pytest.mark.parametrize("name", ["gd-wd", "heavy-ball"])
def test_planted_errors_in_the_moments_are_refuted(name):
    law = noise_law(rules.get(name))
    beta = next((s for s in law.variance.free_symbols if s.name == "beta"), sp.Integer(0))
    lost_half = replace(law, covariance=law.covariance * 2)
    deviation = replace(law, covariance=law.covariance.applyfunc(sp.sqrt))
    other_sign = replace(law, push=law.push * (1 - beta) / (1 + beta)) if beta else replace(law, push=-law.push)
    slower = replace(law, shrink=law.shrink / 2)
    for planted in (lost_half, deviation, other_sign, slower):
        assert Proof("planted", prove_moments(planted)).status is Status.REFUTED


def test_heavy_ball_without_noise_is_the_averaged_oscillator():
    # docs/rules.md: drift 2/(K2 + 4), <x^2>/rate = 2 (1 - beta)/((K2 + 4)(1 + beta)).
    law = noise_law(rules.get("heavy-ball"))
    beta = next(s for s in law.variance.free_symbols if s.name == "beta")
    nu, k2, sigma = sp.symbols("nu K2 Sigma", positive=True)
    near = sp.solve(nu * law.variance - sigma, h)[0]
    balance = sp.limit(sp.factor((law.growth - nu * law.shrink - nu * law.push * k2).subs(h, near)), nu, 0)
    (found,) = sp.solve(balance, sigma)
    assert sp.simplify(found - 2 * (1 - beta) / ((k2 + 4) * (1 + beta))) == 0
    drift = sp.limit(sp.factor((nu * law.push).subs(h, near)), nu, 0).subs(sigma, found)
    assert sp.simplify(drift - 2 / (k2 + 4)) == 0


def test_rmsprop_has_the_variance_of_gradient_descent_and_its_own_schedule():
    law, plain = noise_law(rules.get("rmsprop")), noise_law(rules.get("gd-wd"))
    assert sp.simplify(law.variance - plain.variance) == 0
    assert sp.simplify(law.push - plain.push) == 0
    assert plain.is_gradient
    assert not law.is_gradient
    (memory,) = law.growth.free_symbols
    assert sp.simplify(law.growth - memory / 2) == 0


def test_a_rule_without_a_linear_step_has_no_stationary_covariance():
    with pytest.raises(NoClosedForm, match="not smooth on Gamma"):
        noise_law(rules.get("normalized-gd"))
    with pytest.raises(NoClosedForm, match="product 1"):
        lyapunov(sp.Matrix([[1]]), sp.Matrix([[0]]), sp.Integer(1))
