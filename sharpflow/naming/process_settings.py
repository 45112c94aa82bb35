"""Settings of the process that a user's file changes while it is read: noticed, with the line, and put back.

A change is the user's where their own code calls for it, and left alone where a package that they import does, as
scikit-learn adds a filter of warnings. What is merely assigned (``sys.stdout``) has nobody who calls; it is put back in
any case.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sharpflow.naming.user_frames import calls_from, line_of_word, running_line

__all__ = ["kept"]


@dataclass(frozen=True)
class _Setting:
    """One of them.

    Args:
        read: what it is now.
        put_back: gives it the value it had.
        told: what was done to it, from the values before and after; empty where that is no harm.
        advice: what to do instead.
        calls: functions that change it, as module (or class) and name.
        word: what the line of an assignment contains, as a regular expression.
    """

    read: Callable[[], Any]
    put_back: Callable[[Any], None]
    told: Callable[[Any, Any], str]
    advice: str
    calls: tuple[tuple[Any, str], ...] = ()
    word: str = ""


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _handlers() -> dict[signal.Signals, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in signal.Signals}


def _put_handlers(before: dict[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) != handler:  # None: not set from Python
            signal.signal(number, handler)


def _put_environment(before: dict[str, str]) -> None:
    for name in {*before, *os.environ}:
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


def _put_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # type: ignore[index]
    with warnings.catch_warnings():  # its end makes Python forget what it remembers of the filters
        pass


def _path_first(before: list[str]) -> list[str]:
    """What of sys.path stands before, or in place of, what stood there; a folder added at the end is none of it."""
    return [] if sys.path[: len(before)] == before else [folder for folder in sys.path if folder not in before]


def _put_path(before: list[str]) -> None:
    # What is new stays findable, for imports inside of functions, and takes no installed package's place.
    sys.path[:] = [*before, *(folder for folder in sys.path if folder not in before)]


def _changed(before: dict[Any, Any], after: dict[Any, Any]) -> list[str]:
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [getattr(name, "name", name) for name in names]


def _stream(name: str) -> _Setting:
    return _Setting(
        lambda: getattr(sys, name), lambda before: setattr(sys, name, before),
        lambda _, after: f"puts {type(after).__name__} in place of sys.{name}", "Take that out.", word=rf"\b{name}\b",
    )  # fmt: skip


SETTINGS = (
    _Setting(
        _folder, lambda before: os.chdir(before) if before is not None else None,
        lambda _, after: f"changes the working directory to {after}",
        "Take that out, and build paths from pathlib.Path(__file__).parent.", ((os, "chdir"), (os, "fchdir")),
    ),
    _Setting(
        sys.getrecursionlimit, sys.setrecursionlimit, lambda before, after: f"sets the recursion limit to {after}",
        "Take that out.", ((sys, "setrecursionlimit"),),
    ),
    _Setting(
        lambda: dict(os.environ), _put_environment,
        lambda before, after: f"changes the environment ({', '.join(_changed(before, after)[:5])})",
        "Take that out, and set it where the process is started.",
        ((type(os.environ), "__setitem__"), (type(os.environ), "__delitem__")),
    ),
    _Setting(
        lambda: list(warnings.filters), _put_filters, lambda before, after: "changes which warnings Python shows",
        "Write `with warnings.catch_warnings():` around the lines that need it.",
        ((warnings, "filterwarnings"), (warnings, "simplefilter"), (warnings, "resetwarnings")),
    ),
    _Setting(
        _handlers, _put_handlers,
        lambda before, after: f"sets what happens at a signal ({', '.join(_changed(before, after)[:5])})",
        "Take that out.", ((signal, "signal"),),
    ),
    _Setting(
        lambda: list(sys.path), _put_path,
        lambda before, _: f"puts folders first in sys.path ({', '.join(_path_first(before)[:3])})"
        if _path_first(before) else "",
        "What it added comes last now, so that it takes no installed package's place: append it.",
        word=r"\bsys\b.*\bpath\b",
    ),
    _stream("stdout"),
    _stream("stderr"),
    _stream("stdin"),
)  # fmt: skip


@contextlib.contextmanager
def kept(path: str, tell: Callable[[int, str], None], /) -> Iterator[None]:
    """Run a user's file (``path``; of a module ""); ``tell`` a line (0: unknown) and what was changed and put back."""
    before = [setting.read() for setting in SETTINGS]
    own = [_Own() for _ in SETTINGS]
    with contextlib.ExitStack() as stack:
        for setting, theirs in zip(SETTINGS, own, strict=True):
            for module, name in setting.calls:
                stack.enter_context(_noted(module, name, path, setting, theirs))
        try:
            yield
        finally:
            stack.close()
            for setting, was, theirs in zip(SETTINGS, before, own, strict=True):
                after = setting.read()
                if after == was or (setting.calls and not theirs.changed & _differing(was, after)):
                    continue
                said = setting.told(was, after)
                with contextlib.suppress(OSError, ValueError, RecursionError):
                    setting.put_back(was)
                if said:
                    line = theirs.line if setting.calls else line_of_word(path, setting.word)
                    tell(line, f"{said} while it is read: it was put back. {setting.advice}")


@dataclass
class _Own:
    """What the user's own calls changed of a setting, and the line of the last one."""

    changed: set[Any] = field(default_factory=set)
    line: int = 0


def _differing(before: Any, after: Any) -> set[Any]:
    """Which parts of a setting are in one of two values only."""

    def parts(value: Any) -> set[Any]:
        if isinstance(value, dict):
            return {(name, repr(entry)) for name, entry in value.items()}
        return {repr(entry) for entry in value} if isinstance(value, list) else {repr(value)}

    return parts(before) ^ parts(after)


@contextlib.contextmanager
def _noted(module: Any, name: str, path: str, setting: _Setting, own: _Own) -> Iterator[None]:
    """The function ``module.name`` notes what it changes, where the user calls it."""
    function = getattr(module, name, None)
    if function is None:  # not on every system
        yield
        return

    @functools.wraps(function)
    def noted(*arguments: Any, **options: Any) -> Any:
        frame = sys._getframe(1)
        if not calls_from(path, frame):
            return function(*arguments, **options)
        before = setting.read()
        try:
            return function(*arguments, **options)
        finally:
            if changed := _differing(before, setting.read()):
                own.changed |= changed
                own.line = running_line(path, frame)

    setattr(module, name, noted)
    try:
        yield
    finally:
        setattr(module, name, function)
