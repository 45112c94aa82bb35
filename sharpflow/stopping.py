"""SIGINT and SIGTERM as a wish to stop at the next place where nothing is lost."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "stopping"]


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

    def hear(self, number: int, _: FrameType | None) -> None:
        """The handler."""
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
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
