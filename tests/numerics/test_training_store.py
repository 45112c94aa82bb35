"""Training runs in a directory: stopped at any record, damaged, foreign, crowded, on a full disk."""

import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from numerics import training_run
from numerics.training import Row
from numerics.training_run import read_training, train_network
from numerics.training_store import TrainingFiles, TrainingStopped
from tests.numerics.small_training import RECIPE
from theory.errors import InputError


@pytest.fixture(scope="module")
def whole(tasks, trainer, tmp_path_factory):
    """A run that was never stopped, and its directory."""
    folder = tmp_path_factory.mktemp("training") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "Trainer", lambda *_: trainer)
        return train_network(tasks, RECIPE, out=str(folder), about={"command": ["sharpflow", "train"]}), folder


@pytest.fixture
def go(tasks, trainer, monkeypatch):
    """`train_network` on the small problem, compiled once for all tests."""
    monkeypatch.setattr(training_run, "Trainer", lambda *_: trainer)
    return lambda out, **options: train_network(tasks, RECIPE, out=str(out), **options)


@pytest.fixture
def copy(whole, tmp_path):
    return Path(shutil.copytree(whole[1], tmp_path / "copy"))


def same(one, two):
    """Bit for bit."""
    for name in Row._fields:
        np.testing.assert_array_equal(one.columns[name], two.columns[name], err_msg=name)
        assert one.columns[name].dtype == two.columns[name].dtype, name
    for a, b in zip(one.state, two.state, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.complete == two.complete


@pytest.mark.parametrize("after", range(1, 9))
def test_stopped_after_any_record_and_resumed(whole, go, after, tmp_path):
    rows = []
    part = go(tmp_path / "run", report=lambda index, _: rows.append(index), stop=lambda: len(rows) >= after)
    assert rows == list(range(after))
    assert not part.complete
    assert not part.ended
    looked = read_training(str(tmp_path / "run"))
    same(looked, part)
    same(go(tmp_path / "run", resume=True), whole[0])
    same(read_training(str(tmp_path / "run")), whole[0])
    assert len(list((tmp_path / "run" / "states").iterdir())) == 2


def first(folder, index=2):
    return next((folder).glob(f"{index:06d}-*"))


def foreign(folder):
    """The content of another record under the name of this one."""
    target, other = first(folder / "rows"), first(folder / "rows", 3)
    target.write_bytes(other.read_bytes())


def alien(folder):
    """A whole file, with the right hash, of another run."""
    files = TrainingFiles(folder, {"digest": "other"})
    target = first(folder / "rows")
    row = TrainingFiles.open(folder).rows()[2]
    target.unlink()
    files._save("rows", 2, row._asdict())


DAMAGE = {
    "truncated row": (lambda f: first(f / "rows").write_bytes(first(f / "rows").read_bytes()[:-50]), "hash", 9),
    "garbage row": (lambda f: first(f / "rows").write_bytes(b"\x00" * 300), "hash", 9),
    "missing row": (lambda f: first(f / "rows").unlink(), "Record 2 was damaged or missing", 9),
    "wrong row": (foreign, "hash", 9),
    "foreign row": (alien, "another run", 9),
    "last state": (lambda f: first(f / "states", 8).write_bytes(b"PK"), "hash", 1),
    "no last state": (lambda f: first(f / "states", 8).unlink(), None, 1),
    "no states": (lambda f: shutil.rmtree(f / "states"), None, 9),
    "nothing": (lambda f: (shutil.rmtree(f / "states"), shutil.rmtree(f / "rows")), None, 9),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_noticed_and_mended(whole, go, copy, case):
    damage, said, again = DAMAGE[case]
    damage(copy)
    if said and "state" not in case:
        looked = read_training(str(copy))
        assert not looked.complete
        assert "--resume" in " ".join(looked.notes)
    rows = []
    mended = go(copy, resume=True, report=lambda index, _: rows.append(index))
    same(mended, whole[0])
    assert len(rows) == again
    assert (said in " ".join(mended.notes)) if said else not mended.notes
    # One file a record, and all well.
    assert not go(copy, resume=True).notes
    assert len(list((copy / "rows").iterdir())) == 9


MANIFESTS = {
    "missing": (lambda p: p.unlink(), "holds no run"),
    "cut": (lambda p: p.write_text(p.read_text()[:50]), "damaged"),
    "binary": (lambda p: p.write_bytes(b"\xff\xfe\x00"), "damaged"),
    "foreign": (lambda p: p.write_text('{"format": "sharpflow-sweep-1", "digest": ""}'), "not that of a training"),
    "list": (lambda p: p.write_text("[]"), "not that of a training"),
    "no command": (lambda p: p.write_text('{"format": "sharpflow-training-1", "digest": "x"}'), "was: unknown"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_wrong_manifest_is_refused(go, copy, case):
    spoil, said = MANIFESTS[case]
    spoil(copy / "manifest.json")
    with pytest.raises(InputError, match=said):
        go(copy, resume=True)
    with pytest.raises(InputError, match="damaged" if case == "no command" else said):
        read_training(str(copy))


def test_another_run_is_refused(tasks, go, copy, tmp_path):
    for changed in ({"steps": 500}, {"learning_rate": 0.1}, {"dtype": "float32"}):
        with pytest.raises(InputError, match=r"another run.*It was: sharpflow train"):
            train_network(tasks, dataclasses.replace(RECIPE, **changed), out=str(copy), resume=True)
    inputs = np.array(tasks[0].data.inputs)
    inputs[3, 2] += 1e-9
    other = dataclasses.replace(tasks[0], data=dataclasses.replace(tasks[0].data, inputs=inputs))
    for wrong in ([other, tasks[1]], tasks[:1], tasks[::-1]):
        with pytest.raises(InputError, match="another run"):
            train_network(wrong, RECIPE, out=str(copy), resume=True)
    with pytest.raises(InputError, match="--resume"):
        go(copy)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    for place in (tmp_path / "full", tmp_path / "full" / "thesis.tex"):
        with pytest.raises(InputError, match=r"another folder|is a file"):
            go(place)
    assert (tmp_path / "full" / "thesis.tex").read_text() == "mine"


def test_what_killed_processes_leave_is_cleared(whole, go, copy, tmp_path):
    half = copy / "rows" / ".0-99999-000003-0123456789abcdef.npz.tmp"
    half.write_bytes(b"half")
    same(go(copy, resume=True), whole[0])
    assert not half.exists()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".0-99999-manifest.json.tmp").write_bytes(b"{")
    same(go(tmp_path / "new"), whole[0])
    assert not list((tmp_path / "new").glob(".*"))


def test_two_processes_in_one_directory(go, copy):
    with TrainingFiles.open(copy).lock(), pytest.raises(InputError, match="being worked on"):
        go(copy, resume=True)


@pytest.mark.parametrize("writes", [3, 4, 7, 10])
def test_a_full_disk_says_so_and_loses_nothing(whole, go, tmp_path, monkeypatch, writes):
    sync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > writes:  # two for each file
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr("numerics.durable.os.fsync", full)
        with pytest.raises(TrainingStopped, match=r"No space left.*--resume"):
            go(tmp_path / "run")
    assert not list((tmp_path / "run").rglob(".*.tmp"))
    same(go(tmp_path / "run", resume=True), whole[0])


def test_the_manifest_says_what_was_run(whole):
    manifest = json.loads((whole[1] / "manifest.json").read_text())
    assert manifest["command"] == ["sharpflow", "train"]
    assert manifest["recipe"] == dataclasses.asdict(RECIPE)
    assert manifest["seeds"] == 2
