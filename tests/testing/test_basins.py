"""Losses with several basins: Gamma is the one of the start, its rank is its own, and something lower is found."""

from __future__ import annotations

import time

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import Objective
from sharpflow.numerics.inspection.lowest import lowest_point
from sharpflow.numerics.minima.sample import minima_sample
from sharpflow.testing import check_loss
from sharpflow.testing.check import Outcome
from sharpflow.testing.mutants.self_test import caught, mutants

ABOUT_GAMMA = ("minimizers", "minimal_kernel", "simple_sharpness")


def two_pieces(start):
    """L = 0 on the circle u_3 = u_4 = 0, of rank 2, and where q = u_3^2 + 2 u_4^2 is 1/2, of rank 1."""

    def function(w):
        u = w / jnp.linalg.norm(w)
        q = u[2] ** 2 + 2 * u[3] ** 2
        return q * (q - 0.5) ** 2 * (2 + u[0] ** 2)

    return Objective(function, start, name="two-pieces")


def two_levels(depth, sign):
    """A wide basin around u_1 = 0.8 at the height ``depth``, and a steep one around u = (-0.8, 0.6, 0 ...) at 0."""

    def function(w):
        u = w / jnp.linalg.norm(w)
        side = (1 + jnp.tanh(8 * u[0])) / 2
        wide = (u[0] - 0.8) ** 2 + depth
        steep = (u[0] + 0.8) ** 2 + 40 * (u[1] - 0.6) ** 2 + 40 * jnp.sum(u[2:] ** 2)
        return side * wide + (1 - side) * steep

    start = np.array([sign * 0.7, 0.5, 0.1, 0.2, 0.3, -0.2])
    return Objective(function, start, name="two-levels")


@pytest.mark.parametrize(
    ("start", "rank"), [((0.9, 0.4, 0.3, 0.1), 2), pytest.param((0.7, 0.5, 0.42, 0.1), 1, marks=pytest.mark.deep)]
)
def test_the_rank_is_that_of_the_starts_own_piece(start, rank):
    loss = two_pieces(start)
    sample = minima_sample(loss)
    assert sample.rank == rank
    # Both pieces are reached, or the test says nothing.
    assert len(sample.points)
    assert len(sample.elsewhere)
    q = sample.points[:, 2] ** 2 + 2 * sample.points[:, 3] ** 2
    np.testing.assert_allclose(q, 0.0 if rank == 2 else 0.5, atol=1e-9)
    report = check_loss(loss, checks=ABOUT_GAMMA)
    assert report.ok, str(report)
    assert "no part of the start's Gamma" in report["minimal_kernel"].trial.message


@pytest.mark.deep
def test_a_flat_part_of_one_piece_is_still_found():
    assert caught(next(m for m in mutants() if m.name == "flat-on-a-part")).outcome is Outcome.FAILED


@pytest.mark.deep
def test_a_lower_basin_that_is_high_at_random_is_found():
    """The 4096 directions have their lowest values in the wide basin, from where every descent stays in it."""
    loss = two_levels(0.05, 1)
    report = check_loss(loss, checks=["minimizers"])
    result = report["minimizers"]
    assert result.outcome is Outcome.FAILED
    w = np.asarray(result.trial.counterexample["w"])
    assert loss.value(w) < result.trial.counterexample["L on Gamma"] - 0.02
    assert w[0] < 0
    assert result.trial.measured == pytest.approx(0.05, rel=0.1)


@pytest.mark.deep
def test_a_gamma_that_is_the_lowest_passes_among_higher_minima():
    assert check_loss(two_levels(-0.05, 1), checks=["minimizers"])["minimizers"].outcome is Outcome.PASSED


@pytest.mark.deep
def test_the_search_takes_little_time_once_it_is_compiled():
    loss = two_levels(0.05, 1)
    first = lowest_point(loss, 0.05)
    begin = time.process_time()
    second = lowest_point(loss, 0.05)
    assert time.process_time() - begin < 4  # two cores: 2 s by the clock
    assert first.value == pytest.approx(second.value, abs=1e-6)
