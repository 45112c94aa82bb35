"""The command line from outside: exit statuses, where output goes, and what it costs to be asked for help."""

import json
import os
import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest

import sharpflow
from sharpflow import cli
from sharpflow.numerics import experiments, networks
from sharpflow.terminal.output import Output, replacing, to_json
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError


def shell(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "sharpflow", *arguments], capture_output=True, text=True, check=False, **options
    )


def test_help_is_quick_and_loads_neither_sympy_nor_jax():
    program = (
        "import sys, time; begin = time.process_time()\n"
        "import sharpflow.cli\n"
        "status = sharpflow.cli.main(['--help'])\n"
        "heavy = {'sympy', 'jax', 'numpy', 'matplotlib', 'diffrax'} & set(sys.modules)\n"
        "print(status, sorted(heavy), time.process_time() - begin, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    status, heavy, seconds = done.stderr.rsplit(maxsplit=2)
    assert (status, heavy) == ("0", "[]")
    # 0.05 s of an idle machine; the promise to users is well under half a second. (Others may use the machine, too.)
    assert float(seconds) < 0.5
    for name in cli.command_names():
        assert f"    {name} " in done.stdout


@pytest.mark.parametrize("name", cli.command_names())
def test_every_command_has_help(name, capsys):
    assert cli.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert cli.help_line(name) in " ".join(text.split())


def test_version_and_bare_call(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"sharpflow {sharpflow.__version__}\n"
    assert cli.main([]) == 0
    assert "usage: sharpflow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["lst"], "did you mean list?"),
        (["nothing-like-it"], "there are"),
        (["list", "losses"], "invalid choice"),
        (["list", "--no-such-option"], "--no-such-option"),
        (["list", "--js=-"], "--js"),
        (["list", "--json"], "--json"),
        (["list", "--json", "/no/such/folder/x.json"], "no folder"),
        (["list", "--json", "/"], "is a folder"),
        (["list", "--json", ""], "empty"),
        (["list", "--json", "a\0b"], "no name for a file"),
    ],
)
def test_wrong_calls(argv, words, capsys):
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sharpflow: error: ")
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_list_names_everything(capsys):
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    for name in (*families.names(), *rules.names(), *networks.names(), *experiments.names()):
        assert f"  {name} " in text
    assert "stages=64/128/256,256/512,512/512,512; pooling=mean" in text  # as `train --size` reads them


def test_list_as_json(capsys):
    assert cli.main(["list", "rules", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert [row["name"] for row in json.loads(captured.out)["rules"]] == list(rules.names())
    assert "gd-wd" in captured.err


def test_json_to_a_file(tmp_path, capsys):
    path = tmp_path / "out.json"
    assert cli.main(["list", "--json", str(path)]) == 0
    assert set(json.loads(path.read_text())) == {"families", "rules", "claims", "networks", "experiments"}
    assert "gd-wd" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


@pytest.fixture
def command(monkeypatch):
    """A command named ``probe`` that does what the test says."""

    def _command(run):
        module = types.SimpleNamespace(add_arguments=lambda parser: parser.add_argument("--start"), run=run)
        monkeypatch.setattr(cli, "command_names", lambda: ("probe",))
        monkeypatch.setattr(cli, "help_line", lambda name: "Probe")
        real = cli.importlib.import_module
        monkeypatch.setattr(
            cli.importlib, "import_module", lambda name: module if name == "sharpflow.commands.probe" else real(name)
        )

    return _command


def raising(error):
    def run(arguments):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("no such thing; do that."), 2, "sharpflow: error: no such thing; do that.\n"),
        (KeyboardInterrupt(), 130, "sharpflow: interrupted\n"),
        (RuntimeError("broken"), 70, "please report"),
    ],
)
def test_how_commands_fail(command, capsys, error, status, words):
    command(raising(error))
    assert cli.main(["probe"]) == status
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "start"),
    [
        (["probe", "--start", "-0.4,0.8"], "-0.4,0.8"),
        (["probe", "--start=-0.4,0.8"], "-0.4,0.8"),
        (["probe", "--start", "-.5"], "-.5"),
        (["probe", "--start", "0.5"], "0.5"),
    ],
)
def test_values_may_begin_with_a_minus_sign(command, argv, start):
    seen = []
    command(lambda arguments: seen.append(arguments.start) or 0)
    assert cli.main(argv) == 0
    assert seen == [start]


def test_the_status_of_a_command_is_that_of_the_call(command):
    command(lambda arguments: 1)
    assert cli.main(["probe"]) == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes of a POSIX shell")
def test_a_closed_pipe_is_no_mistake():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "sharpflow", "list", "--json", "-"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_the_module_runs_too():
    done = shell("--version")
    assert (done.returncode, done.stdout) == (0, f"sharpflow {sharpflow.__version__}\n")


def test_json_of_what_results_are_made_of():
    import numpy as np
    import sympy as sp

    from sharpflow.theory.proving.proof import Status

    payload = {
        "status": Status.PROVED,
        "array": np.array([1.5, np.nan]),
        "number": np.float64(2),
        "truth": np.bool_(True),
        "expression": sp.Rational(3, 10),
        "place": Path("a"),
        "infinite": float("inf"),
        "set": {"b", "a"},
        1: None,
    }
    assert json.loads(to_json(payload)) == {
        "status": "proved",
        "array": [1.5, None],
        "number": 2.0,
        "truth": True,
        "expression": "3/10",
        "place": "a",
        "infinite": None,
        "set": ["a", "b"],
        "1": None,
    }


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "result.npz"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(str(path), "--save") as place:
        place.write_text(f"half {1 / 0}")
    assert path.read_text() == "old"
    with replacing(str(path), "--save") as place:
        assert place.suffix == ".npz"
        place.write_text("new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["result.npz"]


def test_what_cannot_be_written_is_named_as_it_was_asked_for(tmp_path):
    path = str(tmp_path / "run.csv")
    with pytest.raises(InputError) as told, replacing(path, "--csv") as place:
        raise InputError(f"cannot write {place}: No space left on device.")
    assert str(told.value) == f"--csv: cannot write {path}: No space left on device."
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_are_kept(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    Output(str(link)).write_json({})
    assert link.is_symlink()
    assert real.read_text() == "{}\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="there is /dev/null")
def test_devices_are_written_to_and_not_replaced():
    Output("/dev/null").write_json({})
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_output_places_are_tried_before_the_work(tmp_path):
    with pytest.raises(InputError, match="--csv: there is no folder"):
        Output(None, csv=str(tmp_path / "no" / "x.csv"))
    with pytest.raises(InputError, match="both write to"):
        Output(str(tmp_path / "x"), save=str(tmp_path / "." / "x"))
    with pytest.raises(InputError, match="only --json"):
        Output(None, csv="-")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_device_that_is_full_is_named():
    with pytest.raises(InputError, match=r"--json: '/dev/full' cannot be written: No space left"):
        Output("/dev/full").write_json({"a": 1})


@pytest.mark.parametrize(
    ("argv", "old", "new"),
    [
        (["verify", "no-such-loss", "--report", "out"], "--report", "--out"),
        (["check", "no-such-loss", "--pictures=out"], "--pictures", "--out"),
        (["sweep", "no-such-loss", "--rules", "gd-wd", "--out", "out"], "--rules", "--rule"),
    ],
)
def test_old_spellings_work_and_say_so(argv, old, new, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(argv) == 2
    notes, *rest = capsys.readouterr().err.splitlines()
    assert notes == f"sharpflow: note: {old} is now called {new}"
    assert "no-such-loss" in rest[-1]


def test_options_are_called_the_same_everywhere():
    """A folder is --out, a page of text --output, an update rule --rule, and each reads its numbers by itself."""
    found = {}
    for name in cli.command_names():
        parser = cli.build_parser(name)
        (table,) = (a for a in parser._actions if hasattr(a, "choices") and isinstance(a.choices, dict))
        for action in table.choices[name]._actions:
            for option in action.option_strings:
                found.setdefault(option, {})[name] = action
    folders = {option for option, by in found.items() if any(a.metavar == "DIR" for a in by.values())}
    assert folders == {"--out", "--status"}
    assert not {"--report", "--pictures", "--rules", "--update-rule"} & set(found)
    for option in (
        "--seed",
        "--time",
        "--amplitude",
        "--rate",
        "--starts",
        "--records",
        "--seeds",
        "--count",
    ):
        assert all(action.type is not None for action in found[option].values()), option
    assert set(found["--json"]) == set(cli.command_names())


def test_a_misspelt_option_is_told_with_the_one_that_was_meant(capsys):
    assert cli.main(["compare", "ridge", "--rte", "1e-4"]) == 2
    assert "no option --rte; did you mean --rate? Try `sharpflow compare --help`" in capsys.readouterr().err
