"""Scale invariance of losses of high degree: what floating point cannot hold is no wrong loss, an epsilon is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import Objective
from sharpflow.numerics.inspection.number_range import leaves_range
from sharpflow.testing import check_loss
from sharpflow.testing.check import Outcome
from sharpflow.testing.mutants.wrong_losses import START

W = np.array([0.9, 0.4, 0.1, 0.05])


def of_degree(degree, guard=0.0):
    """A right loss whose numerator and denominator have this degree, next to one normalized by max(|w|, guard)."""

    def function(w):
        s, u = w @ w, w / jnp.maximum(jnp.linalg.norm(w), guard)
        high = (w[2] ** 2 * s ** (degree // 2 - 1) + w[3] ** 2 * w[0] ** 2 * s ** (degree // 2 - 2)) / s ** (
            degree // 2
        )
        return high + (u[2] ** 2 * (3 + u[0] ** 2) + u[3] ** 2) / 2

    return Objective(function, START, name=f"degree-{degree}")


@pytest.mark.parametrize(("degree", "said"), [
    pytest.param(4, "", marks=pytest.mark.longest), (22, "c <= 1e-14"), (44, "c <= 1e-07 and c >= 1e+07"),
])  # fmt: skip
def test_a_loss_of_high_degree_is_not_accused(degree, said):
    result = check_loss(of_degree(degree), checks=["homogeneity"])[0]
    assert result.outcome is Outcome.PASSED, result.explain()
    assert said in result.trial.message
    assert ("in floating point" in result.trial.message) is bool(said)


def test_nor_is_a_formula():
    text = "z^22/(x^2 + y^2 + z^2)^11 + z^2/(x^2 + y^2 + z^2)"
    assert check_loss(text, checks=["homogeneity"])[0].outcome is Outcome.PASSED


@pytest.mark.parametrize(("degree", "c"), [pytest.param(4, 1e-14, marks=pytest.mark.longest), (22, 1e-13)])
def test_an_epsilon_beside_high_powers_is_caught(degree, c):
    result = check_loss(of_degree(degree, guard=1e-12), checks=["homogeneity"])[0]
    assert result.outcome is Outcome.FAILED
    assert result.trial.counterexample["c"] == pytest.approx(c)


def test_what_leaves_the_range_of_numbers():
    for function in (
        lambda w: w[0] ** 22 + 1.0,
        lambda w: w[0] ** 5 * w[0] ** 20,
        lambda w: 1 / w[0] ** 30,
        lambda w: jnp.sum((w @ w) ** 11),
        jax.jit(lambda w: jnp.linalg.norm(w**12) ** 2),
    ):
        assert leaves_range(function, W, 1e-15)
        assert not leaves_range(function, W, 0.7)
    assert leaves_range(lambda w: w[0] ** 22, W, 1e15)
    assert leaves_range(lambda w: (w * 1e-200) @ (w * 1e-100), W, 1e-14)


def test_what_depends_on_the_length_does_not():
    """A difference, a branch, a maximum or a sum that is 0 or inf at c w only is wrong, and not out of range."""
    for function in (
        lambda w: jnp.maximum(w @ w - 1e-5, 0.0) * w[0],
        lambda w: jnp.where(w @ w < 1e-5, 0.0, w[0]) * 2.0,
        lambda w: 1 / jnp.where(w @ w < 1e-5, 0.0, w[0]),
        lambda w: jnp.where(w @ w < 1e-5, jnp.nan, 1.0) * w[0],
        lambda w: w @ jnp.array([1.0, -1.0, 0.0, 0.0]) * jnp.where(w @ w < 1e-5, 0.0, 1.0),
        lambda w: w[0] + jnp.exp(-1.0 / (w @ w)),
        lambda w: jnp.floor(w @ w * 10) ** 2,
    ):
        assert not leaves_range(function, W, 1e-14)
