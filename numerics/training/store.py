"""The directory of a training run: a manifest, a file for each record, and the states to go on from.

    DIR/manifest.json              recipe, experiment, command, versions, commit, seeds, a digest of all that decides
    DIR/rows/000012-<hash>.npz     record 12
    DIR/states/000012-<hash>.npz   what the steps after record 12 need; the last two are kept
    DIR/lock                       held while a process is at work

A row is written before its state, both whole or not at all; a process that is killed loses the stretch in hand.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sharpflow.numerics.durable import DAMAGE, LEFT, content_hash, locked, new_folder, write_whole
from sharpflow.numerics.training.trainer import Row, State
from sharpflow.theory.errors import InputError

__all__ = ["FORMAT", "TrainingFiles", "TrainingStopped"]

FORMAT = "sharpflow-training-1"
KEPT = 2
# Sums are taken in an order that the compiler, the number of threads and the device decide.
DECIDING = ("sharpflow", "git", "numpy", "jax", "jaxlib", "device", "platform", "processors")
_NAME = re.compile(r"(\d{6})-([0-9a-f]{16})\.npz")


def _deciding(about: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the bits of a run besides its digest, as far as it is told."""
    versions = about.get("versions")
    told = {**(versions if isinstance(versions, dict) else {}), "git": about.get("git")}
    return {name: told[name] for name in DECIDING if told.get(name) is not None}


def _entries(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of the problem and the recipe, as JSON has it."""
    recipe = manifest.get("recipe")
    told = {name: manifest[name] for name in ("experiment", "networks", "seeds") if name in manifest}
    entries: dict[str, Any] = json.loads(json.dumps({**told, **(recipe if isinstance(recipe, dict) else {})}))
    return entries


def _against(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """The entries in which two runs differ, as "learning_rate 0.05 against 0.1"."""

    def shown(value: Any) -> str:
        return " and ".join(dict.fromkeys(map(str, value))) if isinstance(value, list) else str(value)

    return [
        f"{name} {shown(kept[name])} against {shown(asked[name])}"
        for name in asked
        if name in kept and shown(kept[name]) != shown(asked[name])
    ]


class TrainingStopped(Exception):  # noqa: N818  a condition of the machine, not a mistake in the input
    """The run could not go on; what was reported done is in the directory."""


@dataclass
class TrainingFiles:
    """An open directory.

    Attributes:
        path: the folder.
        manifest: its content.
        damaged: files that were found not to be whole, with the reason.
    """

    path: Path
    manifest: dict[str, Any]
    damaged: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: str | os.PathLike[str], digest: str, about: Mapping[str, Any], /) -> TrainingFiles:
        """A new directory; raises `InputError` where there is something in it."""
        files = cls(new_folder(path, "run"), {"format": FORMAT, "digest": digest, **about})
        files._write("manifest.json", (json.dumps(files.manifest, indent=2) + "\n").encode())
        return files

    @classmethod
    def open(cls, path: str | os.PathLike[str], /) -> TrainingFiles:
        """An existing directory; raises `InputError` where there is none, or its manifest is foreign or damaged."""
        folder = Path(path).expanduser()
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(f"{folder} holds no run: there is no manifest.json in it.") from error
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: manifest.json is damaged: {type(error).__name__}.") from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or "digest" not in manifest:
            raise InputError(f"{folder}: manifest.json is not that of a training run this program wrote.")
        return cls(folder, manifest)

    def require(self, digest: str, asked: Mapping[str, Any] | None = None, /) -> None:
        """Raise `InputError` unless the run in the directory is the one of ``digest``; ``asked`` is its manifest."""
        if self.manifest["digest"] != digest:
            differ = _against(_entries(self.manifest), _entries(asked or {}))
            said = (
                f": {', '.join(differ)}" if differ else ": its data, network or recipe differ from what was asked for"
            )
            raise InputError(
                f"{self.path} holds another run{said}; repeat the command in its manifest, or name another folder. It "
                f"was: {self.command}"
            )

    @property
    def command(self) -> str:
        """What was called to begin the run."""
        command = self.manifest.get("command")
        return shlex.join(map(str, command)) if isinstance(command, list) and command else "unknown"

    # Who made it

    def goes_on(self, index: int, about: Mapping[str, Any], /) -> None:
        """Note in the manifest that from record ``index`` on another program or machine is at work, where it is one."""
        now = _deciding(about)
        if now and now != _deciding(self._makers()[-1]):
            self.manifest["resumed"] = [*self._makers()[1:], {"record": index, **about}]
            self._write("manifest.json", (json.dumps(self.manifest, indent=2) + "\n").encode())

    def changes(self) -> list[str]:
        """A sentence for each time that the run went on with another program or on another machine."""
        said, makers = [], self._makers()
        for one, two in pairwise(makers):
            before, now = _deciding(one), _deciding(two)
            what = ", ".join(
                f"{name} {now.get(name, 'unknown')} in place of {before.get(name, 'unknown')}"
                for name in DECIDING
                if now.get(name) != before.get(name)
            )
            said.append(
                f"From record {two.get('record')} on it was made with {what}: that part need not be bit for bit what "
                "one run would have made."
            )
        return said

    def _makers(self) -> list[dict[str, Any]]:
        """What the manifest says of the process that began, and of those after it that differed."""
        resumed = self.manifest.get("resumed")
        later = resumed if isinstance(resumed, list) else []
        return [self.manifest, *(maker for maker in later if isinstance(maker, dict))]

    # Rows and states

    def save(self, index: int, row: Row, state: State, /) -> None:
        """Record ``index`` and the state after it, in this order; older states go."""
        self._save("rows", index, row._asdict())
        self._save("states", index, state._asdict())
        for number, path in sorted(self._found("states").items())[:-KEPT]:
            if number < index:
                path.unlink(missing_ok=True)

    def rows(self) -> dict[int, Row]:
        """The whole records by index."""
        return {i: Row(**{**found, "step": int(found["step"])}) for i, found in self._whole("rows").items()}

    def last(self) -> tuple[int, State] | None:
        """The last state that is whole, and the index of its record."""
        found = self._whole("states")
        if not found:
            return None
        index = max(found)
        return index, State(**{**found[index], "step": int(found[index]["step"])})

    def _save(self, folder: str, index: int, arrays: Mapping[str, Any]) -> None:
        buffer = io.BytesIO()
        header = json.dumps({"digest": self.manifest["digest"], "index": index})
        contents = {"header": np.array(header), **{k: np.asarray(v) for k, v in arrays.items()}}
        # No allow_pickle: older NumPy saves it as one more array, and these are numbers.
        np.savez(buffer, **contents)  # type: ignore[arg-type]
        content = buffer.getvalue()
        name = f"{index:06d}-{content_hash(content)}.npz"
        self._write(f"{folder}/{name}", content)
        self.damaged.pop(f"{folder}/{name}", None)
        for other in (self.path / folder).glob(f"{index:06d}-*.npz"):
            if other.name != name:
                other.unlink(missing_ok=True)  # damaged, or of other versions: there is one record of an index

    def _found(self, folder: str) -> dict[int, Path]:
        found: dict[int, Path] = {}
        with suppress(FileNotFoundError):
            for entry in sorted((self.path / folder).iterdir()):
                if (match := _NAME.fullmatch(entry.name)) and f"{folder}/{entry.name}" not in self.damaged:
                    found[int(match[1])] = entry
        return found

    def _whole(self, folder: str) -> dict[int, dict[str, Any]]:
        good: dict[int, dict[str, Any]] = {}
        gone: set[Path] = set()
        again = True
        while again:
            again = False
            for index, path in self._found(folder).items():
                if index in good:
                    continue
                try:
                    good[index] = self._load(path)
                except (InputError, *DAMAGE) as error:
                    if isinstance(error, FileNotFoundError) and path not in gone:
                        gone.add(path)  # an old state, taken away by the process at work: look anew
                        again = True
                        continue
                    self.damaged[f"{folder}/{path.name}"] = str(error) or type(error).__name__
                    again = True  # there may be another file of the same record
        return good

    def _load(self, path: Path) -> dict[str, Any]:
        content = path.read_bytes()
        match = _NAME.fullmatch(path.name)
        if match is None or content_hash(content) != match[2]:
            raise InputError("its content does not have the hash in its name.")
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            header = json.loads(str(data["header"]))
            if header != {"digest": self.manifest["digest"], "index": int(match[1])}:
                raise InputError("it belongs to another run.")
            return {name: data[name] for name in data.files if name != "header"}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by the one process at work here; the system lets go of it however the process ends."""
        with locked(self.path / "lock", lambda _: f"{self.path} is being worked on by another process; wait for it."):
            for folder in ("rows", "states"):
                self._make(folder)
                for entry in (self.path / folder).glob(".*.tmp"):
                    entry.unlink(missing_ok=True)  # left by a process that was killed
            for entry in self.path.iterdir():
                if LEFT.fullmatch(entry.name):
                    entry.unlink(missing_ok=True)
            yield

    def _make(self, folder: str) -> None:
        try:
            (self.path / folder).mkdir(exist_ok=True)
        except OSError as error:
            raise self._stopped(folder, error) from error

    def _write(self, name: str, content: bytes) -> None:
        try:
            write_whole(self.path / name, content)
        except OSError as error:
            raise self._stopped(name, error) from error

    def _stopped(self, name: str, error: OSError) -> TrainingStopped:
        return TrainingStopped(
            f"cannot write {self.path / name}: {error.strerror or error}. "
            + (
                "What was reported done is safe; make room or put the folder back, and go on with --resume."
                if os.path.exists(self.path / "manifest.json")
                else "Nothing is kept yet; make room, and begin again."
            )
        )
