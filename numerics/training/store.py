"""The directory of a training run: a `Ledger` of records, and of the states to go on from.

    DIR/manifest.json              recipe, experiment, command, versions, commit, seeds, a digest of all that decides
    DIR/rows/000012-<hash>.npz     record 12
    DIR/states/000012-<hash>.npz   what the steps after record 12 need; the last two are kept
    DIR/lock                       held while a process is at work

A row is written before its state, both whole or not at all; a process that is killed loses the stretch in hand.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

from sharpflow.numerics.ledger import Ledger
from sharpflow.numerics.training.trainer import Row, State
from sharpflow.theory.errors import InputError

__all__ = ["TrainingFiles"]

ROWS, STATES = "rows", "states"
KEPT = 2


def _entries(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The problem and the recipe of a manifest, as JSON has them."""
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


class TrainingFiles(Ledger):
    """An open directory."""

    FORMAT: ClassVar = "sharpflow-training-1"
    HOLDS: ClassVar = ("run", "training run")
    ONE: ClassVar = "record"
    FOLDERS: ClassVar = (ROWS, STATES)

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
        """The command that began the run."""
        command = self.manifest.get("command")
        return shlex.join(map(str, command)) if isinstance(command, list) and command else "unknown"

    # Rows and states

    def keep(self, index: int, row: Row, state: State, /) -> None:
        """Record ``index`` and the state after it, in this order; older states go."""
        self.save(ROWS, index, row._asdict())
        self.save(STATES, index, state._asdict())
        for number, path in sorted(self.named(STATES).items())[:-KEPT]:
            if number < index:
                path.unlink(missing_ok=True)

    def rows(self) -> dict[int, Row]:
        """The whole records by index."""
        return {i: Row(**{**found, "step": int(found["step"])}) for i, found in self.whole(ROWS).items()}

    def last(self) -> tuple[int, State] | None:
        """The last state that is whole, and the index of its record."""
        found = self.whole(STATES)
        if not found:
            return None
        index = max(found)
        return index, State(**{**found[index], "step": int(found[index]["step"])})
