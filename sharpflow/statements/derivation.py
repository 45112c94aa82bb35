"""A derivation built step by step in Python, each step checked as it is added.

d = Derivation(loss="ridge")
d.given("K < 2")
d.then("speed < 1/2")
d.qed()
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sharpflow.statements.prove import StatementResult, names_for, told
from sharpflow.statements.reader import read_statement
from sharpflow.theory.errors import InputError
from sharpflow.theory.statements.statement import Relation, Statement
from sharpflow.theory.writing.document import Document

if TYPE_CHECKING:
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["Derivation"]


class Derivation(ABC):  # noqa: B024  for isinstance alone
    """An argument as checked steps: one of your own, line by line, or what `sharpflow.derive` returns.

    Args:
        loss, rule, symbols: as of `sharpflow.prove`.

    >>> d = Derivation(symbols={"x": "real", "y": "real"})
    >>> _ = d.given("x + y = 2")
    >>> d.then("x = 2 - y").proof
    'proved'
    >>> [step.proof for step in d.qed()]
    ['none', 'proved']
    """

    def __init__(
        self,
        *,
        loss: Loss | str | None = None,
        rule: Rule | str | None = None,
        symbols: Mapping[str, str] | None = None,
    ) -> None:
        self._names = names_for(loss, rule, symbols=symbols)
        self._known: list[Relation] = []
        self.steps: list[StatementResult] = []

    def given(self, statement: str, /) -> StatementResult:
        """Suppose that the statement holds, from here on."""
        read = read_statement(statement, self._names)
        if read.given:
            raise InputError(f"given {statement!r}: what is given has no =>; suppose the relations alone.")
        self._known += read.links
        return self._add(StatementResult(statement, "none", "given", message="given", statement=read))

    def then(self, statement: str, /) -> StatementResult:
        """Prove that the statement follows from what is given and was proved before; later steps lean on it."""
        read = read_statement(statement, self._names)
        result = told(statement, Statement(read.links, (*self._known, *read.given)), self._names)
        if result.proof == "proved" and not read.given:
            self._known += [link for link in read.links if link.symbol != "~"]
        return self._add(result)

    def qed(self) -> tuple[StatementResult, ...]:
        """All steps; raises `InputError` naming the first that is not proved."""
        if not any(step.proof != "none" for step in self.steps):
            raise InputError("nothing was claimed: add a step by then(...).")
        for number, step in enumerate(self.steps, 1):
            if step.proof not in ("proved", "none"):
                raise InputError(f"step {number}, {step.text!r}, is {step.proof}: {step.sentence}")
        return tuple(self.steps)

    def _add(self, result: StatementResult) -> StatementResult:
        self.steps.append(result)
        return result

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))

    def _repr_markdown_(self) -> str:
        return "\n\n".join(step._repr_markdown_() for step in self.steps)


# What the theory derives is one as well.
Derivation.register(Document)  # type: ignore[type-abstract]
