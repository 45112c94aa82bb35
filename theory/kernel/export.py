"""A derivation as one file of Coq: each proved step a lemma, in their order, with its equation above it.

A step that is not restated stands in its place as a comment with the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sharpflow.theory.kernel.file import comment, whole
from sharpflow.theory.kernel.lemma import Lemma, lemma_of
from sharpflow.theory.kernel.terms import NotExported
from sharpflow.theory.proving.proof import Proof, Status, Step

__all__ = ["Export", "Line", "Section", "export"]

# An equation above a lemma is cut to this many characters: the lemma says it in full.
SHOWN = 300


@dataclass(frozen=True)
class Line:
    """A step with its lemma, or with the reason why it has none."""

    step: Step
    lemma: Lemma | None
    reason: str = ""


@dataclass(frozen=True)
class Section:
    """Theorems that are stated at length: definitions and theorems as text, with their names.

    ``covers``: titles of steps, with the theorem that says as much and more.
    """

    title: str
    text: str
    names: tuple[str, ...]
    covers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Export:
    """A file for the kernel.

    Attributes:
        title: its heading.
        parts: titles, each with its lines.
        before, after: sections at either end.
    """

    title: str
    parts: tuple[tuple[str, tuple[Line, ...]], ...]
    before: tuple[Section, ...] = ()
    after: tuple[Section, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines of all parts."""
        return tuple(line for _, lines in self.parts for line in lines)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all lemmas and theorems."""
        stated = [name for section in (*self.before, *self.after) for name in section.names]
        return (*stated, *(line.lemma.name for line in self.lines if line.lemma is not None))

    @property
    def covered(self) -> dict[str, str]:
        """Titles of steps, with the theorem of a section that says as much."""
        return dict(pair for section in (*self.before, *self.after) for pair in section.covers)

    def reasons(self) -> Counter[str]:
        """Why steps are not exported, and how many for each reason."""
        covered = self.covered
        return Counter(l.reason for l in self.lines if l.lemma is None and l.step.title not in covered)

    def counts(self) -> dict[str, int]:
        """Of the proved steps: how many are lemmas, of these how many hollow, and how many are not exported."""
        left = sum(self.reasons().values())
        hollow = sum(line.lemma is not None and line.lemma.hollow for line in self.lines)
        return {"steps": len(self.lines), "exported": len(self.lines) - left, "hollow": hollow, "not_exported": left}

    def to_json(self) -> dict[str, Any]:
        """Text, counts and reasons."""
        return {**self.counts(), "reasons": dict(self.reasons()), "coq": self.text}

    @property
    def text(self) -> str:
        """The file."""
        bodies: list[str] = []
        for section in self.before:
            bodies += [_heading(section.title), section.text]
        covered = self.covered
        number = 0
        for title, lines in self.parts:
            bodies.append(_heading(title))
            for line in lines:
                number += 1
                statement = line.step.statement
                shown = statement if len(statement) <= SHOWN else statement[: SHOWN - 4] + " ..."
                bodies.append(comment(f"{number}. {line.step.title}:  {shown}"))
                if line.step.title in covered:
                    bodies.append(comment(f"Theorem {covered[line.step.title]} says as much."))
                if line.lemma is not None:
                    bodies.append(line.lemma.text)
                elif line.step.title not in covered:
                    bodies.append(comment(f"Not exported: {line.reason}.") + "\n")
        for section in self.after:
            bodies += [_heading(section.title), section.text]
        return whole(self.title, bodies, self.names)


def _heading(title: str) -> str:
    return f"\n{comment(f'---- {title} ----')}\n"


def export(
    title: str, proofs: Iterable[Proof], /, *, before: Sequence[Section] = (), after: Sequence[Section] = ()
) -> Export:
    """Every proved step of some proofs, in their order; steps that are not proved are left out."""
    parts, number = [], 0
    for proof in proofs:
        lines = []
        for step in proof.steps:
            if step.status is not Status.PROVED:
                continue
            number += 1
            lines.append(line_of(step, f"step_{number}_{_slug(step.title)}"))
        parts.append((proof.title, tuple(lines)))
    return Export(title, tuple(parts), tuple(before), tuple(after))


def line_of(step: Step, name: str, /) -> Line:
    """A proved step with its lemma, or the reason why it has none."""
    try:
        return Line(step, lemma_of(step, name))
    except NotExported as reason:
        return Line(step, None, str(reason))


def _slug(title: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    return words[:48].rstrip("_")
