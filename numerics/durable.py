"""Files that are whole or not there: written under a temporary name, synced, and renamed.

A file whose name holds a hash of its content shows damage that comes later.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sharpflow.theory.errors import InputError

__all__ = ["DAMAGE", "LEFT", "content_hash", "locked", "new_folder", "write_whole"]

# What a process leaves that is killed while it writes the manifest, the first file of all.
LEFT = re.compile(r"\.0-\d+-manifest\.json\.tmp")

# What reading a damaged npz file may raise.
DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError, TypeError, RecursionError)


def content_hash(content: bytes, /) -> str:
    """The first 16 hex digits of SHA-256, as they stand in a file's name."""
    return hashlib.sha256(content).hexdigest()[:16]


def write_whole(target: Path, content: bytes, /, *, owner: str = "0") -> None:
    """Write ``content`` so that ``target`` is its old self or the new one, whatever happens meanwhile.

    ``owner`` is in the temporary name ``.owner-process-name.tmp``, by which what a killed process left is found. A
    device or a pipe is written to, and stays what it is.

    Raises:
        OSError: the disk is full, or the folder has gone; the temporary file is removed then.
    """
    if target.exists() and not target.is_file():
        with open(target, "wb") as file:
            file.write(content)
        return
    place = target.parent / f".{owner}-{os.getpid()}-{target.name}.tmp"
    try:
        # Over what a killed process of the same number may have left.
        with open(place, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            place.chmod(target.stat().st_mode & 0o777)
        os.replace(place, target)
        # The rename itself is in the folder.
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        with suppress(OSError):
            place.unlink(missing_ok=True)
        raise


def new_folder(path: str | os.PathLike[str], holds: str, /) -> Path:
    """A folder that is new or empty, for the results of a command with --out; ``holds`` says what they are.

    Raises:
        InputError: there is something in it, or it cannot be made.
    """
    folder = Path(path).expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: {folder} is a file; name a folder.")
    if folder.exists() and any(entry for entry in folder.iterdir() if not LEFT.fullmatch(entry.name)):
        if (folder / "manifest.json").exists():
            raise InputError(f"--out: {folder} holds a {holds}; go on with --resume, or name another folder.")
        raise InputError(f"--out: {folder} is not empty and holds no {holds}; name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out: cannot make {folder}: {error.strerror or error}.") from error
    return folder


@contextmanager
def locked(place: Path, /, busy: Callable[[str], str]) -> Iterator[int]:
    """The handle of the file ``place``, held by this process alone; the system lets go of it however it ends.

    Raises:
        InputError: it cannot be written, or another process holds it: then with what ``busy`` makes of the file's text.
    """
    try:
        handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"cannot write in {place.parent}: {error.strerror or error}.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(busy(os.pread(handle, 200, 0).decode(errors="replace").strip())) from error
        yield handle
    finally:
        os.close(handle)
