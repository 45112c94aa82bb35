"""Rules whose step goes as another power of |w| than gradient descent's."""

from __future__ import annotations

import pytest
import sympy as sp

from sharpflow.theory.derivation.rational_map import confirm_map
from sharpflow.theory.edge.edge_law import K2, edge_law
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import norm_squared_at, reduce_rule

LR, SQUARED, SMALL = sp.symbols("effective_lr norm_squared eta", positive=True)


def divided(power):
    """eta grad L/|w|^power: effective_lr = eta/|w|^(2 + power)."""

    def update(w, gradient, state, p, ops):
        shrunk = (1 - p.learning_rate * p.weight_decay) * w
        return shrunk - p.learning_rate * gradient(w) / ops.norm(w) ** power, {}

    return Rule(name=f"divided-{power}", update=update)


def test_growth_and_brake_go_with_the_power():
    """d log|w|^2 = -2 eps + e^2 |G|^2, and log e falls by twice that.

    Growth and brake are twice those of gradient descent, 2 and 4, while K^2 stays.
    """
    law = edge_law(divided(2))
    assert sp.simplify(law.drift - 4 / (8 + K2)) == 0
    assert sp.simplify(law.edge - 2) == 0
    assert confirm_map(law.single, law.energy.steps).status is Status.PROVED


@pytest.mark.parametrize("power", [1, 4])
def test_other_roots_are_named(power):
    with pytest.raises(
        NoClosedForm, match=r"effective_lr\*\*\(-[12]/3\) is not made of sums, products, powers and square"
    ):
        edge_law(divided(power))


def test_the_norm_at_an_effective_lr():
    found = norm_squared_at(SMALL / ((1 - SMALL) * SQUARED**2), SQUARED, LR)
    assert sp.simplify(found - sp.sqrt(SMALL / ((1 - SMALL) * LR))) == 0
    # Two lengths have this effective learning rate, and none has a negative one.
    assert norm_squared_at(SMALL * SQUARED / (SQUARED**2 + 1), SQUARED, LR / 1000) is None
    assert norm_squared_at(-SMALL / SQUARED**2, SQUARED, LR) is None


def test_the_reduction_to_the_sphere():
    """e+ = e (|w|/|w+|)^4, with |w+|^2 = |w|^2 ((1 - eps)^2 + (1 - eps)^2 e^2 |G|^2)."""
    found = reduce_rule(divided(2))
    decay = 1 - found.parameters["learning_rate"] * found.parameters["weight_decay"]
    e, g = found.effective_lr, found.gradient_squared
    assert sp.simplify(found.schedule - e / (decay**2 * (1 + e**2 * g)) ** 2) == 0
