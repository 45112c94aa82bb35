"""A loss that is no number on a part of the sphere: gradient flow that gets there says so."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.inspection.loss import removable_gaps, single_precision_error
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.minima.sample import minima_sample
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.predictions.whole_run import whole_run
from sharpflow.numerics.results import RESULTS


def _cap(bad, high=0.95):
    """(u_1^2 (2 + u_2)), and ``bad`` where u_2 > high."""

    def function(w):
        u = w / jnp.linalg.norm(w)
        return jnp.where(u[1] > high, bad, u[0] ** 2 * (2 + u[1]))

    return Objective(function, start=(0.5, 0.8, 0.1), name="cap")


@pytest.mark.parametrize("bad", [jnp.nan, *(pytest.param(b, marks=pytest.mark.deep) for b in (jnp.inf, -jnp.inf))])
def test_the_end_of_gradient_flow_is_named(bad):
    """nan in a branch of jnp.where has gradient and Hessian 0: such an end was called a flat minimum."""
    found = relax(_cap(bad))
    assert found.result is RESULTS.DIVERGED
    assert found.message.startswith(f"L = {bad:g} where gradient flow ended, at w = (0.2")
    assert "0.95" in found.message


@pytest.mark.deep
def test_a_place_of_many_entries_is_cut():
    start = np.r_[0.5, 0.8, np.full(20, 0.01)]
    found = relax(Objective(_cap(jnp.nan).function, start=start, name="long"))
    place = found.message.split("w = ")[1]
    assert place.endswith(", ...)")
    assert len(place.split(",")) == 8 + 1


def test_a_start_that_is_no_number_is_named_as_the_start():
    """No flow began there, and no other rate helps."""
    found = relax(_cap(jnp.nan), [0.1, 1.0, 0.1])
    assert (found.result, found.moved) == (RESULTS.DIVERGED, 0.0)
    assert found.message.startswith("L = nan at the start, at w = (0.09901")
    assert found.message.endswith("give another start")

    def rooted(w):
        u = w / jnp.linalg.norm(w)
        return u[0] ** 2 * (2 + jnp.sqrt(u[1] ** 4))

    found = relax(Objective(rooted, (0.5, 0.0, 0.8), name="rooted"))
    assert found.message.startswith("grad L is not finite at the start")


def test_a_gradient_whose_square_overflows_is_finite():
    large = Objective(lambda w: 1e200 * w[0] ** 2 / (w @ w), (0.5, 0.8, 0.1), name="large")
    assert "not finite" not in relax(large).message


def test_nothing_is_compared_there():
    """No central flow is sent off instead: it was, and reported stepsize_underflow."""
    comparison = compare(_cap(jnp.nan), rate=1e-3, time=1.0)
    assert comparison.result is RESULTS.DIVERGED
    assert "L = nan" in comparison.message
    assert len(comparison.times) == 0
    run = whole_run(_cap(jnp.nan), effective_lr=1e-2, time=1.0)
    assert run.result is RESULTS.DIVERGED
    assert np.isnan(run.arrival_lr)


def test_the_sample_keeps_the_places_and_they_are_counted():
    bad = _cap(jnp.nan)
    sample = minima_sample(bad)
    assert 1 <= len(sample.broken) <= 8
    assert all(np.isfinite(float(bad.value(place))) for place in sample.ended)
    found = removable_gaps(bad, sample.points, reached=sample.broken)
    assert found.value == len(sample.broken)
    assert found.witness["not finite"] == "L"
    assert np.isnan(float(bad.value(found.witness["w"])))
    # of places that are fine it counts none
    found = removable_gaps(bad, sample.points, reached=np.concatenate([[[1.0, 0.0, 0.0]], sample.broken]))
    assert found.value == len(sample.broken)
    # far from where gradient flow goes there is nothing to accuse: a loss may have poles
    good = Objective(bad.function, start=(0.1, -0.5, 0.8), name="good")
    assert len(minima_sample(good).broken) == 0
    assert removable_gaps(good, minima_sample(good).points, reached=minima_sample(good).broken).value == 0


def test_a_part_where_no_flow_leads_is_not_held_against_a_loss():
    """Three of the eight flows would begin in it: they are other starts, and not where a flow leads."""
    half = Objective(lambda w: jnp.where(w[1] < 0, jnp.nan, _even(w)), start=(0.5, 0.1, 0.8), name="half")
    sample = minima_sample(half)
    assert len(sample.failed) >= 1
    assert all("at the start" in message for message in sample.failed)
    assert len(sample.points) >= 4
    assert len(sample.broken) == 0
    assert removable_gaps(half, sample.points, reached=sample.broken).value == 0


def _even(w):
    """Gradient flow leaves the side of w_2 alone."""
    u = w / jnp.linalg.norm(w)
    return u[0] ** 2 * (2 + u[1] ** 2)


def test_what_is_no_number_in_float64_is_not_held_against_float32():
    bad = _cap(jnp.nan)
    assert single_precision_error(bad, np.zeros((0, 3))).value < 100
    at_start = Objective(lambda w: jnp.where(w[1] == 0, 1.0, jnp.nan), start=(1.0, 0.0, 0.0), name="at its start only")
    assert np.isnan(single_precision_error(at_start, np.zeros((0, 3))).value)
