"""Statements typed as text or LaTeX, read by the safe parser of expressions: nothing is evaluated.

statement := [relations "=>"] relations
relations := chain (";" chain)*
chain     := sum (("=" | "<=" | "<" | ">=" | ">" | "~") sum)+
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

import sympy as sp

from sharpflow.naming.grammar import LENGTH, Parser, in_time
from sharpflow.naming.tokens import TextError, Token, fail, tokenize
from sharpflow.statements.vectors import Vectors
from sharpflow.theory.errors import InputError, did_you_mean
from sharpflow.theory.statements.names import Names
from sharpflow.theory.statements.nodes import Along, Fast, Landau, LossAt, Meant, Slope
from sharpflow.theory.statements.statement import RELATIONS, Relation, Statement

__all__ = ["declared", "functions_of", "read_expression", "read_statement", "read_tokens", "unread"]

Made = TypeVar("Made")

KINDS = {"positive": {"positive": True}, "nonnegative": {"nonnegative": True}, "negative": {"negative": True}}
KINDS |= {"real": {"real": True}, "integer": {"integer": True}, "nonzero": {"real": True, "nonzero": True}}
KINDS |= {"natural": {"integer": True, "positive": True}}


def declared(kinds: dict[str, str], /) -> dict[str, sp.Symbol]:
    """Symbols by name from words such as positive, real, integer; raises `InputError` at another word.

    >>> declared({"a": "positive"})["a"].is_positive
    True
    """
    found = {}
    for name, words in kinds.items():
        if not name.isidentifier():
            raise InputError(f"symbols: {name!r} is no name; a name has letters, digits and underscores, as in w_1.")
        assumptions: dict[str, bool] = {"real": True}
        for word in words.replace(",", " ").split():
            if word not in KINDS:
                raise InputError(
                    f"symbols: {name} is {word!r}; {did_you_mean(word, KINDS)}a symbol is {', '.join(sorted(KINDS))}."
                )
            assumptions |= KINDS[word]
        found[name] = sp.Symbol(name, **assumptions)
    return found


def read_statement(text: str, names: Names, /) -> Statement:
    """The statement that ``text`` spells; raises `InputError` with the place where it is not understood."""
    if not isinstance(text, str):
        raise InputError(f"a statement is text, not {type(text).__name__}.")
    if len(text) > LENGTH:
        raise InputError(f"the statement has {len(text)} characters; {LENGTH} is the limit.")
    if not text.strip():
        raise InputError("the statement is empty; write one such as sharpness = 2 + cos(2*p).")
    return read_tokens(text, tokenize(text, relations=True), names)


def read_expression(text: str, names: Names, /) -> sp.Expr:
    """The expression that ``text`` spells in these names."""
    tokens = tokenize(text)

    def build() -> tuple[Parser, Callable[[], sp.Expr]]:
        parser = Parser(text, tokens, names.symbols(), functions_of(names), "formulas are")
        return parser, parser.parse

    return in_time(text, build)


def read_tokens(
    text: str, tokens: Sequence[Token], names: Names, /, *, free: Callable[[str], sp.Symbol | None] | None = None
) -> Statement:
    """A statement from its words.

    Args:
        text: for messages.
        tokens: relations among them.
        names: those there are.
        free: a symbol for a name that is not among them; ``None`` refuses it.
    """
    known, vectors = names.symbols(), Vectors(names.loss)
    functions = _of_vectors(functions_of(names), vectors)
    if names.loss is not None and "w" not in known and any(token.text == "w" for token in tokens):
        known["w"] = vectors.weights
    for token, after in pairwise(tokens) if free is not None else ():
        called = token.text in functions and after.text == "("
        if token.kind == "name" and token.text not in known and not called:
            assert free is not None
            if (symbol := free(token.text)) is not None:
                known[token.text] = symbol

    def build() -> tuple[Parser, Callable[[], Statement]]:
        parser = _Statements(text, tokens, known, functions, "formulas are")
        parser.vectors = vectors
        return parser, parser.statement

    return in_time(text, build)


class _Statements(Parser):
    """The parser of expressions, with relations around them, and vectors."""

    vectors: Vectors

    def _atom(self) -> sp.Expr:
        token, after = self.token, self.tokens[min(self.position + 1, len(self.tokens) - 1)]
        if token.kind == "name" and token.text in ("grad", "Hess") and after.text == "L" and "L" in self.functions:
            self.position += 2
            arguments = self._arguments(self._next()) if self.token.text == "(" else None
            return self._said(token, lambda: self.vectors.derivative(1 + (token.text == "Hess"), arguments))
        if token.text != "(":
            return super()._atom()
        parts = self._arguments(self._next())
        return parts[0] if len(parts) == 1 else self._said(token, lambda: self.vectors.of_parts(parts))

    def _power_of(self, base: sp.Expr, exponent: sp.Expr, place: Token) -> sp.Expr:
        if not base.is_commutative and not (exponent.is_Integer and exponent > 0):
            self._fail(place.column, "a power or a quotient of vectors", "multiply by numbers, dot(u, v) and abs(v)")
        return super()._power_of(base, exponent, place)

    def _arguments(self, opened: Token) -> list[sp.Expr]:
        self._enter(opened)
        found = [self._sum()]
        while self._accept(","):
            found.append(self._sum())
        self._close(opened)
        return found

    def _said(self, token: Token, make: Callable[[], Made]) -> Made:
        """The value of ``make``, or its mistake with the place."""
        try:
            return make()
        except TextError:
            raise
        except InputError as error:
            self._fail(token.column, str(error).rstrip("."), "a statement relates numbers, or vectors of one size")

    def statement(self) -> Statement:
        """All of the tokens as one statement."""
        arrows = [i for i, token in enumerate(self.tokens) if token.text == "=>" and token.kind == "relation"]
        if len(arrows) > 1:
            fail(self.text, self.tokens[arrows[1]].column, "a second =>", "write two statements")
        given: tuple[Relation, ...] = ()
        if arrows:
            given = tuple(self._chains(arrows[0]))
            self.position = arrows[0] + 1
        links = tuple(self._chains(len(self.tokens) - 1))
        if not links:
            fail(
                self.text,
                self.tokens[-1].column,
                "no relation",
                "a statement relates two expressions by = <= < >= or >",
            )
        return Statement(links, given)

    def _chains(self, end: int) -> Iterator[Relation]:
        begin = self.position
        for stop in [*(i for i in range(begin, end) if self.tokens[i].text == ";"), end]:
            yield from self._chain(begin, stop)
            begin = stop + 1

    def _chain(self, begin: int, end: int) -> Iterator[Relation]:
        signs = [i for i in range(begin, end) if self.tokens[i].kind == "relation"]
        if not signs:
            self.position = begin
            if begin < end:
                fail(
                    self.text, self.tokens[begin].column, "no relation here",
                    "a statement relates two expressions by = <= < >= or >",
                )  # fmt: skip
            return
        edges = [begin - 1, *signs, end]
        sides = [self._side(a + 1, b) for a, b in pairwise(edges)]
        for sign, left, right in zip(signs, sides, sides[1:], strict=False):
            if self.tokens[sign].text not in RELATIONS:
                fail(
                    self.text, self.tokens[sign].column, f"{self.tokens[sign].text!r} has no meaning here", "remove it"
                )
            make = partial(self.vectors.relations, left, self.tokens[sign].text, right)
            yield from self._said(self.tokens[sign], lambda: list(make()))  # noqa: B023  called at once

    def _side(self, begin: int, end: int) -> sp.Expr:
        whole = self.tokens
        here = [*whole[begin:end], Token("end", "", whole[end].column)]
        self.tokens, self.position = here, 0
        try:
            return self.parse()
        finally:
            self.tokens = whole


def functions_of(names: Names, /) -> dict[str, tuple[Callable[..., sp.Expr], int | None]]:
    """The functions of statements, beyond those of expressions."""
    found: dict[str, tuple[Callable[..., sp.Expr], int | None]] = {
        "diff": (_slope, 2),
        "O": (Landau, 1),
    }
    if names.rule is not None and "fast(X)" in names.table:
        found["fast"] = (lambda e: Fast(_moves(e, ("X", "U", "energy"), "fast")), 1)
    on_every_loss = names.rule is not None and names.loss is None
    if names.chart or on_every_loss:
        moving = ("lambda_1", "K") if on_every_loss else tuple(map(str, names.chart))
        found["along"] = (lambda e: Along(_moves(e, moving, "along")), 1)
    if names.chart:
        for function in ("flow", "g"):
            found[function] = (lambda q, function=function: names.takes_coordinate(function, q), 1)
    if names.loss is not None:
        loss = names.loss
        variables = [v.name for v in loss.variables]
        found["L"] = (lambda *w: _at(loss.dimension, w), None)
        for i, first in enumerate(variables, start=1):
            found[f"L_{first}"] = (lambda *w, i=i: _at(loss.dimension, w, i), None)
            for j, second in enumerate(variables, start=1):
                found[f"L_{first}{second}"] = (lambda *w, i=i, j=j: _at(loss.dimension, w, i, j), None)
    return found


def _of_vectors(
    functions: dict[str, tuple[Callable[..., sp.Expr], int | None]], vectors: Vectors
) -> dict[str, tuple[Callable[..., sp.Expr], int | None]]:
    """The functions, with those of vectors; what takes a point takes it also as a vector."""
    found = dict(functions)
    for name, (function, arity) in functions.items():
        if arity is None:
            found[name] = (lambda *w, function=function: function(*vectors.point(w)), None)
    found |= {"dot": (vectors.dot, 2), "T": (vectors.transposed, 1), "abs": (vectors.size, 1)}
    return found | {"vector": (lambda *parts: vectors.of_parts(parts), None)}


def _slope(e: sp.Expr, x: sp.Expr) -> sp.Expr:
    if not x.is_Symbol:
        raise InputError(f"diff(..., {x}): the second argument is a name, as in diff(sin(p), p).")
    if x not in e.free_symbols and not e.has(Meant):
        raise InputError(f"the derivative of {e} by {x}: nothing says how it depends on {x}; define it.")
    return Slope(e, x)


def _moves(e: sp.Expr, moving: tuple[str, ...], function: str) -> sp.Expr:
    if not e.has(Meant) and not {s.name for s in e.free_symbols} & set(moving):
        raise InputError(f"{function}({e}): it depends on none of {', '.join(moving)}, which move; define it.")
    return e


def _at(dimension: int, point: tuple[sp.Expr, ...], *variables: int) -> sp.Expr:
    if len(point) != dimension:
        raise InputError(f"L takes {dimension} arguments, a point in R^{dimension}, not {len(point)}.")
    return LossAt.of(point, *variables)


def unread(error: InputError) -> tuple[str, int]:
    """(what was not understood and what would be, column from 0), of an error of the reader."""
    if isinstance(error, TextError):
        return error.said, error.column
    return str(error).rstrip("."), 0
