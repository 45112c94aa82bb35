"""What `sharpflow train` shows while it runs and how it ends; and what a manifest says of the program."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sharpflow import cli, provenance
from sharpflow.numerics.training import run as training_run
from sharpflow.numerics.training.recipe import Recipe
from sharpflow.numerics.training.trainer import Row
from sharpflow.provenance import git_commit
from sharpflow.terminal.progress import TrainingLine
from sharpflow.terminal.training_text import run_lines
from tests.commands.test_train import SMALL, made

RECIPE = Recipe(0.05, 2e-3, steps=200, records=2)


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of so many columns."""

    def of(columns):
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("COLUMNS", str(columns))
        return screen

    return of


def record(step, *, classes=True, tested=True, seeds=((1.0, 0.0, 0.1), (3.0, 0.5, 0.3))):
    """Loss, training error and test error of each seed; effective_lr*lambda_1 = 2.25 at sharpness 100 and 200."""
    loss, wrong, test = (np.array(column) for column in zip(*seeds, strict=True))
    none, sharpness = np.full(len(loss), np.nan), np.array([100.0, 200.0])[: len(loss)]
    return Row(
        step, loss, 0.5 * loss if tested else none, wrong if classes else none, test if classes and tested else none,
        none, 2.25 / sharpness, sharpness[:, None], none, none, none,
    )  # fmt: skip


def test_progress_shows_the_means_of_a_record(terminal):
    screen = terminal(130)
    show = TrainingLine(RECIPE)
    show(1, record(50))
    begun, line = screen.getvalue().split("\r")
    assert begun == ""
    assert line.startswith("[######..................] time 0.005  loss 2.00e+00  ")
    assert "accuracy 0.750, test 0.800  sharpness 150  edge 2.25/2  0 s" in line
    show(2, record(200))
    assert screen.getvalue().split("\r")[2].startswith("[########################] time 0.020")
    assert screen.getvalue().endswith("\n")
    show.close()
    assert screen.getvalue().count("\n") == 1


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 130])
@pytest.mark.parametrize("kind", ["classes", "no classes", "no test", "a seed diverged", "all diverged"])
def test_a_line_of_progress_fits_the_terminal(terminal, columns, kind):
    row = {
        "classes": record(50), "no classes": record(50, classes=False), "no test": record(50, tested=False),
        "a seed diverged": record(50, seeds=((np.nan, np.nan, np.nan), (1.0, 0.25, 0.5))),
        "all diverged": record(50, seeds=((np.nan,) * 3,) * 2),
    }[kind]  # fmt: skip
    screen = terminal(columns)
    TrainingLine(RECIPE)(1, row)
    (line,) = screen.getvalue().split("\r")[1:]
    assert len(line) == columns - 1  # all of it is written over, and none of it wraps
    if columns >= 80:
        assert line.startswith("[#")
        assert "edge 2.25/2" in line
    if kind == "a seed diverged" and columns >= 80:
        assert "loss 1.00e+00  accuracy 0.750" in line
    assert ("nan" in line) == (kind == "all diverged")


def test_progress_without_decay_counts_iterations(terminal):
    screen = terminal(120)
    TrainingLine(Recipe(0.05, 0.0, steps=200, records=2))(1, record(50))
    assert "] iteration 50  loss" in screen.getvalue()


def test_the_line_ends_where_the_run_is_stopped(terminal, monkeypatch, tmp_path):
    """Ctrl-C after the second record: what is said next begins a line of its own."""
    screen, show = terminal(120), TrainingLine.__call__

    def interrupted(self, index, row):
        show(self, index, row)
        if index == 1:
            os.kill(os.getpid(), 2)

    monkeypatch.setattr(TrainingLine, "__call__", interrupted)
    out = ("--steps", "40", "--records", "4", "--out", str(tmp_path / "run"), "--json", str(tmp_path / "run.json"))
    assert cli.main(["train", *SMALL, *out]) == 1
    assert "\nsharpflow: stopping after this record" in screen.getvalue()
    assert screen.getvalue().endswith("\n")
    assert json.loads((tmp_path / "run.json").read_text())["step"] == [0, 2]


# How it ends


def test_a_seed_that_diverged_ends_the_command_with_one(monkeypatch, capsys):
    for diverged, code in (((), 0), ((1,), 1)):
        monkeypatch.setattr(training_run, "train_network", lambda *_, d=diverged, **__: made(diverged=d))
        assert cli.main(["train", *SMALL]) == code
        assert ("not finite" in capsys.readouterr().out) == bool(code)


def test_status_makes_no_prediction(tmp_path, capsys):
    assert cli.main(["train", "--status", str(tmp_path), "--predict"]) == 2
    assert "--resume --predict" in capsys.readouterr().err


# Words


def test_the_table_is_of_the_entry_and_of_the_end():
    lines = run_lines(made(seeds=1))
    assert lines[2].split() == ["0", "0.0018", "900", "->", "100", "2.000", "20", "->", "10"]
    assert lines[1].split()[-3:] == ["test", "error", "%"]


def test_without_test_examples_nothing_is_said_of_them():
    said = "\n".join(run_lines(made(tested=False)))
    assert "test" not in said
    assert "nan" not in said


def test_means_are_over_the_seeds_that_have_both():
    """Two seeds at rest before the edge, one that is not: it is in neither mean."""
    run = made(count=40)
    run.columns["train_loss"][:] = np.where(run.columns["step"] > 0, 1e-4, 1.0)[:, None]
    run.columns["train_loss"][:5, 2] = 1.0
    edge = np.minimum(2.1, 1.9 * 1.05 ** np.arange(40))[:, None] * np.ones(3)
    edge[:, 2] = np.linspace(1, 3, 40)  # later, and without a prediction
    run.columns["train_loss"][:, 2] = 1.0
    run.columns["effective_lr"][:] = edge / run.sharpness
    predicted, measured = run.waiting()
    assert np.isfinite(measured).all()
    assert np.isfinite(predicted).tolist() == [True, True, False]
    (line,) = [line for line in run_lines(run) if "edge reached" in line]
    assert f"edge reached at time {measured[0]:.3g} (" in line
    assert "(2 of 3 seeds; the others passed it before they were at rest, or never)" in line


def test_spectra_that_did_not_converge_are_counted():
    run = made()
    assert "converge" not in "\n".join(run_lines(run))
    run.columns["spectrum_residual"][2, :2] = [1.6e-3, 2e-4]
    said = "\n".join(run_lines(run))
    assert "did not converge at 2 of 27 spectra: largest residual 1.6e-03 of lambda_1, where 0.0001" in said


# Manifests


def git(folder, *words):
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True).stdout


def test_the_commit_is_that_of_the_checkout(tmp_path, monkeypatch):
    source = tmp_path / "checkout"
    (source / "inside").mkdir(parents=True)
    (source / "a.py").write_text("1")
    assert git_commit(source) is None
    git(source, "init", "-q")
    assert git_commit(source) is None  # no commit yet
    git(source, "add", ".")
    git(source, "commit", "-qm", "one")
    commit = git(source, "rev-parse", "HEAD").strip()
    assert git_commit(source) == commit
    (source / "untracked").write_text("")
    assert git_commit(source) == commit
    assert git_commit(source / "inside") is None  # installed inside another project
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert git_commit(source) == commit
    monkeypatch.delenv("GIT_DIR")
    (source / "a.py").write_text("2")
    assert git_commit(source) == f"{commit}-dirty"


def test_a_manifest_says_what_made_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "git_commit", lambda: "0123")
    assert cli.main(["train", *SMALL, "--steps", "4", "--records", "1", "--out", str(tmp_path / "run")]) == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["git"] == "0123"
    assert manifest["command"][0] == "sharpflow"
    assert manifest["experiment"] == "breast-cancer"
    assert {"sharpflow", "scikit-learn", "jax", "numpy", "python", "device"} <= set(manifest["versions"])
