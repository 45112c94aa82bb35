"""Files that are whole or not there: written under a temporary name, synced, and renamed.

A file whose name holds a hash of its content shows damage that comes later.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

__all__ = ["DAMAGE", "content_hash", "write_whole"]

# What reading a damaged npz file may raise.
DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError, TypeError)


def content_hash(content: bytes, /) -> str:
    """The first 16 hex digits of SHA-256, as they stand in a file's name."""
    return hashlib.sha256(content).hexdigest()[:16]


def write_whole(target: Path, content: bytes, /, *, owner: str = "0") -> None:
    """Write ``content`` so that ``target`` is its old self or the new one, whatever happens meanwhile.

    ``owner`` is in the temporary name ``.owner-process-name.tmp``, by which what a killed process left is found.

    Raises:
        OSError: the disk is full, or the folder has gone; the temporary file is removed then.
    """
    place = target.parent / f".{owner}-{os.getpid()}-{target.name}.tmp"
    try:
        with open(place, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
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
