r"""A derivation written out: as text for a terminal, as Markdown with GitHub's mathematics, as a LaTeX document.

Markdown has its equations in fences (```` ```math ````) and its symbols as ``$`...`$``: inside these GitHub reads
neither ``_`` nor ``*`` nor ``\\`` as marks of its own. The LaTeX needs amsmath, amssymb and graphicx only; an
equation that is wider than the page is broken at its relation and between terms, and shrunk where that is not
enough.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.pretty_symbology import pretty_use_unicode
from sympy.printing.pretty.stringpict import prettyForm

from sharpflow.theory.errors import InputError
from sharpflow.theory.writing.notation import LATEX, latex, latex_text, prose

if TYPE_CHECKING:
    from sharpflow.theory.derivation.derivation import Derivation
    from sharpflow.theory.proving.proof import Proof, Step

__all__ = ["STYLES", "render"]

STYLES = ("text", "markdown", "latex")
WIDTH = 88
# A line of an equation on paper has room for about so many symbols; a fraction counts the longer of its parts.
LINE = 75
# A name on the left of a long equation stays in its first line.
SHORT = 15
# Beyond this nobody reads an equation: it is named by its length, and stands in the JSON in full.
LONGEST = 2500
RELATIONS = {"=": "=", ">": ">", ">=": r"\ge", "<=": r"\le"}
Equation = tuple[Any, str, Any]


def render(derivation: Any, style: str, /, *, unicode: bool = True) -> str:
    """A derivation, of a loss or of the generic one, in one of `STYLES`; text in ASCII where ``unicode`` is false.

    Raises:
        InputError: there is no such style.
    """
    if style == "text":
        return "\n".join(_text(derivation, unicode)) + "\n"
    if style == "markdown":
        return "\n".join(_markdown(derivation)) + "\n"
    if style == "latex":
        return "\n".join(_document(derivation)) + "\n"
    raise InputError(f"a derivation is written as {', '.join(STYLES)}, not {style!r}.")


# What all three say


def _title(derivation: Any) -> str:
    if derivation.loss is None:
        return derivation.title
    return f"From {derivation.rule.name} on {derivation.loss.name} to the flow along its minimizers"


def _setting(derivation: Any) -> Iterator[tuple[str, Equation]]:
    """What is given: words and an equation each."""
    loss = derivation.loss
    if loss is None:
        yield from derivation.setting()
        return
    yield "The loss:", (sp.Function("L")(*loss.variables), "=", loss.expression)
    if loss.minima is not None:
        point = sp.Matrix(loss.minima.point).T
        chart = ", ".join(symbol.name for symbol in loss.minima.chart)
        yield f"Gamma, the directions of its minimizers, in the chart {chart}:", (sp.Symbol("P"), "=", point)


def _results(derivation: Any) -> Iterator[tuple[str, Equation]]:
    """What the reader came for: words and an equation each."""
    if derivation.loss is None:
        yield from derivation.results()
        return
    flow = derivation.flow
    if flow is None:
        return
    tau = sp.Symbol("tau", positive=True)
    yield "Sharpness on Gamma:", (sp.Symbol("lambda_1"), "=", flow.sharpness)
    if not flow.stands_still:
        yield "Squared length of its logarithmic gradient:", (sp.Symbol("K2"), "=", flow.log_gradient_squared)
    rate = derivation.rule.rate.replace("**", "^").replace("*", " ")
    words = f"The flow, in the time tau = {rate} t:"
    for symbol, f in zip(flow.chart, flow.field, strict=True):
        yield words, (sp.Derivative(sp.Function(symbol.name)(tau), tau), "=", f)
        words = ""
    for symbol, solution in (flow.closed_form or {}).items():
        yield "Its solution:", (sp.Function(symbol.name)(tau), "=", solution)
    if flow.closed_form is None:
        for symbol, invariant in flow.invariants.items():
            yield "This quantity advances as tau does:", (sp.Function("I")(symbol), "=", invariant)
    if flow.conserved is not None:
        yield "This quantity is conserved:", (sp.Function("C")(*flow.chart), "=", flow.conserved)
    if derivation.energy_coefficient is not None:
        words = "Energy of the oscillation, dE/d tau = c <U^2> at the default constants:"
        yield words, (sp.Symbol("c"), "=", derivation.energy_coefficient)


def _verdict(derivation: Any) -> str:
    counts = ", ".join(f"{n} {status.value}" for status, n in derivation.counts().items())
    again = sum(step.second.startswith("confirmed") for step in derivation.steps)
    return (
        f"{len(derivation.steps)} steps, {counts}; {again} confirmed again by exact rational arithmetic; "
        f"the checks took {derivation.seconds:.1f} s."
    )


def _status(proof: Proof, step: Step, derivation: Derivation) -> str:
    declared = proof in derivation.expected and step.status.value == "refuted"
    return f"{step.status.value}, as the loss declares" if declared else step.status.value


def _closing(step: Step) -> str:
    """How a step was closed, and where not, what is left."""
    line = f"Method: {step.method}; {step.seconds:.2f} s." if step.method else f"{step.seconds:.2f} s."
    if step.witness:
        line += " Witness: " + ", ".join(f"{name} = {value}" for name, value in step.witness.items()) + "."
    elif step.status.value == "undecided" and step.residual is not None:
        line += f" Left over: {_shortened(sp.sstr(step.residual), 300)}."
    return line


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} ... ({len(text)} characters)"


def _plain(value: Any) -> Any:
    """A matrix of one entry as that entry."""
    return value[0] if isinstance(value, sp.MatrixBase) and value.shape == (1, 1) else value


def _sides(step: Step) -> Equation:
    return _plain(step.lhs), step.relation, _plain(step.rhs)


# Text


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
    return _wrapped(_shortened(plain, LONGEST), indent)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else sp.sstr(value)


def _wrapped(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(
        text, WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False, break_long_words=True
    )


def _text(derivation: Derivation, unicode: bool) -> Iterator[str]:
    yield from (_title(derivation), "=" * len(_title(derivation)))
    for words, equation in _setting(derivation):
        yield from ("", *_wrapped(words, 0), "", *_drawn(equation, unicode, 4))
    number = 0
    for proof in derivation.proofs:
        yield from ("", "", proof.title, "-" * len(proof.title))
        for step in proof.steps:
            number += 1
            yield ""
            yield from textwrap.wrap(
                f"{step.title} [{_status(proof, step, derivation)}]", WIDTH, initial_indent=f"{number:3}. ",
                subsequent_indent=" " * 5,
            )  # fmt: skip
            yield from ("", *_drawn(_sides(step), unicode, 9), "")
            yield from _wrapped(f"{_closing(step)} {step.note}".rstrip(), 5)
    yield from ("", "", "Result", "------")
    for words, equation in _results(derivation):
        yield from (*(["", *_wrapped(words, 0)] if words else []), "", *_drawn(equation, unicode, 4))
    for remark in (*derivation.remarks, _verdict(derivation)):
        yield from ("", *_wrapped(remark, 0))


# Markdown


def _marked(text: str) -> str:
    """Words with symbols as mathematics and everything that Markdown reads as a mark escaped."""
    written = []
    for is_math, piece in prose(text):
        written.append(f"$`{piece}`$" if is_math else re.sub(r"([\\`*_{}\[\]<>|#$~&+!-])", r"\\\1", piece))
    return "".join(written)


def _markdown(derivation: Derivation) -> Iterator[str]:
    yield f"# {_marked(_title(derivation))}"
    for words, equation in _setting(derivation):
        yield from ("", _marked(words), "", *_fenced(equation))
    number = 0
    for proof in derivation.proofs:
        yield from ("", f"## {_marked(proof.title)}")
        for step in proof.steps:
            number += 1
            status = _status(proof, step, derivation)
            yield from ("", f"**{number}\\.** {_marked(step.title)} (**{status}**)", "", *_fenced(_sides(step)), "")
            yield _marked(f"{_closing(step)} {step.note}".rstrip())
    yield from ("", "## Result")
    for words, equation in _results(derivation):
        yield from (*(["", _marked(words)] if words else []), "", *_fenced(equation))
    for remark in (*derivation.remarks, _verdict(derivation)):
        yield from ("", _marked(remark))


def _fenced(equation: Equation) -> tuple[str, ...]:
    rows = _rows(equation)
    if len(rows) > 1:
        rows = [r"\begin{gathered}", *(row + r" \\" for row in rows[:-1]), rows[-1], r"\end{gathered}"]
    return ("```math", *rows, "```")


# LaTeX

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


def _typeset(text: str) -> str:
    """Words with symbols as mathematics and everything that LaTeX reads as a command escaped."""
    return "".join(f"${piece}$" if is_math else latex_text(piece) for is_math, piece in prose(text))


def _document(derivation: Derivation) -> Iterator[str]:
    title = _typeset(_title(derivation))
    yield from (PREAMBLE, r"\begin{document}", rf"{{\Large\bfseries {title}\par}}", r"\bigskip")
    for words, equation in _setting(derivation):
        yield from (_typeset(words), *_displayed(equation))
    number = 0
    for proof in derivation.proofs:
        yield from ("", rf"\section{{{_typeset(proof.title)}}}")
        for step in proof.steps:
            number += 1
            status = latex_text(_status(proof, step, derivation))
            yield rf"\step{{{number}}}{{{_typeset(step.title)}}}{{{status}}}"
            yield from _displayed(_sides(step))
            words = _typeset(f"{_closing(step)} {step.note}".rstrip())
            yield from (r"\begin{reason}", words, r"\end{reason}")
    yield from ("", r"\section*{Result}")
    for words, equation in _results(derivation):
        yield from (_typeset(words), *_displayed(equation))
    for remark in (*derivation.remarks, _verdict(derivation)):
        yield from ("", _typeset(remark))
    yield r"\end{document}"


def _displayed(equation: Equation) -> tuple[str, ...]:
    rows = [rf"\fit{{{row}}}" for row in _rows(equation)]
    return (r"\begin{gather*}", *(row + r" \\" for row in rows[:-1]), rows[-1], r"\end{gather*}")


def _rows(equation: Equation) -> list[str]:
    """The lines of an equation: broken at the relation, then between terms, where it is long."""
    left, relation, right = equation
    sign = RELATIONS[relation]
    written = f"{_math(left)} {sign} {_math(right)}"
    if _length(written) <= LINE:
        return [written]
    if isinstance(left, sp.MatrixBase) and isinstance(right, sp.MatrixBase) and left.shape == right.shape:
        return [row for one, other in zip(left, right, strict=True) for row in _rows((one, relation, other))]
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
