"""A derivation as a LaTeX document, which needs amsmath, amssymb and graphicx only.

An equation that is wider than the page is broken at its relation and between terms, and shrunk where that is not
enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sympy as sp

from sharpflow.theory.proving.proof import Step
from sharpflow.theory.writing.notation import RELATIONS, latex, latex_text, prose
from sharpflow.theory.writing.sentences import LONGEST, Equation, Style, closing, sides

__all__ = ["Latex", "rows"]

# A line of an equation on paper has room for about so many symbols; a fraction counts the longer of its parts.
LINE = 75
# A name on the left of a long equation stays in its first line.
SHORT = 15
PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath,amssymb,graphicx}
\usepackage[margin=25mm]{geometry}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt plus 2pt}
\setlength{\emergencystretch}{10em}
% An equation as it is where it fits, shrunk to the width of the page where it does not.
\newsavebox{\equationbox}
\newcommand{\fit}[1]{\sbox{\equationbox}{$\displaystyle #1$}%
  \ifdim\wd\equationbox>\linewidth\resizebox{\linewidth}{!}{\usebox{\equationbox}}\else\usebox{\equationbox}\fi}
\newcommand{\step}[3]{\par\medskip\textbf{#1.} #2 \textsf{[#3]}}
\newenvironment{reason}{\par\small}{\par}"""


class Latex(Style):
    """A document that pdflatex compiles."""

    def title(self, title: str) -> Iterator[str]:
        """The preamble and a heading."""
        yield from (PREAMBLE, r"\begin{document}", rf"{{\Large\bfseries {_typeset(title)}\par}}", r"\bigskip")

    def shown(self, words: str, equation: Equation) -> Iterator[str]:
        """A displayed equation."""
        yield from (_typeset(words), *_displayed(equation))

    def section(self, title: str) -> Iterator[str]:
        """A numbered section."""
        yield from ("", rf"\section{{{_typeset(title)}}}")

    def step(self, number: int, step: Step, status: str) -> Iterator[str]:
        """A numbered step, displayed, and the reason in small print."""
        yield rf"\step{{{number}}}{{{_typeset(step.title)}}}{{{latex_text(status)}}}"
        yield from _displayed(sides(step))
        yield from (r"\begin{reason}", _typeset(closing(step)), r"\end{reason}")

    def result(self) -> Iterator[str]:
        """A section without a number."""
        yield from ("", r"\section*{Result}")

    def remark(self, sentences: str) -> Iterator[str]:
        """A paragraph."""
        yield from ("", _typeset(sentences))

    def end(self) -> Iterator[str]:
        """The end of the document."""
        yield r"\end{document}"


def _typeset(text: str) -> str:
    """Words with symbols as mathematics and everything that LaTeX reads as a command escaped."""
    return "".join(f"${piece}$" if is_math else latex_text(piece) for is_math, piece in prose(text))


def _displayed(equation: Equation) -> tuple[str, ...]:
    lines = [rf"\fit{{{row}}}" for row in rows(equation)]
    return (r"\begin{gather*}", *(row + r" \\" for row in lines[:-1]), lines[-1], r"\end{gather*}")


def rows(equation: Equation, /) -> list[str]:
    """The lines of an equation: broken at the relation, then between terms, where it is long."""
    left, relation, right = equation
    sign = RELATIONS[relation]
    written = f"{_math(left)} {sign} {_math(right)}"
    if _length(written) <= LINE:
        return [written]
    if isinstance(left, sp.MatrixBase) and isinstance(right, sp.MatrixBase) and left.shape == right.shape:
        return [row for one, other in zip(left, right, strict=True) for row in rows((one, relation, other))]
    first, *more = _terms(right)
    if _length(_math(left)) <= SHORT:
        return [f"{_math(left)} {sign} {first}", *more]
    return [*_terms(left), f"{sign} {first}", *more]


def _terms(side: Any) -> list[str]:
    """The lines of one side, filled up with terms."""
    written = _math(side)
    if _length(written) <= LINE or not isinstance(side, sp.Add) or len(written) > LONGEST:
        return [written]
    lines = [""]
    for term in side.as_ordered_terms():
        shown = latex(term)
        signed = shown if shown.startswith("-") or not lines[0] else f"+ {shown}"
        if lines[-1] and _length(lines[-1] + signed) > LINE:
            lines.append("")
        lines[-1] += f" {signed}"
    return [line.strip() for line in lines]


def _math(value: Any) -> str:
    written = latex(value)
    return written if len(written) <= LONGEST else rf"\text{{an expression of {len(sp.sstr(value))} characters}}"


def _length(written: str) -> float:
    """About how many symbols wide it is on paper: a fraction has the width of its longer part, a script 0.7 of its."""
    tokens = re.findall(r"\\[A-Za-z]+|\\.|\S", written)
    return _width(tokens)[0]


def _width(tokens: list[str], i: int = 0) -> tuple[float, int]:
    """Width of a group that begins at i, and where it ends."""
    total = 0.0
    while i < len(tokens) and tokens[i] != "}":
        part, i = _atom_width(tokens, i)
        total += part
    return total, i + 1


def _atom_width(tokens: list[str], i: int) -> tuple[float, int]:
    token = tokens[i]
    if token == "{":
        return _width(tokens, i + 1)
    if token in ("^", "_") and i + 1 < len(tokens):
        part, i = _atom_width(tokens, i + 1)
        return 0.7 * part, i
    if token == r"\frac" and i + 2 < len(tokens):
        top, i = _atom_width(tokens, i + 1)
        bottom, i = _atom_width(tokens, i)
        return max(top, bottom), i
    if token in (r"\left", r"\right", r"\mathrm", r"\text", r"\begin", r"\end", r"\,"):
        return 0.0, i + 1
    return (2.5 if token in ("=", "+", "-", ">", r"\ge", r"\le", r"\log", r"\cos", r"\sin", r"\tan") else 1.0), i + 1
