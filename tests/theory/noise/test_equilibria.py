"""Equilibria under noise and exact identities: proved, by a second route, and refuted where an error is planted."""

import pytest
import sympy as sp

from sharpflow.theory import rules
from sharpflow.theory.noise import equilibria, identities
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import reduce_rule

GD = rules.get("gd-wd")


@pytest.mark.parametrize(
    "proof",
    [
        lambda: equilibria.prove_noise_equilibrium(reduce_rule(GD)),
        equilibria.prove_iid_equilibrium,
        lambda: equilibria.prove_edge_gap(GD),
        lambda: identities.prove_exponential_schedule(GD),
        identities.prove_catapult,
    ],
)
def test_equilibria_and_identities_are_proved(proof):
    assert proof().status is Status.PROVED


def test_the_norm_with_momentum_by_a_finite_sum_of_correlations():
    # beta_1 = 1/2 and A = 3/4: what is left after N terms is below (A beta_1)^N.
    a, beta, terms = sp.Rational(3, 4), sp.Rational(1, 2), 60
    found = equilibria.iid_norm_squared([beta**k for k in range(1, terms + 1)]).subs(equilibria.A, a)
    closed = (1 + a * beta) / ((1 - a**2) * (1 - a * beta))
    assert 0 < closed - found < 10 * (a * beta) ** terms


@pytest.mark.parametrize("weight", ["1 - learning_rate*weight_decay/2", "1 - 2*learning_rate*weight_decay"])
def test_a_planted_factor_in_the_decay_is_refuted(weight):
    def update(w, gradient, state, p, ops):
        share = p.learning_rate * p.weight_decay
        return (1 - (share / 2 if "/2" in weight else 2 * share)) * w - p.learning_rate * gradient(w), {}

    planted = Rule(name="planted", update=update)
    assert identities.prove_exponential_schedule(planted).status is Status.REFUTED
    assert equilibria.prove_noise_equilibrium(reduce_rule(planted)).status is Status.REFUTED
