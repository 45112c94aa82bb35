"""The parts and sentences that a derivation is written in, the same in every style."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import sympy as sp

from sharpflow.theory.proving.proof import Status, Step

__all__ = ["LONGEST", "Equation", "Style", "closing", "shortened", "sides"]

# Beyond this nobody reads an equation: it is named by its length, and stands in the JSON in full.
LONGEST = 2500
# Two sides, and the sign between them.
Equation = tuple[Any, str, Any]


class Style(ABC):
    """The lines of each part of a derivation, in the order in which it is written."""

    @abstractmethod
    def title(self, title: str) -> Iterable[str]:
        """The beginning of the whole."""

    @abstractmethod
    def shown(self, words: str, equation: Equation) -> Iterable[str]:
        """An equation, after the words that introduce it; they are empty where those before still hold."""

    @abstractmethod
    def section(self, title: str) -> Iterable[str]:
        """The heading of a proof."""

    @abstractmethod
    def step(self, number: int, step: Step, status: str) -> Iterable[str]:
        """A step: its title and status, its equation, how it was closed."""

    def result(self) -> Iterable[str]:
        """The heading of the results."""
        return self.section("Result")

    @abstractmethod
    def remark(self, sentences: str) -> Iterable[str]:
        """A paragraph of words."""

    def end(self) -> Iterable[str]:
        """The last lines."""
        return ()


def closing(step: Step, /) -> str:
    """How a step was closed, what is left where it was not, and its note."""
    line = f"Method: {step.method}; {step.seconds:.2f} s." if step.method else f"{step.seconds:.2f} s."
    if step.witness:
        line += " Witness: " + ", ".join(f"{name} = {value}" for name, value in step.witness.items()) + "."
    elif step.status is Status.UNDECIDED and step.residual is not None:
        line += f" Left over: {shortened(sp.sstr(step.residual), 300)}."
    return f"{line} {step.note}".rstrip()


def shortened(text: str, limit: int, /) -> str:
    """The text, or its beginning and its length where it is longer than ``limit``."""
    return text if len(text) <= limit else f"{text[:limit]} ... ({len(text)} characters)"


def sides(step: Step, /) -> Equation:
    """The equation of a step; a matrix of one entry as that entry."""
    return _plain(step.lhs), step.relation, _plain(step.rhs)


def _plain(value: Any) -> Any:
    return value[0] if isinstance(value, sp.MatrixBase) and value.shape == (1, 1) else value
