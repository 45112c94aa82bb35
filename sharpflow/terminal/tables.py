"""Tables for the terminal and for Markdown pages, from rows of cells that are text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["aligned", "markdown", "number", "row"]


def number(value: float | None, digits: int = 6, /) -> str:
    """A number in ``digits`` digits, 0 for -0; nothing for ``None``.

    >>> number(0.1234567), number(-0.0), number(None)
    ('0.123457', '0', '')
    """
    return "" if value is None else f"{value + 0.0:.{digits}g}"


def row(cells: Sequence[str], widths: Sequence[int], /) -> str:
    """One line; a cell that is wider than its column moves the others to the right.

    >>> row(("a", "bc", "d"), (2, 3, 1))
    'a   bc   d'
    """
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def aligned(rows: Sequence[Sequence[str]], /, *, indent: str = "") -> list[str]:
    """A line for each row; each column is as wide as its widest cell.

    >>> aligned([("rate", "distance"), ("1e-05", "0.1")], indent="  ")
    ['  rate   distance', '  1e-05  0.1']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [indent + row(cells, widths) for cells in rows]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], /) -> list[str]:
    """A table of a Markdown page.

    >>> markdown(("a", "b"), [("1", "2")])
    ['| a | b |', '| --- | --- |', '| 1 | 2 |']
    """
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
