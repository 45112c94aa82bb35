"""Tables of Markdown, line by line."""

from __future__ import annotations


def row(*cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def rule(count):
    return "| --- " * count + "|"
