r"""A derivation as Markdown with GitHub's mathematics.

Equations stand in fences (```` ```math ````) and symbols as ``$`...`$``: inside these GitHub reads neither ``_`` nor
``*`` nor ``\\`` as marks of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sharpflow.theory.proving.proof import Step
from sharpflow.theory.writing.latex import rows
from sharpflow.theory.writing.notation import prose
from sharpflow.theory.writing.sentences import Equation, Style, closing, sides

__all__ = ["Markdown"]


class Markdown(Style):
    """Markdown as GitHub shows it."""

    def title(self, title: str) -> Iterator[str]:
        """A heading of the first level."""
        yield f"# {_marked(title)}"

    def shown(self, words: str, equation: Equation) -> Iterator[str]:
        """A fenced equation."""
        yield from (*(["", _marked(words)] if words else []), "", *_fenced(equation))

    def section(self, title: str) -> Iterator[str]:
        """A heading of the second level."""
        yield from ("", f"## {_marked(title)}")

    def step(self, number: int, step: Step, status: str) -> Iterator[str]:
        """A numbered paragraph, a fenced equation, the reason."""
        yield from ("", f"**{number}\\.** {_marked(step.title)} (**{status}**)", "", *_fenced(sides(step)), "")
        yield _marked(closing(step))

    def remark(self, sentences: str) -> Iterator[str]:
        """A paragraph."""
        yield from ("", _marked(sentences))


def _marked(text: str) -> str:
    """Words with symbols as mathematics and everything that Markdown reads as a mark escaped."""
    written = []
    for is_math, piece in prose(text):
        written.append(f"$`{piece}`$" if is_math else re.sub(r"([\\`*_{}\[\]<>|#$~&+!-])", r"\\\1", piece))
    return "".join(written)


def _fenced(equation: Equation) -> tuple[str, ...]:
    lines = rows(equation)
    if len(lines) > 1:
        lines = [r"\begin{gathered}", *(row + r" \\" for row in lines[:-1]), lines[-1], r"\end{gathered}"]
    return ("```math", *lines, "```")
