"""Proofs kept on disk: a verdict comes back as it was, a change is proved anew, and a time limit keeps nothing."""

from __future__ import annotations

import queue
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sympy as sp

from sharpflow.theory import families, keeping
from sharpflow.theory.cache import cache_folder
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof
from sharpflow.verification import prover
from sharpflow.verification.prover import Prover, prove
from sharpflow.verification.verification import _rows

x, y = sp.symbols("x y", real=True)
SCALED = Loss(name="mine", variables=(x, y), expression=x**2 / (x**2 + y**2))
NOT_SCALED = Loss(name="mine", variables=(x, y), expression=x**2 / (1 + y**2))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "cache_folder", lambda name: tmp_path)
    monkeypatch.setattr(prover, "ran_out", lambda: 0)  # other tests of this process have let limits run out
    return tmp_path


def proved(loss, claim="homogeneity"):
    """The proof of a claim on a loss, made in this process; and whether it was made now."""
    (row,) = (replace(row, rule=None) for row in _rows([loss], None, [claim], 0, {}) if row.case.loss is not None)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prover, "prove", lambda *a: made.append(a) or prove(*a))
        return Prover([row]).result(row), bool(made)


@pytest.mark.parametrize(("loss", "status"), [(SCALED, "proved"), (NOT_SCALED, "refuted")])
def test_a_verdict_comes_back_as_it_was(place, loss, status):
    (first, made), (again, made_again) = proved(loss), proved(loss)
    assert (made, made_again) == (True, False)
    assert first.status == status
    assert (again.status, again.steps, again.message) == (first.status, first.steps, first.message)
    assert status == "proved" or (first.message and first.steps[0].witness)


def test_a_changed_loss_of_the_same_name_is_proved_anew(place):
    assert proved(SCALED)[0].status == "proved"
    found, made = proved(NOT_SCALED)
    assert (found.status, made) == ("refuted", True)
    assert len(list(place.iterdir())) == 2


def test_with_fresh_what_is_kept_is_not_read(place):
    proved(SCALED)
    with keeping.ignored():
        assert proved(SCALED)[1]
    assert not proved(SCALED)[1]


def test_a_damaged_proof_is_noticed_and_made_anew(place, capsys):
    proved(SCALED)
    (path,) = place.iterdir()
    path.write_text(path.read_text().replace("proved", "refuted"))
    found, made = proved(SCALED)
    assert (found.status, made) == ("proved", True)
    assert path.name in capsys.readouterr().err


@pytest.mark.parametrize("ran_out", [0, 1])
def test_what_a_time_limit_left_open_is_not_kept(place, monkeypatch, ran_out):
    monkeypatch.setattr(prover, "ran_out", lambda: ran_out)
    (row,) = (row for row in _rows([SCALED], None, ["homogeneity"], 0, {}) if row.case.loss is not None)
    nothing_found = SimpleNamespace(prove=lambda case: Proof("closed form"))
    assert prove(nothing_found, row.case).final is (not ran_out)
    assert prove(row.claim, row.case).final


def test_a_proof_that_was_given_up_is_not_kept():
    def never(case):
        while True:
            pass

    found = prove(SimpleNamespace(prove=never), None, limit=0.05)
    assert (found.status, found.final) == ("undecided", False)


def test_a_loss_that_cannot_be_fingerprinted_is_proved_anew(place):
    class Half(sp.Function):
        @classmethod
        def eval(cls, argument):
            return None

    loss = Loss(name="half", variables=(x, y), expression=Half(x**2 / (x**2 + y**2)))
    assert proved(loss)[1]
    assert proved(loss)[1]
    assert not list(place.iterdir())


def test_another_claim_or_rule_is_another_entry(place):
    ridge = families.get("ridge").default()
    rows = _rows([ridge], None, ["rule-law", "drift"], 0, {})
    paths = [prover.kept(r.id, r.claim, "loss", r.case.rule.name).path for r in rows if r.case.loss is ridge]
    assert len(set(paths)) == len(paths) > 2


def test_a_proof_that_nobody_has_asked_for_yet_is_kept(monkeypatch, tmp_path):
    """As where a run is interrupted while another row is measured."""
    monkeypatch.setenv("SHARPFLOW_CACHE", str(tmp_path))
    monkeypatch.setattr(keeping, "cache_folder", cache_folder)
    (row,) = (row for row in _rows([families.get("rayleigh").default()], None, ["homogeneity"], 0, {}) if row.case.loss)
    inbox = queue.Queue()
    first = Prover([row], 30.0, inbox)
    inbox.get()  # an answer has come
    first.close()
    assert Prover([row]).result(row).steps
    assert not Prover([row])._worker.takes(row.index)
