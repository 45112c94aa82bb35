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
from itertools import pairwise
from typing import Any, ClassVar

from sharpflow.numerics.ledger import Ledger
from sharpflow.numerics.training.trainer import Row, State
from sharpflow.theory.errors import InputError

__all__ = ["TrainingFiles"]

ROWS, STATES = "rows", "states"
KEPT = 2
# Sums are taken in an order that the compiler, the number of threads and the device decide.
DECIDING = ("sharpflow", "git", "numpy", "jax", "jaxlib", "device", "platform", "processors")


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


class TrainingFiles(Ledger):
    """An open directory."""

    FORMAT: ClassVar = "sharpflow-training-1"
    HOLDS: ClassVar = ("run", "training run")
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
        """What was called to begin the run."""
        command = self.manifest.get("command")
        return shlex.join(map(str, command)) if isinstance(command, list) and command else "unknown"

    # Who made it

    def goes_on(self, index: int, about: Mapping[str, Any], /) -> None:
        """Note in the manifest that from record ``index`` on another program or machine is at work, where it is one."""
        now = _deciding(about)
        if now and now != _deciding(self._makers()[-1]):
            self.manifest["resumed"] = [*self._makers()[1:], {"record": index, **about}]
            self.write_manifest()

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
