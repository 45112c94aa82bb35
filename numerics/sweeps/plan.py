"""The plan of a sweep: a grid of losses, rules, rates and starts, cut into blocks of starts at one rate.

The plan alone decides what every cell is; neither the order in which blocks are worked off nor who works them off
changes a result.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.numbers import (
    check_amplitude,
    check_iterations,
    check_rates,
    check_seed,
    check_time,
    check_whole,
)
from sharpflow.theory.errors import InputError
from sharpflow.theory.fingerprint import fingerprint
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["Block", "Plan", "make_plan"]

# Cells of a block: enough to fill the vector units, little enough that a block at rate 1e-6 takes seconds.
BLOCK = 256
# A block keeps 65 records of some D numbers for each cell, and a few copies of them, in so many bytes.
MEMORY = 2**28
# Rows of the result that are held in memory, 200 bytes each.
MAX_CELLS = 10_000_000


@dataclass(frozen=True)
class Block:
    """Starts ``first`` to ``first + count`` of one loss under one rule at one rate."""

    index: int
    loss: str
    rule: str
    rate: float
    first: int
    count: int


@dataclass(frozen=True)
class Plan:
    """The grid.

    Attributes:
        losses, rules: names and fingerprints of what they stand for.
        rates: rising.
        starts: number of starts of each loss; the first is the loss's own, the others are drawn from its chart.
        seed: of the draw.
        time: flow time of every run.
        amplitude: of the oscillation at the start, in units of its equilibrium.
        block: starts in a block.
    """

    losses: Mapping[str, str]
    rules: Mapping[str, str]
    rates: tuple[float, ...]
    starts: int
    seed: int
    time: float
    amplitude: float
    block: int

    def blocks(self) -> Iterator[Block]:
        """All blocks, those of large rates first: they are quick, and show what is wrong early."""
        index = 0
        for rate in sorted(self.rates, reverse=True):
            for loss in self.losses:
                for rule in self.rules:
                    for first in range(0, self.starts, self.block):
                        yield Block(index, loss, rule, rate, first, min(self.block, self.starts - first))
                        index += 1

    @property
    def cells(self) -> int:
        """How many runs there are."""
        return len(self.losses) * len(self.rules) * len(self.rates) * self.starts

    def to_json(self) -> dict[str, Any]:
        """As a dict of plain values."""
        return {**dataclasses.asdict(self), "rates": list(self.rates)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Plan:
        """Back from `to_json`."""
        values = {field.name: content[field.name] for field in dataclasses.fields(cls)}
        return cls(**{**values, "rates": tuple(values["rates"])})

    @property
    def digest(self) -> str:
        """A hash that two plans share exactly if they are the same."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def difference(self, other: Plan) -> str:
        """In words, for a reader who mixed two sweeps up; empty for the same plan."""
        mine, theirs = self.to_json(), other.to_json()
        return "; ".join(f"{key}: {mine[key]} against {theirs[key]}" for key in mine if mine[key] != theirs[key])


def make_plan(
    losses: Sequence[Loss], rules: Sequence[Rule], /, *, rates: Sequence[float], starts: int, seed: int = 0,
    time: float = 1.0, amplitude: float = 1.2, block: int | None = None, devices: int = 1,
) -> Plan:  # fmt: skip
    """A plan of checked numbers.

    Raises:
        InputError: with the number and what it should be, or of a rule that has no law at the edge.
    """
    for what, subjects in (("losses", losses), ("rules", rules)):
        names = [s.name for s in subjects]
        if not names:
            raise InputError(f"a sweep needs {what}; give at least one.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{what} must have different names; {', '.join(twice)} stands for several.")
    values = check_rates(rates)
    check_whole("starts", starts)
    check_seed(seed)
    check_amplitude(amplitude)
    check_time(time)
    check_iterations(time, values[0])
    cells = len(losses) * len(rules) * len(values) * int(starts)
    if cells > MAX_CELLS:
        raise InputError(
            f"starts = {starts} make {cells} cells; {MAX_CELLS} is the limit: ask for fewer starts, or sweep in "
            "several directories with other seeds."
        )
    if block is None:
        widest = max(loss.dimension for loss in losses)
        fits = MEMORY // (65 * (widest + 8) * 8 * 4)
        block = int(max(1, min(BLOCK * devices, fits, starts)))
    for rule in rules:
        law_of(rule)  # a rule without one is refused here, before anything runs
    return Plan(
        losses={loss.name: fingerprint(loss)[:16] for loss in losses},
        rules={rule.name: fingerprint(rule)[:16] for rule in rules},
        rates=values,
        starts=int(starts),
        seed=int(seed),
        time=float(time),
        amplitude=float(amplitude),
        block=check_whole("block", block),
    )
