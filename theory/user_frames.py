"""Which lines are the user's: of what is defined, of what is running, and of what an exception passed through."""

from __future__ import annotations

import inspect
import os
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["defined_at", "is_pythons", "is_users", "raised_at"]

_PACKAGE, _LIBRARY = Path(__file__).parents[1], Path(os.__file__).parent
# In a checkout theory and numerics are links in sharpflow, and sharpflow one in src: a frame bears one name or another.
_OWN = tuple(place.resolve() for place in (_PACKAGE, _PACKAGE / "theory", _PACKAGE / "numerics"))
_INSTALLED = {"site-packages", "dist-packages"}


@lru_cache(maxsize=4096)
def is_pythons(filename: str, /) -> bool:
    """True for Python's own files, and for what is no file at all."""
    place = Path(filename)
    return filename.startswith("<") or (place.is_relative_to(_LIBRARY) and not _INSTALLED & set(place.parts))


@lru_cache(maxsize=4096)
def is_users(filename: str, /) -> bool:
    """True for a user's file: neither of this package, nor installed beside it, nor Python's own."""
    if is_pythons(filename) or _INSTALLED & set(Path(filename).parts):
        return False
    return not any(Path(filename).resolve().is_relative_to(own) for own in _OWN)


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
