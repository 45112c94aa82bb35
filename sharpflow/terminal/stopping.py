"""SIGINT and SIGTERM as a wish to stop at the next place where nothing is lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sharpflow.theory.limits import swallowed

__all__ = ["Stop", "interruptible", "stopping"]

# Until a signal that came at a bad moment is sent again, in seconds.
SOON = 0.05


def _interrupt(number: int, frame: FrameType | None) -> None:
    """KeyboardInterrupt; a moment later where it would be lost, in a hook of the garbage collector (JAX has one)."""
    if not swallowed(frame):
        raise KeyboardInterrupt
    again = threading.Timer(SOON, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM end what is within, whenever they come; not where they are ignored, or handled, already."""
    ours: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if threading.current_thread() is not threading.main_thread():
        ours = {}
    ours = {number: handler for number, handler in ours.items() if signal.getsignal(number) is handler}
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


class Stop:
    """True where a signal came; ``after`` says what is finished first.

    A second SIGINT ends the program at once.
    """

    def __init__(self, after: str) -> None:
        self.signal: int | None = None
        self._after = after

    def asked(self) -> bool:
        """True where to stop."""
        return self.signal is not None

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        if self.signal is not None and number == signal.SIGINT:
            return _interrupt(number, frame)
        self.signal = number
        # On a terminal there may be a line of progress, and ^C behind it.
        begin = "\n" if sys.stderr.isatty() else ""
        print(f"{begin}sharpflow: stopping after this {self._after} (interrupt again to stop at once)", file=sys.stderr)


@contextmanager
def stopping(after: str, /) -> Iterator[Stop]:
    """SIGINT and SIGTERM ask for an end after the block, or the record, in hand."""
    stop = Stop(after)
    before = {number: signal.signal(number, stop.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
