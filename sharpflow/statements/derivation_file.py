"""A derivation in a file: every displayed equation checked, in the order of the text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sympy as sp

from sharpflow.naming.tokens import Token, fail
from sharpflow.statements.displays import Display, Document, Note, read_document
from sharpflow.statements.latex import latex_tokens
from sharpflow.statements.lexemes import GREEK
from sharpflow.statements.prove import StatementResult, names_for, told
from sharpflow.statements.reader import functions_of, read_statement, read_tokens, unread
from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import OF_STATEMENTS
from sharpflow.theory.statements.names import Names
from sharpflow.theory.statements.nodes import Meant
from sharpflow.theory.statements.statement import Relation, Statement

__all__ = ["DerivationFile", "Equation", "EquationCall", "check_equation", "prove_file", "read_equations"]


@dataclass(frozen=True)
class Equation:
    """One equation of a file as it was read.

    Attributes:
        index: its place in the order, from 0.
        number: what LaTeX prints beside it; empty where it prints nothing.
        line, column: where it begins, or where it is not understood.
        source: its LaTeX.
        statement: ``None`` where it is not understood; then ``problem`` says why.
        problem: what is not understood, and what would be.
        role: "claim", "given" (supposed) or "definition".
        leans_on: places of the equations that it follows from.
    """

    index: int
    number: str
    line: int
    column: int
    source: str
    statement: Statement | None = None
    problem: str = ""
    role: str = "claim"
    leans_on: tuple[int, ...] = ()

    @property
    def called(self) -> str:
        """Its number, or its line."""
        return f"({self.number})" if self.number else f"line {self.line}"


@dataclass(frozen=True)
class DerivationFile:
    """A file that was read: its equations, and the names in them."""

    document: Document
    names: Names
    equations: tuple[Equation, ...]
    said: tuple[str, ...] = ()


def prove_file(
    path: str, /, *, progress: Callable[[StatementResult], None] | None = None, measure: bool = False,
    limit: float = OF_STATEMENTS,
) -> tuple[DerivationFile, tuple[StatementResult, ...]]:  # fmt: skip
    """Every displayed equation of a Markdown or LaTeX file, proved or refuted.

    Raises:
        InputError: the file or its head cannot be read. An equation that is not understood is a result that says so.
    """
    read = read_equations(path)
    results: dict[int, StatementResult] = {}
    for equation in read.equations:
        result = check_equation(equation, read, results, measure=measure, limit=limit)
        results[equation.index] = result
        if progress is not None:
            progress(result)
    return read, tuple(results.values())


def check_equation(
    equation: Equation, read: DerivationFile, before: dict[int, StatementResult], /, *, measure: bool = False,
    limit: float = OF_STATEMENTS,
) -> StatementResult:  # fmt: skip
    """The verdict on one equation, given the results of those that it leans on."""
    place = {"file": read.document.path, "line": equation.line, "number": equation.number}
    text = " ".join(equation.source.replace("&", " ").split())
    if equation.statement is None:
        message = f"not understood at line {equation.line}, column {equation.column}: {equation.problem}"
        return StatementResult(text, "undecided", message=message, **place)  # type: ignore[arg-type]
    if equation.role != "claim":
        message = "given" if equation.role == "given" else "read as a definition"
        return StatementResult(text, "none", equation.role, message=message, statement=equation.statement, **place)  # type: ignore[arg-type]
    begin = time.perf_counter()
    # What rests on a line that is not proved is not proved, and without what it says nothing can be refuted.
    leans = [read.equations[index] for index in equation.leans_on]
    weak = [(e, before[e.index].proof) for e in leans if before[e.index].proof in ("refuted", "undecided")]
    unread = [e.called for e in leans if e.statement is None]
    if unread:
        message = f"it follows from {', '.join(unread)}, which is not understood"
        return StatementResult(text, "undecided", message=message, statement=equation.statement, **place)  # type: ignore[arg-type]
    result = told(text, equation.statement, read.names, measure=measure, limit=limit)
    if weak and result.proof == "proved":
        said = " and ".join(f"{e.called}, which is {proof}" for e, proof in weak)
        result = replace(result, proof="undecided", message=f"it follows from {said}")
    elif leans and result.proof == "proved":
        result = replace(result, method=f"{result.method}, from {', '.join(e.called for e in leans)}")
    return replace(result, seconds=time.perf_counter() - begin, **place)  # type: ignore[arg-type]


class EquationCall:
    """One equation as a test: it fails where the equation is refuted, and is skipped where it is undecided."""

    def __init__(
        self, equation: Equation, read: DerivationFile, before: dict[int, StatementResult], strict: bool
    ) -> None:
        self.equation, self.read, self.before, self.strict = equation, read, before, strict

    def __call__(self) -> None:
        """Check it, and first those it leans on, whatever order the tests come in."""
        import pytest

        __tracebackhide__ = True
        result = self._checked(self.equation)
        where = f"{result.file}:{result.line}: {result.text}: {result.proof}: {result.sentence}"
        if result.proof == "refuted" or (result.proof == "undecided" and self.strict):
            pytest.fail(where, pytrace=False)
        if result.proof in ("undecided", "none"):
            pytest.skip(where)

    def _checked(self, equation: Equation) -> StatementResult:
        for index in equation.leans_on:
            self._checked(self.read.equations[index])
        if equation.index not in self.before:
            self.before[equation.index] = check_equation(equation, self.read, self.before)
        return self.before[equation.index]


def read_equations(path: str, /) -> DerivationFile:
    """The equations of a file, read in order: definitions are put in as they come."""
    from sharpflow.naming.specs import resolve_rule

    document = read_document(path)
    head = document.head
    entry = "rule"
    try:
        rule = resolve_rule(_beside(path, head["rule"])) if "rule" in head else None
        entry = "loss"
        names = names_for(_beside(path, head.get("loss")), rule)
        entry = "symbols"
        names = names_for(names.loss, names.rule, symbols=head.get("symbols"))
        reader = _Reading(document, names)
        entry = "define"
        for name, text in (head.get("define") or {}).items():
            names.defined[name] = reader.formula(str(text))
        entry = "given"
        given = head.get("given") or []
        supposed = [reader.supposition(text) for text in ([given] if isinstance(given, str) else given)]
    except InputError as error:
        line = document.lines.get(entry, document.lines.get("rule", 1))
        raise InputError(f"{path}, line {line}, {entry}: {error}") from None
    reader.seen |= set(reader.free)
    reader.always = tuple(relation for statement in supposed for relation in statement.links)
    equations = tuple(reader.equations())
    free = sorted(name for name in reader.free if name not in names.defined)
    said = (f"read as real symbols, as nothing else is said of them: {', '.join(free)}",) if free else ()
    return DerivationFile(document, names, equations, (*said, *reader.doubled))


def _beside(path: str, spec: Any, /) -> Any:
    """A spec as the head gives it: of a file beside the derivation, where there is one."""
    place, colon, name = str(spec).rpartition(":") if ":" in str(spec) else (str(spec), "", "")
    beside = Path(path).parent / place
    return f"{beside}{colon}{name}" if place.endswith(".py") and beside.is_file() else spec


class _Reading:
    """Reads one equation after the other; what was read before is known to those that lean on it."""

    def __init__(self, document: Document, names: Names) -> None:
        self.document, self.names = document, names
        self.functions = functions_of(names)
        if "fast" in self.functions and "T" not in names.declared:
            names.defined["T"] = _symbol(names, "tau") / sp.sqrt(_symbol(names, "rate"))
        self.always: tuple[Relation, ...] = ()
        self.free: dict[str, sp.Symbol] = {}
        self.seen: set[str] = set()
        self.by_label: dict[str, list[Equation]] = {}
        self.place_of: dict[str, int] = {}
        self.previous: Equation | None = None
        self.found: list[Equation] = []
        self.doubled: list[str] = []

    def formula(self, text: str) -> sp.Expr:
        """An expression in LaTeX (or as text, which mostly is LaTeX as well)."""
        tokens = self.tokens(text)
        zero = [Token("relation", "=", len(text)), Token("number", "0", len(text)), tokens[-1]]
        return read_tokens(text, [*tokens[:-1], *zero], self.names, free=self.symbol).links[0].lhs

    def supposition(self, text: str) -> Statement:
        if "\\" in text:
            return read_tokens(text, self.tokens(text), self.names, free=self.symbol)
        return read_statement(text, self.names)

    def tokens(self, text: str) -> list[Token]:
        known = self.names.symbols()
        chart = [str(q) for q in self.names.chart]
        clocks = ("tau", "T", "t", "zeta", "X", "U") if self.names.rule is not None else ()
        return latex_tokens(
            text,
            lambda n: n in known,
            lambda n: n in self.functions,
            coordinate=chart[0] if len(chart) == 1 else "",
            arguments={*chart, *clocks} - set(self.names.declared),
            meant=self.names.table.keys(),
        )

    def symbol(self, name: str) -> sp.Symbol | None:
        """A real symbol for a letter that nothing else is said of; not for words."""
        base = name.partition("_")[0]
        if len(base) > 1 and base not in GREEK:
            return None
        return self.free.setdefault(name, sp.Symbol(name, real=True))

    def equations(self) -> list[Equation]:
        """All of them, each known to those behind it."""
        for display in self.document.displays:
            try:
                if display.problem:
                    raise InputError(display.problem)
                parts = list(_split(self.tokens(display.text), display))
            except InputError as error:
                self.add(self.unread(display, error, display.text, 0), display, 0, len(display.text))
                continue
            for part, begin, end in parts:
                # Up to its last word: the break behind it belongs to the next row.
                self.add(self.equation(display, part, begin, end), display, part[0].column, part[-2].column)
        return self.found

    def add(self, equation: Equation, display: Display, begin: int, end: int) -> None:
        """Note an equation by the numbers and labels of the rows in which it stands."""
        labels: list[str] = []
        start = 0
        for row in display.rows:
            if start <= end and begin < row.end:
                equation = replace(equation, number=row.number or equation.number)
                for label in dict.fromkeys(filter(None, (row.number, *row.labels))):
                    place = self.place_of.setdefault(label, display.offset + row.end)
                    if place != display.offset + row.end:
                        first = self.by_label.get(label, [equation])[0].line
                        self.doubled.append(f"line {equation.line}: ({label}) is line {first} as well")
                    labels.append(label)
            start = row.end
        for label in labels:
            self.by_label.setdefault(label, []).append(equation)
        self.previous = equation
        self.found.append(equation)

    def equation(self, display: Display, tokens: list[Token], begin: int, end: int) -> Equation:
        notes = [note for note in display.notes if begin <= note.offset < end]
        source = re.sub(r"^(?:\s|\\\\|\\q?quad|[&,;])+|(?:\s|\\\\|[&.,;])+$", "", display.text[begin:end])
        line, column = self.document.place(display.offset + tokens[0].column)
        implied = tokens[0].text == "=>"
        used = {t.text for t in tokens if t.kind == "name"}
        try:
            statement = read_tokens(display.text, tokens[implied:], self.names, free=self.symbol)
            supposed = [link for n in notes if n.command == "condition" for link in self.condition(n)]
            statement = Statement(statement.links, (*supposed, *statement.given))
            leans = self.leaning([r for n in notes for r in n.references], implied)
        except InputError as error:
            return self.unread(display, error, source, begin)
        role = "given" if any(n.supposes for n in notes) else "claim"
        if role == "claim" and (name := self.defines(statement, used)):
            # x = A = B brings in x by the first, and claims the rest.
            self.names.defined[name] = statement.links[0].rhs
            role = "claim" if statement.links[1:] else "definition"
            statement = Statement(statement.links[1:] or statement.links)
        elif role == "claim" and (name := self.counts(statement)):
            role = "definition"
            self.names.defined[name] = _symbol(self.names, "tau") / _symbol(self.names, "rate")
        self.seen |= used
        given = [r for e in leans if e.statement is not None for r in e.statement.links]
        whole = Statement(statement.links, (*self.always, *given, *statement.given))
        leans_on = tuple(dict.fromkeys(e.index for e in leans))
        return Equation(len(self.found), "", line, column, source, whole, role=role, leans_on=leans_on)

    def condition(self, note: Note) -> tuple[Relation, ...]:
        """Relations that an equation supposes by the words behind it; none for "for all p"."""
        if note.says_nothing:
            return ()
        text = " " * note.offset + note.content
        try:
            if note.content and not note.is_supposed:
                raise InputError(f"{note.words!r} between formulas")
            return read_tokens(text, self.tokens(text), self.names, free=self.symbol).links
        except InputError as error:
            said = " ".join(f"{note.words} {note.content}".split())
            what = f"the condition '{said}' is not understood ({unread(error)[0]})"
            fail(text, note.offset, what, "write \\text{for } K > 0, or another relation")

    def unread(self, display: Display, error: InputError, source: str, begin: int) -> Equation:
        problem, column = unread(error)
        line, place = self.document.place(display.offset + max(column, begin))
        return Equation(len(self.found), "", line, place, source.strip(), problem=problem.split("\n")[0])

    def leaning(self, references: Sequence[str], implied: bool) -> list[Equation]:
        found: list[Equation] = []
        for reference in references:
            if reference not in self.by_label:
                raise InputError(f"no equation before is called {reference!r}; label it, or refer to its number.")
            if any(f"({reference})" in said for said in self.doubled):
                raise InputError(f"several equations before are called {reference!r}; give each a name of its own.")
            found += self.by_label[reference]
        if implied and not found:
            if self.previous is None:
                raise InputError("it begins with an implication, and there is no equation before.")
            found.append(self.previous)
        return found

    def defines(self, statement: Statement, used: set[str]) -> str:
        """The name that an equation brings in: a letter of its own on the left, not seen before; else empty."""
        first = statement.links[0]
        if statement.given or any(link.symbol not in ("=", ":=") for link in statement.links[:1]):
            return ""
        symbol = first.lhs
        if (
            isinstance(symbol, Meant)
            or not symbol.is_Symbol
            or any(symbol in r.rhs.free_symbols for r in statement.links)
        ):
            return ""
        if statement.links[1:] and any(symbol in link.lhs.free_symbols for link in statement.links[1:]):
            return ""
        fresh = symbol.name in self.free and symbol.name not in self.seen
        return symbol.name if fresh else ""

    def counts(self, statement: Statement) -> str:
        """The letter of the iterations in tau = rate t or T = sqrt(rate) t, where it comes in; else empty."""
        link = statement.links[0]
        if statement.given or len(statement.links) > 1 or "tau" not in self.names.table:
            return ""
        tau, rate = _symbol(self.names, "tau"), _symbol(self.names, "rate")
        letter = link.rhs * tau / (rate * link.lhs)
        own = letter.is_Symbol and (letter.name in self.free or letter.name in self.names.declared)
        return letter.name if own and link.lhs.has(tau) and letter.name not in self.seen else ""


def _symbol(names: Names, name: str) -> sp.Symbol:
    return names.table[name].symbol


def _split(tokens: list[Token], display: Display) -> Iterator[tuple[list[Token], int, int]]:
    """The statements of a display (rows, or separated by commas), each with where it begins and ends."""
    end = tokens[-1]
    if any(token.text == "=>" for token in tokens[1:]):
        yield tokens, 0, len(display.text)
        return
    begin, place = 0, 0
    for i, token in enumerate(tokens):
        if token.text == ";" or token is end:
            stop = len(display.text) if token is end else token.column
            # A note behind the last row of a statement belongs to it.
            if i > begin:
                yield [*tokens[begin:i], Token("end", "", stop)], place, stop
            begin, place = i + 1, stop
