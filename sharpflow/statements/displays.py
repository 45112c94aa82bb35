r"""The displayed equations of a Markdown or LaTeX file, with their places, and what its head says.

Displayed: $$...$$, \[...\], ```math, and the environments equation, align, gather, multline, starred or not; the
rest is skipped. Head: ``---`` lines of YAML in Markdown, or comments ``%% sharpflow: key: value`` in LaTeX, with keys
loss, rule, symbols, define, given; of YAML only strings, lists [a, b] and mappings {a: b} or indented ones are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sharpflow.theory.errors import InputError, did_you_mean

__all__ = ["Display", "Document", "read_document"]

SIZE = 1_000_000
KEYS = ("loss", "rule", "symbols", "define", "given")
ENVIRONMENTS = "equation|align|gather|multline|eqnarray|displaymath"
_SHOWN = re.compile(
    r"```math[ \t]*\n(?P<fence>.*?)\n[ \t]*```"
    r"|(?P<skipped>```.*?```|\\begin\{(?:verbatim|lstlisting|minted)\}.*?\\end\{(?:verbatim|lstlisting|minted)\})"
    r"|(?<!\\)\$\$(?P<dollars>.*?)(?<!\\)\$\$"
    r"|(?<!\\)\\\[(?P<brackets>.*?)(?<!\\)\\\]"
    rf"|\\begin\{{(?P<name>(?:{ENVIRONMENTS})\*?)\}}(?P<body>.*?)\\end\{{(?P=name)\}}",
    re.DOTALL,
)
_INNER = re.compile(r"\\(?:begin|end)\{(?:aligned|split|gathered|alignedat)\}(?:\{\d+\})?")
_NOTE = re.compile(r"\\(?P<command>label|tag\*?|text|textrm|mbox|intertext)\s*\{(?P<content>(?:[^{}]|\{[^{}]*\})*)\}")
_REFERENCE = re.compile(r"\\(?:eqref|ref|cref|Cref)\{([^{}]+)\}|\((\d+[a-z]?)\)")
_GIVEN = re.compile(r"\b(given|assum\w*|suppos\w*|hypothes\w*)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Note:
    """The words of a label, a tag or a text beside an equation."""

    command: str
    content: str
    offset: int

    @property
    def references(self) -> tuple[str, ...]:
        """Labels and numbers that it names."""
        return tuple(a or b for a, b in _REFERENCE.findall(self.content))

    @property
    def supposes(self) -> bool:
        """True where it says that the equation is given."""
        return self.command != "label" and bool(_GIVEN.search(self.content)) and not self.references


@dataclass(frozen=True)
class Display:
    """One displayed equation: its mathematics (notes blanked out, so that places stay) and where it begins."""

    text: str
    offset: int
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Document:
    """A file: its head and its displays."""

    path: str
    source: str
    head: dict[str, Any] = field(default_factory=dict)
    displays: tuple[Display, ...] = ()

    def place(self, offset: int) -> tuple[int, int]:
        """(line, column), both from 1."""
        before = self.source[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def read_document(path: str, /) -> Document:
    """The head and the displays of a file; raises `InputError` where it cannot be read or its head is wrong."""
    place = Path(path)
    try:
        if place.stat().st_size > SIZE:
            raise InputError(f"{path} has over {SIZE} bytes; give the derivation alone.")
        source = place.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path!r} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path!r} is no text in UTF-8.") from None
    body, head = source, dict[str, Any]()
    if path.endswith(".tex"):
        lines = [
            (n, m[1])
            for n, line in enumerate(source.split("\n"), 1)
            if (m := re.match(r"\s*%%? *sharpflow: ?(.*)", line))
        ]
        head = _head(lines, path)
        body = re.sub(r"(?<!\\)%[^\n]*", lambda m: " " * len(m[0]), source)
    elif (match := re.match(r"---[ \t]*\n(.*?)\n---[ \t]*(?:\n|$)", source, re.DOTALL)) is not None:
        head = _head(list(enumerate(match[1].split("\n"), 2)), path)
        body = " " * match.end() + source[match.end() :]
    return Document(path, source, head, tuple(_displays(body)))


def _displays(body: str) -> Iterator[Display]:
    for match in _SHOWN.finditer(body):
        group = next((g for g in ("fence", "dollars", "brackets", "body") if match[g] is not None), None)
        if group is None or not match[group].strip():
            continue
        text, offset = match[group], match.start(group)
        notes = tuple(
            Note(m["command"].rstrip("*"), m["content"].strip(), m.start())
            for m in _NOTE.finditer(text)
            if not (m["command"] == "text" and m["content"].strip() in ("and", ",", "in", "eff"))
            and not text[: m.start()].rstrip().endswith(("_", "_{"))
        )
        for m in [*_NOTE.finditer(text), *_INNER.finditer(text)]:
            if m.re is _INNER or any(note.offset == m.start() for note in notes):
                text = text[: m.start()] + " " * len(m[0]) + text[m.end() :]
        yield Display(text, offset, notes)


def _head(lines: list[tuple[int, str]], path: str) -> dict[str, Any]:
    """The entries of a head: key: value, with nested entries indented."""
    found: dict[str, Any] = {}
    under = ""
    for number, raw in lines:
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        indented = line[0] in " \t"
        if indented and under and line.strip().startswith("- "):
            found[under] = [*(found[under] or []), _scalar(line.strip()[2:], where)]
            continue
        key, colon, value = line.strip().partition(":")
        if not colon:
            raise InputError(f"{where}: {line.strip()[:60]!r} is no entry; write key: value.")
        if indented and under:
            found[under] = {**(found[under] or {}), key.strip(): _scalar(value.strip(), where)}
            continue
        under = key.strip()
        if under not in KEYS:
            raise InputError(f"{where}: no key {under!r}; {did_you_mean(under, KEYS)}there are {', '.join(KEYS)}.")
        found[under] = _value(value.strip(), where) if value.strip() else None
    for key in ("symbols", "define"):
        if not isinstance(found.get(key, {}) or {}, dict):
            raise InputError(f"{path}: {key} is a mapping, as in {key}: {{a: ...}}.")
    return {key: value for key, value in found.items() if value is not None}


def _value(text: str, where: str) -> Any:
    if text.startswith("{"):
        if not text.endswith("}"):
            raise InputError(f"{where}: this '{{' is never closed on its line.")
        entries = [entry.partition(":") for entry in _split(text[1:-1])]
        if not all(colon for _, colon, _ in entries):
            raise InputError(f"{where}: a mapping is written {{a: positive, n: integer}}.")
        return {key.strip(): _scalar(value.strip(), where) for key, _, value in entries}
    if text.startswith("["):
        if not text.endswith("]"):
            raise InputError(f"{where}: this '[' is never closed on its line.")
        return [_scalar(entry.strip(), where) for entry in _split(text[1:-1])]
    return _scalar(text, where)


def _split(text: str) -> list[str]:
    """At commas that are in no quotes."""
    parts = re.findall(r"""(?:[^,"']|"(?:[^"\\]|\\.)*"|'[^']*')+""", text)
    return [part for part in parts if part.strip()]


def _scalar(text: str, where: str) -> str:
    if text[:1] in ("&", "*", "!", "|", ">"):
        raise InputError(
            f"{where}: {text[:20]!r}: of YAML only strings, lists and mappings are read; put it in quotes."
        )
    if text[:1] == '"':
        if len(text) < 2 or text[-1] != '"':
            raise InputError(f"{where}: this '\"' is never closed.")
        return text[1:-1].replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")
    if text[:1] == "'":
        return text.strip("'").replace("''", "'")
    return text
