"""What a user's file leaves behind in the process: nothing but what it defines; and that none of it runs for ever."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import warnings
from pathlib import Path

import pytest

from sharpflow.cli import main
from sharpflow.naming import user_guard
from sharpflow.naming.specs import resolve_loss, resolve_rule
from sharpflow.testing import check_loss
from sharpflow.theory.errors import InputError

ROOT = Path(__file__).parents[2]
LOSS = """
import sympy as sp
from sharpflow import Loss
x, y = sp.symbols("x y", real=True)
mine = Loss(name="mine", variables=(x, y), expression=x**2/(x**2 + y**2))
"""


pytestmark = pytest.mark.usefixtures("interrupts_are_heard")


def state():
    return {
        "folder": os.getcwd(),
        "recursion": sys.getrecursionlimit(),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "environment": dict(os.environ),
        "filters": list(warnings.filters),
        "handlers": [signal.getsignal(number) for number in signal.Signals],
        "functions": (
            os.chdir,
            type(os.environ).__setitem__,
            warnings.simplefilter,
            signal.signal,
            sys.setrecursionlimit,
        ),
    }


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads a file of that text and a loss; what was remarked."""
    monkeypatch.setattr(user_guard, "REMARKS", [])
    monkeypatch.setattr(sys, "path", list(sys.path))

    def _read(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text) + LOSS)
        resolve_loss(f"{path}:mine")
        return [remark.removeprefix(str(path)) for remark in user_guard.REMARKS]

    return _read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os\nos.chdir('/')\n", "changes the working directory to /"),
        ("import sys\nsys.setrecursionlimit(4321)\n", "sets the recursion limit to 4321"),
        ("import os\nos.environ['SHARPFLOW_MINE'] = '1'\n", "changes the environment (SHARPFLOW_MINE)"),
        ("import os\nos.environ.pop('PATH')\n", "changes the environment (PATH)"),
        ("import warnings\nwarnings.simplefilter('ignore')\n", "changes which warnings Python shows"),
        ("import warnings\nwarnings.resetwarnings()\n", "changes which warnings Python shows"),
        ("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n", "sets what happens at a signal (SIGINT)"),
        ("import io, sys\nsys.stdout = io.StringIO()\n", "puts StringIO in place of sys.stdout"),
        ("import io, sys\nsys.stderr = io.StringIO()\n", "puts StringIO in place of sys.stderr"),
    ],
)
def test_what_a_file_changes_is_put_back_and_told_with_its_line(read, text, words):
    before = state()
    (said,) = read(text)
    assert state() == before
    assert said.startswith(f", line 2: {words} while it is read: it was put back. ")


def test_what_a_file_that_fails_changes_is_put_back_too(read):
    before = state()
    with pytest.raises(InputError, match="ZeroDivisionError"):
        read("import os\nos.chdir('/')\nos.environ['SHARPFLOW_MINE'] = '1'\n1/0\n")
    assert state() == before
    assert len(user_guard.REMARKS) == 2


def test_a_file_beside_it_is_the_users_too(read, tmp_path):
    (tmp_path / "helper_that_moves.py").write_text("import os\nos.chdir('/')\n")
    before = state()
    (said,) = read("import helper_that_moves\n")
    assert state() == before
    assert said.startswith(", line 1: changes the working directory")


def test_what_an_installed_package_does_or_a_file_undoes_is_left_alone(read, tmp_path, monkeypatch):
    package = tmp_path / "site-packages"
    package.mkdir()
    (package / "installed.py").write_text("import os, warnings\nwarnings.simplefilter('ignore', Warning, 77)\n")
    monkeypatch.syspath_prepend(str(package))
    with warnings.catch_warnings():
        text = """
        import os, warnings, installed
        with warnings.catch_warnings():
            warnings.simplefilter("error")
        here = os.getcwd()
        os.chdir("/")
        os.chdir(here)
        """
        assert read(text) == []
        assert any(entry[-1] == 77 for entry in warnings.filters)


def test_a_folder_put_first_in_the_path_comes_last_and_is_still_found(read, tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "late_helper_of_a_user.py").write_text("")
    before = list(sys.path)
    (said,) = read(f"import sys\nsys.path.insert(0, {str(folder)!r})\n")
    assert sys.path[: len(before)] == before
    assert sys.path[-1] == str(folder)
    assert said.startswith(f", line 2: puts folders first in sys.path ({folder})")
    __import__("late_helper_of_a_user")


def test_a_folder_added_last_is_nothing_to_tell_of(read):
    assert read("import sys\nsys.path.append('/nowhere')\n") == []


@pytest.mark.parametrize("text", ["import os\nos.system('echo below')\n", "import os\nos.write(1, b'below')\n"])
def test_what_is_written_below_python_goes_to_standard_error(read, text, capfd):
    (said,) = read(text)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "below" in captured.err
    assert said.startswith(", line 2: lets a program write to standard output")
    os.write(1, b"as before")
    assert capfd.readouterr().out == "as before"


HANGS = "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass\n"


def test_a_loop_that_catches_every_exception_is_ended_with_its_line(read, monkeypatch):
    monkeypatch.setattr("sharpflow.naming.user_code.SECONDS", 0.3)
    with pytest.raises(InputError, match=r"mine\.py, line 4: still running after 0\.3 s"):
        read(HANGS)


def test_an_update_that_hangs_is_told_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr("sharpflow.naming.specs.SECONDS", 0.3)
    (tmp_path / "slow.py").write_text(
        "from sharpflow import Rule\n"
        "def update(w, gradient, state, p, ops):\n"
        "    while True:\n"
        "        try:\n"
        "            gradient(w)\n"
        "        except Exception:\n"
        "            pass\n"
        "mine = Rule(name='mine', update=update)\n"
    )
    with pytest.raises(
        InputError, match=r"slow\.py, line 8: mine: one update is still running after 0\.3 s, at .*line"
    ):
        resolve_rule(f"{tmp_path}/slow.py:mine")


def test_a_loss_that_hangs_in_a_check_is_told_with_its_line(tmp_path, monkeypatch):
    # Only where it is differentiated, so that it is read and made without trouble.
    (tmp_path / "slow.py").write_text(
        "import time, jax.numpy as jnp\n"
        "from sharpflow import Objective\n"
        "calls = [0]\n"
        "def function(w):\n"
        "    calls[0] += 1\n"
        "    while calls[0] > 1:\n"
        "        try:\n"
        "            time.sleep(0.01)\n"
        "        except Exception:\n"
        "            pass\n"
        "    return w[0]**2/jnp.dot(w, w)\n"
        "mine = Objective(function, (0.9, 0.3), name='mine')\n"
    )
    monkeypatch.setattr("sharpflow.testing.running.LIMIT", 0.5)
    (result,) = check_loss(f"{tmp_path}/slow.py:mine", checks=["purity"])
    assert result.outcome.value == "inconclusive"
    assert f"given up after 0.5 s in {tmp_path}/slow.py, line 8" in result.trial.message


@pytest.mark.parametrize("call", ["sys.exit(0)", "os._exit(0)"])
def test_a_function_that_ends_the_program_is_told_with_its_line(tmp_path, call):
    """With status 0 it would look like success."""
    (tmp_path / "ends.py").write_text(
        "import os, sys\n"
        "from sharpflow import Objective\n"
        "def function(w):\n"
        "    calls.append(0)\n"
        f"    if len(calls) > 1: {call}\n"
        "    return w[0]**2/(w @ w)\n"
        "calls = []\n"
        "mine = Objective(function, (0.9, 0.3), name='mine')\n"
    )
    (result,) = check_loss(f"{tmp_path}/ends.py:mine", checks=["precision"])
    assert result.outcome.value == "failed"
    assert result.trial.message.endswith("ends.py, line 5: the function ends the program (sys.exit or os._exit)")
    assert main(["compare", f"{tmp_path}/ends.py:mine", "--rate", "1e-2"]) == 2
    (tmp_path / "ends.py").write_text(f"import os, sys\n{call}\n")
    with pytest.raises(InputError, match=r"ends\.py, line 2: the file ends the program"):
        resolve_loss(f"{tmp_path}/ends.py:mine")


COMPILED = """
import jax, jax.numpy as jnp
from sharpflow import Objective

def function(w):
    calls.append(0)
    ever = jnp.asarray(len(calls) > {calls})
    halved = jax.lax.while_loop(lambda c: ever & (c < 2*jnp.abs(c) + 1), lambda c: c/2, w[0])
    return w[0]**2/jnp.dot(w, w) + 0*halved

calls = []
mine = Objective(function, (0.9, 0.3), name="mine")
"""
COMMAND = """
import sys
from sharpflow import cli
from sharpflow.testing import running
running.LIMIT = 2.0
sys.argv = ["sharpflow", "check", *sys.argv[1:], "--check", "precision", "--check", "purity", "--json", "-"]
sys.exit(cli.main())
"""


def _beginning_anew(folder, files):
    """The command on losses in files that hang, with text before and after them: its JSON and standard error."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    specs = ["x^2/(x^2 + z^2)", *(f"{name}.py:mine" for name in files), "x^2/(x^2 + y^2)"]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *specs], capture_output=True, text=True, timeout=200, cwd=folder,
        env={**os.environ, "SHARPFLOW_FILE_SECONDS": "3", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("never ends; the command begins anew without it") == len(files), done.stderr
    assert done.stderr.count("x^2/(x^2 + z^2): 2 passed") == 1, "what was done before is not done again"
    assert done.stderr.count("x^2/(x^2 + y^2): 2 passed") == 1
    return json.loads(done.stdout)


@pytest.mark.deep
def test_the_command_goes_on_without_what_no_exception_ends(tmp_path):
    # The second is read, and hangs in the second of its checks.
    found = _beginning_anew(tmp_path, {"read": COMPILED.format(calls=0), "checked": COMPILED.format(calls=6)})
    (error,) = found["errors"]
    assert error["spec"] == "read.py:mine"
    assert "read.py, line 12: still running after 6 s, in compiled code" in error["error"]
    _, second, _ = found["reports"]
    purity, precision = second["checks"]
    assert purity["outcome"] == "failed"  # it counts its calls
    assert precision["outcome"] == "inconclusive"
    assert "checked.py, line 8): still running after 4 s, in compiled code" in precision["message"]


@pytest.mark.longest
def test_a_file_that_catches_every_exception_is_left_too(tmp_path):
    found = _beginning_anew(tmp_path, {"read": HANGS.replace("except Exception:", "except:")})
    (error,) = found["errors"]
    assert "read.py, line 4: still running after 6 s" in error["error"]


@pytest.mark.longest
@pytest.mark.parametrize(("closed", "status"), [("2", 141), ("1", 2)], ids=["stderr", "stdout"])
def test_so_it_is_where_nobody_reads_what_it_says(tmp_path, closed, status):
    (tmp_path / "read.py").write_text(COMPILED.format(calls=0))
    before = set(Path(tempfile.gettempdir()).glob("sharpflow-*.json"))
    reader, writer = os.pipe()
    os.close(reader)
    call = [sys.executable, "-c", COMMAND.replace('"-"', '"out.json"'), "read.py:mine", "x^2/(x^2 + y^2)"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-' if closed == "1" else 'exec "$@"', "sh", *call], cwd=tmp_path, timeout=200,
        stdout=subprocess.DEVNULL, stderr=writer if closed == "2" else subprocess.DEVNULL,
        env={**os.environ, "SHARPFLOW_FILE_SECONDS": "3", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == status
    assert set(Path(tempfile.gettempdir()).glob("sharpflow-*.json")) <= before
    if closed == "1":
        found = json.loads((tmp_path / "out.json").read_text())
        assert [error["spec"] for error in found["errors"]] == ["read.py:mine"]
        assert [report["subject"] for report in found["reports"]] == ["x^2/(x^2 + y^2)"]


def test_in_a_process_of_the_users_it_is_only_told(capfd):
    from sharpflow.naming.watchdog import watched

    with watched(0.05, lambda frame: "mine.py, line 3"):
        signal.sigtimedwait([], 0.5)
    assert "note: mine.py, line 3: still running after 0.1 s" in capfd.readouterr().err


def test_where_there_is_no_place_for_files_or_no_standard_output_a_file_is_read_all_the_same(tmp_path):
    (tmp_path / "mine.py").write_text(LOSS)
    program = "import sys, tempfile; tempfile.tempdir = '/nowhere'; from sharpflow import resolve_loss\n"
    program += "sys.exit(resolve_loss('mine.py:mine').name != 'mine')"
    for closed in ("", " >&-"):
        call = f'"{sys.executable}" -c "{program}"{closed}'
        done = subprocess.run(call, shell=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert done.returncode == 0
