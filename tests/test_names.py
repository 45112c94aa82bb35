"""What hangs on names as text: each module, attribute and file that text names is there, and what reads them works."""

import importlib
import os
import re
from pathlib import Path

import pytest

from sharpflow.theory.loss import Loss
from sharpflow.theory.user_frames import is_users

ROOT = Path(__file__).resolve().parent.parent
WINGS = ("theory", "numerics", "sharpflow")
SOURCES = sorted(path for wing in WINGS for path in (ROOT / wing).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "pyproject.toml"])
# A name that begins like a module of ours and is a file of data.
NO_MODULES = {"sharpflow.mplstyle"}


def shown(path):
    return str(path.relative_to(ROOT))


def is_there(name):
    """Whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise
            continue
        for part in parts[k:]:
            if part in getattr(found, "__annotations__", {}) or part in getattr(found, "__dataclass_fields__", {}):
                return True
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("path", [*SOURCES, *PAGES], ids=shown)
def test_every_dotted_name_is_there(path):
    text = path.read_text(encoding="utf-8")
    if path.name == "CHANGELOG.md":
        text = text.split("\n## ")[1]  # what is past was true then
    names = set(re.findall(r"(?<![\w./-])sharpflow(?:\.[A-Za-z_]\w*)+", text)) - NO_MODULES
    names = {name.removesuffix(".NAME") for name in names}  # a name of the reader's
    assert [name for name in sorted(names) if not is_there(name)] == []


@pytest.mark.parametrize("path", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=shown)
def test_every_file_that_a_page_names_is_there(path):
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:theory|numerics|sharpflow|tests|benchmarks|docs|notebooks)/[\w/.-]*)`", text))
    # NAME stands for a name of the reader's.
    assert [name for name in sorted(named) if not [*ROOT.glob(name.replace("NAME", "*"))]] == []


@pytest.mark.parametrize(
    "place",
    ["theory/loss.py", "numerics/objective.py", "sharpflow/theory/loss.py", "sharpflow/cli.py", "src/sharpflow/cli.py"],
)
def test_files_of_this_package_are_not_the_users_by_any_name(place):
    assert (ROOT / place).is_file()
    assert not is_users(str(ROOT / place))


def test_whose_other_files_are(tmp_path):
    assert is_users(str(tmp_path / "loss.py"))
    assert is_users(str(tmp_path / "theory" / "loss.py"))
    assert is_users(str(ROOT / "tests" / "test_names.py"))
    assert is_users(str(ROOT / "loss.py"))
    assert not is_users(pytest.__file__)
    assert not is_users(os.__file__)
    assert not is_users("<frozen importlib._bootstrap>")
    # As installed, where nothing is a link.
    assert not is_users(Loss.__init__.__code__.co_filename)
