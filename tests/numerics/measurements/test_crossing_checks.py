"""What the claims about several eigenvalues measure."""

from __future__ import annotations

import math

import pytest

from sharpflow.claim import Case
from sharpflow.claims import get
from sharpflow.numerics.measurements.crossing_checks import hidden_exit, through_the_crossing
from sharpflow.theory import rules

GD = rules.get("gd-wd")


# Claims of the main job.
@pytest.mark.longest
def test_claims_of_several_eigenvalues_are_consistent():
    for name in ("several-edges", "edge-sharpness", "hidden-exit"):
        found = get(name).measure(Case(loss=None, rule=GD))
        assert found.status.value == "consistent", (name, found)
        assert found.tolerance > 0


def test_a_run_that_ends_before_the_crossing_proves_nothing():
    early = through_the_crossing(GD, rate=1e-3, time=0.2)
    assert early.edge_count == 1


@pytest.mark.deep
def test_a_hidden_amplitude_of_zero_never_comes_back():
    assert math.isnan(hidden_exit(GD, rate=5e-5, time=2.0).measured)
