"""What no exception ends: a loop in compiled code, or one that catches everything, is told with its line.

A signal, and so a `sharpflow.theory.limits.time_limit`, reaches Python code only: ``lax.while_loop`` with a condition
that stays true runs on. A thread sees that; it cannot end the loop, but where the process is the command's own the
command begins anew without what hung (`sharpflow.naming.anew`), or ends where that cannot be. In a notebook or under
pytest it only says so.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from sharpflow.naming.anew import begin_anew, hung, own_process

__all__ = ["ending_the_process", "watched"]

# What is over its limit in Python ends there; a call into compiled code that outlasts the limit is given as much again.
PATIENCE = 2.0
WRONG_INPUT = 2
# Compiling ends, however long it takes.
_COMPILING = os.path.join("jax", "_src", "compiler.py")

_ends: list[bool] = [False]


@contextlib.contextmanager
def ending_the_process() -> Iterator[None]:
    """Within, the command begins anew, or ends (status 2), where nothing else ends what is watched."""
    before = _ends[0]
    _ends[0] = True
    try:
        with own_process():
            yield
    finally:
        _ends[0] = before


@contextlib.contextmanager
def watched(seconds: float, say: Callable[[FrameType | None], str], key: str = "", /) -> Iterator[None]:
    """Wait for `PATIENCE` times a limit of so many seconds; then tell, with what ``say`` makes of the running frame.

    ``key`` is what `sharpflow.naming.anew.hung` knows it by, once the command has begun anew.
    """
    done = threading.Event()
    body = threading.get_ident()

    def wait() -> None:
        while True:
            if done.wait(PATIENCE * seconds):
                return
            frame = sys._current_frames().get(body)
            if frame is None or not frame.f_code.co_filename.endswith(_COMPILING):
                break
        text = f"{say(frame)}: still running after {PATIENCE * seconds:g} s, in compiled code or where every exception "
        text += "is caught (except:), and nothing in Python can end that; a loop there may have no end. Correct it"
        if not _ends[0]:
            print(f"sharpflow: note: {text}, and end this process.", file=sys.stderr, flush=True)
            return
        try:
            if hung(key) is None:
                note = f"sharpflow: note: {say(frame)}: never ends; the command begins anew without it.\n"
                _write(note)
                begin_anew(key, f"{text}.", lambda: not done.is_set())
            if done.is_set():
                return
            _write(f"sharpflow: error: {text}. What was to come after it was not done.\n")
        finally:
            if not done.is_set():
                os._exit(WRONG_INPUT)

    threading.Thread(target=wait, name="sharpflow-watchdog", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _write(text: str) -> None:
    """To standard error, which may be the user's replacement of it; the process's own is number 2."""
    with contextlib.suppress(OSError):  # its reader has gone
        os.write(2, text.encode(errors="replace"))
