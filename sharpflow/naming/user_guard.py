"""What a user's file does beside defining things while it is read: told with its line, and kept from harming the rest.

What it prints, or lets a program write, goes to standard error, since standard output may carry results; settings of
JAX and of the process that it changes are put back, since everything later depends on them. None of it is an error: the
run goes on.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from sharpflow.naming import process_settings
from sharpflow.naming.user_frames import line_of_word, running_line
from sharpflow.naming.watchdog import watched
from sharpflow.terminal.stopping import seen_exit
from sharpflow.theory.limits import time_limit

__all__ = ["REMARKS", "guarded"]

# What was told of the files read so far: standard error is not shown where pytest captures it.
REMARKS: list[str] = []


@contextlib.contextmanager
def guarded(path: str, shown: str, /, *, jax_too: bool, seconds: float) -> Iterator[None]:
    """Run a file (``path``; of a module "") in a time limit, with its output and JAX's settings looked after."""
    if jax_too or "jax" in sys.modules:
        from sharpflow.numerics.config import configure

        configure()  # first, or what a user's file makes numerics set would be put back as well
    jax = sys.modules.get("jax")
    output = _Output(path)

    def tell(line: int, text: str) -> None:
        _remark(path, shown, line, text)

    try:
        with (
            watched(seconds, lambda frame: _where(path, shown, running_line(path, frame)), path or shown),
            _written_below_python(path, tell), contextlib.redirect_stdout(output), _settings_kept(jax, path, shown),
            process_settings.kept(path, tell), seen_exit(), time_limit(seconds),
        ):  # fmt: skip
            yield
    finally:
        if jax is None and "sharpflow.numerics.config" in sys.modules:
            sys.modules["jax"].config.update("jax_enable_x64", True)
        if output.first:
            what = "prints while it is read, to standard error, since standard output may carry results"
            tell(output.line, f"{what}: {output.first[:60]!r}. Take that out.")


@contextlib.contextmanager
def _written_below_python(path: str, tell: Callable[[int, str], None]) -> Iterator[None]:
    """What programs that it starts write to standard output, and ``os.write(1, ...)``, goes to standard error."""
    for stream in (sys.stdout, sys.__stdout__):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()  # type: ignore[union-attr]
    with contextlib.ExitStack() as stack:
        try:
            written = stack.enter_context(tempfile.TemporaryFile())
            own = os.dup(1)
        except OSError:  # there is no place for files, or standard output is closed
            yield
            return
        os.dup2(written.fileno(), 1)
        try:
            yield
        finally:
            with contextlib.suppress(AttributeError, OSError, ValueError):
                sys.__stdout__.flush()  # type: ignore[union-attr]
            os.dup2(own, 1)
            os.close(own)
            written.seek(0)
            text = written.read().decode(errors="replace")
            if text.strip():
                sys.stderr.write(text)
                what = "lets a program write to standard output while it is read, or writes there below Python"
                line = line_of_word(path, r"\bos\.system|\bsubprocess\b|\bos\.write|\bos\.popen|__stdout__")
                tell(line, f"{what}: {text.strip()[:60]!r}; it went to standard error. Take that out.")


class _Output(io.TextIOBase):
    """Passes on to standard error; keeps what came first, and the line that wrote it."""

    def __init__(self, path: str) -> None:
        self.path, self.first, self.line = path, "", 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """As a file has it."""
        if not self.first and text.strip():
            self.first, self.line = text.strip(), running_line(self.path, sys._getframe(1))
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
        changes[name] = running_line(path, sys._getframe(1))
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


def _where(path: str, shown: str, line: int) -> str:
    return f"{path or shown}{f', line {line}' if line else ''}"


def _remark(path: str, shown: str, line: int, text: str) -> None:
    said = f"{_where(path, shown, line)}: {text}"
    REMARKS.append(said)
    print(f"sharpflow: note: {said}", file=sys.stderr)
