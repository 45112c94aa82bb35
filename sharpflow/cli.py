"""The ``sharpflow`` command: a table of subcommands, each in a file of its own that is imported when it is called.

Exit status: 0 nothing is wrong; 1 something was refuted, inconsistent or failed; 2 the call or the input was wrong.
(And as shells have it: 130 interrupted, 141 the reader of the output went away; 70 for a mistake of this program, with
its traceback.)
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from typing import NoReturn

import sharpflow
from sharpflow import commands
from sharpflow.naming.watchdog import ending_the_process
from sharpflow.terminal.output import BUG
from sharpflow.terminal.stopping import interruptible, seen_exit
from sharpflow.theory.errors import InputError, known_names

__all__ = ["command_names", "main"]

OK, WRONG_CALL, INTERRUPTED, PIPE_CLOSED = 0, 2, 130, 141

# An option's value that begins with a minus sign and a number, which argparse takes for another option.
_NEGATIVE = re.compile(r"-\.?\d")


@cache
def command_names() -> tuple[str, ...]:
    """The subcommands: the modules in ``sharpflow.commands``."""
    found = (module.name for module in pkgutil.iter_modules(commands.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def help_line(name: str, /) -> str:
    """The first line of the docstring of a command, read without importing it: its imports may take seconds."""
    source = pkgutil.get_data("sharpflow.commands", f"{name}.py") or b""
    return (ast.get_docstring(ast.parse(source)) or name).splitlines()[0].rstrip(".")


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are input errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. Try `{self.prog} --help`.")


def build_parser(chosen: str | None, /) -> argparse.ArgumentParser:
    """The parser, with the options of the chosen command only."""
    parser = _Parser(
        prog="sharpflow",
        description=(sharpflow.__doc__ or "").partition(": ")[2].splitlines()[0],
        epilog="`sharpflow COMMAND --help` tells more about a command. Exit status: 0 nothing is wrong; 1 something "
        "was refuted, inconsistent or failed; 2 the call or the input was wrong.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sharpflow {sharpflow.__version__}")
    table = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name in command_names():
        line = help_line(name).replace("%", "%%")
        options = table.add_parser(name, help=line, description=line, allow_abbrev=False)
        if name == chosen:
            importlib.import_module(f"sharpflow.commands.{name}").add_arguments(options)
    return parser


def main(argv: Sequence[str] | None = None, /) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit status."""
    own = ending_the_process() if argv is None else contextlib.nullcontext()
    try:
        try:
            with own, interruptible(), seen_exit():
                return _run(list(sys.argv[1:] if argv is None else argv))
        finally:
            if sys.stdout is not None:  # as where it was closed from the start
                sys.stdout.flush()
    except InputError as error:
        print(f"sharpflow: error: {error}", file=sys.stderr)
        return WRONG_CALL
    except SystemExit as end:
        # None of the commands does: a user's function has, and with status 0 it would look like success.
        from sharpflow.naming.user_frames import raised_at

        place = raised_at(end.__traceback__) or "something that was run"
        print(f"sharpflow: error: {place}: ends the program (sys.exit or os._exit); take that out.", file=sys.stderr)
        return WRONG_CALL
    except KeyboardInterrupt:
        print("sharpflow: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # What Python flushes on its way out would raise once more.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception:
        traceback.print_exc()
        print(
            "sharpflow: this is a mistake of sharpflow itself; please report it with the lines above.", file=sys.stderr
        )
        return BUG


def _run(argv: list[str]) -> int:
    chosen = next((word for word in argv if not word.startswith("-")), None)
    if chosen is not None and chosen not in command_names():
        raise InputError(f"there is no command {chosen!r}; {known_names(chosen, command_names())}")
    parser = build_parser(chosen)
    try:
        arguments = parser.parse_args(_join_negative(argv))
    except SystemExit as end:  # --help and --version have printed
        return int(end.code or 0)
    if arguments.command is None:
        parser.print_help()
        return OK
    status: int = importlib.import_module(f"sharpflow.commands.{arguments.command}").run(arguments)
    return status


def _join_negative(argv: list[str]) -> list[str]:
    """``--start -0.4,0.8`` as ``--start=-0.4,0.8``."""
    joined: list[str] = []
    for word in argv:
        if joined and "--" not in joined and re.fullmatch(r"--\w[\w-]*", joined[-1]) and _NEGATIVE.match(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
