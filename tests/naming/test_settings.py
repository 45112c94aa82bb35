"""What a user's file leaves behind in the process: nothing but what it defines; what else it does is told."""

import builtins
import decimal
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import mpmath
import pytest

from sharpflow.cli import main
from sharpflow.naming import settings
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
        "precision": (decimal.getcontext().prec, mpmath.mp.prec),
        "builtins": dict(vars(builtins)),
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
    monkeypatch.setattr(settings, "REMARKS", [])
    monkeypatch.setattr(sys, "path", list(sys.path))

    def _read(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text) + LOSS)
        resolve_loss(f"{path}:mine")
        return [remark.removeprefix(str(path)) for remark in settings.REMARKS]

    return _read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os\nos.chdir('/')\n", "changes the working directory to /"),
        ("import sys\nsys.setrecursionlimit(4321)\n", "changes the recursion limit to 4321"),
        ("import os\nos.environ['SHARPFLOW_MINE'] = '1'\n", "changes the environment (SHARPFLOW_MINE)"),
        ("import os\nos.environ.pop('PATH')\n", "changes the environment (PATH)"),
        ("import warnings\nwarnings.simplefilter('ignore')\n", "changes which warnings Python shows"),
        ("import warnings\nwarnings.resetwarnings()\n", "changes which warnings Python shows"),
        ("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n", "changes what happens at a signal (SIGINT)"),
        ("import io, sys\nsys.stdout = io.StringIO()\n", "changes sys.stdout to a StringIO"),
        ("import io, sys\nsys.stderr = io.StringIO()\n", "changes sys.stderr to a StringIO"),
        ("import os\nos.umask(0o177)\n", "changes the umask to 127"),
        ("import decimal\ndecimal.getcontext().prec = 3\n", "changes the precision of decimal to 3"),
        ("import mpmath\nmpmath.mp.dps = 4\n", "changes the precision of mpmath to 17"),
        ("import builtins\nbuiltins.sum = builtins.len = None\n", "changes functions of Python's own (len, sum)"),
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
    assert len(settings.REMARKS) == 2


def test_a_file_beside_it_is_the_users_too(read, tmp_path):
    (tmp_path / "helper_that_moves.py").write_text("import os\nos.chdir('/')\n")
    before = state()
    (said,) = read("import helper_that_moves\n")
    assert state() == before
    assert "helper_that_moves.py, line 2: changes the working directory" in said
    assert not (tmp_path / "__pycache__").exists()


def test_a_thread_that_would_keep_the_program_is_told(read):
    (said,) = read("import threading\nend = threading.Event()\nthreading.Thread(target=end.wait, args=(60,)).start()\n")
    sys.modules[next(name for name in reversed(sys.modules) if name.startswith("_mine_"))].end.set()
    assert said.startswith(", line 3: changes the threads that the program waits for while it is read. ")


def test_a_file_is_run_as_python_runs_it(read, tmp_path):
    """One statement after another: annotations, the docstring and what a function looks up are what they are else."""
    text = '''
    """The docstring."""
    from __future__ import annotations
    import dataclasses
    "no docstring"
    @dataclasses.dataclass
    class Point:
        x: unknown_name = 1
    def later():
        return value + Point().x
    value: int = 2
    if (total := later()) != 3 or __doc__ != "The docstring." or __annotations__ != {"value": "int"}:
        raise ValueError(total, __doc__, __annotations__)
    '''
    assert read(text) == []


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
    assert said.startswith(f", line 2: changes the first folders of sys.path ({folder})")
    __import__("late_helper_of_a_user")


def test_a_folder_added_last_is_nothing_to_tell_of(read):
    assert read("import sys\nsys.path.append('/nowhere')\n") == []


@pytest.mark.parametrize("text", ["import os\nos.system('echo below')\n", "import os\nos.write(1, b'below')\n"])
def test_what_is_written_below_python_goes_to_standard_error(read, text, capfd):
    (said,) = read(text)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "below" in captured.err
    assert said.startswith(", line 2: writes to standard output while it is read: 'below'")
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


def test_a_loss_that_hangs_in_a_check_is_told_with_its_line(tmp_path):
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
    (result,) = check_loss(f"{tmp_path}/slow.py:mine", checks=["purity"], limit=0.5)
    assert result.outcome.value == "inconclusive"
    assert f"given up, over 2 s, in {tmp_path}/slow.py, line 8" in result.trial.message


def test_a_function_that_ends_the_program_is_told_with_its_line(tmp_path):
    """With status 0 it would look like success."""
    (tmp_path / "ends.py").write_text(
        "import os, sys\n"
        "from sharpflow import Objective\n"
        "def function(w):\n"
        "    calls.append(0)\n"
        "    if len(calls) > 1: sys.exit(0)\n"
        "    return w[0]**2/(w @ w)\n"
        "calls = []\n"
        "mine = Objective(function, (0.9, 0.3), name='mine')\n"
    )
    (result,) = check_loss(f"{tmp_path}/ends.py:mine", checks=["precision"])
    assert result.outcome.value == "failed"
    assert result.trial.message.endswith("ends.py, line 5: the function ends the program (sys.exit or os._exit)")
    assert main(["compare", f"{tmp_path}/ends.py:mine", "--rate", "1e-2"]) == 2
    (tmp_path / "ends.py").write_text("import os, sys\nsys.exit(0)\n")
    with pytest.raises(InputError, match=r"ends\.py, line 2: the file ends the program"):
        resolve_loss(f"{tmp_path}/ends.py:mine")


def test_where_there_is_no_place_for_files_or_no_standard_output_a_file_is_read_all_the_same(tmp_path):
    (tmp_path / "mine.py").write_text(LOSS)
    program = "import sys, tempfile; tempfile.tempdir = '/nowhere'; from sharpflow import resolve_loss\n"
    program += "sys.exit(resolve_loss('mine.py:mine').name != 'mine')"
    for closed in ("", " >&-"):
        call = f'"{sys.executable}" -c "{program}"{closed}'
        done = subprocess.run(call, shell=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert done.returncode == 0
