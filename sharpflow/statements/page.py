"""Statements as one HTML page: as their author wrote them, a mark beside each, the proof below, curves that differ."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpflow.terminal.output import replacing

if TYPE_CHECKING:
    from sharpflow.statements.prove import StatementResult

__all__ = ["page", "write_page"]

SIGNS = {"proved": "&#10003;", "refuted": "&#10007;", "undecided": "?", "none": "&#8211;"}
# Longer formulas are shown as they were written.
LONGEST = 1500
POINTS = 400


def write_page(results: Sequence[StatementResult], folder: str, /, *, title: str) -> Path:
    """Write ``folder/index.html`` and return its path; the file appears whole or not at all."""
    place = Path(folder) / "index.html"
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(str(place), "--out") as temporary:
        temporary.write_text(page(results, title=title), encoding="utf-8")
    return place


def page(results: Sequence[StatementResult], /, *, title: str) -> str:
    """The page as text; it needs nothing else."""
    style = resources.files("sharpflow").joinpath("report.css").read_text(encoding="utf-8")
    counts = ", ".join(
        f"{sum(r.proof == kind for r in results)} {kind}"
        for kind in ("proved", "refuted", "undecided")
        if any(r.proof == kind for r in results)
    )
    body = "\n".join(_article(result, i) for i, result in enumerate(results, 1))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{len(results)} statements: {counts or 'nothing claimed'}.</p>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _article(result: StatementResult, index: int) -> str:
    where = "" if result.line is None else f"line {result.line}"
    number = result.number or ("" if where else str(index))
    mark = f'<span class="verdict {result.proof}">{SIGNS[result.proof]} {result.proof}</span>'
    parts = [
        f'<article id="statement-{index}"><h3>{f"({escape(number)}) " if number else ""}{mark} {where}</h3>',
        f'<div class="equation">{_shown(result)}</div>',
        f'<div class="wide"><code>{escape(result.text)}</code></div>',
        f'<p class="message">{escape(result.sentence)}</p>',
    ]
    if result.witness:
        rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in result.witness.items())
        parts.append(f'<div class="refuted"><table>{rows}</table></div>')
    if picture := _curves(result):
        parts.append(picture)
    steps = [step for step in result.steps if step.title]
    if steps:
        items = "".join(
            f"<li><b>{escape(s.title)}</b>: {escape(s.status.value)}, {escape(s.method)}"
            f'<div class="wide"><code>{escape(s.statement[:LONGEST])}</code></div></li>'
            for s in steps
        )
        count = f"{len(steps)} checked step{'s' * (len(steps) > 1)}"
        parts.append(f'<details><summary>{count}</summary><ol class="steps">{items}</ol></details>')
    return "\n".join([*parts, "</article>"])


def _shown(result: StatementResult) -> str:
    """The statement as MathML."""
    from sharpflow.theory.writing.notation import mathml as written

    def mathml(e: Any) -> str:
        # The derivatives of statements are those of functions of one variable.
        return written(_readable(e)).replace("<mo>&#x2202;</mo>", "<mi>d</mi>")

    if result.statement is None or len(result.text) > LONGEST:
        return ""
    signs = {"<": "&lt;", ">": "&gt;", "<=": "&#8804;", ">=": "&#8805;", "~": "&#8764;"}
    rows: list[str] = []
    before = None
    for link in result.statement.links:
        sign = f"<mo>{signs.get(link.symbol, link.symbol)}</mo>"
        left = "" if before == link.lhs else ("<mo>,</mo>" if rows else "") + mathml(link.lhs)
        rows.append(f"{left}{sign}{mathml(link.rhs)}")
        before = link.rhs
    return f'<math display="block"><mrow>{"".join(rows)}</mrow></math>'


def _readable(e: Any) -> Any:
    """The expression with derivatives and averages as papers write them."""
    import sympy as sp

    from sharpflow.theory.statements.nodes import Along, Fast, Landau, LossAt, Meant, Slope

    averages = {"mean_square": "<x^2>", "excess_loss": "<L - min L>"}
    e = e.xreplace({s: sp.Symbol(averages[s.name]) for s in e.atoms(Meant) if s.name in averages})
    for node, by in ((Along, sp.Symbol("tau")), (Fast, sp.Symbol("T"))):
        e = e.replace(node, lambda a, by=by: sp.Derivative(a, by, evaluate=False))
    e = e.replace(Slope, lambda a, x: sp.Derivative(a, x, evaluate=False))
    e = e.replace(Landau, sp.Function("O"))

    def derivative(*arguments: Any) -> Any:
        variables, point = LossAt(*arguments).parts
        return sp.Function("_".join(["L", "".join(map(str, variables))]).strip("_"))(*point)

    return e.replace(LossAt, derivative)


def _curves(result: StatementResult) -> str:
    """Both sides as curves, where an equation that is refuted has one variable."""
    sides = None if result.checked is None else result.checked.sides
    if result.proof != "refuted" or sides is None:
        return ""
    symbols = sides[0].free_symbols | sides[1].free_symbols
    if len(symbols) != 1:
        return ""
    content = _png(sides, next(iter(symbols)), float(result.witness.get(str(next(iter(symbols))), 1)))
    if content is None:
        return ""
    return (
        f'<figure><img alt="both sides" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
        "<figcaption>Left side solid, right side dashed.</figcaption></figure>"
    )


def _png(sides: tuple[Any, Any], variable: Any, at: float) -> bytes | None:
    import numpy as np
    import sympy as sp

    from sharpflow.figures.style import COLUMN, DESCENT, FLOW, Figure, styled

    low = 0.0 if variable.is_nonnegative else -2 * abs(at) - 1
    grid = np.linspace(low, 2 * abs(at) + 1, POINTS + 1)[1:]
    with np.errstate(all="ignore"):
        try:
            values = [np.broadcast_to(sp.lambdify(variable, side, "numpy")(grid), grid.shape) for side in sides]
        except (TypeError, NameError, ValueError):
            return None
    if any(np.iscomplexobj(v) or not np.isfinite(v).any() for v in values):
        return None

    @styled
    def draw() -> Figure:
        figure = Figure(figsize=(COLUMN, COLUMN * 0.62), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(grid, values[0], color=FLOW, label="left")
        axes.plot(grid, values[1], color=DESCENT, linestyle="--", label="right")
        axes.axvline(at, color="0.7", linewidth=0.6)
        axes.set_xlabel(str(variable))
        axes.legend()
        return figure

    buffer = io.BytesIO()
    draw().savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
