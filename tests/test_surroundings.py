"""The process's surroundings: what a terminal, a disk, a signal or a folder does to a command is told, and is no bug.

Kinds, each from a report of a user: streams that are closed, full or cannot show a sign; JAX without the device it is
asked for; Python without docstrings; a SPEC that is no regular file; a folder with a file of an unfortunate name.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sharpflow import cli
from sharpflow.naming.isolated import may_fork

ROOT = Path(__file__).parents[1]


def command(*words, closed="", folder=None, **environment):
    """The command in a shell that closes or leads its streams somewhere: exit status, output, errors."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "sharpflow", *words], cwd=folder or ROOT,
        capture_output=True, timeout=200, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr
    assert b"mistake of sharpflow" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


# Kind: streams.


@pytest.mark.parametrize("words", [("list", "families"), ("list", "families", "--json", "-"), ("--help",)])
def test_a_full_device_is_told_in_a_sentence(words):
    status, _, said = command(*words, closed="> /dev/full")
    assert status == 2
    assert said.splitlines()[-1].startswith("sharpflow: error: the output cannot be written: No space left on device")


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(closed):
    status, out, _ = command("list", "families", closed=closed)
    assert status == 0
    assert (b"ridge" in out) == (">&-" not in closed.replace("2>&-", ""))


LOSS = """
import sympy as sp
from sharpflow import Loss
x, y = sp.symbols("x y", real=True)
mine = Loss(name="vérlust-ω", variables=(x, y), expression=x**2/(x**2 + y**2))
"""


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("latin-1", marks=pytest.mark.deep)])
def test_what_an_encoding_lacks_is_escaped(tmp_path, encoding):
    (tmp_path / "losses.py").write_text(LOSS, encoding="utf-8")
    words = ("verify", "losses.py:mine", "--claim", "homogeneity", "--json", "-")
    status, out, said = command(*words, folder=tmp_path, PYTHONIOENCODING=encoding)
    assert status == 0
    assert "rlust-\\u03c9" in said
    assert {claim["loss"] for claim in json.loads(out.decode(encoding))["claims"]} == {"vérlust-ω"}


# Kind: the interpreter and the machine.


@pytest.mark.parametrize("words", [("--help",), ("list",)])
def test_python_without_docstrings_and_asserts_says_the_same(words):
    assert command(*words, PYTHONOPTIMIZE="2")[:2] == command(*words)[:2]


def test_jax_without_compiling_is_compiled_all_the_same():
    """What is compiled ahead of its run was a mistake of sharpflow, and a right loss failed."""
    status, out, _ = command("check", "ridge", "--check", "homogeneity", JAX_DISABLE_JIT="1")
    assert status == 0
    assert b"1 passed" in out


@pytest.mark.parametrize(
    "words",
    [
        ("check", "ridge", "--check", "purity"),
        *(pytest.param(w, marks=pytest.mark.deep) for w in (("compare", "ridge"), ("verify", "--claim", "energy"))),
    ],
)
@pytest.mark.parametrize("platform", ["nonsense", "cuda"])  # JAX says so by different exceptions
def test_a_device_that_is_not_there_is_named(words, platform):
    status, _, said = command(*words, JAX_PLATFORMS=platform)
    assert status == 2
    assert f"JAX has no device for JAX_PLATFORMS={platform}" in said
    assert "unset it" in said


# Kind: folders and files.


def test_the_proving_process_imports_nothing_from_the_working_directory(tmp_path):
    """Not by a script that is run there, either: its folder is the first that Python looks in."""
    (tmp_path / "types.py").write_text("open('executed', 'w').close()\n")
    (tmp_path / "mine.py").write_text(LOSS, encoding="utf-8")
    program = (
        "import sys; sys.path.remove(''); from sharpflow.cli import main; sys.path.insert(0, ''); sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", "mine.py:mine", "--claim", "homogeneity", "--json", "-"],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [claim["proof"] for claim in json.loads(done.stdout)["claims"]] == ["proved"]
    assert not (tmp_path / "executed").exists()


def test_a_spec_is_a_regular_file_of_bounded_size(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.py")
    with open(tmp_path / "large.py", "wb") as file:
        file.truncate(10_000_001)
    for spec, said in (
        ("/dev/zero:x", "'/dev/zero': it is no regular file"),
        (f"{tmp_path}/pipe.py:x", "pipe.py': it is no regular file"),
        (f"{tmp_path}/large.py:x", "large.py': it has 10000001 bytes, and 10000000 is the limit"),
    ):
        assert cli.main(["derive", spec]) == 2
        assert said in capsys.readouterr().err


# Kind: work without bounds.


def test_a_formula_of_hundreds_of_variables_and_a_sweep_of_millions_of_starts_are_refused(tmp_path, capsys):
    many = " + ".join(f"x{k}^2" for k in range(101))
    assert cli.main(["derive", f"x0^2/({many})"]) == 2
    assert "has 101 variables; 100 is the limit of a formula" in capsys.readouterr().err
    assert cli.main(["sweep", "ridge", "--starts", "100000000", "--out", str(tmp_path / "out")]) == 2
    assert "starts = 100000000 make 700000000 cells; 10000000 is the limit" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_process_that_is_not_the_commands_own_is_never_forked():
    assert not may_fork()
