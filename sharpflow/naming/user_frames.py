"""Which lines are the user's: of what is running, of what called, and of what an exception passed through."""

from __future__ import annotations

import inspect
import os
import re
from functools import lru_cache
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

__all__ = ["calls_from", "defined_at", "is_pythons", "is_users", "line_of_word", "raised_at", "running_line"]

_HERE, _LIBRARY = Path(__file__).parents[1], Path(os.__file__).parent
_INSTALLED = {"site-packages", "dist-packages"}


@lru_cache(maxsize=4096)
def is_pythons(filename: str, /) -> bool:
    """Whether this is Python's own, or no file at all."""
    place = Path(filename)
    return filename.startswith("<") or (place.is_relative_to(_LIBRARY) and not _INSTALLED & set(place.parts))


@lru_cache(maxsize=4096)
def is_users(filename: str, /) -> bool:
    """Whether this is a user's file: neither of this package, nor installed beside it, nor Python's own."""
    place = Path(filename)
    return not is_pythons(filename) and not place.is_relative_to(_HERE) and not _INSTALLED & set(place.parts)


def running_line(path: str, frame: FrameType | None, /) -> int:
    """The line of the file ``path`` (any of the user's where that is "") that is running; 0 where none is."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name == path or (not path and is_users(name)):
            return frame.f_lineno
        frame = frame.f_back
    return 0


def calls_from(path: str, frame: FrameType | None, /) -> bool:
    """Whether what is running was called by the user's own code: by the file ``path``, or another of theirs."""
    while frame is not None and is_pythons(frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None and (frame.f_code.co_filename == path or is_users(frame.f_code.co_filename))


def raised_at(traceback: TracebackType | None, /) -> str:
    """The user's innermost line that an exception passed through, as "file, line 3"; empty where it passed none."""
    found = ""
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if is_users(name):
            found = f"{name}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def defined_at(function: Any, /) -> str:
    """Where a function of the user's is defined, as " (file, line 3)"; empty where it is not theirs."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f" ({code.co_filename}, line {code.co_firstlineno})" if code and is_users(code.co_filename) else ""


def line_of_word(path: str, word: str, /) -> int:
    """The first line of the file in which the regular expression ``word`` is found; 0 where there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines() if path else []
    except (OSError, ValueError):
        return 0
    return next((k for k, line in enumerate(lines, 1) if re.search(word, line.partition("#")[0])), 0)
