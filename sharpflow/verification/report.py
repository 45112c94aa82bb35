"""A verification as one HTML page: what is claimed, how it was derived, what was measured, what failed.

The page needs nothing else: styles, formulas (MathML) and pictures are inside, there is no script and no address to
load from.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from sharpflow.terminal.output import replacing

if TYPE_CHECKING:
    from sharpflow.claim import StepView, Verdict
    from sharpflow.verification.verification import Verification

__all__ = ["Picture", "page", "write_report"]

# A word and a sign: the colour is only a third way to see it.
SIGNS = {
    "proved": "&#10003;", "consistent": "&#10003;", "refuted": "&#10007;", "inconsistent": "&#10007;", "undecided": "?",
    "inconclusive": "?", "none": "&#8211;", "not_run": "&#8211;", "not_applicable": "&#8211;",
    "error": "&#9888;",
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """An image with its title and caption; ``kind`` is its media type, ``image/png`` or ``image/svg+xml``."""

    title: str
    caption: str
    content: bytes
    kind: str = "image/png"


def write_report(verification: Verification, folder: str, /, *, pictures: Sequence[Picture] = ()) -> Path:
    """Write ``folder/index.html`` and return its path; the file appears whole or not at all."""
    place = Path(folder) / "index.html"
    with replacing(str(place), "--out") as temporary:
        temporary.write_text(page(verification, pictures=pictures), encoding="utf-8")
    return place


def page(verification: Verification, /, *, pictures: Sequence[Picture] = ()) -> str:
    """The page as text."""
    style = resources.files("sharpflow").joinpath("report.css").read_text(encoding="utf-8")
    verdicts = verification.verdicts
    sections = [(name, list(group)) for name, group in groupby(verdicts, key=lambda v: v.section)]
    body = [
        _head(verification),
        _failures("What failed", verification.wrong),
        _failures("What was left open", verification.open),
        _failures("Mistakes of sharpflow itself", verification.errors) if verification.errors else "",
        _contents(sections, bool(pictures)),
        *(_section(name, group) for name, group in sections),
        _pictures(pictures),
        _environment(verification),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Verification of the sharpness-reduction theory</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def _verdict(name: str) -> str:
    return f'<span class="verdict {name}">{SIGNS[name]} {escape(name.replace("_", " "))}</span>'


def _head(verification: Verification) -> str:
    counts = verification.counts()
    losses = dict.fromkeys(v.loss for v in verification.verdicts if v.loss != "generic")
    rows = "".join(
        f"<tr><th>{title}</th><td>{', '.join(f'{n} {_verdict(name)}' for name, n in counts[kind].items())}</td></tr>"
        for title, kind in (("Proofs", "proof"), ("Measurements", "numeric"))
    )
    stopped = "<p><strong>The run was interrupted; the verdicts below are complete, others are missing.</strong></p>"
    return (
        "<h1>Verification of the sharpness-reduction theory</h1>\n"
        f"<p>{len(verification.verdicts)} verdicts on {len(losses)} {'loss' if len(losses) == 1 else 'losses'} "
        f"({escape(', '.join(losses))}) in "
        f"{verification.seconds:.0f} s. Every claim has two halves that are never merged: a symbolic proof, and a "
        "measurement by a path that does not use the proof's formulas; <em>none</em> and <em>not run</em> say that a "
        "claim has no such half, or is measured on each loss instead. The scale-invariant loss is minimised by "
        "gradient descent with weight decay unless a claim names another rule.</p>\n"
        f"{stopped if verification.interrupted else ''}<table>{rows}</table>"
    )


def _failures(title: str, verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return f"<p>{title}: nothing.</p>"
    items = "".join(
        f'<li><a href="#{_anchor(v.id)}">{escape(v.title)}</a> on {escape(v.loss)}: {_verdict(v.proof)}, '
        f'{_verdict(v.numeric)}. <span class="message">{escape(v.message)}</span></li>'
        for v in verdicts
    )
    return f'<div class="failures"><h2>{title}</h2><ul>{items}</ul></div>'


def _anchor(name: str) -> str:
    return "claim-" + "".join(c if c.isalnum() else "-" for c in name)


def _contents(sections: Sequence[tuple[str, list[Verdict]]], has_pictures: bool) -> str:
    items = []
    for name, group in sections:
        inner = "".join(
            f'<li><a href="#{_anchor(key)}">{escape(next(rows).title)}</a></li>'
            for key, rows in groupby(group, key=lambda v: v.id)
        )
        items.append(f'<li><a href="#{_anchor("section " + name)}">{escape(name)}</a><ul>{inner}</ul></li>')
    if has_pictures:
        items.append('<li><a href="#pictures">Pictures</a></li>')
    return f"<nav><h2>Contents</h2><ul>{''.join(items)}</ul></nav>"


def _section(name: str, verdicts: Iterable[Verdict]) -> str:
    claims = "\n".join(_claim(list(group)) for _, group in groupby(verdicts, key=lambda v: v.id))
    return f'<section><h2 id="{_anchor("section " + name)}">{escape(name.capitalize())}</h2>\n{claims}</section>'


def _claim(verdicts: list[Verdict]) -> str:
    from sharpflow.theory.writing.notation import formula

    first = verdicts[0]
    if len({v.rule for v in verdicts}) > 1:
        verdicts = [replace(v, loss=f"{v.loss}, {v.rule}") for v in verdicts]
    rows = "".join(_result(v) for v in verdicts)
    # A derivation on every loss is the same for each: once is enough.
    different = {tuple((step.title, step.statement, step.status) for step in v.steps): v for v in reversed(verdicts)}
    derivations = "\n".join(_derivation(v) for v in verdicts if v.steps and v in different.values())
    return (
        f'<article><h3 id="{_anchor(first.id)}">{escape(first.title)}</h3>\n'
        f'<div class="equation"><math display="block">{formula(first.statement)}</math></div>\n'
        f'<p class="note">Claim <code>{escape(first.id)}</code>, rule {escape(first.rule)}. '
        f"Source: {escape(first.source)}.</p>\n"
        '<div class="wide"><table><thead><tr><th>loss</th><th>proof</th><th>measurement</th><th>measured</th>'
        f"<th>expected</th><th>tolerance</th><th>seconds</th></tr></thead><tbody>{rows}</tbody></table></div>\n"
        f"{_messages(verdicts)}\n{derivations}</article>"
    )


def _result(v: Verdict) -> str:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.6g}"

    bound = "&le; " if v.upper and v.expected is not None else ""
    return (
        f"<tr><td>{escape(v.loss)}</td><td>{_verdict(v.proof)}</td><td>{_verdict(v.numeric)}</td>"
        f'<td class="number">{number(v.measured)}</td><td class="number">{bound}{number(v.expected)}</td>'
        f'<td class="number">{"" if v.tolerance is None else f"{v.tolerance:.2g}"}</td>'
        f'<td class="number">{v.seconds:.1f}</td></tr>'
    )


def _messages(verdicts: Sequence[Verdict]) -> str:
    """The measurements and why the tolerance is what it is, once for all losses it is said of."""
    said: dict[str, list[str]] = {}
    for v in verdicts:
        if v.message:
            said.setdefault(v.message, []).append(v.loss)
    if len(said) == 1 and len(verdicts) == len(next(iter(said.values()))):
        return f'<p class="message">{escape(next(iter(said)))}.</p>'
    items = "".join(
        f'<li class="message"><b>{escape(", ".join(losses))}</b>: {escape(text)}.</li>' for text, losses in said.items()
    )
    return f"<ul>{items}</ul>" if items else ""


def _derivation(v: Verdict) -> str:
    opened = " open" if v.proof in ("refuted", "undecided") else ""
    steps = "".join(_step(step) for step in v.steps)
    count = f"{len(v.steps)} step{'' if len(v.steps) == 1 else 's'}"
    return (
        f"<details{opened}><summary>Derivation, {escape(v.loss)}: {count}, {_verdict(v.proof)}</summary>"
        f'<ol class="steps">{steps}</ol></details>'
    )


def _step(step: StepView) -> str:
    parts = [f"<b>{escape(step.title)}</b> {_verdict(step.status)}"]
    parts.append(f'<div class="equation"><math display="block">{step.mathml}</math></div>')
    if step.note:
        parts.append(f'<div class="note">{escape(step.note)}</div>')
    parts.append(f'<div class="note">Closed by: {escape(step.method or "nothing")}; {step.seconds:.2f} s.</div>')
    if step.witness:
        where = ", ".join(f"{name} = {value}" for name, value in step.witness)
        parts.append(f'<div class="refuted">Witness: {escape(where)}</div>')
    if step.residual:
        parts.append(f'<div class="wide"><code>residual: {escape(step.residual)}</code></div>')
    return f"<li>{''.join(parts)}</li>"


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    figures = "".join(
        f'<figure><img alt="{escape(p.title, quote=True)}" '
        f'src="data:{p.kind};base64,{base64.b64encode(p.content).decode()}">'
        f"<figcaption><b>{escape(p.title)}.</b> {escape(p.caption)}</figcaption></figure>"
        for p in pictures
    )
    return f'<section><h2 id="pictures">Pictures</h2>{figures}</section>'


def _environment(verification: Verification) -> str:
    from sharpflow.version import __version__

    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in {"sharpflow": __version__, **verification.environment}.items()
    )
    return f"<footer><h2>Environment</h2><table>{rows}</table></footer>"
