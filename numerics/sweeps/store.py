"""The directory of a sweep: a `Ledger` of blocks, with the plan in its manifest and a status for each shard.

DIR/manifest.json               the plan, the command, versions; once all is done the checksums too
DIR/blocks/000012-<hash>.npz    block 12
DIR/status-<shard>.json         what the process at work says of itself (advisory)
DIR/lock-<shard>                held while one is at work
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from sharpflow.numerics.ledger import Ledger
from sharpflow.numerics.sweeps.plan import Block, Plan
from sharpflow.theory.errors import InputError

__all__ = ["SweepFiles"]

BLOCKS = "blocks"


class SweepFiles(Ledger):
    """An open sweep directory."""

    FORMAT: ClassVar = "sharpflow-sweep-1"
    HOLDS: ClassVar = ("sweep", "sweep")
    ONE: ClassVar = "block"
    FOLDERS: ClassVar = (BLOCKS,)

    @classmethod
    def begin(cls, path: str | os.PathLike[str], plan: Plan, about: Mapping[str, Any], /) -> Self:
        """A new directory; raises `InputError` where there is something in it."""
        return cls.create(path, plan.digest, {**about, "plan": plan.to_json(), "checksums": None})

    @classmethod
    def open(cls, path: str | os.PathLike[str], /) -> Self:
        """An existing directory; raises `InputError` where there is none, or its manifest is foreign or damaged."""
        files = super().open(path)
        try:
            digest = files.plan.digest
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{files.path}: manifest.json is damaged: it holds no plan; name another folder."
            ) from error
        if digest != files.manifest["digest"]:
            raise InputError(
                f"{files.path}: manifest.json was changed, its digest does not fit the plan; name another folder."
            )
        return files

    @cached_property
    def plan(self) -> Plan:
        """The grid."""
        return Plan.from_json(self.manifest["plan"])

    def blocks(self) -> dict[int, dict[str, np.ndarray]]:
        """The arrays of every block that is whole."""
        return self.whole(BLOCKS)

    def keep(self, block: Block, arrays: Mapping[str, np.ndarray], shard: str) -> None:
        """Write a finished block; raises `Stopped` where the disk is full, or the folder has gone."""
        self.save(BLOCKS, block.index, arrays, shard)

    def seal(self) -> bool:
        """Once every block is whole: put the checksums into the manifest, and say whether it came to that."""
        good = self.blocks()
        if len(good) < sum(1 for _ in self.plan.blocks()):
            return False
        named = sorted(self.named(BLOCKS).items())
        self.manifest["checksums"] = {str(i): hashlib.sha256(path.read_bytes()).hexdigest() for i, path in named}
        self.write_manifest()
        return True

    # Who is at work

    def write_status(self, shard: str, status: Mapping[str, Any]) -> None:
        """Note what the process says of itself; not synced, since nothing depends on it."""
        content = {"pid": os.getpid(), "host": socket.gethostname(), "written": time.time(), **status}
        with suppress(OSError):
            place = self.path / f".status-{shard}.tmp"
            place.write_text(json.dumps(content), encoding="utf-8")
            place.replace(self.path / f"status-{shard}.json")

    def statuses(self) -> dict[str, dict[str, Any]]:
        """By shard, as far as they can be read."""
        found: dict[str, dict[str, Any]] = {}
        for entry in sorted(self.path.glob("status-*.json")):
            with suppress(OSError, ValueError, RecursionError):
                found[entry.stem.removeprefix("status-")] = json.loads(entry.read_text(encoding="utf-8"))
        return found
