"""What is imported is `sharpflow`: a theory and a numerics of a user's own are theirs, in scripts, SPECs and tests."""

import importlib.metadata
import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import sharpflow
from sharpflow.naming.specs import resolve_loss
from sharpflow.naming.user_code import _full_name
from sharpflow.theory import families
from sharpflow.theory.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
# An unpacked sdist has no link to sharpflow, but sharpflow alone.
SOURCES = ROOT / "src" if (ROOT / "src").exists() else ROOT
SCRIPT = """
import numerics
import theory.mine
import sharpflow
from sharpflow import theory as exact
assert (numerics.MINE, theory.mine.MINE) == (1, 2)
assert exact.__name__ == "sharpflow.theory"
assert sharpflow.resolve_loss("theory.families.ridge:family").name == "ridge"
loss = sharpflow.resolve_loss("theory.mine:loss")
assert loss.name == "mine", loss
assert not any(name.startswith("numerics.") for name in __import__("sys").modules)
print(sharpflow.resolve_loss("ridge").name)
"""
LOSS = """
import sympy as sp
from sharpflow import Loss
x, y = sp.symbols("x y", real=True)
MINE = 2
loss = Loss(name="mine", variables=(x, y), expression=x**2 / (x**2 + y**2))
"""
TEST = """
import numerics
import theory.mine


def test_mine():
    assert numerics.MINE + 1 == theory.mine.MINE
"""


@pytest.fixture
def project(tmp_path):
    """A folder with a numerics.py and a theory/ of its own."""
    (tmp_path / "numerics.py").write_text("MINE = 1\n")
    (tmp_path / "theory").mkdir()
    (tmp_path / "theory" / "mine.py").write_text(LOSS)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "test_mine.py").write_text(TEST)
    return tmp_path


def run(folder, *arguments):
    # As installed, also where it is not.
    environment = {**os.environ, "PYTHONPATH": str(folder) + os.pathsep + str(SOURCES)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=folder, env=environment
    )


def test_a_script_beside_a_numerics_and_a_theory_of_its_own(project):
    done = run(project, "script.py")
    assert (done.returncode, done.stdout) == (0, "ridge\n"), done.stderr


def test_pytest_beside_them_with_the_plugin(project):
    try:
        importlib.metadata.distribution("sharpflow")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the plug-in is loaded where sharpflow is installed")
    # An option of the plug-in's: pytest knows it where that was loaded.
    done = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py", "--sharpflow-strict")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_nothing_generic_is_at_the_top_level(tmp_path):
    program = "import sharpflow; from importlib.util import find_spec as f; print(f('theory'), f('numerics'))"
    assert run(tmp_path, "-c", program).stdout == "None None\n"


@pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None, reason="needs a git checkout")
def test_the_commit_of_the_sources_is_known_through_the_link(tmp_path):
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    found = run(tmp_path, "-c", "from sharpflow.provenance import git_commit; print(git_commit())").stdout
    assert found.strip().removesuffix("-dirty") == head.strip()


@pytest.mark.parametrize(
    ("spec", "full"),
    [
        ("numerics.networks.two_layer", "sharpflow.numerics.networks.two_layer"),
        ("theory.families.ridge", "sharpflow.theory.families.ridge"),
        ("theory.mine", "theory.mine"),
        ("numerics", "numerics"),
        ("theory.nothing", "sharpflow.theory.nothing"),
        ("mine.theory", "mine.theory"),
    ],
)
def test_a_short_name_is_ours_unless_the_user_has_the_module(project, monkeypatch, spec, full):
    monkeypatch.setattr(sys, "path", [str(project), *(place for place in sys.path if Path(place) != ROOT)])
    assert _full_name(spec) == full


@pytest.mark.parametrize("name", ["numerics.networks.two_layer", "theory.families.ridge", "numerics"])
def test_the_sources_themselves_are_no_module_of_the_users(monkeypatch, name):
    monkeypatch.syspath_prepend(str(ROOT))
    assert _full_name(name) == f"sharpflow.{name}"


def test_a_short_name_of_nothing_says_so():
    with pytest.raises(InputError, match=r"no module 'sharpflow.theory.families.rigde'"):
        resolve_loss("theory.families.rigde:family")


def test_a_network_by_its_short_name():
    objective = resolve_loss("numerics.networks.two_layer:batch")
    assert isinstance(objective, sharpflow.Objective)


def test_what_is_pickled_is_found_by_the_one_name():
    loss = families.get("ridge").default()
    assert b"sharpflow.theory.loss" in pickle.dumps(loss)
    assert pickle.loads(pickle.dumps(loss)) == loss


def test_doctests_are_collected_once(request):
    """Through the links; theory/ and numerics/ themselves are collected under no other name."""
    names = [item.name for item in request.session.items if type(item).__name__ == "DoctestItem"]
    if "sharpflow.theory.errors.did_you_mean" not in names:
        pytest.skip("what is collected is a part")
    assert max(Counter(names).values()) == 1
    assert all(name.startswith(("sharpflow.", "README")) for name in names)
