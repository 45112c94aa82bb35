"""Where a command writes: text for people, JSON and files for programs.

A place to write to is tried before the work begins, and a file appears complete or not at all: it is written beside its
place and renamed. With ``--json -`` standard output carries the JSON alone and the text goes to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BUG", "Output", "add_json", "check_writable", "make_folder", "replacing", "shortened", "to_json"]

# The exit status of every command where the program itself made a mistake: nothing it says then can be relied on.
BUG = 70
# Characters of the input that a message repeats.
REPEATED = 200


def add_json(parser: argparse._ActionsContainer, /) -> None:
    """The option that every command has."""
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON to FILE ('-' is standard output)")


class Output:
    """The places that one call writes to, all tried at once.

    Args:
        json: a path, ``"-"`` or ``None``: where `write_json` writes.
        **files: further paths by option name (``csv="run.csv"``); ``None`` is left out.

    Raises:
        InputError: a place cannot be written to, or two results go to the same one.
    """

    FIGURES = (".png", ".svg", ".pdf")

    def __init__(self, json: str | None = None, /, **files: str | None) -> None:
        self.json = json
        self.files = {name: path for name, path in files.items() if path is not None}
        places = {"--json": json} | {f"--{name.replace('_', '-')}": path for name, path in files.items()}
        taken: dict[str, str] = {}
        for option, path in places.items():
            if path is None:
                continue
            if path == "-" and option != "--json":
                raise InputError(f"{option} needs a file; only --json may go to standard output ('-').")
            if path != "-":
                check_writable(path, option)
            real = path if path == "-" else os.path.realpath(os.path.expanduser(path))
            if real in taken:
                raise InputError(f"{taken[real]} and {option} both write to {path!r}; give them different places.")
            taken[real] = option

    def say(self, *lines: object) -> None:
        """Lines for people."""
        for line in lines:
            # At once, also into a pipe: the first lines may come a minute before the last.
            print(line, file=sys.stderr if self.json == "-" else sys.stdout, flush=True)

    def write(self, name: str, make: Callable[[Path], object], /) -> None:
        """The file of an option, where it was given: ``make`` writes it at the place it is handed."""
        path, option = self.files.get(name), f"--{name.replace('_', '-')}"
        if path is not None:
            with replacing(path, option) as place:
                make(place)
            self.say(f"written: {path}")

    def write_text(self, name: str, text: str, /) -> None:
        """Text, in UTF-8, to the file of an option."""
        self.write(name, lambda place: place.write_text(text, encoding="utf-8"))

    def draw(self, name: str, make: Callable[[], Figure], /) -> None:
        """The figure that ``make`` returns, in the format that the ending of the file of an option names.

        To be called last: a figure that cannot be drawn must not take the numbers with it.
        """
        if name in self.files:
            kind = self.files[name].rsplit(".", 1)[-1].lower()
            self.write(name, lambda place: make().savefig(place, format=kind))

    def write_json(self, payload: Any, /) -> None:
        """The result for programs, where ``--json`` asked for it."""
        if self.json is None:
            return
        if self.json == "-":
            sys.stdout.write(to_json(payload, sys.stdout.encoding or "utf-8"))
            sys.stdout.flush()
        else:
            with replacing(self.json, "--json") as place:
                place.write_text(to_json(payload), encoding="utf-8")


def to_json(payload: Any, encoding: str = "utf-8", /) -> str:
    r"""``payload`` as strict JSON, with a final newline; escaped where the encoding lacks a sign of it.

    Arrays become lists, enumerations their values, paths and SymPy expressions their text; a number that is not finite
    becomes null, since JSON has none.

    >>> to_json({"a": (1, float("nan"))})
    '{\n  "a": [\n    1,\n    null\n  ]\n}\n'
    """
    plain = _plain(payload)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:  # also of a file name that is no UTF-8
        text = json.dumps(plain, indent=2, allow_nan=False) + "\n"
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, set | frozenset):
        return [_plain(entry) for entry in sorted(value, key=str)]
    if hasattr(value, "tolist"):  # arrays and array scalars of NumPy and JAX
        return _plain(value.tolist())
    return str(value)


def make_folder(path: str, option: str, /) -> str:
    """``path`` as a folder that can be written to, made if it is not there; raises `InputError` where none can be."""
    try:
        os.makedirs(path, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{option}: {path!r} cannot be made a folder: {_reason(error)}. Give another.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{option}: the folder {path!r} cannot be written to; give another.")
    return path


def shortened(message: str, words: Sequence[str], /) -> str:
    """``message``, where of each of the ``words`` of the input it repeats not more than `REPEATED` characters.

    >>> len(shortened(f"no loss is called {'x' * 1000!r}.", ["x" * 1000])) < 250
    True
    """
    parts = {part for word in words for part in (word, word.partition("=")[2], word.rpartition(":")[0])}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) > REPEATED:
            for form in (part, repr(part)[1:-1]):
                message = message.replace(form, f"{form[: REPEATED - 3]}...")
    return message


def check_writable(path: str, option: str, /) -> None:
    """Raise `InputError` unless a file can be written at ``path``; leaves nothing there."""
    place = _resolve(path, option)
    if _is_special(place):
        if not os.access(place, os.W_OK):
            raise InputError(f"{option}: {path!r} cannot be written to; give another file.")
        return
    try:
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:50]}.")
    except (OSError, ValueError) as error:
        raise InputError(f"{option}: {path!r} cannot be written: {_reason(error)}. Give another file.") from None
    os.close(handle)
    os.unlink(name)


@contextlib.contextmanager
def replacing(path: str, option: str, /) -> Iterator[Path]:
    """A place to write a file at, ending like ``path``; when the body ends well, it takes the place of ``path``."""
    place = _resolve(path, option)
    if _is_special(place):  # /dev/null and pipes are written to, not replaced
        try:
            yield place
        except BrokenPipeError:  # the reader left: no fault of the place
            raise
        except OSError as error:
            raise InputError(f"{option}: {path!r} cannot be written: {_reason(error)}.") from None
        return
    try:
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:50]}.", suffix=place.suffix)
        os.close(handle)
    except OSError as error:
        raise InputError(f"{option}: {path!r} cannot be written: {_reason(error)}.") from None
    try:
        try:
            yield Path(name)
            os.chmod(name, _mode(place))
            os.replace(name, place)
        except OSError as error:
            raise InputError(f"{option}: {path!r} cannot be written: {_reason(error)}.") from None
        except InputError as error:  # of what writes, which was given the place beside
            raise InputError(f"{option}: {str(error).replace(name, path)}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def _resolve(path: str, option: str) -> Path:
    """The place itself: where ``path`` is a link, what it leads to."""
    if not path:
        raise InputError(f"{option}: the name of the file is empty.")
    try:
        place = Path(os.path.realpath(os.path.expanduser(path)))
        is_folder = place.is_dir() or path.endswith(os.sep)
        has_folder = place.parent.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(f"{option}: {path!r} is no name for a file: {_reason(error)}.") from None
    if is_folder:
        raise InputError(f"{option}: {path!r} is a folder; name a file in it.")
    if not has_folder:
        raise InputError(f"{option}: there is no folder {str(place.parent)!r}; make it first.")
    return place


def _is_special(place: Path) -> bool:
    return place.exists() and not place.is_file()


def _mode(place: Path) -> int:
    """The permissions the file has, or those a new one gets."""
    if place.exists():
        return place.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
