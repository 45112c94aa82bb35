"""A derivation as text for a terminal, its equations drawn over several lines where they are short."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.pretty_symbology import pretty_use_unicode
from sympy.printing.pretty.stringpict import prettyForm

from sharpflow.theory.proving.proof import Step
from sharpflow.theory.writing.notation import LATEX
from sharpflow.theory.writing.sentences import LONGEST, Equation, Style, closing, shortened, sides

__all__ = ["Text"]

WIDTH = 88


@dataclass(frozen=True)
class Text(Style):
    """Text of 88 columns; in ASCII where ``unicode`` is false."""

    unicode: bool = True

    def title(self, title: str) -> Iterator[str]:
        """An underlined heading."""
        yield from (title, "=" * len(title))

    def shown(self, words: str, equation: Equation) -> Iterator[str]:
        """A drawn equation."""
        yield from (*(["", *_wrapped(words, 0)] if words else []), "", *_drawn(equation, self.unicode, 4))

    def section(self, title: str) -> Iterator[str]:
        """An underlined heading after two blank lines."""
        yield from ("", "", title, "-" * len(title))

    def step(self, number: int, step: Step, status: str) -> Iterator[str]:
        """A numbered paragraph, a drawn equation, the reason; indented."""
        yield ""
        yield from textwrap.wrap(
            f"{step.title} [{status}]", WIDTH, initial_indent=f"{number:3}. ", subsequent_indent=" " * 5
        )
        yield from ("", *_drawn(sides(step), self.unicode, 9), "")
        yield from _wrapped(closing(step), 5)

    def remark(self, sentences: str) -> Iterator[str]:
        """A wrapped paragraph."""
        yield from ("", *_wrapped(sentences, 0))


class _Pretty(PrettyPrinter):
    def _print_Symbol(self, e: sp.Symbol, bold_name: bool = False) -> prettyForm:
        # Names such as K2 and <X^2> are not to be read as indices.
        name = {"K2": "K^2"}.get(e.name, e.name)
        return prettyForm(name) if e.name in LATEX else super()._print_Symbol(e, bold_name)


def _drawn(equation: Equation, unicode: bool, indent: int) -> list[str]:
    """Over several lines where that is short, otherwise in one line that is wrapped."""
    left, relation, right = equation
    margin = " " * indent
    plain = f"{left if isinstance(left, str) else sp.sstr(left)} {relation} {_string(right)}"
    if len(plain) <= 4 * WIDTH:
        printer = _Pretty({"use_unicode": unicode, "wrap_line": False})
        # The setting of a printer does not reach its fractions and brackets; the global one does.
        before = pretty_use_unicode(unicode)
        try:
            parts = [prettyForm(x) if isinstance(x, str) else printer._print(x) for x in (left, right)]
            picture = prettyForm(*prettyForm.next(parts[0], prettyForm(f" {relation} "), parts[1]))
            lines = [line.rstrip() for line in str(picture.render(wrap_line=False)).splitlines()]
        finally:
            pretty_use_unicode(before)
        if len(lines) <= 12 and max(map(len, lines)) <= WIDTH - indent:
            return [margin + line for line in lines]
    return _wrapped(shortened(plain, LONGEST), indent)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else sp.sstr(value)


def _wrapped(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(
        text, WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False, break_long_words=True
    )
