"""Iterates at their equilibria under noise: the formulas, and planted errors that the same numbers refuse."""

from dataclasses import replace

import pytest

from sharpflow.numerics.noise.equilibria import (
    adamw_norm,
    catapult_difference,
    edge_gap,
    muon_norm,
    norm_under_noise,
    schedule_difference,
)
from sharpflow.theory import rules

GD = rules.get("gd-wd")
# Each mean is beyond 5 standard errors with probability 6e-7: the false alarms of this file, all together, 1e-5.


def test_norm_and_rotation_under_noise():
    for mean in norm_under_noise(GD):
        assert mean.off(1e-2) < 1
        assert replace(mean, expected=2 * mean.expected).off(1e-2) > 1
        assert replace(mean, expected=mean.expected**0.5).off(1e-2) > 1


def test_norms_of_adamw_and_muon():
    assert adamw_norm().off(0.02) < 1
    assert muon_norm().off(0.02) < 1
    # (1 + beta) for (1 - beta) in the size of an update would be 361, a forgotten correlation 1/19.
    assert replace(adamw_norm(), expected=19.0).off(0.02) > 1


def test_muon_on_square_matrices_comes_to_less_than_its_formula():
    found = muon_norm(rows=6, columns=6, matrices=20)
    assert found.value + 5 * found.error < 0.9


def test_gap_to_the_edge_at_two_rates_and_strengths():
    for rate, strength in ((1e-2, 1.0), (1e-3, 0.2), (1e-3, 4.0)):
        found = edge_gap(GD, rate=rate, strength=strength)
        assert found.off(2 * rate**0.5) < 1
    assert replace(found, expected=found.expected / 2).off(2 * rate**0.5) > 1


def test_exact_identities():
    assert schedule_difference(GD) < 1e-12
    assert schedule_difference(rules.get("gd-l2")) < 1e-2  # coupled decay is the same up to the rate
    far, begin = catapult_difference()
    assert far < 1e-9
    assert begin == pytest.approx(2.6)
