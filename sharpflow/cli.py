"""The ``sharpflow`` command: a table of subcommands, each in a file of its own that is imported when it is called.

Exit status: 0 nothing is wrong; 1 something was refuted, inconsistent or failed; 2 the call or the input was wrong.
(And as shells have it: 130 interrupted, 141 the reader of the output went away; 70 for a mistake of this program, with
its traceback.)
"""

from __future__ import annotations

import argparse
import ast
import errno
import importlib
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NoReturn

import sharpflow
from sharpflow import commands
from sharpflow.provenance import no_device
from sharpflow.terminal.output import BUG, shortened
from sharpflow.terminal.stopping import interruptible
from sharpflow.theory.errors import InputError, did_you_mean, known_names

__all__ = ["command_names", "main"]

OK, WRONG_CALL, INTERRUPTED, PIPE_CLOSED = 0, 2, 130, 141
# What a stream that leads to a full disk, or to a device that is gone, answers.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
# An option's value that begins with a minus sign and a number, which argparse takes for another option.
_NEGATIVE = re.compile(r"-\.?\d")
# Text of a loss that begins with a minus sign.
_TEXT = re.compile(r"-[^-=]*[\^*/(+]")


@cache
def command_names() -> tuple[str, ...]:
    """The subcommands: the modules in ``sharpflow.commands``."""
    found = (module.name for module in pkgutil.iter_modules(commands.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def help_line(name: str, /) -> str:
    """The first line of the docstring of a command, read without importing it: its imports may take seconds."""
    return _first_line("sharpflow.commands", f"{name}.py").rstrip(".")


def _first_line(package: str, file: str) -> str:
    """Of the docstring in the source, which is there where Python runs without docstrings, too."""
    source = pkgutil.get_data(package, file) or b""
    return (ast.get_docstring(ast.parse(source)) or file).splitlines()[0]


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are input errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message.removeprefix('argument ')}. Try `{self.prog} --help`.")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, left = super().parse_known_args(args, namespace)
        if option := next((word.partition("=")[0] for word in left if word.startswith("--")), ""):
            hint = did_you_mean(option, self._option_string_actions)
            raise InputError(f"there is no option {option}{'; ' if hint else '. '}{hint}Try `{self.prog} --help`.")
        return found, left

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse's own is silent where that fails


def build_parser(chosen: str | None, /) -> argparse.ArgumentParser:
    """The parser, with the options of the chosen command only."""
    parser = _Parser(
        prog="sharpflow",
        description=_first_line("sharpflow", "__init__.py").partition(": ")[2],
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
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is not None:
        return _answer(words)
    _prepare_streams()
    if not _names_files(words):
        return _answer(words)
    from sharpflow.naming import isolated

    isolated.own_process()
    if words[0] == "check" or not isolated.may_fork():  # a check of several files makes a process for each
        return _answer(words)
    try:
        status: int = isolated.in_child(lambda send: _answer(words))
    except isolated.Ended as end:
        return _wrong(str(end))
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _names_files(words: Sequence[str]) -> bool:
    """True where one of the words may name a file or a module of the user's."""
    return any(":" in word or ".py" in word for word in words)


def _prepare_streams() -> None:
    """Standard streams that are closed lead nowhere; what the encoding of the terminal lacks is escaped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _wrong(text: str) -> int:
    print(f"sharpflow: error: {text}", file=sys.stderr)
    return WRONG_CALL


def _answer(words: list[str]) -> int:
    """The exit status; everything that goes wrong is told."""
    try:
        try:
            with interruptible():
                return _run(words)
        finally:
            sys.stdout.flush()
    except InputError as error:
        return _wrong(shortened(str(error), words))
    except SystemExit as end:
        # None of the commands does: a user's function has, and with status 0 it would look like success.
        from sharpflow.theory.user_frames import raised_at

        place = raised_at(end.__traceback__) or "something that was run"
        return _wrong(f"{place}: ends the program (sys.exit or os._exit); take that out.")
    except KeyboardInterrupt:
        print("sharpflow: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _close_output()
        return PIPE_CLOSED
    except Exception as error:
        if reason := _of_the_surroundings(error):
            return _wrong(reason)
        traceback.print_exc()
        print(
            "sharpflow: this is a mistake of sharpflow itself; please report it with the lines above.", file=sys.stderr
        )
        return BUG


def _of_the_surroundings(error: Exception) -> str:
    """The part of the surroundings at fault where neither this program nor its input is; empty where one of them is."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        _close_output()
        return f"the output cannot be written: {error.strerror}; make room, or send it elsewhere."
    return no_device()


def _close_output() -> None:
    # What Python flushes on its way out would raise once more.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _run(argv: list[str]) -> int:
    chosen = next((word for word in argv if not word.startswith("-")), None)
    if chosen is not None and chosen not in command_names():
        raise InputError(f"there is no command {chosen!r}; {known_names(chosen, command_names())}")
    parser = build_parser(chosen)
    if chosen is not None:
        argv = _renamed(argv, getattr(importlib.import_module(f"sharpflow.commands.{chosen}"), "RENAMED", {}))
    try:
        arguments = parser.parse_args(_join_negative(argv))
    except InputError as error:
        text = next((word for word in argv if _TEXT.match(word)), None)
        if text is None or "--" in argv:
            raise
        hint = f"{text!r} begins with a minus sign and is taken for an option: write -- before it, after all options."
        raise InputError(f"{error} {hint}") from None
    except SystemExit as end:  # --help and --version have printed
        return int(end.code or 0)
    if arguments.command is None:
        parser.print_help()
        return OK
    status: int = importlib.import_module(f"sharpflow.commands.{arguments.command}").run(arguments)
    return status


def _renamed(argv: list[str], renamed: Mapping[str, str]) -> list[str]:
    """``argv`` with options as they are called now; one line says so for each that had another name before."""
    words = []
    for word in argv:
        option, equals, value = word.partition("=")
        if option in renamed and "--" not in words:
            print(f"sharpflow: note: {option} is now called {renamed[option]}", file=sys.stderr)
            word = renamed[option] + equals + value
        words.append(word)
    return words


def _join_negative(argv: list[str]) -> list[str]:
    """``--start -0.4,0.8`` as ``--start=-0.4,0.8``."""
    joined: list[str] = []
    for word in argv:
        if joined and "--" not in joined and re.fullmatch(r"--\w[\w-]*", joined[-1]) and _NEGATIVE.match(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
