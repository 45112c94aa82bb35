"""A time limit around computer algebra that may not end."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

__all__ = ["TimeLimitExceeded", "time_limit"]


class TimeLimitExceeded(Exception):  # noqa: N818  a condition, not a mistake
    """The body of a `time_limit` ran over."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitExceeded` in the body after so many seconds.

    Works in the main thread of a process on systems with interval timers; elsewhere the body runs without a limit. An
    outer
    timer that is already running is put back with the time it has left.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    done = False

    def over(signum: int, frame: FrameType | None) -> None:
        if not done:
            raise TimeLimitExceeded(f"over {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, over)
    # Repeated: an exception raised while a hook of the garbage collector runs is swallowed there.
    outer, again = signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    begin = time.monotonic()
    try:
        yield
    finally:
        done = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if outer:
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, outer - (time.monotonic() - begin)), again)
