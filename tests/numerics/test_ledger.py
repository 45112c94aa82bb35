"""A directory of results that is cut, changed, mixed up, crowded or full loses nothing that was reported done."""

import errno
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sharpflow.numerics.ledger import Ledger, Stopped
from sharpflow.theory.errors import InputError


class Files(Ledger):
    FORMAT = "test-1"
    HOLDS = ("run", "test run")
    ONE = "row"
    FOLDERS = ("rows", "states")


def arrays(index):
    return {"values": np.arange(3.0) + index, "count": index}


@pytest.fixture
def files(tmp_path):
    found = Files.create(tmp_path / "d", "digest", {"command": ["x"]})
    with found.lock():
        for index in range(3):
            found.save("rows", index, arrays(index))
    return found


def same(found, indices):
    assert sorted(found) == list(indices)
    for index in indices:
        np.testing.assert_array_equal(found[index]["values"], arrays(index)["values"])
        assert int(found[index]["count"]) == index


def test_what_was_written_is_read(files):
    again = Files.open(files.path)
    assert again.manifest == {"format": "test-1", "digest": "digest", "command": ["x"]}
    same(again.whole("rows"), range(3))
    assert again.whole("states") == {}
    assert not again.damaged
    again.manifest["more"] = 1
    again.write_manifest()
    assert Files.open(files.path).manifest["more"] == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "renamed", "nowhere", "removed"])
def test_damage_is_noticed_and_made_good(files, damage):
    target = files.named("rows")[1]
    content = target.read_bytes()
    if damage == "cut":
        target.write_bytes(content[:-50])
    elif damage == "changed":
        target.write_bytes(content[:100] + b"?" + content[101:])
    elif damage == "foreign":
        target.unlink()
        Files(files.path, {"digest": "other"}).save("rows", 1, arrays(1))
    elif damage == "renamed":
        target.rename(target.with_name(f"000001-{files.named('rows')[2].name[7:]}"))
    elif damage == "nowhere":
        target.unlink()
        target.symlink_to("nowhere")
    else:
        target.unlink()
    looked = Files.open(files.path)
    same(looked.whole("rows"), (0, 2))
    assert len(looked.damaged) == (damage != "removed")
    words = {"foreign": "belongs to another run", "nowhere": "cannot be read (FileNotFoundError)"}
    for name, said in looked.damaged.items():
        assert name.startswith("rows/000001-")
        assert words.get(damage, "does not have the hash") in said
    looked.save("rows", 1, arrays(1))
    same(looked.whole("rows"), range(3))
    # One file of an index; a damaged one of the same name was written over.
    assert len(list((files.path / "rows").iterdir())) == 3
    assert set(looked.named("rows")) == {0, 1, 2}


def test_a_whole_file_beside_a_damaged_one_counts(files):
    (files.path / "rows" / f"000001-{16 * 'f'}.npz").write_bytes(b"PK")
    (files.path / "rows" / "notes.txt").write_text("mine")
    same(files.whole("rows"), range(3))
    assert list(files.damaged) == [f"rows/000001-{16 * 'f'}.npz"]


def test_a_file_that_is_taken_away_meanwhile_is_no_damage(files, monkeypatch):
    load, taken = Files._load, []

    def late(self, path):
        if not taken:
            taken.append(path)
            path.unlink()
        return load(self, path)

    monkeypatch.setattr(Files, "_load", late)
    same(files.whole("rows"), (1, 2))
    assert not files.damaged


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.unlink(), "holds no run: there is no manifest.json"),
        (lambda p: p.write_text("{"), r"is damaged \(JSONDecodeError\)"),
        (lambda p: p.write_bytes(b"\xff\xfe\x00"), r"is damaged \(UnicodeDecodeError\)"),
        (lambda p: p.write_text("[" * 100_000 + "]" * 100_000), r"is damaged \(RecursionError\)"),
        (lambda p: (p.unlink(), p.mkdir()), r"is damaged \(IsADirectoryError\)"),
        (lambda p: p.write_text("[]"), "not that of a test run"),
        (lambda p: p.write_text('{"format": "test-2", "digest": ""}'), "not that of a test run"),
        (lambda p: p.write_text('{"format": "test-1"}'), "not that of a test run"),
    ],
)
def test_a_wrong_manifest_is_refused(files, spoil, said):
    spoil(files.path / "manifest.json")
    with pytest.raises(InputError, match=said):
        Files.open(files.path)


def test_a_folder_with_something_in_it_is_refused(files, tmp_path):
    with pytest.raises(InputError, match="holds a run; go on with --resume"):
        Files.create(files.path, "digest", {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds no run"):
        Files.create(tmp_path / "full", "digest", {})


def test_a_process_that_was_killed_before_the_manifest_has_lost_nothing(tmp_path):
    left = tmp_path / "d" / ".0-99999-manifest.json.tmp"
    with pytest.raises(InputError, match="holds no run: there is no such folder"):
        Files.open(left.parent)
    left.parent.mkdir()
    left.write_text("{")
    with pytest.raises(
        InputError, match=r"before its manifest\.json was written; nothing is lost, call without --resume"
    ):
        Files.open(left.parent)
    same(Files.create(left.parent, "digest", {}).whole("rows"), ())


def test_a_folder_in_place_of_a_file_is_told_and_the_rest_is_kept(files):
    name = files.named("rows")[1]
    name.unlink()
    name.mkdir()
    again = Files.open(files.path)
    same(again.whole("rows"), (0, 2))
    assert again.damaged == {f"rows/{name.name}": "it cannot be read (IsADirectoryError)."}
    with (
        again.lock(),
        pytest.raises(Stopped, match=f"{name.name}: Is a directory.*is there where a file belongs: take it"),
    ):
        again.save("rows", 1, arrays(1))
    shutil.rmtree(files.path / "states")
    (files.path / "states").write_text("")
    with pytest.raises(Stopped, match=r"states: File exists.*a file is there where a folder belongs: take it away"):
        again.lock().__enter__()


def test_a_folder_of_another_result_is_left_alone(files):
    (files.path / "rows" / f"000001-{'0' * 16}.npz").mkdir()
    files.save("rows", 1, arrays(1))
    same(files.whole("rows"), range(3))


def test_other_versions_are_told(files):
    first, then = ({"versions": {"jax": version}, "git": "abc"} for version in ("1", "2"))
    files.manifest |= first
    files.goes_on(2, first)
    assert files.changes() == []
    files.goes_on(2, then)
    (said,) = Files.open(files.path).changes()
    assert said.startswith("From row 2 on it was made with jax 2 in place of 1: ")


def test_one_process_at_a_time(files):
    with Files.open(files.path).lock(), pytest.raises(InputError, match=f"by process {os.getpid()} on .*wait for it.$"):
        files.lock().__enter__()
    with files.lock("0"), files.lock("1"), pytest.raises(InputError, match="wait for it, or share"):
        Files.open(files.path).lock("0").__enter__()


def test_a_lock_clears_what_killed_processes_left_of_its_part(files):
    mine, theirs = (files.path / "rows" / f".{part}-99999-000003-x.npz.tmp" for part in "01")
    manifest = files.path / ".0-99999-manifest.json.tmp"
    for place in (mine, theirs, manifest):
        place.write_bytes(b"half")
    with files.lock("0"):
        assert not mine.exists()
        assert theirs.exists()
        assert manifest.exists()
    with files.lock():
        assert not theirs.exists()
        assert not manifest.exists()
    same(files.whole("rows"), range(3))


def full(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_stops_with_nothing_lost(files, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sharpflow.numerics.durable.os.fsync", full)
        with pytest.raises(Stopped, match=r"rows/000003.*No space left.*done is safe; .*--resume"):
            files.save("rows", 3, arrays(3))
        with pytest.raises(Stopped, match=r"manifest.json: No space left.*Nothing is kept yet; make room, and begin"):
            Files.create(tmp_path / "new", "digest", {})
    assert not list(tmp_path.rglob(".*.tmp"))
    same(files.whole("rows"), range(3))
    same(Files.create(tmp_path / "new", "digest", {}).whole("rows"), ())


def test_a_directory_that_goes_away(files):
    shutil.rmtree(files.path)
    with pytest.raises(Stopped, match="put the folder back"):
        files.save("rows", 3, arrays(3))


def test_killed_while_it_writes(tmp_path):
    """Whatever the moment: what is there is whole, and the next process goes on after it."""
    code = (
        "import sys, numpy as np; from tests.numerics.test_ledger import Files, arrays; from pathlib import Path\n"
        "p = Path(sys.argv[1]); new = not (p / 'manifest.json').exists()\n"
        "f = Files.create(p, 'digest', {}) if new else Files.open(p)\n"
        "with f.lock():\n"
        "    for i in range(len(f.whole('rows')), 1000000): f.save('rows', i, arrays(i)); print(i, flush=True)\n"
    )
    done = -1
    for k in range(3):
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "d")], stdout=subprocess.PIPE) as process:
            for _ in range(5 + k):
                done = int(process.stdout.readline())
            process.kill()
        looked = Files.open(tmp_path / "d")
        found = looked.whole("rows")
        assert not looked.damaged
        assert len(found) > done
        same(found, range(len(found)))
    assert json.loads((tmp_path / "d" / "manifest.json").read_text())["digest"] == "digest"
