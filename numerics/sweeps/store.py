"""The directory of a sweep: a manifest, one file for each finished block, and nothing that a crash could spoil.

    DIR/manifest.json               the plan, the command, versions; once all is done the checksums too
    DIR/blocks/000012-<hash>.npz    block 12; the hash is of its content, so that damage shows
    DIR/status-<shard>.json         what the process at work says of itself (advisory)
    DIR/lock-<shard>                held while one is at work

A file is written under a temporary name, synced, and renamed: what is there under its own name is whole, or was damaged
later, and that is noticed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sharpflow.numerics.durable import DAMAGE, content_hash, locked, new_folder, write_whole
from sharpflow.numerics.sweeps.plan import Block, Plan
from sharpflow.theory.errors import InputError

__all__ = ["FORMAT", "SweepFiles", "SweepStopped"]

FORMAT = "sharpflow-sweep-1"
_NAME = re.compile(r"(\d{6})-([0-9a-f]{16})\.npz")


class SweepStopped(Exception):  # noqa: N818  a condition of the machine, not a mistake in the input
    """The sweep could not go on; what was reported done is in the directory."""


@dataclass
class SweepFiles:
    """An open sweep directory.

    Attributes:
        path: the folder.
        plan: its grid.
        manifest: the whole content of the manifest.
        damaged: names of block files that were found not to be whole, with the reason.
    """

    path: Path
    plan: Plan
    manifest: dict[str, Any]
    damaged: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: str | os.PathLike[str], plan: Plan, about: Mapping[str, Any]) -> SweepFiles:
        """A new directory; raises `InputError` where there is something in it."""
        folder = new_folder(path, "sweep")
        manifest = {"format": FORMAT, **about, "digest": plan.digest, "plan": plan.to_json(), "checksums": None}
        try:
            (folder / "blocks").mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"--out: cannot make {folder}: {error.strerror or error}.") from error
        files = cls(folder, plan, manifest)
        files._write("manifest.json", _text(manifest))
        return files

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> SweepFiles:
        """An existing directory.

        Raises:
            InputError: there is none, or its manifest is foreign or damaged.
        """
        folder = Path(path)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            foreign = not isinstance(manifest, dict) or manifest.get("format") != FORMAT
            plan = None if foreign else Plan.from_json(manifest["plan"])
        except FileNotFoundError as error:
            raise InputError(f"{folder} holds no sweep: there is no manifest.json in it.") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{folder}: manifest.json is damaged ({type(error).__name__}); begin elsewhere."
            ) from error
        if plan is None:
            raise InputError(f"{folder}: manifest.json is not that of a sweep this program wrote.")
        if plan.digest != manifest.get("digest"):
            raise InputError(f"{folder}: manifest.json was changed, its digest does not fit the plan; begin elsewhere.")
        return cls(folder, plan, manifest)

    # Blocks

    def done(self) -> dict[int, Path]:
        """The block files by index, as far as their names go; `load` looks inside."""
        found: dict[int, Path] = {}
        with suppress(FileNotFoundError):
            for entry in sorted((self.path / "blocks").iterdir()):
                match = _NAME.fullmatch(entry.name)
                if match and entry.name not in self.damaged:
                    found.setdefault(int(match[1]), entry)
        return found

    def whole(self) -> dict[int, Path]:
        """Those whose content has the hash in their name; the others are set aside and noted in ``damaged``."""
        good: dict[int, Path] = {}
        again = True
        while again:
            again = False
            for index, path in self.done().items():
                if index in good:
                    continue
                try:
                    self.load(path)
                    good[index] = path
                except InputError as error:
                    self.damaged[path.name] = str(error)
                    again = True  # there may be another file of the same block
        return good

    def load(self, path: Path) -> dict[str, np.ndarray]:
        """The arrays of a block file.

        Raises:
            InputError: it is damaged, truncated, or of another sweep.
        """
        try:
            content = path.read_bytes()
            match = _NAME.fullmatch(path.name)
            if match is None or content_hash(content) != match[2]:
                raise InputError(f"{path.name} is damaged: its content does not have the hash in its name.")
            with np.load(io.BytesIO(content), allow_pickle=False) as data:
                header = json.loads(str(data["header"]))
                if header["digest"] != self.plan.digest or header["index"] != int(match[1]):
                    raise InputError(f"{path.name} belongs to another sweep.")
                return {name: data[name] for name in data.files if name != "header"}
        except InputError:
            raise
        except DAMAGE as error:
            raise InputError(f"{path.name} cannot be read ({type(error).__name__}).") from error

    def save(self, block: Block, arrays: Mapping[str, np.ndarray], shard: str) -> Path:
        """Write a finished block.

        Raises:
            SweepStopped: the disk is full, or the folder has gone.
        """
        buffer = io.BytesIO()
        header = json.dumps({"digest": self.plan.digest, "index": block.index})
        named: dict[str, Any] = {"header": np.array(header), **arrays}
        # No allow_pickle: older NumPy saves it as one more array, and these are numbers.
        np.savez(buffer, **named)
        content = buffer.getvalue()
        name = f"blocks/{block.index:06d}-{content_hash(content)}.npz"
        self._write(name, content, shard)
        return self.path / name

    def seal(self) -> bool:
        """Once every block is whole: put the checksums into the manifest, and say whether it came to that."""
        good = self.whole()
        if len(good) < sum(1 for _ in self.plan.blocks()):
            return False
        sums = {str(i): hashlib.sha256(path.read_bytes()).hexdigest() for i, path in sorted(good.items())}
        self.manifest["checksums"] = sums
        self._write("manifest.json", _text(self.manifest))
        return True

    # Who is at work

    @contextmanager
    def lock(self, shard: str) -> Iterator[None]:
        """Held by the one process that works on this shard; the system lets go of it however the process ends."""

        def busy(owner: str) -> str:
            who = owner or "another process"
            return f"{self.path} is being worked on by {who}; wait for it, or share the work with --shard i/n."

        with locked(self.path / f"lock-{shard}", busy) as handle:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            for entry in (self.path / "blocks").glob(f".{shard}-*.tmp"):
                entry.unlink(missing_ok=True)  # left by a process of this shard that was killed
            yield

    def write_status(self, shard: str, status: Mapping[str, Any]) -> None:
        """What the process says of itself; not synced, since nothing depends on it."""
        content = {"pid": os.getpid(), "host": socket.gethostname(), "written": time.time(), **status}
        with suppress(OSError):
            place = self.path / f".status-{shard}.tmp"
            place.write_text(json.dumps(content), encoding="utf-8")
            place.replace(self.path / f"status-{shard}.json")

    def statuses(self) -> dict[str, dict[str, Any]]:
        """By shard, as far as they can be read."""
        found: dict[str, dict[str, Any]] = {}
        for entry in sorted(self.path.glob("status-*.json")):
            with suppress(OSError, ValueError):
                found[entry.stem.removeprefix("status-")] = json.loads(entry.read_text(encoding="utf-8"))
        return found

    def _write(self, name: str, content: bytes, shard: str = "0") -> None:
        target = self.path / name
        try:
            write_whole(target, content, owner=shard)
        except OSError as error:
            raise SweepStopped(
                f"cannot write {target}: {error.strerror or error}. What was reported done is safe; make room or put "
                "the folder back, and go on with --resume."
            ) from error


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
