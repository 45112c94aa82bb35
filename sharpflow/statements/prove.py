"""`prove`: whether a statement of a reader's own holds for a loss and a rule."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import sympy as sp

from sharpflow.naming.expressions import parse_expression
from sharpflow.statements.reader import declared, read_expression, read_statement
from sharpflow.theory.edge.edge_law import edge_law
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import OF_STATEMENTS
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Step
from sharpflow.theory.rule import Rule
from sharpflow.theory.statements import kept
from sharpflow.theory.statements.names import Names
from sharpflow.theory.statements.statement import Checked, Statement

if TYPE_CHECKING:
    from sharpflow.statements.measured import Measured

__all__ = ["MARKS", "StatementResult", "names_for", "prove", "told"]

MARKS = {"proved": "\u2713", "refuted": "\u2717", "undecided": "?", "none": "\u00b7"}


@dataclass(frozen=True)
class StatementResult:
    """One statement with its verdict.

    Attributes:
        text: as the reader wrote it.
        proof: proved, refuted, undecided, or none where nothing was claimed (a definition, or what is given).
        method: what closed it.
        claimed, derived: the two sides, where one of them is a name with a meaning.
        witness: where it fails: values of the symbols, and both sides.
        message: for the reader.
        seconds: it took.
        steps: checked lines of the proof and of the derivation of its names.
        measured: with ``measure``: the number that gradient descent gives.
        file, line, number: where it stands, and the number it has there.
        checked, statement: what is behind.
    """

    text: str
    proof: str
    method: str = ""
    claimed: str = ""
    derived: str = ""
    witness: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    seconds: float = 0.0
    steps: tuple[Step, ...] = ()
    measured: Measured | None = None
    file: str | None = None
    line: int | None = None
    number: str = ""
    checked: Checked | None = field(default=None, repr=False)
    statement: Statement | None = field(default=None, repr=False)

    @property
    def sentence(self) -> str:
        """How it was proved, or why not."""
        said = self.method if self.proof == "proved" else self.message or self.method
        return f"{said}; {self.measured.sentence}" if self.measured is not None else said

    def __str__(self) -> str:
        return f"{MARKS[self.proof]} {self.text}\n    {self.proof}: {self.sentence}"

    def _repr_markdown_(self) -> str:
        lines = [f"{MARKS[self.proof]} `{self.text}` **{self.proof}**: {self.sentence}", ""]
        lines += [f"- {s.title}: `{_cut(s.statement)}` ({s.status.value}, {s.method})" for s in self.steps if s.title]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """A row of ``prove --json``."""
        return {
            "file": self.file, "line": self.line, "text": self.text, "proof": self.proof, "method": self.method,
            "measured": None if self.measured is None else self.measured.value, "claimed": self.claimed or None,
            "derived": self.derived or None, "witness": dict(self.witness) or None, "message": self.message,
            "seconds": self.seconds,
        }  # fmt: skip


def _cut(text: str, length: int = 200) -> str:
    return text if len(text) <= length else text[: length - 4] + " ..."


def prove(
    statement: str, /, *, loss: Loss | str | None = None, rule: Rule | str | None = None,
    symbols: Mapping[str, str] | None = None, measure: bool = False,
) -> StatementResult:  # fmt: skip
    """Prove or refute a statement: proved, refuted with a witness, or undecided.

    Args:
        statement: as text, with = <= < >= >, chains A = B = C, and "given => what follows".
        loss: a `Loss`, or its name; ``None``: every loss. With neither loss nor rule: pure algebra.
        rule: a `Rule`, or its name; default: gd-wd where there is a loss.
        symbols: names of your own with their assumptions, as ``{"a": "positive", "n": "integer"}``.
        measure: run gradient descent, where a name in the statement can be measured.

    Raises:
        InputError: the statement is not understood; the message says where.

    >>> prove("sharpness = 2 + cos(2*p)", loss="ridge").proof
    'proved'
    >>> print(prove("(a + b)^2 = a^2 + b^2", symbols={"a": "real", "b": "real"}).message)
    they differ at a = 0.3, b = 0.7: 1 against 0.58; a term 2*a*b is missing
    """
    names = names_for(loss, rule, symbols=symbols)
    return told(statement, read_statement(statement, names), names, measure=measure)


def told(
    text: str, statement: Statement, names: Names, /, *, measure: bool = False, limit: float = OF_STATEMENTS
) -> StatementResult:  # fmt: skip
    """The result for a statement that was read."""
    begin = time.perf_counter()
    checked = kept.checked(statement, names, limit=limit)
    result = StatementResult(
        " ".join(text.split()), checked.proof.value, checked.method, checked.claimed, checked.derived,
        dict(checked.witness), checked.message, steps=checked.steps, checked=checked, statement=statement,
    )  # fmt: skip
    if measure and names.loss is not None:
        from sharpflow.statements.measured import measured

        result = replace(result, measured=measured(statement, names))
    return replace(result, seconds=time.perf_counter() - begin)


def names_for(
    loss: Loss | str | None, rule: Rule | str | None, /, *, symbols: Mapping[str, str] | None = None,
    define: Mapping[str, str] | None = None,
) -> Names:  # fmt: skip
    """The names that statements about a loss and a rule may use, with symbols and definitions of the reader's own."""
    from sharpflow.naming.specs import resolve_loss, resolve_rule

    if isinstance(loss, str):
        found = None if loss == "generic" else resolve_loss(loss)
        if loss == "generic" and rule is None:
            rule = "gd-wd"
        if found is not None and not isinstance(found, Loss):
            raise InputError(f"{found.name!r} is an Objective, a function: a statement needs the formula of a Loss.")
        loss = found
    if loss is not None and rule is None:
        rule = "gd-wd"
    if isinstance(rule, str):
        rule = resolve_rule(rule)
    rule = None if rule is None else _with_constants(rule)
    own = declared(dict(symbols or {}))
    names = Names(loss, rule, rate=None if rule is None else _rate(rule), declared=own)
    clash = sorted(set(own) & {name.partition("(")[0] for name in names.table})
    if clash:
        raise InputError(f"symbols: {clash[0]} has a meaning of its own here; choose another name.")
    for name, text in (define or {}).items():
        names.defined[name] = read_expression(text, names)
    return names


def _with_constants(rule: Rule) -> Rule:
    """The rule with the fixed numbers of its at_rate as symbols, where the theory covers it so."""
    if rule.with_constants is not rule:
        with contextlib.suppress(NoClosedForm, InputError):
            _ = edge_law(rule.with_constants).edge
            return rule.with_constants
    return rule


def _rate(rule: Rule) -> sp.Expr | None:
    """The rate in the parameters; ``None`` where it is not their formula."""
    parameters = {name: sp.Symbol(name, positive=True) for name in (*rule.at_rate(0.25), *rule.constants)}
    try:
        return parse_expression(rule.rate, names=parameters)
    except InputError:
        return None
