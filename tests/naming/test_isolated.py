"""A user's file in a process of its own: what hangs, ends or crashes there is told with its line, the others go on."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOSS = """
import sympy as sp
from sharpflow import Loss
x, y = sp.symbols("x y", real=True)
mine = Loss(name="mine", variables=(x, y), expression=x**2/(x**2 + y**2))
"""
OBJECTIVE = """
import ctypes, os, threading, time
import jax, jax.numpy as jnp
from sharpflow import Objective
calls = []
def function(w):
    calls.append(0)
    {line}
    return w[0]**2/jnp.dot(w, w)
mine = Objective(function, (0.9, 0.3), name="mine")
"""
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
CATCHES_ALL = "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n    except:\n        pass\n"
COMMAND = """
import sys
from sharpflow import cli
sys.argv = ["sharpflow", *sys.argv[1:]]
sys.exit(cli.main())
"""


def begin(folder, *words, seconds="3", **options):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words], text=True, cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "SHARPFLOW_FILE_SECONDS": seconds, "PYTHONPATH": str(ROOT)},
        **options,
    )  # fmt: skip


def check(folder, files, *, limit=0.75, seconds="3"):
    """The command on losses in those files and a last one that is right: its JSON, standard error and exit status."""
    for name, text in {**files, "right": LOSS}.items():
        (folder / f"{name}.py").write_text(text)
    specs = [f"{name}.py:mine" for name in (*files, "right")]
    process = begin(
        folder,
        "check",
        *specs,
        "--check",
        "precision",
        "--check",
        "purity",
        "--json",
        "-",
        "--time-limit",
        str(limit),
        seconds=seconds,
    )
    out, err = process.communicate(timeout=300)
    assert process.returncode in (0, 1, 2), err
    found = json.loads(out)
    assert found["reports"][-1]["spec"] == "right.py:mine", "the others go on"
    assert [c["outcome"] for c in found["reports"][-1]["checks"]] == ["passed", "passed"]
    return found, err, process.returncode


@pytest.mark.deep
def test_what_ends_the_process_is_told_with_its_line_and_the_others_go_on(tmp_path):
    late = "import os, threading, time\ndef end():\n    time.sleep(0.2)\n    os._exit(0)\n"
    late += "threading.Thread(target=end).start()\ntime.sleep(5)\n"
    files = {
        "exits": "import os\nos._exit(0)\n",
        "exits_late": late,
        "exits_called": OBJECTIVE.format(line="len(calls) > 3 and os._exit(0)"),
        "exits_called_by_a_thread": OBJECTIVE.format(
            line="len(calls) > 3 and (threading.Thread(target=lambda: os._exit(0)).start(), time.sleep(5))"
        ),
        "crashes": OBJECTIVE.format(line="len(calls) > 3 and ctypes.string_at(0)"),
        "stays": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n" + LOSS,
    }
    found, err, status = check(tmp_path, files, limit=60.0, seconds="60")
    assert status == 2
    errors = {error["spec"]: error["error"] for error in found["errors"]}
    assert "exits.py, line 2: the file ends the program" in errors["exits.py:mine"]
    assert "exits_late.py, line 4: ends the program" in errors["exits_late.py:mine"]
    reports = {report["spec"]: report["checks"] for report in found["reports"]}
    for check_of in reports["exits_called.py:mine"]:
        assert check_of["outcome"] == "failed"
        assert "exits_called.py, line 8: the function ends the program" in check_of["message"]
    purity, precision = reports["exits_called_by_a_thread.py:mine"]
    assert (purity["outcome"], precision["outcome"]) == ("failed", "inconclusive")
    assert "exits_called_by_a_thread.py, line 8: ends the program" in purity["message"]
    purity, precision = reports["crashes.py:mine"]
    assert (purity["outcome"], precision["outcome"]) == ("failed", "inconclusive")
    assert "crashes.py, line 8: ends the process by SIGSEGV" in purity["message"]
    assert [c["outcome"] for c in reports["stays.py:mine"]] == ["passed", "passed"]
    assert "stays.py, line 2: changes the threads that the program waits for" in err


@pytest.mark.deep
def test_what_no_exception_ends_is_told_with_its_line_and_the_others_go_on(tmp_path):
    # The third is read, and hangs in the second of its checks.
    files = {"read": COMPILED.format(calls=0), "caught": CATCHES_ALL, "checked": COMPILED.format(calls=8)}
    found, _, status = check(tmp_path, files)
    assert status == 2
    first, second = (error["error"] for error in found["errors"])
    assert "read.py, line 12: still running after 6 s, in compiled code" in first
    assert "caught.py, line 4: still running after 6 s" in second
    purity, precision = found["reports"][0]["checks"]
    assert purity["outcome"] == "failed"  # it counts its calls
    assert precision["outcome"] == "inconclusive"
    assert "checked.py, line 8: still running after 6 s, in compiled code" in precision["message"]


@pytest.mark.deep
def test_an_interrupt_reaches_the_child_and_keeps_what_was_finished(tmp_path):
    line = "len(calls) > 6 and (Path('begun').touch(), time.sleep(600))"
    (tmp_path / "slow.py").write_text("from pathlib import Path\n" + OBJECTIVE.format(line=line))
    for number in (signal.SIGINT, signal.SIGTERM):
        process = begin(
            tmp_path, "check", "slow.py:mine", "--check", "precision", "--check", "purity", "--json", "-",
            "--time-limit", "600", seconds="600",
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        while not (tmp_path / "begun").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.endswith("sharpflow: interrupted\n")
        assert [c["outcome"] for c in json.loads(out)["reports"][0]["checks"]] == ["failed", "inconclusive"]
        (tmp_path / "begun").unlink()


@pytest.mark.parametrize(("closed", "status"), [("", 2), ("2>&-", 2)])
def test_a_file_that_ends_any_command_is_told_whatever_is_closed(tmp_path, closed, status):
    (tmp_path / "ends.py").write_text("import threading, os, time\n" + textwrap.dedent("""
        threading.Thread(target=os._exit, args=(0,)).start()
        time.sleep(5)
    """))  # fmt: skip
    call = f'exec "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", call, "sh", sys.executable, "-m", "sharpflow", "derive", "ends.py:mine"], cwd=tmp_path,
        capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == status
    assert "ends the program" in done.stderr or closed == "2>&-"
    assert "Traceback" not in done.stderr
