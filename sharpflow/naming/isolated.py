"""A process of its own for a user's file: what hangs or ends there is told with its line, and ends nothing else.

The child is a fork of a process that has not used JAX yet, which costs milliseconds where a fresh interpreter would
import SymPy and JAX anew (4 s). It hands its result over whole, through a pipe, and is ended then, whatever threads it
has begun. What no exception ends, a loop in compiled code or one that catches everything, the parent ends: faulthandler
tells it the line.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import pickle
import re
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe
from typing import Any, NoReturn

from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import wall_limit
from sharpflow.theory.user_frames import is_users

__all__ = ["Ended", "in_child", "in_time", "may_fork", "own_process", "preload"]

# What is over its limit in Python ends there; a call into compiled code that outlasts the limit is given as much again.
PATIENCE = 2.0
# How often the parent looks whether the child has ended or a signal has come, in seconds.
OFTEN = 0.2
# So many interrupts end a child that does not hear the first.
IMPATIENT = 3
HEARD = {signal.SIGINT, signal.SIGTERM}
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)
# Compiling ends, however long it takes.
_COMPILING = os.path.join("jax", "_src", "compiler.py")
_own: list[bool] = []
# Of a child: where its last lines go.
_trace: list[int] = []


class Ended(Exception):  # noqa: N818  what happened to a child, to be told
    """A child ended without a result; the text says what ended it, with the user's line.

    Attributes:
        hung: whether it was ended for its time limit.
    """

    def __init__(self, text: str, hung: bool) -> None:
        super().__init__(text)
        self.hung = hung


def own_process() -> None:
    """Say that this process is the command's own, in which children can be made: it has not used JAX."""
    _own.append(True)


def may_fork() -> bool:
    """True where this is the command's own process; false in a notebook, under pytest, and in a child."""
    return bool(_own) and not _trace and hasattr(signal, "sigtimedwait")


def preload(*modules: str) -> None:
    """Import what several children need, once; threads that it begins hear no signals, which are this one's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    for module in modules:
        importlib.import_module(module)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def in_time(seconds: float, /) -> Iterator[None]:
    """End the body by `TimeLimitExceeded` after so many seconds; in a child, by the parent where it goes on."""
    if _trace:
        # Again and again, since the parent lets a program be compiled.
        faulthandler.dump_traceback_later(PATIENCE * seconds, repeat=True, file=_trace[0])
    try:
        with wall_limit(seconds):
            yield
    finally:
        if _trace:
            faulthandler.cancel_dump_traceback_later()


def in_child(work: Callable[[Callable[[Any], None]], Any], heard: Callable[[Any], None] = print, /) -> Any:
    """The value of ``work(send)``, computed in a child; each ``send(message)`` there is a call ``heard(message)`` here.

    Raises:
        Ended: the child ended without a result.
        InputError, KeyboardInterrupt: as ``work`` does.
    """
    ours, theirs = Pipe(duplex=False)
    lines, trace = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        child = os.fork()
    except OSError as error:
        raise InputError(f"the system makes no process for the user's file: {error.strerror}.") from None
    if child == 0:
        ours.close()
        os.close(lines)
        _be_child(work, theirs, trace)
    theirs.close()
    os.close(trace)
    try:
        with _signals_passed_on(child) as passed_on:
            return _listen(child, ours, lines, heard, passed_on)
    finally:
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.waitpid(child, 0)
        ours.close()
        os.close(lines)


def _listen(
    child: int, ours: Connection, lines: int, heard: Callable[[Any], None], passed_on: Callable[[], None]
) -> Any:
    said, gone = b"", None
    pipes: list[Any] = [ours, lines]
    while True:
        ready, _, _ = select.select(pipes, [], [], OFTEN)
        passed_on()
        if lines in ready and (more := os.read(lines, 1 << 16)):
            said += more
        elif ours in ready:
            try:
                kind, value = pickle.loads(ours.recv_bytes())
            except EOFError:
                gone = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
                raise Ended(*_end(said.decode(), gone)) from None
            if kind == "returned":
                return value
            if kind == "raised":
                raise value
            heard(value)
        elif said.startswith(b"Timeout"):  # and all of it is here
            if _COMPILING.encode() not in said:
                raise Ended(*_end(said.decode(), None))
            said = b""
        elif gone is not None:  # what it has started holds the pipes open
            raise Ended(*_end(said.decode(), gone))
        else:
            gone = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG)


def _end(said: str, gone: os.waitid_result | None) -> tuple[str, bool]:
    """The cause that ended a child, from the lines of faulthandler and how its process went; and whether it hung."""
    place = ""
    # The main thread comes last.
    for thread in reversed(said.split("\n\n")):
        theirs = (f"{name}, line {line}" for name, line in _FRAME.findall(thread) if is_users(name))
        place = place or next(theirs, "")
    place = place or "what the user's file defines"
    if gone is None:
        hours, minutes, seconds = re.findall(r"[\d.]+", said.split("\n")[0])[:3]
        limit = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        text = f"{place}: still running after {limit:g} s, in compiled code or where every exception is caught "
        return f"{text}(except:), and nothing in Python can end that; a loop there may have no end. Correct it.", True
    if gone.si_code == os.CLD_EXITED:
        return f"{place}: ends the program (sys.exit or os._exit, status {gone.si_status}); take that out.", False
    name = signal.Signals(gone.si_status).name
    return f"{place}: ends the process by {name}: memory ran out, or compiled code failed.", False


@contextlib.contextmanager
def _signals_passed_on(child: int) -> Iterator[Callable[[], None]]:
    """A function that passes signals on to the child; those of a terminal come from the kernel and are there."""
    before = {number for number in HEARD if signal.getsignal(number) != signal.SIG_IGN}
    signal.pthread_sigmask(signal.SIG_BLOCK, before)
    came = 0

    def pass_on() -> None:
        nonlocal came
        while (found := signal.sigtimedwait(before, 0)) is not None:
            came += 1
            if came >= IMPATIENT:
                raise KeyboardInterrupt
            if found.si_code <= 0:
                os.kill(child, found.si_signo)

    try:
        yield pass_on
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, before)


def _be_child(work: Callable[[Callable[[Any], None]], Any], theirs: Connection, trace: int) -> NoReturn:
    import ctypes

    own, leave = os.getpid(), os._exit
    _trace.append(trace)
    with contextlib.suppress(OSError, AttributeError):  # on Linux: a parent that is killed takes it along
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    def leave_seen(status: int) -> NoReturn:
        if os.getpid() == own and threading.current_thread() is threading.main_thread():
            raise SystemExit(status)  # as of sys.exit: only this call ends
        if os.getpid() == own:
            faulthandler.dump_traceback(trace, all_threads=False)
        leave(status)

    def send(kind: str, value: Any) -> None:
        theirs.send_bytes(pickle.dumps((kind, value)))

    answer: tuple[str, Any]
    try:
        faulthandler.enable(trace)
        os._exit = leave_seen
        # What is written below Python goes to standard error: standard output may carry results.
        sys.stdout = open(  # noqa: SIM115
            os.dup(1), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, newline=""
        )
        os.dup2(2, 1)
        answer = "returned", work(lambda message: send("message", message))
        sys.stdout.flush()
    except InputError as error:
        answer = "raised", InputError(str(error))
    except KeyboardInterrupt:
        answer = "raised", KeyboardInterrupt()
    except BaseException:
        answer = "raised", RuntimeError(traceback.format_exc())
    try:
        send(*answer)
    finally:
        leave(0)
