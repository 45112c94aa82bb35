"""What a user's file does beside defining things while it is read: told with its line, and kept from harming the rest.

What it prints goes to standard error, since standard output may carry results; settings of JAX that it changes are put
back, since every later number depends on them. Neither is an error: the run goes on.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from theory.limits import time_limit

__all__ = ["REMARKS", "guarded"]

# What was told of the files read so far: standard error is not shown where pytest captures it.
REMARKS: list[str] = []


@contextlib.contextmanager
def guarded(path: str, shown: str, /, *, jax_too: bool, seconds: float) -> Iterator[None]:
    """Run a file (``path``; of a module "") in a time limit, with its output and JAX's settings looked after."""
    if jax_too or "jax" in sys.modules:
        from numerics.config import configure

        configure()  # first, or what a user's file makes numerics set would be put back as well
    jax = sys.modules.get("jax")
    output = _Output(path)
    try:
        with _settings_kept(jax, path, shown), contextlib.redirect_stdout(output), time_limit(seconds):
            yield
    finally:
        if jax is None and "numerics.config" in sys.modules:
            sys.modules["jax"].config.update("jax_enable_x64", True)
        if output.first:
            what = "prints while it is read, to standard error, since standard output may carry results"
            _remark(path, shown, output.line, f"{what}: {output.first[:60]!r}. Take that out.")


class _Output(io.TextIOBase):
    """Passes on to standard error; keeps what came first, and the line that wrote it."""

    def __init__(self, path: str) -> None:
        self.path, self.first, self.line = path, "", 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """As a file has it."""
        if not self.first and text.strip():
            self.first, self.line = text.strip(), _line(self.path)
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


@contextlib.contextmanager
def _settings_kept(jax: Any, path: str, shown: str) -> Iterator[None]:
    if jax is None:
        yield
        return
    config, before, changes = jax.config, dict(jax.config.values), {}
    update = config.update

    def recorded(name: str, value: Any) -> None:
        changes[name] = _line(path)
        update(name, value)

    config.update = recorded
    try:
        yield
    finally:
        del config.update
        for name, value in before.items():
            found = config.values[name]
            if found != value:
                update(name, value)
                what = f"sets JAX's {name} to {found!r} while it is read, and every number here supposes {value!r}"
                _remark(path, shown, changes.get(name, 0), f"{what}: it was put back. Take that out.")


def _line(path: str) -> int:
    """The line of the file that is running just now; 0 where none is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if path and frame.f_code.co_filename == path:
            return frame.f_lineno
        if not path and _foreign(frame.f_code.co_filename):
            return frame.f_lineno
        frame = frame.f_back
    return 0


def _foreign(filename: str) -> bool:
    """Whether this is a user's file: neither of this package, nor installed beside it, nor Python's own."""
    if filename.startswith("<"):
        return False
    here, library = Path(__file__).parents[1], Path(os.__file__).parent
    place = Path(filename)
    inside = any(place.is_relative_to(here / name) for name in ("sharpflow", "numerics", "theory"))
    return not inside and not place.is_relative_to(library) and "site-packages" not in place.parts


def _remark(path: str, shown: str, line: int, text: str) -> None:
    said = f"{path or shown}{f', line {line}' if line else ''}: {text}"
    REMARKS.append(said)
    print(f"sharpflow: note: {said}", file=sys.stderr)
