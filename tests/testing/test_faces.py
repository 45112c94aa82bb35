"""The kit as users meet it: a decorator, a suite without a file, a command, and strategies for Hypothesis."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sharpflow import cli
from sharpflow.commands.check import _name
from sharpflow.testing import pictures

ROOT = Path(__file__).parents[2]

LOSSES = """
import sympy as sp
from sharpflow import Loss, Minima

x, y, z = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
r2 = x**2 + y**2 + z**2
minima = Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0), start=(0.35,), domain=((-3, 3),))
good = Loss(name="good", variables=(x, y, z), expression=z**2/(2*r2)*(2 + (x**2 - y**2)/r2), minima=minima)
bad = Loss(name="bad", variables=(x, y, z), expression=z**2/(2*r2 + sp.Rational(1, 10**5)), minima=minima)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(LOSSES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_pytest(folder, *arguments):
    """Pytest in a process of its own, with nothing of this project's settings."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    call = [sys.executable, "-m", "pytest", "-p", "sharpflow.testing.plugin", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "NO_COLOR": "1"}
    done = subprocess.run([*call, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_the_suite_needs_no_file(folder):
    status, text = run_pytest(
        folder, "--pyargs", "sharpflow.testing.suite",
        "--sharpflow-loss", "mine.py:good", "--sharpflow-loss", "mine.py:bad",
        "--sharpflow-rule", "gd-wd", "--sharpflow-check", "homogeneity", "--sharpflow-check", "clock", "-v",
    )  # fmt: skip
    assert status == 1
    assert "test_check[homogeneity-good] PASSED" in text
    assert "test_check[homogeneity-bad] FAILED" in text
    assert "test_check[clock-gd-wd] PASSED" in text
    assert "counterexample" in text
    assert "Traceback" not in text
    assert "1 failed, 2 passed" in text


@pytest.mark.deep
def test_the_suite_without_a_loss_skips_and_a_wrong_name_fails_alone(folder):
    status, text = run_pytest(folder, "--pyargs", "sharpflow.testing.suite")
    assert status == 0
    assert "1 skipped" in text
    assert "give --sharpflow-loss SPEC" in text
    status, text = run_pytest(
        folder, "--pyargs", "sharpflow.testing.suite",
        "--sharpflow-loss", "mine.py:god", "--sharpflow-loss", "ridge", "--sharpflow-check", "purity",
    )  # fmt: skip
    assert status == 1
    assert "did you mean good?" in text
    assert "1 failed, 1 passed" in text
    assert "Traceback" not in text


def test_a_project_has_options_of_its_own(folder):
    """Kind: names of the plug-in's that another project uses too."""
    taken = ("--loss", "--check", "--update-rule", "--check-strict", "--rule", "--seed")
    (folder / "conftest.py").write_text(
        f"def pytest_addoption(parser):\n    for name in {taken}:\n        parser.addoption(name)\n"
    )
    (folder / "test_own.py").write_text(
        "def test_it(request):\n    assert request.config.getoption('--loss') == 'huber'\n"
    )
    status, text = run_pytest(folder, "--loss", "huber")
    assert status == 0, text
    assert "1 passed" in text


@pytest.mark.deep
def test_what_is_inconclusive_fails_where_it_is_strict(folder):
    (folder / "conftest.py").write_text(
        "from sharpflow.testing import check, running\n"
        "nothing = check.Trial(check.Outcome.INCONCLUSIVE, 'nothing measured')\n"
        "running.Runner._try = lambda *_: nothing\n"
    )
    call = ("--pyargs", "sharpflow.testing.suite", "--sharpflow-loss", "mine.py:good", "--sharpflow-check", "purity")
    status, text = run_pytest(folder, *call, "-rs")
    assert status == 0, text
    assert "1 skipped" in text
    assert "inconclusive: nothing measured" in text
    status, text = run_pytest(folder, *call, "--sharpflow-strict")
    assert status == 1, text
    assert "purity on good: inconclusive" in text
    assert "1 failed" in text


def test_the_decorator_makes_a_test_of_each_check(folder):
    (folder / "test_mine.py").write_text(
        "from mine import bad, good\n"
        "from sharpflow.testing import parametrize_with_checks\n"
        "@parametrize_with_checks([good, bad, 'ridge'], checks=['homogeneity', 'minimizers'],\n"
        "    expected_failed=lambda loss: {'homogeneity': 'by design'} if loss.name == 'bad' else {})\n"
        "def test_it(check):\n"
        "    check()\n"
    )
    status, text = run_pytest(folder, "test_mine.py", "-v")
    assert status == 0, text
    assert "test_it[minimizers-ridge] PASSED" in text
    assert "test_it[homogeneity-bad] XFAIL" in text
    assert "test_it[minimizers-bad] SKIPPED" in text


def test_the_plugin_costs_nothing_when_unused(folder):
    code = "import sys, sharpflow.testing.plugin; print([m for m in ('jax', 'sympy', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


HYPOTHESIS = """
import sys
from sharpflow.testing.hypothesis_entry import register
register()
assert "sympy" not in sys.modules
from hypothesis import given, settings, HealthCheck
from sharpflow import Loss, Rule
seen = []

@settings(max_examples=5, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(loss=..., rule=...)
def test(loss: Loss, rule: Rule):
    seen.append((loss, rule))

test()
assert all(isinstance(a, Loss) and isinstance(b, Rule) for a, b in seen)
print(len(seen))
"""


@pytest.mark.deep
def test_hypothesis_resolves_the_types_and_loads_nothing_before(folder):
    done = subprocess.run([sys.executable, "-c", HYPOTHESIS], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5


def test_the_command_goes_on_after_a_file_that_fails(folder, capsys):
    (folder / "broken.py").write_text("import sys\nsys.exit(3)\n")
    status = cli.main(["check", "broken.py:loss", "mine.py:good", "mine.py:bad", "--check", "homogeneity",
                       "--json", "out.json", "--out", "pictures"])  # fmt: skip
    out, err = capsys.readouterr()
    assert status == 2
    assert "line 2: the file ends the program" in err
    found = json.loads((folder / "out.json").read_text())
    assert [report["ok"] for report in found["reports"]] == [True, False]
    assert found["errors"][0]["spec"] == "broken.py:loss"
    assert "homogeneity on bad: FAILED" in out
    assert (folder / "pictures" / "bad-homogeneity.png").stat().st_size > 1000
    shutil.copy(folder / "mine.py", folder / "other.py")
    assert cli.main(["check", "mine.py:bad", "other.py:bad", "--check", "homogeneity", "--out", "two"]) == 1
    assert sorted(p.name for p in (folder / "two").iterdir()) == ["bad-2-homogeneity.png", "bad-homogeneity.png"]
    assert cli.main(["check", "mine.py:good", "--check", "homogeneity"]) == 0


def test_two_losses_of_one_name_have_pictures_of_their_own():
    names = []
    for subject in ("bad", "good", "Bad", "bad", "bad-2"):
        names.append(_name(subject, names))
    assert names == ["bad", "good", "Bad-2", "bad-3", "bad-2-2"]


def test_the_command_names_the_variables_of_a_text(capsys):
    assert cli.main(["check", "z^2/(x^2+y^2+zz^2)", "ridge", "--check", "purity"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("variables: x, y, z, zz\ncheck ")
    assert said.count("variables") == 1


def test_the_command_lists_the_checks_and_needs_a_subject(capsys):
    assert cli.main(["check", "--list"]) == 0
    assert "homogeneity" in capsys.readouterr().out
    assert cli.main(["check"]) == 2
    assert "name a loss" in capsys.readouterr().err
    assert cli.main(["check", "ridge", "--check", "nonsense"]) == 2


@pytest.mark.parametrize("argv", [["ridge"], ["--rule", "gd-wd"], ["ridge", "--check", "purity"]])
def test_a_misspelt_check_is_told_of_the_nearest(argv, capsys):
    assert cli.main(["check", *argv, "--check", "homogenity"]) == 2
    assert "no check is called 'homogenity'; did you mean homogeneity? There are" in capsys.readouterr().err


def test_a_picture_that_fails_takes_nothing_with_it(folder, monkeypatch, capsys):
    """Kind: a figure between what was measured and its being kept."""

    def fails(*_):
        raise RuntimeError("no canvas")

    monkeypatch.setattr(pictures, "picture", fails)
    call = ["check", "mine.py:bad", "mine.py:good", "--check", "homogeneity", "--out", "drawn", "--json", "out.json"]
    assert cli.main(call) == 70
    assert "RuntimeError: no canvas" in capsys.readouterr().out
    assert [report["ok"] for report in json.loads((folder / "out.json").read_text())["reports"]] == [False, True]
