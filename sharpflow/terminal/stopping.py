"""SIGINT and SIGTERM as a wish to stop at the next place where nothing is lost; and no end that nobody sees."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from sharpflow.theory.limits import swallowed

__all__ = ["Stop", "interruptible", "seen_exit", "stopping"]

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
def seen_exit() -> Iterator[None]:
    """Within, ``os._exit`` raises SystemExit, as sys.exit does: a user's function may call either, with status 0.

    Processes that are forked within end as they would, and so do threads.
    """
    own, leave = os.getpid(), os._exit

    def seen(status: int) -> NoReturn:
        if os.getpid() != own or threading.current_thread() is not threading.main_thread():
            leave(status)
        raise SystemExit(status)

    os._exit = seen
    try:
        yield
    finally:
        os._exit = leave


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT ends what is within, whenever it comes; not where it is ignored, or handled otherwise, already."""
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class Stop:
    """Whether a signal came; ``after`` says what is finished first.

    A second SIGINT ends the program at once.
    """

    def __init__(self, after: str) -> None:
        self.signal: int | None = None
        self._after = after

    def asked(self) -> bool:
        """Whether to stop."""
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
