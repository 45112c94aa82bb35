"""Errors that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "NoClosedForm", "did_you_mean", "known_names"]


class InputError(ValueError):
    """The input was wrong; the message says what, where, and what to do.

    Every mistake that can be seen without running anything raises this at once. The command line turns it into one line
    on standard error and exit status 2.
    """


class NoClosedForm(ArithmeticError):
    """A quantity exists, but this program finds no closed form for it (say, the roots of an irreducible cubic).

    Not a mistake of the user's: the claims that need the closed form are undecided, the numeric checks go on.
    """


def did_you_mean(name: str, names: Iterable[str], /) -> str:
    """A question about a misspelt name, with a space behind it; empty where no name is near.

    >>> did_you_mean("rigde", ["conic", "ridge"]), did_you_mean("q", ["ridge"])
    ('did you mean ridge? ', '')
    """
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]}? " if near else ""


def known_names(name: str, names: Iterable[str], /) -> str:
    """The end of the sentence "there is no ... ;": the nearest of the names there are, and all of them.

    >>> known_names("rigde", ["conic", "ridge"]), known_names("q", [])
    ('did you mean ridge? There are conic, ridge.', 'there are none.')
    """
    names = tuple(names)
    hint = did_you_mean(name, names)
    return f"{hint}{'There' if hint else 'there'} are {', '.join(names) or 'none'}."
