r"""Vectors of LaTeX: \nabla L, \nabla^2 L, w^\top, and the rows and columns of a pmatrix."""

from __future__ import annotations

import re
from typing import Any

from sharpflow.naming.tokens import Token
from sharpflow.statements.lexemes import call, parenthesised

__all__ = ["array", "gradient", "transposes"]

ARRAYS = ("pmatrix", "bmatrix", "matrix", "smallmatrix")


def gradient(reader: Any, column: int) -> list[Token]:
    r"""\nabla L(w) is grad L(w), \nabla^2 L(w) is Hess L(w)."""
    name = "grad"
    if reader.accept("^"):
        begin, end = reader.group("^")
        if reader.plain(begin, end) != "2":
            reader.fail(column, "\\nabla to this power has no meaning here", "write \\nabla L or \\nabla^2 L")
        name = "Hess"
    if reader.next.text != "L" or not reader.functions("L"):
        reader.fail(column, "\\nabla of this has no meaning here", "\\nabla L and \\nabla^2 L have one, with a loss")
    return [Token("name", name, column), *reader.atom()]


def transposes(reader: Any) -> bool:
    r"""True where ^\top comes next; it is taken."""
    after = reader.lexemes[reader.position + 1 : reader.position + 5]
    texts = [x.text for x in after]
    for length, form in ((1, ["\\top"]), (1, ["\\intercal"]), (3, ["{", "\\top", "}"])):
        if texts[:length] == form:
            reader.position += 1 + length
            return True
    if texts[:1] and texts[0] in ("\\mathsf", "\\mathrm") and "T" in texts[1:3]:
        reader.position += 3 if texts[1] == "T" else 5
        return True
    return False


def array(reader: Any, column: int) -> list[Token]:
    r"""\begin{pmatrix} a & b \\ c & d \end{pmatrix} as ((a, b), (c, d)); a single row or column is a vector."""
    begin, end = reader.group("\\begin")
    kind = reader.plain(begin, end)
    if kind not in ARRAYS:
        reader.fail(column, f"\\begin{{{kind}}} has no meaning here", "\\begin{pmatrix} has one")
    opened = reader.lexemes[reader.position - 1].column + 1
    finished = reader.text.find(f"\\end{{{kind}}}", opened)
    if finished < 0:
        reader.fail(column, f"this \\begin{{{kind}}} never ends", f"add \\end{{{kind}}}")
    rows, edges = [list[list[Token]]()], opened
    marks = [*re.finditer(r"\\\\(?:\s*\[[^\]]*\])?|(?<!\\)&", reader.text[opened:finished]), None]
    for mark in marks:
        stop = finished if mark is None else opened + mark.start()
        inside = [i for i, x in enumerate(reader.lexemes) if edges <= x.column < stop and x.kind != "end"]
        if inside:
            rows[-1].append(reader.inside(inside[0], inside[-1] + 1))
        elif mark is not None or rows[-1]:
            reader.fail(min(edges, len(reader.text) - 1), "an empty entry", "write 0 where there is nothing")
        edges = finished if mark is None else opened + mark.end()
        if mark is not None and mark.group() != "&":
            rows.append([])
    while reader.next.column < finished and reader.next.kind != "end":
        reader.take()
    reader.take()
    reader.group("\\end")
    rows = [row for row in rows if row]
    if len(rows) == 1 or all(len(row) == 1 for row in rows):
        return _tuple([cell for row in rows for cell in row], column)
    return _tuple([_tuple(row, column) for row in rows], column)


def _tuple(parts: list[list[Token]], column: int) -> list[Token]:
    words = parts[0]
    for part in parts[1:]:
        words = [*words, Token("operator", ",", column), *part]
    return parenthesised(words, column) if len(parts) > 1 else call("vector", words, column)
