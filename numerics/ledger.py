"""A directory of numbered results that a crash cannot spoil: a manifest, and one file for each result.

    DIR/manifest.json               what the results are of; its digest is in each of them
    DIR/FOLDER/000012-<hash>.npz    result 12; the hash is of its content, so that damage shows
    DIR/lock...                     held while a process is at work

A file is written under a temporary name, synced, and renamed: what is there under its own name is whole, or was damaged
later, and that is noticed.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from sharpflow.numerics.durable import DAMAGE, LEFT, content_hash, locked, new_folder, write_whole
from sharpflow.theory.errors import InputError

__all__ = ["Ledger", "Stopped"]

_NAME = re.compile(r"(\d{6})-([0-9a-f]{16})\.npz")
_SAFE = "What was reported done is safe; {}, and go on with --resume."
_CURES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room"),
    errno.EISDIR: "a folder is there where a file belongs: take it away",
    errno.ENOTDIR: "a file is there where a folder belongs: take it away",
    errno.EEXIST: "a file is there where a folder belongs: take it away",
}
# Sums are taken in an order that the compiler, the number of threads and the device decide.
DECIDING = ("sharpflow", "git", "numpy", "jax", "jaxlib", "device", "platform", "processors")


class Stopped(Exception):  # noqa: N818  a condition of the machine, not a mistake in the input
    """The work could not go on; what was reported done is in the directory."""


@dataclass
class Ledger:
    """An open directory; each kind of directory is a subclass with the four constants.

    Attributes:
        FORMAT: of the manifest.
        HOLDS: what the directory holds, in a word and in full.
        ONE: what a result is called.
        FOLDERS: of the results.
        path: the directory.
        manifest: its content.
        damaged: files that were found not to be whole, FOLDER/NAME, with the reason.
    """

    FORMAT: ClassVar[str]
    HOLDS: ClassVar[tuple[str, str]]
    ONE: ClassVar[str]
    FOLDERS: ClassVar[tuple[str, ...]]

    path: Path
    manifest: dict[str, Any]
    damaged: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: str | os.PathLike[str], digest: str, about: Mapping[str, Any], /) -> Self:
        """A new directory; raises `InputError` where there is something in it."""
        files = cls(new_folder(path, cls.HOLDS[0]), {"format": cls.FORMAT, "digest": digest, **about})
        try:
            files.write_manifest()
        except Stopped as error:
            said = str(error).replace("What was reported done is safe", "Nothing is kept yet")
            raise Stopped(said.replace("go on with --resume", "begin again")) from error
        return files

    @classmethod
    def open(cls, path: str | os.PathLike[str], /) -> Self:
        """An existing directory; raises `InputError` where there is none, or its manifest is foreign or damaged."""
        folder, (holds, whole) = Path(path).expanduser(), cls.HOLDS
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            if folder.is_dir() and all(LEFT.fullmatch(entry.name) for entry in folder.iterdir()):
                why = "it was left before its manifest.json was written; nothing is lost, call without --resume"
            else:
                why = "there is no manifest.json in it" if folder.is_dir() else "there is no such folder"
            raise InputError(f"{folder} holds no {holds}: {why}.") from error
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(
                f"{folder}: manifest.json is damaged ({type(error).__name__}); name another folder."
            ) from error
        if not isinstance(manifest, dict) or manifest.get("format") != cls.FORMAT or "digest" not in manifest:
            raise InputError(f"{folder}: manifest.json is not that of a {whole} this program wrote.")
        return cls(folder, manifest)

    def write_manifest(self) -> None:
        """Put `manifest` on the disk; raises `Stopped` where that fails."""
        self.write("manifest.json", (json.dumps(self.manifest, indent=2) + "\n").encode())

    # Results

    def save(self, folder: str, index: int, arrays: Mapping[str, Any], /, owner: str = "0") -> None:
        """Write result ``index``; raises `Stopped` where the disk is full, or the directory has gone."""
        buffer = io.BytesIO()
        header = json.dumps({"digest": self.manifest["digest"], "index": index})
        contents = {"header": np.array(header), **{k: np.asarray(v) for k, v in arrays.items()}}
        # No allow_pickle: older NumPy saves it as one more array, and these are numbers.
        np.savez(buffer, **contents)  # type: ignore[arg-type]
        content = buffer.getvalue()
        name = f"{index:06d}-{content_hash(content)}.npz"
        self.write(f"{folder}/{name}", content, owner)
        self.damaged.pop(f"{folder}/{name}", None)
        for other in (self.path / folder).glob(f"{index:06d}-*.npz"):
            if other.name != name and not other.is_dir():
                other.unlink(missing_ok=True)  # damaged, or of other versions: there is one result of an index

    def named(self, folder: str, /) -> dict[int, Path]:
        """The files by index, as far as their names go; those known to be damaged are left out."""
        found: dict[int, Path] = {}
        with suppress(FileNotFoundError):
            for entry in sorted((self.path / folder).iterdir()):
                if (match := _NAME.fullmatch(entry.name)) and f"{folder}/{entry.name}" not in self.damaged:
                    found[int(match[1])] = entry
        return found

    def whole(self, folder: str, /) -> dict[int, dict[str, Any]]:
        """The arrays of every result that is whole; the others are noted in `damaged`."""
        good: dict[int, dict[str, Any]] = {}
        gone: set[Path] = set()
        again = True
        while again:
            again = False
            for index, path in self.named(folder).items():
                if index in good:
                    continue
                try:
                    good[index] = self._load(path)
                except FileNotFoundError as error:
                    again = True
                    if path in gone:
                        self.damaged[f"{folder}/{path.name}"] = f"it cannot be read ({type(error).__name__})."
                    gone.add(path)  # taken away by the process at work: look anew, once
                except (InputError, *DAMAGE) as error:
                    said = str(error) if isinstance(error, InputError) else ""
                    self.damaged[f"{folder}/{path.name}"] = said or f"it cannot be read ({type(error).__name__})."
                    again = True  # there may be another file of the same index
        return good

    def _load(self, path: Path) -> dict[str, Any]:
        content = path.read_bytes()
        match = _NAME.fullmatch(path.name)
        if match is None or content_hash(content) != match[2]:
            raise InputError("its content does not have the hash in its name.")
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            header = json.loads(str(data["header"]))
            if header != {"digest": self.manifest["digest"], "index": int(match[1])}:
                raise InputError(f"it belongs to another {self.HOLDS[0]}.")
            return {name: data[name] for name in data.files if name != "header"}

    # Who is at work

    @contextmanager
    def lock(self, part: str | None = None, /) -> Iterator[None]:
        """Held by one process, for all or for a part of the work; the system lets go of it however the process ends.

        What a killed process left of its part is cleared away.
        """
        hint = "" if part is None else ", or share the work with --shard i/n"

        def busy(said: str) -> str:
            return f"{self.path} is being worked on by {said or 'another process'}; wait for it{hint}."

        with locked(self.path / ("lock" if part is None else f"lock-{part}"), busy) as handle:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            for folder in self.FOLDERS:
                try:
                    (self.path / folder).mkdir(exist_ok=True)
                except OSError as error:
                    raise self._stopped(folder, error) from error
                for entry in (self.path / folder).glob(".*.tmp" if part is None else f".{part}-*.tmp"):
                    entry.unlink(missing_ok=True)
            if part is None:  # else another process may be writing it
                for entry in self.path.iterdir():
                    if LEFT.fullmatch(entry.name):
                        entry.unlink(missing_ok=True)
            yield

    def write(self, name: str, content: bytes, owner: str = "0") -> None:
        """Write a file of the directory, whole or not at all; raises `Stopped` where that fails."""
        try:
            write_whole(self.path / name, content, owner=owner)
        except OSError as error:
            raise self._stopped(name, error) from error

    def _stopped(self, name: str, error: OSError) -> Stopped:
        cure = _CURES.get(error.errno or 0, "put the folder back, or let it be written to")
        return Stopped(f"cannot write {self.path / name}: {error.strerror or error}. {_SAFE.format(cure)}")

    # Who made it

    def goes_on(self, index: int, about: Mapping[str, Any], /) -> None:
        """Note in the manifest that from result ``index`` on another program or machine is at work, where it is one."""
        now = _deciding(about)
        if now and now != _deciding(self._makers()[-1]):
            self.manifest["resumed"] = [*self._makers()[1:], {"record": index, **about}]
            self.write_manifest()

    def changes(self) -> list[str]:
        """A sentence for each time that the work went on with another program or on another machine."""
        said, makers = [], self._makers()
        for one, two in pairwise(makers):
            before, now = _deciding(one), _deciding(two)
            what = ", ".join(
                f"{name} {now.get(name, 'unknown')} in place of {before.get(name, 'unknown')}"
                for name in DECIDING
                if now.get(name) != before.get(name)
            )
            said.append(
                f"From {self.ONE} {two.get('record')} on it was made with {what}: that part need not be bit for bit "
                "what one run would have made."
            )
        return said

    def _makers(self) -> list[dict[str, Any]]:
        """The manifest's words on the process that began, and on those after it that differed."""
        resumed = self.manifest.get("resumed")
        later = resumed if isinstance(resumed, list) else []
        return [self.manifest, *(maker for maker in later if isinstance(maker, dict))]


def _deciding(about: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that decide the bits of a run besides its digest, as far as they are told."""
    versions = about.get("versions")
    told = {**(versions if isinstance(versions, dict) else {}), "git": about.get("git")}
    return {name: told[name] for name in DECIDING if told.get(name) is not None}
