"""Proofs made of checked steps, each with two sides, a residual and the method that closed it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

__all__ = ["Proof", "Status", "Step", "combine"]


class Status(enum.StrEnum):
    """Verdict of a symbolic check.

    ``PROVED``: a decision procedure brought the residual to zero (or the inequality to an interval bound).
    ``REFUTED``: a witness, a point at which the two sides differ, is in the step.
    ``UNDECIDED``: neither; a residual that the computer algebra cannot close is never called proved.
    ``NONE``: there is nothing symbolic to prove (a purely numeric claim).
    ``NOT_APPLICABLE``: a hypothesis of the statement fails; the step names it.
    """

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"
    NONE = "none"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True)
class Step:
    """One checked line of a derivation: ``lhs relation rhs``.

    Attributes:
        title: what the line says, in words.
        lhs, rhs: the two sides, SymPy expressions or matrices (for an inequality as well).
        relation: one of ``=``, ``>``, ``>=``, ``<=``.
        status: the verdict on this line.
        method: what closed it, e.g. ``"normal form over Q(p)[cos p, sin p]"``.
        residual: ``lhs - rhs`` as the method left it (0 when proved).
        witness: for a refuted line, the point and the value of the residual there.
        seconds: time the check took.
        note: one or two sentences for the reader: why the line is true, or what was done to get it.
        second: what `sharpflow.theory.proving.checker`, which shares nothing with ``method``, says of a proved
            equation: at how many rational points it was confirmed, or why it is undecided at that level.
        sides: the two sides as they were checked, or a function that makes them, where lhs and rhs are what is shown.
        domain: open intervals of the symbols in which they were checked.
    """

    title: str
    lhs: Any
    rhs: Any
    relation: str = "="
    status: Status = Status.UNDECIDED
    method: str = ""
    residual: Any = None
    witness: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""
    second: str = ""
    sides: tuple[Any, Any] | Callable[[], tuple[Any, Any]] | None = None
    domain: Mapping[Any, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def statement(self) -> str:
        """The line as text, in SymPy's string form."""
        return f"{_text(self.lhs)} {self.relation} {_text(self.rhs)}"


@dataclass(frozen=True)
class Proof:
    """A titled sequence of steps; its status is the worst of theirs."""

    title: str
    steps: tuple[Step, ...] = ()

    @property
    def status(self) -> Status:
        """Refuted if any step is, else undecided if any is, else proved; ``NONE`` without steps."""
        return combine(step.status for step in self.steps)

    @property
    def seconds(self) -> float:
        """Time all steps took together."""
        return sum(step.seconds for step in self.steps)

    def failed(self) -> tuple[Step, ...]:
        """The steps that are not proved."""
        return tuple(step for step in self.steps if step.status is not Status.PROVED)


def combine(statuses: Iterable[Status]) -> Status:
    """The verdict on a conjunction: one refuted part refutes it, one undecided part leaves it undecided."""
    seen = set(statuses)
    for status in (Status.REFUTED, Status.UNDECIDED, Status.NOT_APPLICABLE, Status.PROVED):
        if status in seen:
            return status
    return Status.NONE


def _text(value: Any) -> str:
    return value if isinstance(value, str) else sp.sstr(value)
