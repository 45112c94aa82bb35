"""Training runs in a directory: stopped at any record, damaged, foreign, crowded, on a full disk."""

import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from sharpflow.numerics.ledger import Stopped
from sharpflow.numerics.training import run as training_run
from sharpflow.numerics.training.run import digest_of, read_training, train_network
from sharpflow.numerics.training.store import TrainingFiles
from sharpflow.numerics.training.trainer import Row
from sharpflow.theory.errors import InputError
from tests.numerics.training.small_training import RECIPE


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
    files.save("rows", 2, row._asdict())


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
    for changed, said in (
        ({"steps": 500}, "steps 400 against 500"),
        ({"learning_rate": 0.1}, "learning_rate 0.05 against 0.1"),
        ({"dtype": "float32", "count": 2}, "count 3 against 2, dtype float64 against float32"),
    ):
        with pytest.raises(InputError, match=f"another run: {said}; repeat.*It was: sharpflow train"):
            train_network(tasks, dataclasses.replace(RECIPE, **changed), out=str(copy), resume=True)
    inputs = np.array(tasks[0].data.inputs)
    inputs[3, 2] += 1e-9
    other = dataclasses.replace(tasks[0], data=dataclasses.replace(tasks[0].data, inputs=inputs))
    for wrong in ([other, tasks[1]], tasks[:1], tasks[::-1]):
        with pytest.raises(InputError, match=r"another run: (its data|seeds 2 against 1)"):
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
        patch.setattr("sharpflow.numerics.durable.os.fsync", full)
        with pytest.raises(Stopped, match=r"No space left.*--resume"):
            go(tmp_path / "run")
    assert not list((tmp_path / "run").rglob(".*.tmp"))
    same(go(tmp_path / "run", resume=True), whole[0])


def test_the_manifest_says_what_was_run(whole):
    manifest = json.loads((whole[1] / "manifest.json").read_text())
    assert manifest["command"] == ["sharpflow", "train"]
    assert manifest["recipe"] == dataclasses.asdict(RECIPE)
    assert manifest["seeds"] == 2
    assert "resumed" not in manifest


# Another program, and a look at a run that is at work


def test_a_row_is_written_before_its_state(go, tmp_path, monkeypatch):
    names, write = [], TrainingFiles.write
    monkeypatch.setattr(
        TrainingFiles, "write", lambda self, name, *rest: (names.append(name), write(self, name, *rest))
    )
    go(tmp_path / "run", stop=lambda: len(names) >= 7)
    assert [name.split("-")[0] for name in names] == [
        "manifest.json", *(f"{folder}/{index:06d}" for index in range(3) for folder in ("rows", "states"))
    ]  # fmt: skip


def test_what_decides_the_run_is_in_its_digest(tasks, monkeypatch):
    digest = digest_of(tasks, RECIPE)
    moved = dataclasses.replace(tasks[0], start=np.asarray(tasks[0].start) * (1 + 1e-12))
    other = dataclasses.replace(tasks[0], smoothing=0.2)
    assert len({digest, *(digest_of([one, tasks[1]], RECIPE) for one in (moved, other))}) == 3
    monkeypatch.setattr(training_run, "NUMERICS", training_run.NUMERICS + 1)
    assert digest_of(tasks, RECIPE) != digest


def versions(**changed):
    return {"versions": {"jax": "0.4.1", "python": "3.11.1", "device": "cpu"} | changed, "git": "abc"}


def test_going_on_with_other_versions_is_told(whole, go, tmp_path):
    place, rows = tmp_path / "run", []

    def on(until, about):
        return go(
            place, resume=bool(rows), about=about, report=lambda i, _: rows.append(i), stop=lambda: len(rows) >= until
        )

    assert not on(2, versions()).notes
    assert not on(4, versions(python="3.12.0")).notes  # Python decides no bit of it
    (note,) = on(6, versions(jax="0.5.0")).notes
    assert note.startswith("From record 4 on it was made with jax 0.5.0 in place of 0.4.1: ")
    found = on(9, {**versions(jax="0.5.0", device="gpu"), "git": None})
    assert found.complete
    assert found.notes[0] == note
    assert "From record 6 on it was made with git unknown in place of abc, device gpu in place of cpu" in found.notes[1]
    # It stays in the directory; nothing is added where nothing is done.
    assert read_training(str(place)).notes == go(place, resume=True, about=versions(jax="9")).notes == found.notes
    same(found, whole[0])


@pytest.fixture
def at_work(tasks, trainer, tmp_path, monkeypatch):
    """A run with five records, and a function with which its process, still at work, makes two more."""
    monkeypatch.setattr(training_run, "Trainer", lambda *_: trainer)
    place, rows = tmp_path / "run", []

    def on():
        until = len(rows) + (2 if rows else 5)
        train_network(
            tasks, RECIPE, out=str(place), resume=bool(rows), report=lambda i, _: rows.append(i),
            stop=lambda: len(rows) >= until,
        )  # fmt: skip

    on()
    return place, on


@pytest.mark.parametrize("method", ["rows", "last"])
def test_a_look_at_a_run_that_is_at_work(at_work, method, monkeypatch):
    """Whatever is read first, and goes on meanwhile: what is shown is whole, and nothing of it is called damaged."""
    place, on = at_work
    with monkeypatch.context() as patch:
        read = getattr(TrainingFiles, method)

        def interrupted(self):
            found = read(self)
            patch.undo()
            on()
            return found

        patch.setattr(TrainingFiles, method, interrupted)
        looked = read_training(str(place))
    assert not looked.notes
    assert len(looked.times) >= 5
    looked.change()
    assert len(read_training(str(place)).times) == 7


def test_a_state_that_is_taken_away_while_it_is_looked_for(at_work, monkeypatch):
    place, on = at_work
    with monkeypatch.context() as patch:
        load = TrainingFiles._load

        def late(self, path):
            if path.parent.name == "states":
                patch.undo()
                on()  # two more records: this state and the next are old
            return load(self, path)

        patch.setattr(TrainingFiles, "_load", late)
        looked = read_training(str(place))
    assert not looked.notes
    assert len(looked.times) == 7
    # What cannot be read at all is damage, and no endless search.
    (place / "states" / f"000009-{16 * '0'}.npz").symlink_to("nowhere")
    assert "is damaged" in " ".join(read_training(str(place)).notes)


def test_what_a_process_of_the_same_number_left_is_in_no_way(go, whole, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f".0-{os.getpid()}-manifest.json.tmp").write_bytes(b"{")
    same(go(tmp_path / "run"), whole[0])


def test_without_room_for_a_manifest_there_is_nothing_to_go_on_with(go, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sharpflow.numerics.durable.os.fsync", full)
    with pytest.raises(Stopped, match="Nothing is kept yet; make room, and begin again"):
        go(tmp_path / "run")
