r"""Parts of LaTeX formulas: roots, quotients, derivatives, what a name is applied to, \nabla L, w^\top, a pmatrix."""

from __future__ import annotations

import re
from typing import Any

from sharpflow.naming.grammar import FUNCTIONS
from sharpflow.naming.tokens import Token
from sharpflow.statements.lexemes import call, parenthesised

__all__ = ["array", "fraction", "gradient", "inverse", "own_argument", "reserved", "root", "transposes"]

# What a prime, d/dT, is put at.
MOVING = ("X", "U", "energy")
# With a rule, a letter of these with another subscript than those that mean something would be taken for one of them.
FAMILIES = ("lambda", "eta")
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


def own_argument(reader: Any, name: str) -> None:
    """Take the parentheses of a name (of a derivative: "") applied to what it depends on; refuse f(x) of a free f."""
    if reader.next.text != "(":
        return
    column, saved = reader.next.column, reader.position
    reader.take()
    begin, end = reader.until(")", column)
    inside = reader.plain(begin, end).replace("\\", "")
    applied = [re.sub(r"\((?:tau|T|t)\)$", "", part) for part in inside.split(",")]
    own = all(part in reader.arguments for part in applied)
    known = reader.known(name) or reader.functions(name) or not name
    if own and known:
        return
    reader.position = saved
    one = re.fullmatch(r"[A-Za-z]+(_\w+)?", inside)
    if not known and (own or one):
        reader.fail(column, f"{name}({inside}) may be a product or a function", f"define {name}, or write \\cdot")
    if name in reader.meant and re.fullmatch(r"-?(\d+|pi)(/\d+)?", inside):
        reader.fail(
            column, f"{name}({inside}) may be a product or the value there", "write \\cdot; a value is not read"
        )


def reserved(reader: Any, name: str, column: int) -> None:
    """Refuse what is no symbol: the imaginary unit, and letters of the field with a subscript that means nothing."""
    if name == "i":
        reader.fail(column, "the imaginary unit i has no meaning here", "all is real; i is a letter if under symbols")
    if name.partition("_")[0] in FAMILIES and "_" in name and "rate" in reader.meant:
        known = ", ".join(n for n in ("lambda_1", "eta_in", "eta_eff") if n != name)
        reader.fail(column, f"{name} has no meaning here", f"{known} have one; others stand under symbols or define")


def inverse(reader: Any, name: str, column: int) -> str:
    r"""\sin^{-1} is arcsin."""
    if f"a{name}" not in FUNCTIONS:
        reader.fail(
            column, f"\\{name}^{{-1}} may be the inverse function or 1 over it", f"write \\frac{{1}}{{\\{name} ...}}"
        )
    return f"a{name}"


def root(reader: Any, column: int) -> list[Token]:
    r"""\sqrt[n]{a}."""
    index: list[Token] = []
    if reader.accept("["):
        index = reader.closed("]", column)
    begin, end = reader.group("\\sqrt")
    inner = reader.inside(begin, end)
    if not index:
        return call("sqrt", inner, column)
    one = [Token("number", "1", column), Token("operator", "/", column), *index]
    return [*parenthesised(inner, column), Token("operator", "^", column), *parenthesised(one, column)]


def fraction(reader: Any, column: int) -> list[Token]:
    r"""\frac{a}{b}, or a derivative."""
    above, below = reader.group("\\frac"), reader.group("\\frac")
    derivative = _derivative(reader, above, below, column)
    if derivative is not None:
        return derivative
    top, bottom = (parenthesised(reader.inside(*part), column) for part in (above, below))
    return parenthesised([*top, Token("operator", "/", column), *bottom], column)


def _derivative(reader: Any, above: tuple[int, int], below: tuple[int, int], column: int) -> list[Token] | None:
    r"""\frac{d e}{d x}, or \frac{d}{d x} in front of e."""
    by, of = _after_d(reader, below), _after_d(reader, above)
    if by is None or of is None:
        return None
    variable = reader.inside(*by)
    if len(variable) != 1 or variable[0].kind != "name":
        reader.fail(column, "a derivative of higher order, or by no single letter", "write \\frac{d}{dx} twice")
    inner = reader.inside(*of) if of[0] < of[1] else reader.factor()
    own_argument(reader, "")
    if variable[0].text == "tau" and (reader.functions("along") or reader.known("velocity")):
        return list(reader.moving(inner, column))
    if variable[0].text == "T" and reader.functions("fast"):
        return call("fast", inner, column)
    return call("diff", [*inner, Token("operator", ",", column), *variable], column)


def _after_d(reader: Any, part: tuple[int, int]) -> tuple[int, int] | None:
    """The rest after a d, of a part that begins with one."""
    begin, end = part
    first = reader.lexemes[begin].text if begin < end else ""
    if first in ("d", "\\partial"):
        return begin + 1, end
    if first == "\\mathrm" and reader.plain(begin, begin + 4) == "{d}":
        return begin + 4, end
    return None
