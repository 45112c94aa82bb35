"""The command begins anew where nothing else helps, without what stopped it and with what it had.

A loop in compiled code that has no end cannot be left, but the process can become another program: the same command
once more. What hung is in a file that the environment names, together with what the command asked to have kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

from sharpflow.terminal.output import to_json
from sharpflow.theory.errors import InputError

__all__ = ["begin_anew", "hung", "keep", "keeping", "kept", "own_process"]

VARIABLE = "SHARPFLOW_HUNG"
# Of an earlier beginning of this command: what hung, by key, with what is said of it; and what it kept.
_HUNG: dict[str, str] = {}
_BEFORE: dict[str, Any] = {}
# What the next beginning is to have.
_NEXT: dict[str, Any] = {}
# Of the process as it was at its start, where it is the command's own: folder, environment, streams.
_ORIGIN: list[tuple[str, dict[str, str], list[int]]] = []
# Watchdogs wait in threads of their own; one begins anew.
_ONE = threading.Lock()


def hung(key: str, /) -> str | None:
    """What was said of ``key`` when the command was stopped by it, if it was."""
    return _HUNG.get(key)


def keep(name: str, value: Any, /) -> None:
    """Have ``value``, which JSON can write, at the next beginning."""
    if _ORIGIN:
        _NEXT[name] = value


def keeping(name: str, default: Any, /) -> Any:
    """What the next beginning is to have by now, else ``default``."""
    return _NEXT.get(name, default)


def kept(name: str, default: Any, /) -> Any:
    """What was kept by `keep` before the command began anew, else ``default``."""
    return _BEFORE.get(name, default)


@contextlib.contextmanager
def own_process() -> Iterator[None]:
    """Within, the process is the command's own, and may `begin_anew`."""
    # Two copies of the streams: what a user's file does to the numbers 1 and 2 is not for the next beginning.
    streams: list[int] = []
    with contextlib.suppress(OSError):
        streams = [os.dup(1), os.dup(2)]
    place = os.environ.pop(VARIABLE, None)
    try:
        folder = os.getcwd()
    except OSError:  # it is gone
        folder = ""
    _ORIGIN.append((folder, dict(os.environ), streams))
    try:
        if place is not None:
            _receive(place)
        yield
    finally:
        _ORIGIN.pop()
        for stream in streams:
            os.close(stream)
        for known in (_HUNG, _BEFORE, _NEXT):
            known.clear()


def _receive(place: str) -> None:
    """What the beginning before this one left in a file; and signals as they are where a program starts."""
    try:
        with open(place, encoding="utf-8") as file:
            state = json.load(file)
        os.unlink(place)
        _HUNG.update(state["hung"])
        _BEFORE.update(state["kept"])
        _NEXT.update(state["kept"])
    except (OSError, ValueError, KeyError) as error:  # or what hung would hang again and again
        raise InputError(f"{VARIABLE}={place!r} is no record of an earlier beginning: {error}; unset it.") from None
    signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)  # an alarm that waits is dropped
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.signal(signal.SIGALRM, before)
    # What a user's file ignores, this process would go on ignoring.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def begin_anew(key: str, text: str, still: Callable[[], bool] = lambda: True, /) -> None:
    """Run this command once more, with ``hung(key)`` = text; returns where that cannot be done.

    It is not done, either, unless ``still``, asked last, says that there is something to stop.
    """
    # Elsewhere than under POSIX a program does not become another, but starts one and ends.
    if os.name != "posix" or not _ORIGIN or key in _HUNG:
        return
    folder, environment, streams = _ORIGIN[-1]
    with _ONE:
        place = ""
        try:
            handle, place = tempfile.mkstemp(prefix="sharpflow-", suffix=".json")
            with open(handle, "w", encoding="utf-8") as file:
                file.write(to_json({"hung": {**_HUNG, key: text}, "kept": _NEXT}))
            for number, stream in enumerate(streams, start=1):
                os.dup2(stream, number)
            with contextlib.suppress(OSError, ValueError, AttributeError):  # it is closed, or its reader has gone
                sys.__stdout__.flush()  # type: ignore[union-attr]
            if folder:
                os.chdir(folder)
            if still():
                # The alarm of a time limit would outlive this program, and end the next one before it has a handler.
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
                signal.setitimer(signal.ITIMER_REAL, 0)
                os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**environment, VARIABLE: place})
        except (OSError, ValueError, TypeError):
            pass
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        with contextlib.suppress(OSError):
            os.unlink(place)
