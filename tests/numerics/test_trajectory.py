"""A trajectory on disk: it comes back bit for bit, and nothing else passes for one."""

from __future__ import annotations

import csv
import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from sharpflow.numerics.results import RESULTS, RunFailed, worst
from sharpflow.numerics.trajectory import Trajectory
from sharpflow.theory.errors import InputError


def example(result=RESULTS.GAP_CLOSED):
    random = np.random.default_rng(0)
    points = random.standard_normal((5, 3))
    return Trajectory(
        times=np.linspace(0, 1, 5), points=points / np.linalg.norm(points, axis=1, keepdims=True),
        effective_lr=np.full(5, np.nan), sharpness=random.random(5), loss=random.random(5), result=result,
        metadata={"subject": "ridge", "rate": 1e-4},
    )  # fmt: skip


def test_round_trip(tmp_path):
    path = tmp_path / "run.npz"
    example().save(path)
    example().save(path)  # over an old file
    back = Trajectory.load(path)
    for name in ("times", "points", "effective_lr", "sharpness", "loss"):
        np.testing.assert_array_equal(getattr(back, name), getattr(example(), name))
    assert back.result is RESULTS.GAP_CLOSED
    assert back.metadata == example().metadata
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_a_saved_file_has_the_permissions_of_any_other(tmp_path):
    plain, saved = tmp_path / "plain", tmp_path / "run.npz"
    plain.write_text("")
    example().save(saved)
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    saved.chmod(0o640)
    example().save(saved)  # over an old file, whose permissions stay
    assert stat.S_IMODE(saved.stat().st_mode) == 0o640


def test_a_full_disk_keeps_nothing_of_it(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"run\.npz: No space left"):
        example().save(tmp_path / "run.npz")
    assert not list(tmp_path.iterdir())


def test_a_device_is_written_to_and_stays_one(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    example().save(pipe)
    assert os.read(reader, 2) == b"PK"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(InputError, match="/dev/full: No space left"):
        example().save("/dev/full")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    link.symlink_to("run.npz")
    example().save(link)
    assert link.is_symlink()
    assert (tmp_path / "run.npz").is_file()


def test_csv(tmp_path):
    example().to_csv(tmp_path / "run.csv")
    rows = list(csv.reader((tmp_path / "run.csv").read_text().splitlines()))
    assert rows[0] == ["time", "effective_lr", "sharpness", "loss", "theta1", "theta2", "theta3"]
    assert float(rows[3][4]) == example().points[2, 0]
    assert len(rows) == 6


def test_foreign_and_damaged_files(tmp_path):
    good = tmp_path / "good.npz"
    example().save(good)
    content = good.read_bytes()
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "half.npz").write_bytes(content[: len(content) // 2])
    middle = len(content) // 3
    (tmp_path / "flipped.npz").write_bytes(
        content[:middle] + bytes(b ^ 255 for b in content[middle : middle + 60]) + content[middle + 60 :]
    )
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", header=np.array([object()], dtype=object))
    for name in ("text", "empty", "half", "flipped", "other", "pickled", "absent"):
        with pytest.raises(InputError):
            Trajectory.load(tmp_path / f"{name}.npz")
    with pytest.raises(InputError):
        example().save(tmp_path / "nowhere" / "run.npz")


def test_lengths_must_match():
    with pytest.raises(InputError, match="sharpness"):
        Trajectory(np.zeros(2), np.zeros((2, 3)), np.zeros(2), np.zeros(3), np.zeros(2))


def test_results_advise():
    assert all(result.advice for result in RESULTS)
    assert worst(RESULTS.SUCCESSFUL, RESULTS.LEFT_CHART, RESULTS.DIVERGED) is RESULTS.LEFT_CHART
    RESULTS.SUCCESSFUL.throw()
    with pytest.raises(RunFailed, match="flow: gap_closed"):
        RESULTS.GAP_CLOSED.throw("flow")
