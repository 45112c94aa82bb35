"""Sweeps: what a cell measures, that nothing but the grid decides it, and that a directory survives what may happen."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sharpflow.figures.sweep import SIGNS
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.ledger import Stopped
from sharpflow.numerics.sweeps.plan import make_plan
from sharpflow.numerics.sweeps.store import SweepFiles
from sharpflow.numerics.sweeps.sweep import COLUMNS, orders, read_sweep, sweep
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError

RIDGE, CROSSING = families.get("ridge").default(), families.get("crossing").default()
GRID = dict(rates=[1e-2, 3e-3], starts=6, seed=3, time=0.5)


def run(out, losses=(RIDGE,), **options):
    return sweep(list(losses), out=out, **{**GRID, "block": 3, **options})


def same(left, right, tolerance=0.0):
    """The same rows; numbers to a relative tolerance."""
    assert len(left) == len(right)
    for name in COLUMNS:
        if left[name].dtype.kind == "f":
            np.testing.assert_allclose(left[name], right[name], rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(left[name], right[name])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed sweep of the ridge, 4 blocks."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    return run(folder), folder


@pytest.fixture
def copy(whole, tmp_path):
    """A directory of its own with the same content."""
    return Path(shutil.copytree(whole[1], tmp_path / "copy"))


def test_rows_are_what_compare_measures(whole):
    rows = whole[0].rows
    assert set(rows.dtype.names) == set(COLUMNS)
    for row in rows[[0, -1]]:
        one = compare(RIDGE, rate=row["rate"], time=row["steps"] * row["rate"], start=tuple(row["start"]))
        assert one.gd.steps == row["steps"]
        # The other path: another program, other records; chaos of rounding over a hundred steps is far below.
        assert row["end_distance"] == pytest.approx(one.distance[-1], rel=1e-6)
        assert row["end_distance_on_minima"] == pytest.approx(one.distance_on_minima[-1], rel=1e-4, abs=1e-9)
        assert row["sharpness_end"] == pytest.approx(one.sharpness[-1], rel=1e-8)
        # The largest of 65 records is at most that of all even steps.
        assert row["max_distance"] <= one.max_distance * (1 + 1e-9)
        assert row["max_distance"] > 0.9 * one.max_distance


@pytest.mark.deep
def test_energy_edge_and_mean_square(tmp_path):
    rows = run(tmp_path / "s", rates=[1e-5, 1e-4], starts=3, time=1.0).rows
    # At rest e^y = 1; the start has |x| = 1.2 times equilibrium: E = 2 (e^y - 1 - y) with e^y = 1.44.
    np.testing.assert_allclose(rows["energy_start"], 2 * (0.44 - np.log(1.44)), rtol=0.02)
    np.testing.assert_allclose(rows["mean_edge"], 2, atol=0.01)
    # <x^2> = 2 eps/(4 + K^2), K of the ridge at the end; 3 % for the part of a period that the quarter cuts off.
    for row in rows[rows["rate"] == 1e-5]:
        angle = compare(RIDGE, rate=row["rate"], time=row["flow_time"], start=(row["start"][0],)).flow.end
        p = np.arctan2(angle[1], angle[0])
        squared = (2 * np.sin(2 * p) / (2 + np.cos(2 * p))) ** 2
        assert row["mean_square"] == pytest.approx(2 / (4 + squared), rel=0.1)


def test_failures_are_rows(tmp_path):
    rows = run(tmp_path / "s", [CROSSING], rates=[1e-3], starts=20, time=1.0).rows
    assert len(rows) == 20
    closed = rows["result"] == "gap_closed"
    assert closed.any()
    assert not closed.all()
    assert np.all(rows["flow_time"][closed] < 1.0)
    # Two starts lie where the second eigenvalue is on top already: no flow sets off from there.
    assert np.all(np.isfinite(rows["max_distance"]) == (rows["flow_time"] > 0))
    assert np.all(np.isnan(rows["end_distance_on_minima"][closed]))


@pytest.mark.deep
def test_divergence_is_found_at_its_step(tmp_path):
    rows = run(tmp_path / "s", rates=[0.1], starts=4, time=30.0, amplitude=40.0).rows
    assert set(rows["result"]) <= {"diverged", "left_minima", "off_edge", "successful"}
    assert np.all((rows["failed_at"] > 0) == (rows["result"] == "diverged"))


@pytest.mark.deep
def test_other_rules(tmp_path):
    rows = run(tmp_path / "s", rules=[rules.get("rmsprop"), rules.get("normalized-gd")], rates=[1e-4]).rows
    assert set(rows["rule"]) == {"rmsprop", "normalized-gd"}
    assert set(rows["result"]) == {"successful"}
    assert np.all(np.isnan(rows["energy_end"][rows["rule"] == "normalized-gd"]))


@pytest.mark.parametrize("block", [4, *(pytest.param(n, marks=pytest.mark.longest) for n in (1, 6))])
def test_the_block_size_changes_nothing(whole, tmp_path, block):
    # A vector unit may add in another order: last bits, which an orbit of some hundred steps does not multiply by 1e4.
    same(run(tmp_path / "s", block=block).rows, whole[0].rows, 1e-12)


def test_shards_make_a_whole(whole, tmp_path):
    first = run(tmp_path / "s", shard=(0, 2))
    assert len(first.missing) == 2
    second = run(tmp_path / "s", shard=(1, 2), resume=True)
    assert not second.missing
    same(second.rows, whole[0].rows)


def test_a_finished_sweep_is_sealed_and_done_again_for_nothing(whole, copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    files = sorted((copy / "blocks").iterdir())
    assert [hashlib.sha256(f.read_bytes()).hexdigest() for f in files] == list(manifest["checksums"].values())
    before = {f: f.stat().st_mtime_ns for f in files}
    same(run(copy, resume=True).rows, whole[0].rows)
    assert {f: f.stat().st_mtime_ns for f in files} == before


def test_stopping_leaves_what_is_done(whole, tmp_path):
    seen = []
    result = run(tmp_path / "s", report=seen.append, stop=lambda: len(seen) > 2)
    assert [p.done for p in seen] == [0, 1, 2]
    assert len(result.missing) == 2
    same(run(tmp_path / "s", resume=True).rows, whole[0].rows)


def test_other_versions_are_told(whole, copy):
    (copy / "blocks" / next(iter(os.listdir(copy / "blocks")))).unlink()
    result = run(copy, resume=True, about={"versions": {"jax": "0.0.1"}})
    assert result.notes[0].startswith("From block ")
    assert " on it was made with jax 0.0.1 in place of unknown" in result.notes[0]
    same(result.rows, whole[0].rows)


@pytest.mark.parametrize("damage", ["truncated", "changed", "foreign", "removed", "renamed"])
def test_damage_is_noticed_and_mended(whole, copy, damage, tmp_path):
    target = sorted((copy / "blocks").iterdir())[1]
    content = target.read_bytes()
    if damage == "truncated":
        target.write_bytes(content[:-100])
    elif damage == "changed":
        target.write_bytes(content[:300] + b"?" + content[301:])
    elif damage == "foreign":
        run(tmp_path / "other", seed=9)
        other = sorted((tmp_path / "other" / "blocks").iterdir())[1]
        target.unlink()
        shutil.copy(other, target.parent)
    elif damage == "removed":
        target.unlink()
    else:  # the content of another block under this number
        last = sorted((copy / "blocks").iterdir())[-1]
        target.unlink()
        shutil.copy(last, target.parent / f"000001-{last.name[7:]}")
    looked = read_sweep(copy)
    assert looked.missing == (1,)
    assert bool(looked.damaged) == (damage != "removed")
    same(run(copy, resume=True).rows, whole[0].rows)


def test_what_a_killed_process_leaves_is_cleared(whole, copy):
    leftover = copy / "blocks" / ".0-of-1-99999-000001-0123456789abcdef.npz.tmp"
    leftover.write_bytes(b"half a block")
    same(run(copy, resume=True).rows, whole[0].rows)
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "manifest.json").unlink(), "holds no sweep"),
        (lambda d: (d / "manifest.json").write_text("{"), "damaged"),
        (lambda d: (d / "manifest.json").write_text("[]"), "not that of a sweep"),
        (lambda d: (d / "manifest.json").write_text('{"format": "other"}'), "not that of a sweep"),
        (lambda d: _edit(d / "manifest.json"), "was changed"),
    ],
)
def test_a_foreign_manifest_is_refused(copy, spoil, message):
    spoil(copy)
    with pytest.raises(InputError, match=message):
        run(copy, resume=True)


def _edit(path):
    content = json.loads(path.read_text())
    content["plan"]["starts"] = 7
    path.write_text(json.dumps(content))


def test_another_grid_is_refused(copy):
    with pytest.raises(InputError, match="another sweep \\(seed: 3 against 4\\)"):
        run(copy, resume=True, seed=4)


def test_a_folder_with_something_in_it_is_refused(copy, tmp_path):
    with pytest.raises(InputError, match="--resume"):
        run(copy)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds no sweep"):
        run(tmp_path / "full")
    assert (tmp_path / "full" / "thesis.tex").read_text() == "mine"


def test_two_processes_on_one_shard_are_told(copy):
    with SweepFiles.open(copy).lock("0-of-1"), pytest.raises(InputError, match="being worked on by process"):
        run(copy, resume=True)


def test_a_full_disk_stops_with_nothing_lost(whole, tmp_path, monkeypatch):
    sync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 5:  # the manifest and a block are two each
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr("sharpflow.numerics.durable.os.fsync", full)
    with pytest.raises(Stopped, match=r"No space left.*--resume"):
        run(tmp_path / "s")
    monkeypatch.undo()
    assert not list((tmp_path / "s" / "blocks").glob(".*"))
    assert 0 < len(read_sweep(tmp_path / "s").missing) < 4
    same(run(tmp_path / "s", resume=True).rows, whole[0].rows)


def test_a_directory_that_goes_away(tmp_path):
    def gone(progress):
        if progress.done == 1:
            shutil.rmtree(tmp_path / "s")

    with pytest.raises(Stopped, match="cannot write"):
        run(tmp_path / "s", report=gone)


def test_orders_are_fitted_for_each_start(tmp_path):
    fitted = orders(run(tmp_path / "s", rates=[1e-3, 1e-4, 1e-5], starts=4, time=1.0).rows)
    assert list(fitted["start_index"]) == [0, 1, 2, 3]
    np.testing.assert_allclose(fitted["order"], 1, atol=0.1)
    assert np.all(fitted["rates"] == 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rates": []}, "rates"), ({"rates": [0.0]}, "rates"), ({"rates": [1.0]}, "rates"),
        ({"starts": 0}, "starts"), ({"starts": 1.5}, "starts"), ({"seed": -1}, "seed"), ({"time": -1.0}, "time"),
        ({"amplitude": 0.0}, "amplitude"), ({"block": 0}, "block"), ({"time": 1e9}, "too many"),
        ({"shard": (2, 2)}, "shard"), ({"devices": 99}, "jax_num_cpu_devices"),
    ],
)  # fmt: skip
def test_bad_numbers(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        run(tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_two_losses_of_one_name(tmp_path):
    with pytest.raises(InputError, match="different names"):
        run(tmp_path / "s", [RIDGE, RIDGE])


def test_a_changed_loss_is_another_sweep():
    other = families.get("ridge").member(a=3)
    other = type(other)(**{**vars(other), "name": "ridge"}) if other.name != "ridge" else other
    plans = [make_plan([loss], [rules.get("gd-wd")], rates=[1e-3], starts=2) for loss in (RIDGE, other)]
    assert plans[0].digest != plans[1].digest


# In processes of their own


def command(out, *more, rates="1e-2:3e-3:2"):
    options = ("--rates", rates, "--starts", "6", "--seed", "3", "--time", "0.5", "--block", "3", "--out", str(out))
    return [sys.executable, "-m", "sharpflow", "sweep", "ridge", *options, *more]


@pytest.mark.deep
def test_killed_and_resumed(whole, tmp_path):
    moments = np.random.default_rng().uniform(
        3.0, 7.0, 3
    )  # from before the first block to after the last, on this kind of machine
    for i, moment in enumerate(moments):
        folder = tmp_path / str(i)
        process = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(float(moment))
        process.kill()
        process.wait()
        resume = (folder / "manifest.json").exists()
        same(run(folder, resume=resume).rows, whole[0].rows, 1e-12)


@pytest.mark.parametrize(
    "which",
    [
        pytest.param(signal.SIGTERM, marks=pytest.mark.deep),
        pytest.param(signal.SIGINT, marks=pytest.mark.longest),
    ],
)
def test_a_signal_ends_after_the_block_in_hand(whole, tmp_path, which):
    call = command(tmp_path / "s", "--time", "1", rates="1e-2,1e-7")
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "s" / "blocks").glob("000001-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(which)
    said, complained = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "stopping after this block" in complained
    assert "--resume" in said
    assert len(read_sweep(tmp_path / "s").missing) < 4


@pytest.mark.deep
def test_two_devices_give_the_same(whole, tmp_path):
    subprocess.run(command(tmp_path / "devices", "--devices", "2"), check=True, capture_output=True, timeout=120)
    same(read_sweep(tmp_path / "devices").rows, whole[0].rows, 1e-12)


@pytest.mark.longest
def test_two_processes_give_the_same(whole, tmp_path):
    address = f"127.0.0.1:{20000 + os.getpid() % 20000}"
    calls = [command(tmp_path / "hosts", "--distributed", f"{address},2,{i}") for i in (0, 1)]
    both = [subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for call in calls]
    errors = [process.communicate(timeout=180)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    result = read_sweep(tmp_path / "hosts")
    assert not result.missing
    same(result.rows, whole[0].rows, 1e-12)
    assert {"0-of-2", "1-of-2"} == set(SweepFiles.open(tmp_path / "hosts").statuses())


def test_the_page_has_every_column_and_every_result():
    page = (Path(__file__).parents[3] / "docs" / "sweep.md").read_text(encoding="utf-8")
    for name in COLUMNS:
        assert f"| `{name}` | " in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(COLUMNS)
    for kind in SIGNS:
        assert f"`{kind}`" in page


@pytest.mark.longest
def test_killed_at_fifty_moments(whole, tmp_path):
    random = np.random.default_rng()
    folder = tmp_path / "s"
    for i in range(50):
        if folder.exists() and not (folder / "manifest.json").exists():
            shutil.rmtree(folder)
        more = ("--resume",) if folder.exists() else ()
        if i % 2:
            halves = [command(folder, *more, "--shard", f"{k}/2") for k in (0, 1)] if more else [command(folder)]
        else:
            halves = [command(folder, *more)]
        running = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for c in halves]
        time.sleep(float(random.uniform(1.0, 6.0)))
        for process in running:
            process.kill()
            process.wait()
        if folder.exists() and (folder / "manifest.json").exists() and not read_sweep(folder).missing:
            same(read_sweep(folder).rows, whole[0].rows, 1e-12)
            shutil.rmtree(folder)
    same(run(folder, resume=folder.exists()).rows, whole[0].rows, 1e-12)


@pytest.mark.longest
def test_a_small_file_system(whole, tmp_path):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small file system can be mounted by root only")
    (place := tmp_path / "small").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        with pytest.raises(Stopped, match="No space left"):
            run(place / "s")
        assert read_sweep(place / "s").missing
        subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
        same(run(place / "s", resume=True).rows, whole[0].rows)
    finally:
        subprocess.run(["umount", str(place)], check=False)
