"""What a user's function does to the world while it runs: files, processes, sockets, the global random states.

The interpreter reports such events to hooks (PEP 578). One is installed at the first use, for good since a hook cannot
be taken out, and is idle but within `noted`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FrameType
from typing import Any

import numpy as np

from sharpflow.naming.user_frames import is_pythons, is_users

__all__ = ["noted", "random_change", "random_states", "seeded"]

# By the event: what was done, and whether its first argument is a path.
_EVENTS: dict[str, tuple[str, bool]] = {
    "os.chdir": ("changes the working directory to", True),
    "os.chmod": ("changes the mode of", True),
    "os.exec": ("becomes the program", True),
    "os.fork": ("starts a process", False),
    "os.kill": ("sends a signal", False),
    "os.link": ("links the file", True),
    "os.mkdir": ("makes the folder", True),
    "os.posix_spawn": ("starts the program", True),
    "os.putenv": ("sets in the environment", True),
    "os.remove": ("removes the file", True),
    "os.rename": ("renames the file", True),
    "os.rmdir": ("removes the folder", True),
    "os.spawn": ("starts a process", False),
    "os.symlink": ("links the file", True),
    "os.system": ("runs the command", True),
    "os.truncate": ("cuts the file", True),
    "os.unsetenv": ("takes out of the environment", True),
    "os.utime": ("changes the times of", True),
    "socket.bind": ("listens on a socket", False),
    "socket.connect": ("connects to the network", False),
    "socket.getaddrinfo": ("asks the network for the host", True),
    "socket.sendto": ("sends to the network", False),
    "sqlite3.connect": ("opens the database", True),
    "subprocess.Popen": ("starts the program", True),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What JAX keeps of compiled programs, by whatever package it writes them.
_KEPT = ("compilation_cache.py", "compiler.py", "lru_cache.py", "path.py")


class _Watch:
    """Where the body of `noted` runs, and what was noted: one thing for a line."""

    def __init__(self, around: CodeType) -> None:
        self.around = around
        self.thread = threading.get_ident()
        self.found: dict[str, str] = {}


_watches: list[_Watch] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watches or (event != "open" and event not in _EVENTS):
        return
    watch = _watches[-1]
    if threading.get_ident() != watch.thread:
        return
    if event == "open":
        path, mode, flags = (*arguments, None, None)[:3]
        # A descriptor was opened by somebody before.
        if (
            isinstance(path, int)
            or not _writes(mode, flags)
            or os.fspath(path) in (os.devnull, os.fsencode(os.devnull))
        ):
            return
        what = f"writes the file {_shown(path)}"
    else:
        text, named = _EVENTS[event]
        what = f"{text} {_shown(arguments[0])}" if named and arguments else text
    place = _place(sys._getframe(1), watch.around)
    if place is not None:
        watch.found.setdefault(place, what)


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)


def _shown(value: Any) -> str:
    return repr(os.fsdecode(value) if isinstance(value, bytes) else str(value))[:80]


def _place(frame: FrameType | None, around: CodeType) -> str | None:
    """The user's line that leads to this frame; ``None`` where it is JAX, or a module being imported, that does it."""
    place, caller = "", ""
    while frame is not None and frame.f_code is not around:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return None
        parts = name.replace("\\", "/").split("/")
        if not caller and not is_pythons(name):
            caller = name
            if {"jax", "jaxlib"} & set(parts) and not is_users(name):
                return None
        if parts[-3:-1] == ["jax", "_src"] and parts[-1] in _KEPT:
            return None
        if not place and is_users(name):
            place = f"{name}, line {frame.f_lineno}"
        frame = frame.f_back
    return place


@cache
def _install() -> None:
    sys.addaudithook(_hook)


def noted(body: Callable[[], Any], /) -> list[str]:
    """Run ``body``; what it does to files, processes and the network, each with the user's line that does it."""
    _install()
    watch = _Watch(noted.__code__)
    _watches.append(watch)
    try:
        body()
    finally:
        _watches.remove(watch)
    return [f"{what} ({place})" if place else what for place, what in watch.found.items()]


def random_states() -> tuple[Any, bytes]:
    """Of Python and of NumPy, the global ones."""
    return random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002  the user's function may use it


def random_change(before: tuple[Any, bytes], /) -> str:
    """What happened to the global random states since, empty where nothing did."""
    whose = [name for name, a, b in zip(("Python", "NumPy"), before, random_states(), strict=True) if a != b]
    return f"draws from, or seeds, the global random state of {' and '.join(whose)}" if whose else ""


@contextlib.contextmanager
def seeded(seed: int, /) -> Iterator[None]:
    """Global generators at a seed, and put back afterwards."""
    own, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)  # noqa: NPY002
