"""A derivation that can be written out: as text for a terminal, as Markdown, as a LaTeX document, as JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import sympy as sp

from sharpflow.theory.errors import InputError
from sharpflow.theory.proving.proof import Proof, Status, Step, combine
from sharpflow.theory.writing.latex import Latex
from sharpflow.theory.writing.markdown import Markdown
from sharpflow.theory.writing.notation import step_latex
from sharpflow.theory.writing.sentences import Equation, Style
from sharpflow.theory.writing.text import Text

__all__ = ["STYLES", "Document"]

STYLES = ("text", "markdown", "latex")


class Document(ABC):
    """Proofs in the order of the argument, between what is given and what they end in.

    Attributes:
        proofs: one for each part.
        expected: those of the proofs that were expected to be refuted, and are.
        remarks: sentences for the reader.
    """

    proofs: tuple[Proof, ...]
    expected: tuple[Proof, ...] = ()
    remarks: tuple[str, ...]

    @property
    @abstractmethod
    def title(self) -> str:
        """The heading of the whole."""

    @abstractmethod
    def setting(self) -> Iterator[tuple[str, Equation]]:
        """The assumptions: words and an equation each."""

    @abstractmethod
    def results(self) -> Iterator[tuple[str, Equation]]:
        """The results: words and an equation each."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The content of ``derive --json``; expressions as text that the safe parser reads back."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of all proofs."""
        return tuple(step for proof in self.proofs for step in proof.steps)

    @property
    def status(self) -> Status:
        """The worst of all steps, those of the expected refutations left out."""
        return combine(proof.status for proof in self.proofs if proof not in self.expected)

    @property
    def seconds(self) -> float:
        """Time the proofs took together."""
        return sum(proof.seconds for proof in self.proofs)

    def counts(self) -> dict[Status, int]:
        """How many steps have each status."""
        found = [step.status for step in self.steps]
        return {status: found.count(status) for status in Status if status in found}

    def render(self, style: str = "text", /, *, unicode: bool = True) -> str:
        """The derivation in one of `STYLES`; text in ASCII where ``unicode`` is false.

        Raises:
            InputError: there is no such style.
        """
        writers: dict[str, Style] = {"text": Text(unicode), "markdown": Markdown(), "latex": Latex()}
        if style not in writers:
            raise InputError(f"a derivation is written as {', '.join(STYLES)}, not {style!r}.")
        return "\n".join(self._lines(writers[style])) + "\n"

    def __str__(self) -> str:
        return self.render("text")

    def steps_json(self) -> list[dict[str, Any]]:
        """The steps, each with the part it belongs to."""
        return [step_json(proof, step, proof in self.expected) for proof in self.proofs for step in proof.steps]

    def _lines(self, style: Style) -> Iterator[str]:
        yield from style.title(self.title)
        for words, equation in self.setting():
            yield from style.shown(words, equation)
        number = 0
        for proof in self.proofs:
            yield from style.section(proof.title)
            for step in proof.steps:
                number += 1
                declared = proof in self.expected and step.status is Status.REFUTED
                status = f"{step.status.value}, as the loss declares" if declared else step.status.value
                yield from style.step(number, step, status)
        yield from style.result()
        for words, equation in self.results():
            yield from style.shown(words, equation)
        for remark in (*self.remarks, self._verdict()):
            yield from style.remark(remark)
        yield from style.end()

    def _verdict(self) -> str:
        counts = ", ".join(f"{n} {status.value}" for status, n in self.counts().items())
        again = sum(step.second.startswith("confirmed") for step in self.steps)
        return (
            f"{len(self.steps)} steps, {counts}; {again} confirmed again by exact rational arithmetic; "
            f"the checks took {self.seconds:.1f} s."
        )


def step_json(proof: Proof, step: Step, expected: bool, /) -> dict[str, Any]:
    """One step, with the part it belongs to."""
    return {
        "part": proof.title, "title": step.title, "statement": step.statement, "latex": step_latex(step),
        "status": step.status.value, "expected": expected, "method": step.method,
        "residual": None if step.residual is None else sp.sstr(step.residual), "witness": dict(step.witness),
        "note": step.note, "second": step.second, "seconds": step.seconds,
    }  # fmt: skip
