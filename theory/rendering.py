r"""A derivation as plain text, as Markdown with $ mathematics, or as a LaTeX document that compiles."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import sympy as sp

from theory.errors import InputError
from theory.notation import latex, latex_text

if TYPE_CHECKING:
    from theory.derivation import Derivation
    from theory.proof import Step

__all__ = ["STYLES", "render"]

STYLES = ("text", "markdown", "latex")
WIDTH = 100
# Beyond this many characters of LaTeX an equation is named by its length instead: it would be a page of symbols.
LONGEST = 1200


def render(derivation: Derivation, style: str, /) -> str:
    """The derivation in one of `STYLES`; raises `InputError` for another."""
    if style not in STYLES:
        raise InputError(f"a derivation is written as {', '.join(STYLES)}, not {style!r}.")
    return {"text": _text, "markdown": _markdown, "latex": _document}[style](derivation)


def _summary(derivation: Derivation) -> list[tuple[str, Any]]:
    """Name and value of what the reader came for."""
    flow, field = derivation.flow, derivation.field
    lines: list[tuple[str, Any]] = []
    if flow is None or field is None:
        return lines
    tau = sp.Symbol("tau")
    lines.append(("sharpness on Gamma", sp.Eq(sp.Symbol("lambda_1"), flow.sharpness, evaluate=False)))
    for symbol, g, f in zip(flow.chart, flow.log_sharpness_gradient, field, strict=True):
        name = sp.Symbol(f"g^{symbol.name}")
        lines.append((f"logarithmic gradient of the sharpness, {symbol.name}", sp.Eq(name, g, evaluate=False)))
        rate = sp.Derivative(sp.Function(symbol.name)(tau), tau)
        lines.append((f"flow of {symbol.name} in tau = {derivation.rule.rate} * t", sp.Eq(rate, f, evaluate=False)))
    if derivation.rule.name == "gd-wd":
        for symbol, value in (flow.closed_form or {}).items():
            solution = sp.Eq(sp.Function(symbol.name)(tau), value, evaluate=False)
            lines.append((f"closed form of {symbol.name}", solution))
        for symbol, value in flow.invariants.items():
            quadrature = sp.Eq(sp.Function("I")(symbol), value, evaluate=False)
            lines.append((f"I({symbol.name}) advances as tau does", quadrature))
        if flow.conserved is not None:
            lines.append(("conserved along the flow", sp.Eq(sp.Symbol("C"), flow.conserved, evaluate=False)))
    return lines


def _equation(value: Any) -> str:
    return f"{sp.sstr(value.lhs)} = {sp.sstr(value.rhs)}" if isinstance(value, sp.Eq) else sp.sstr(value)


def _latex_of(value: Any) -> str:
    return f"{latex(value.lhs)} = {latex(value.rhs)}" if isinstance(value, sp.Eq) else latex(value)


def _text(derivation: Derivation) -> str:
    title = f"{derivation.rule.name} on {derivation.loss.name}: {derivation.status.value}"
    lines = [title, "=" * len(title), "", f"L = {sp.sstr(derivation.loss.expression)}"]
    if derivation.loss.minima is not None:
        lines.append(f"Gamma: direction of {sp.sstr(derivation.loss.minima.point)}")
    number = 0
    for proof in derivation.proofs:
        lines += ["", f"{proof.title} ({proof.status.value})"]
        for step in proof.steps:
            number += 1
            lines.append(f"{number:4d}. {step.title}")
            lines += _wrapped(_shorten(step.statement), 8)
            lines.append(f"        {step.status.value}: {_shorten(step.method, 300)} ({step.seconds:.2f} s)")
            if step.witness:
                lines += _wrapped("witness: " + _witness(step), 8)
            if step.note:
                lines += _wrapped(_shorten(step.note), 8)
    lines.append("")
    lines += [line for remark in derivation.remarks for line in _wrapped(remark, 0)]
    for name, value in _summary(derivation):
        lines += [f"{name}:", *_wrapped(_shorten(_equation(value)), 4)]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: int) -> list[str]:
    space = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)


def _shorten(text: str, limit: int = LONGEST) -> str:
    return text if len(text) <= limit else f"{text[:limit]} ... ({len(text)} characters)"


def _witness(step: Step) -> str:
    return ", ".join(f"{name} = {value}" for name, value in step.witness.items())


def _markdown(derivation: Derivation) -> str:
    lines = [f"# {_plain(derivation.rule.name)} on {_plain(derivation.loss.name)}: {derivation.status.value}", ""]
    lines += [f"$$L = {_math(derivation.loss.expression)}$$", ""]
    number = 0
    for proof in derivation.proofs:
        lines += [f"## {_plain(proof.title)}", ""]
        for step in proof.steps:
            number += 1
            lines += [f"**{number}. {_plain(step.title)}** ({step.status.value})", "", f"$${_statement(step)}$$", ""]
            lines.append(f"Closed by: {_plain(_shorten(step.method, 300))} ({step.seconds:.2f} s).")
            if step.witness:
                lines.append(f"Witness: {_plain(_witness(step))}.")
            if step.note:
                lines.append(_plain(_shorten(step.note)))
            lines.append("")
    lines += [f"{_plain(remark)}\n" for remark in derivation.remarks]
    if summary := _summary(derivation):
        lines += ["## Result", ""]
        for name, value in summary:
            lines += [f"{_plain(name)}:", "", f"$${_latex_of(value)}$$", ""]
    return "\n".join(lines).rstrip() + "\n"


def _plain(text: str) -> str:
    """Text with what Markdown reads as marks escaped."""
    return re.sub(r"([\\`*_{}\[\]<>|#$^~])", r"\\\1", text)


def _math(value: Any) -> str:
    written = latex(value)
    return written if len(written) <= 2 * LONGEST else r"\text{an expression of " + str(len(written)) + " characters}"


def _statement(step: Step) -> str:
    relation = {"=": "=", ">": ">", ">=": r"\ge", "<=": r"\le"}[step.relation]
    return f"{_math(step.lhs)} {relation} {_math(step.rhs)}"


_PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{lmodern}
\usepackage[a4paper,margin=25mm]{geometry}
\usepackage{amsmath,amssymb}
\usepackage{adjustbox}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt plus 2pt}
\newcommand{\wide}[1]{\par\medskip\centerline{\adjustbox{max width=\textwidth}{$\displaystyle #1$}}\par\medskip}
\begin{document}
"""


def _document(derivation: Derivation) -> str:
    name = f"{derivation.rule.name} on {derivation.loss.name}"
    lines = [
        _PREAMBLE,
        rf"\section*{{{latex_text(name)}: {derivation.status.value}}}",
        _wide(f"L = {_math(derivation.loss.expression)}"),
    ]
    number = 0
    for proof in derivation.proofs:
        lines.append(rf"\subsection*{{{latex_text(proof.title)}}}")
        for step in proof.steps:
            number += 1
            lines.append(rf"\textbf{{{number}. {latex_text(step.title)}}} ({latex_text(step.status.value)})")
            lines.append(_wide(_statement(step)))
            closing = rf"Closed by: {latex_text(_shorten(step.method, 300))} ({step.seconds:.2f} s)."
            if step.witness:
                closing += rf" Witness: {latex_text(_witness(step))}."
            if step.note:
                closing += " " + latex_text(_shorten(step.note, 600))
            lines += [rf"{{\small\sloppy {closing}\par}}", ""]
    lines += [latex_text(remark) + "\n" for remark in derivation.remarks]
    if summary := _summary(derivation):
        lines.append(r"\subsection*{Result}")
        for title, value in summary:
            lines += [latex_text(title) + ":", _wide(_latex_of(value))]
    return "\n".join(lines) + "\n\\end{document}\n"


def _wide(formula: str) -> str:
    return rf"\wide{{{formula}}}"
