"""The words that an expression typed as text is made of, and a message that points at one of them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from sharpflow.theory.errors import InputError

__all__ = ["TextError", "Token", "fail", "tokenize"]


class TextError(InputError):
    """A text that is not understood, with the place: ``column`` counts from 0; ``said`` is the message without it."""

    def __init__(self, message: str, column: int, said: str) -> None:
        super().__init__(message)
        self.column, self.said = column, said


_TOKEN = re.compile(
    r"(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)|(?P<operator>\*\*|[-+*/^(),])",
)
# Between expressions, where a statement is read; longer ones first.
RELATIONS = ("=>", "<=", ">=", "=", "<", ">", "~", ";")
_SPELLED = {"==": "=", "\u2264": "<=", "\u2265": ">=", "\u21d2": "=>"}
_RELATION = re.compile("|".join([*_SPELLED, *RELATIONS]))

_ADVICE = {
    "=": "write the expression alone, without an equals sign",
    "[": "use round parentheses",
    "{": "use round parentheses",
    "\u00b7": "write * for a product",
    "\u00d7": "write * for a product",
    "\u2212": "write the minus sign of the keyboard, -",
    "|": "write abs(...) for an absolute value",
    "!": "factorials are not among the functions of the parser",
    "%": "write a fraction or a decimal",
}


@dataclass(frozen=True)
class Token:
    """A word of the text. Its kind is number, name, operator or end; its column counts from 0."""

    kind: str
    text: str
    column: int


def tokenize(text: str, /, *, relations: bool = False) -> list[Token]:
    """The words of ``text`` and an end; raises `InputError` at a character that belongs to none.

    Args:
        text: an expression; with ``relations``, expressions with = <= < >= > => ; between them.
        relations: whether those are words too, of the kind relation.

    >>> [token.text for token in tokenize("2*x**y")]
    ['2', '*', 'x', '**', 'y', '']
    """
    tokens, column = [], 0
    while column < len(text):
        if text[column].isspace():
            column += 1
            continue
        if relations and (sign := _RELATION.match(text, column)):
            tokens.append(Token("relation", _SPELLED.get(sign.group(), sign.group()), column))
            column = sign.end()
            continue
        match = _TOKEN.match(text, column)
        if match is None:
            advice = _ADVICE.get(text[column], "use numbers, names, + - * / ^ and parentheses")
            fail(text, column, f"{text[column]!r} has no meaning here", advice)
        word = match.group()
        if match.lastgroup == "name" and not word.isidentifier():
            # x\N{SUPERSCRIPT TWO} is a word to the regular expression, and would be the name x2 once normalised.
            odd = next(i for i in range(len(word)) if not word[: i + 1].isidentifier())
            fail(text, column + odd, f"{word[odd]!r} has no meaning here", "write powers with ^, as in x^2")
        tokens.append(Token(str(match.lastgroup), word, column))
        column = match.end()
    return [*tokens, Token("end", "", len(text.rstrip()))]


def fail(text: str, column: int, what: str, advice: str, /) -> NoReturn:
    """Raise `InputError` with ``text`` (a window of it where it is long) on one line and a caret under ``column``."""
    begin = max(0, column - 50)
    window = text[begin : column + 30]
    line = "".join(c if c.isprintable() and not unicodedata.combining(c) else " " for c in window)
    left, right = "..." * (begin > 0), "..." * (column + 30 < len(text))
    caret = " " * (len(left) + column - begin) + "^"
    message = f"{what} (column {column + 1}): {advice}.\n    {left}{line}{right}\n    {caret}"
    raise TextError(message, column, f"{what}: {advice}")
