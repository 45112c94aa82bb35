"""A time limit around computer algebra that may not end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

__all__ = [
    "OF_CHECKS",
    "OF_PARTS",
    "OF_PROOFS",
    "OF_STATEMENTS",
    "TimeLimitExceeded",
    "ran_out",
    "time_limit",
    "wall_limit",
]

# Processor seconds after which a check, a part of a derivation, the proof of a claim, or a statement is left: ten times
# what the slowest of a built-in loss takes, and no check of a loss of thousands of weights takes longer.
OF_CHECKS, OF_PARTS, OF_PROOFS, OF_STATEMENTS = 120.0, 60.0, 30.0, 60.0
# The alarm is repeated: an exception raised while a hook of the garbage collector runs is swallowed there.
AGAIN = 0.1
# Where the alarm came inside such a hook, which lasts microseconds.
SOON = 0.01
# The timer and the clock may disagree by this much about whether a deadline is over; the next alarm settles it.
SKEW = 1e-3


class TimeLimitExceeded(BaseException):  # noqa: N818  a condition, not a mistake
    """The body of a `time_limit` or a `wall_limit` ran over.

    No `Exception`: a user's loop that catches those and tries again would never end.
    """


def time_limit(seconds: float) -> _Limit:
    """A context whose body is ended by `TimeLimitExceeded` after so many seconds of this process's own work.

    Not of the clock on the wall: what computer algebra finds is to be the same on a machine that others keep busy.
    Works in the main thread of a process on systems with interval timers; elsewhere the body runs without a limit.
    Limits nest: an inner one never outlasts an outer one, whose timer is put back with the time it has left. No alarm
    is raised once the body has ended.
    """
    return _Limit(seconds, *_WORK)


def wall_limit(seconds: float) -> _Limit:
    """As `time_limit`, by the clock on the wall: for a user's code, which may wait for something that never comes."""
    return _Limit(seconds, *_WALL)


# A timer, the signal it sends, and the clock it goes by; limits of either kind nest among themselves.
_Timer = tuple[int, int, Callable[[], float]]
_TIMERS = hasattr(signal, "setitimer")
_WORK: _Timer = (signal.ITIMER_PROF, signal.SIGPROF, time.process_time) if _TIMERS else (0, 0, time.process_time)
_WALL: _Timer = (signal.ITIMER_REAL, signal.SIGALRM, time.monotonic) if _TIMERS else (0, 0, time.monotonic)


class _Limit:
    """One use of `time_limit` or `wall_limit`."""

    def __init__(self, seconds: float, timer: int, signum: int, clock: Callable[[], float]) -> None:
        self.seconds, self.timer, self.signum, self.clock = seconds, timer, signum, clock
        self.deadline: float | None = None
        self.previous: Any = None
        self.outer: tuple[float, float] = (0.0, 0.0)

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread() or not _TIMERS:
            return
        now = self.clock()
        left, again = signal.setitimer(self.timer, 0)
        self.outer = (now + left, again) if left else (0.0, 0.0)
        allowed = max(SKEW, min(self.seconds, left) if left else self.seconds)
        self.deadline = now + allowed
        self.previous = signal.signal(self.signum, self.alarm)
        signal.setitimer(self.timer, allowed, AGAIN)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.deadline is None:
            return
        self.deadline = None
        signal.setitimer(self.timer, 0)
        signal.signal(self.signum, self.previous)
        end, again = self.outer
        if end:
            signal.setitimer(self.timer, max(SKEW, end - self.clock()), again)

    def alarm(self, signum: int, frame: FrameType | None) -> None:
        """Raise, unless it is early (another limit's alarm, come late), or a limit is just being set or lifted.

        Neither inside a hook of the garbage collector, which would swallow it with a warning: the alarm comes again.
        """
        if self.deadline is None or self.clock() < self.deadline - SKEW:
            return
        if swallowed(frame):
            signal.setitimer(self.timer, SOON, AGAIN)
            return
        while frame is not None:
            if frame.f_code in _OWN:
                return
            frame = frame.f_back
        global _ran_out
        _ran_out += 1
        raise TimeLimitExceeded(f"over {self.seconds:g} s")


_ran_out = 0


def ran_out() -> int:
    """How many limits have run out in this process: what is made after depends on the machine."""
    return _ran_out


_OWN = (_Limit.__enter__.__code__, _Limit.__exit__.__code__)


def swallowed(frame: FrameType | None, /) -> bool:
    """True where an exception raised in this frame by a signal's handler would end in a warning: Python discards it."""
    while frame is not None:
        if _swallows(frame):
            return True
        frame = frame.f_back
    return False


def _swallows(frame: FrameType) -> bool:
    """True for a finalizer, the callback of weakref's dictionaries, or JAX's or Hypothesis's hook."""
    code = frame.f_code
    if code.co_name == "remove":
        return code.co_filename.endswith("weakref.py")
    return code.co_name in ("__del__", "_xla_gc_callback", "gc_callback")
