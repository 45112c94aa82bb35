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
from collections.abc import Iterator
from typing import Any

from sharpflow.output import to_json

__all__ = ["begin_anew", "hung", "keep", "kept", "own_process"]

VARIABLE = "SHARPFLOW_HUNG"
# What hung so far, by key, with what is said of it; and what is kept of the work done.
_HUNG: dict[str, str] = {}
_KEPT: dict[str, Any] = {}
# Of the process as it was at its start, where it is the command's own: folder, environment, streams.
_ORIGIN: list[tuple[str, dict[str, str], list[int]]] = []


def hung(key: str, /) -> str | None:
    """What was said of ``key`` when the command was stopped by it, if it was."""
    return _HUNG.get(key)


def keep(name: str, value: Any, /) -> None:
    """Have ``value``, which JSON can write, at the next beginning."""
    _KEPT[name] = value


def kept(name: str, default: Any, /) -> Any:
    """What was kept by `keep` before the command began anew, else ``default``."""
    return _KEPT.get(name, default)


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
    if place is not None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            before = signal.signal(signal.SIGALRM, signal.SIG_IGN)  # what waits is dropped
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
            signal.signal(signal.SIGALRM, before)
        with contextlib.suppress(OSError, ValueError, KeyError):
            with open(place, encoding="utf-8") as file:
                state = json.load(file)
            os.unlink(place)
            _HUNG.update(state["hung"])
            _KEPT.update(state["kept"])
    try:
        yield
    finally:
        _ORIGIN.pop()
        for stream in streams:
            os.close(stream)
        _HUNG.clear()
        _KEPT.clear()


def begin_anew(key: str, text: str, /) -> None:
    """Run this command once more, with ``hung(key)`` = text; returns where that cannot be done."""
    if not _ORIGIN or key in _HUNG:
        return
    folder, environment, streams = _ORIGIN[-1]
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        handle, place = tempfile.mkstemp(prefix="sharpflow-", suffix=".json")
        with open(handle, "w", encoding="utf-8") as file:
            file.write(to_json({"hung": {**_HUNG, key: text}, "kept": _KEPT}))
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream, number)
        sys.__stdout__.flush()  # type: ignore[union-attr]
        if folder:
            os.chdir(folder)
        if hasattr(signal, "setitimer"):
            # The alarm of a time limit would outlive this program, and end the next one before it has a handler.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            signal.setitimer(signal.ITIMER_REAL, 0)
        os.execve(sys.executable, sys.orig_argv, {**environment, VARIABLE: place})
