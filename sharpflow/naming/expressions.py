"""Expressions typed as text: a parser of its own that builds SymPy objects from a whitelist and evaluates nothing.

Integers are exact and decimals are read as the rationals they spell: 0.3 is 3/10. ``pi`` and ``E`` are constants;
every other name is a real symbol. The text is never handed to Python or to SymPy's own parser, which evaluates it:
`sharpflow.naming.grammar` is a parser of its own, with bounds on what it builds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import sympy as sp

from sharpflow.naming.grammar import LENGTH, Parser, in_time, natural_order, short
from sharpflow.naming.tokens import tokenize
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["parse_expression", "parse_loss", "remarks"]

# Letters of other scripts that look like Latin ones.
# ruff: noqa: RUF001  the letters are meant
_TWINS = str.maketrans("АВЕКМНОРСТУХаеорсухіјѕһԁΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTYXaeopcyxijshdABEZHIKMNOPTYXo")


# A derivation takes 15 s at 60 variables, and a minute at so many.
VARIABLES = 100


def parse_expression(text: str, /, *, names: Mapping[str, sp.Expr] | Iterable[str] | None = None) -> sp.Expr:
    """The SymPy expression that ``text`` spells.

    Args:
        text: for example ``"z^2/(x^2 + y^2 + z^2)"``.
        names: the names that may occur, or a mapping from names to what they stand for (a name of a constant or a
            function may be given a new meaning). ``None``: every name is a real symbol.

    Raises:
        InputError: with the text, a caret under the place, and what to do.

    >>> parse_expression("0.3*x^2 - sqrt(8)")
    3*x**2/10 - 2*sqrt(2)
    """
    return _read(text, names)[0]


def parse_loss(text: str, /) -> Loss:
    """The loss that ``text`` spells: its variables in natural order (w2 before w10), no minima known.

    >>> parse_loss("x^2/(x^2 + y^2)").variables
    (x, y)
    """
    expression, used = _read(text, None)
    variables = tuple(sp.Symbol(name, real=True) for name in sorted(used, key=natural_order))
    if len(variables) < 2:
        raise InputError(
            f"the loss {short(text)!r} has {len(variables)} variables; a scale-invariant loss needs at least two, "
            "as in x^2/(x^2 + y^2)."
        )
    if len(variables) > VARIABLES:
        raise InputError(
            f"the loss {short(text)!r} has {len(variables)} variables; {VARIABLES} is the limit of a formula, whose "
            "algebra would take hours: write it in jax.numpy as an Objective, which may have millions."
        )
    return Loss(name=short(text), variables=variables, expression=expression)


def remarks(text: str, /) -> list[str]:
    """Notes on what the reader of an expression takes some of its names for, where another reader would not.

    >>> remarks("E^2/(E^2 + x^2)")
    ["E is read as Euler's number, 2.718...; call a variable e, or E1."]
    """
    words = tokenize(text)
    called = {a.column for a, b in pairwise(words) if b.text == "("}
    found = dict.fromkeys(word.text for word in words if word.kind == "name" and word.column not in called)
    said = ["E is read as Euler's number, 2.718...; call a variable e, or E1."] if "E" in found else []
    for name in found:
        twin = name.translate(_TWINS)
        if twin != name and twin.isascii():
            letter = next(c for c in name if not c.isascii())
            said.append(
                f"{name!r} is written with {unicodedata.name(letter)} and is a variable of its own that looks like the "
                f"Latin {twin!r}; write that one if it is meant."
            )
    return said


def _read(text: str, names: Mapping[str, sp.Expr] | Iterable[str] | None) -> tuple[sp.Expr, set[str]]:
    """The expression, and the names it is written with (also those that cancel)."""
    if not isinstance(text, str):
        raise InputError(f"an expression is text, not {type(text).__name__}.")
    if len(text) > LENGTH:
        raise InputError(
            f"the expression has {len(text)} characters; {LENGTH} is the limit. Build it with SymPy in a file and name "
            "that: file.py:attribute."
        )
    if not text.strip():
        raise InputError("the expression is empty; write one such as x^2/(x^2 + y^2).")

    def build() -> tuple[Parser, Callable[[], tuple[sp.Expr, set[str]]]]:
        parser = Parser(text, tokenize(text), names)
        return parser, lambda: (parser.parse(), parser.used)

    return in_time(text, build)
