"""Measurements in a process of their own are those made here, and its early end is an error, not a verdict."""

from __future__ import annotations

import shutil
import sys

import pytest

from sharpflow.theory import families
from sharpflow.theory.errors import InputError
from sharpflow.verification import measurer, verification
from sharpflow.verification.verification import verify


def judged():
    (verdict,) = verify([families.get("rayleigh").default()], claims=["homogeneity"]).verdicts
    return verdict


@pytest.fixture
def elsewhere(monkeypatch):
    monkeypatch.setattr(measurer, "MANY", 1)
    monkeypatch.setattr(verification, "measure", None)  # nothing is measured here


def test_a_measurement_made_elsewhere_is_that_made_here(request):
    here = judged()
    request.getfixturevalue("elsewhere")
    there = judged()
    assert (there.numeric, there.measured, there.tolerance) == (here.numeric, here.measured, here.tolerance)
    assert there.numeric == "consistent"


def test_the_early_end_of_the_process_is_an_error(elsewhere, monkeypatch):
    judged()  # the proof is kept: only measurements are left to another process
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    verdict = judged()
    assert verdict.error
    assert "the measuring process ended early" in verdict.message
    assert "exit status 1" in verdict.message


def test_what_may_fail_its_hypotheses_is_not_measured_elsewhere():
    crossing, ridge = families.get("crossing").default(), families.get("ridge").default()
    rows = verification._rows([crossing, ridge], None, ["drift"], 0, {})
    told = {row.loss: verification._known_to_hold(row) for row in rows}
    assert (told["crossing"], told["ridge"]) == (False, True)


def test_a_device_that_another_process_lacks_is_told_without_a_traceback(elsewhere, monkeypatch, capfd):
    monkeypatch.setenv("JAX_PLATFORMS", "nonsense")  # JAX of this process has begun already
    with pytest.raises(InputError, match="no device for JAX_PLATFORMS=nonsense"):
        judged()
    assert "Traceback" not in capfd.readouterr().err
