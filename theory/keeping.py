"""Exact results kept on disk by content: functions of a question and of this program that take seconds to answer.

An entry is named by a hash of the question (a loss, a rule, an option), of the sources that answer it and of the
versions of SymPy and mpmath: a change of any of them asks for another entry. It holds a checksum of its content, so
that a damaged one is noticed, named on standard error and made anew. Entries are JSON: reading one runs nothing.
``$SHARPFLOW_CACHE=off`` keeps nothing, and within `ignored` nothing that was kept is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sharpflow.theory.cache import cache_folder

__all__ = ["Entry", "entry", "ignored", "ignoring"]

HERE = Path(__file__).parent
_ignoring: ContextVar[bool] = ContextVar("_ignoring", default=False)


@contextlib.contextmanager
def ignored(wanted: bool = True, /) -> Iterator[None]:
    """Within it every entry is made anew, and written."""
    token = _ignoring.set(wanted)
    try:
        yield
    finally:
        _ignoring.reset(token)


def ignoring() -> bool:
    """True where entries are to be made anew here."""
    return _ignoring.get()


@dataclass(frozen=True)
class Entry:
    """One answer on disk.

    Attributes:
        path: its file; ``None`` where nothing is kept.
    """

    path: Path | None

    def read(self) -> Any:
        """Its content; ``None`` where there is none to be used."""
        if self.path is None or ignoring() or not self.path.exists():
            return None
        content = _content(self.path)
        if content is None:
            print(f"The kept result {self.path.name} is damaged; it is derived and written anew.", file=sys.stderr)
        return content

    def write(self, content: Any, /) -> None:
        """Keep JSON content, whole or not at all; a disk that is full or gone keeps nothing."""
        if self.path is None:
            return
        body = json.dumps(content)
        with contextlib.suppress(OSError):
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name[:40]}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(json.dumps({"sha256": _sum(body), "content": body}))
                os.replace(name, self.path)
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(name)

    def get(self, make: Callable[[], Any], /) -> Any:
        """The content, made by ``make`` and kept where there is none."""
        content = self.read()
        if content is None:
            content = make()
            self.write(content)
        return content


def entry(label: str, /, *question: str | None, sources: tuple[str, ...] = ()) -> Entry:
    """The entry for a question.

    Args:
        label: how its file's name begins.
        question: all that the answer depends on, as text; ``None`` in it stands for what has no text, and is not kept.
        sources: files beside those of `sharpflow.theory` that make the answer.
    """
    place = cache_folder("derivations")
    parts = [part for part in question if part is not None]
    if place is None or len(parts) < len(question):
        return Entry(None)
    key = _sum(json.dumps([label, *parts, program(sources)]))[:32]
    safe = "".join(c if c.isalnum() or c in "-." else "_" for c in label[:60])
    return Entry(place / f"{safe}-{key}.json")


@cache
def program(sources: tuple[str, ...] = ()) -> str:
    """A hash of the sources of `sharpflow.theory`, of other files, and of the versions of what computes for them."""
    digest = hashlib.sha256("".join(_version(name) for name in ("sympy", "mpmath")).encode())
    for source in sorted(HERE.rglob("*.py")):
        digest.update(source.relative_to(HERE).as_posix().encode() + source.read_bytes())
    for name in sources:
        digest.update(Path(name).name.encode() + Path(name).read_bytes())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # copied into the path rather than installed
        import importlib

        return str(importlib.import_module(name).__version__)


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _content(path: Path) -> Any:
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        body = whole["content"]
        if not isinstance(body, str) or whole["sha256"] != _sum(body):
            return None
        return json.loads(body)
    # What a damaged file may hold: no text, no JSON, other JSON, or brackets deeper than Python reads.
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
