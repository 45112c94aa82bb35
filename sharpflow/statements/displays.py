r"""The displayed equations of a Markdown or LaTeX file, with their places, and what its head says.

Displayed: $$...$$, \[...\], ```math, and the environments equation, align, gather, multline, flalign, dmath, starred or
not; the rest is skipped, and what is not closed is refused. Numbers are those that LaTeX prints. Head: ``---`` lines of
YAML in Markdown, or comments ``%% sharpflow: key: value`` in LaTeX, with keys loss, rule, symbols, define, given; of
YAML only strings, lists [a, b] and mappings {a: b} or indented ones are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sharpflow.naming.grammar import LENGTH
from sharpflow.theory.errors import InputError, did_you_mean

__all__ = ["Display", "Document", "read_document"]

SIZE = 1_000_000
KEYS = ("loss", "rule", "symbols", "define", "given")
ROWS = ("align", "alignat", "flalign", "gather", "eqnarray")  # a number for each row
BROKEN = ("multline", "dmath")  # rows of one formula
UNREAD = ("IEEEeqnarray", "empheq", "numcases", "subnumcases", "xalignat", "xxalignat", "darray")
ENVIRONMENTS = "|".join(("equation", "displaymath", *ROWS, *BROKEN, *UNREAD))
_SHOWN = re.compile(
    r"```math[ \t]*\n(?P<fence>.*?)\n[ \t]*```"
    r"|(?P<skipped>```.*?```|\\begin\{(?:verbatim|lstlisting|minted)\}.*?\\end\{(?:verbatim|lstlisting|minted)\})"
    r"|(?<!\\)\$\$(?P<dollars>.*?)(?<!\\)\$\$"
    r"|(?<!\\)\\\[(?P<brackets>.*?)(?<!\\)\\\]"
    rf"|\\begin\{{(?P<name>(?:{ENVIRONMENTS})\*?)\}}(?P<body>.*?)\\end\{{(?P=name)\}}",
    re.DOTALL,
)
_INNER = re.compile(
    rf"\\(?:begin|end)\{{(?:aligned|split|gathered|alignedat|equation|{'|'.join(ROWS)})\*?\}}(?:\{{\d+\}})?"
)
_OPENED = re.compile(rf"(?<!\\)\$\$|(?<!\\)\\\[|```math|\\begin\{{(?P<name>(?:{ENVIRONMENTS})\*?)\}}")
_BREAK = re.compile(r"\\\\(?:\s*\[[^\]]*\])?")
_NOTE = re.compile(
    r"\\(?P<command>label|tag\*?|text|textrm|mbox|intertext)\s*"
    # "\text{by }(1)" as "\text{by (1)}".
    r"(?:\{(?P<before>[^{}]*\b(?:by|from|using)\s*\}\s*(?:\\(?:eq)?ref\s*\{[^{}]*\}|\(\w+\)))"
    r"|\{(?P<content>(?:[^{}]|\{[^{}]*\})*)\})"
)
_REFERENCE = re.compile(r"\\(?:eqref|ref|cref|Cref)\{([^{}]+)\}|\((\d+[a-z]?)\)")
_NAMED = re.compile(r"\\(?:eqref|ref|cref|Cref)\{([^{}]+)\}|\(([^(){}\\\s]+)\)")
_LEANS = re.compile(r"\b(by|from|using|see|eqs?|equations?)\b", re.IGNORECASE)
_GIVEN = re.compile(r"\b(given|assum\w*|suppos\w*|hypothes\w*)\b", re.IGNORECASE)


# Words after which mathematics behind an equation is a condition, and those that begin another equation.
_IF = re.compile(
    r"\b(if|when|whenever|unless|provided|near|for (?:small|large|sufficiently|which)|in the limit|order)\b"
)
_BEFORE = re.compile(r"^(?:if|when|whenever|for|unless|provided)\b", re.IGNORECASE)
_THEN = re.compile(
    r"^[,;.\s]*(?:and )?(?:so|so that|then|hence|thus|therefore|that is|i\.e\.|which gives|we have|we get)[,\s]*$"
)
_SUPPOSES = re.compile(
    r"^[,;\s]*(?:and )?(?:(?:valid |true |holds )?for(?: (?:all|any|every|each))?|if|when|whenever|where|with|assuming"
    r"|at|as long as|provided(?: that)?)\s*$"
)
# Names written as text, which are mathematics.
_NAMES = ("sharpness", "edge", "period", "drift", "speed", "velocity", "rate", "energy")
_EVERY = re.compile(r"^[,;\s]*(?:and )?for(?: (?:all|any|every|each|arbitrary))?\s*$|^\\forall$")
_MEMBERS = re.compile(
    r"(?:[\s,]|\\,|\\?[A-Za-z]+(?![A-Za-z])(?:_\{?\w+\}?)?)*(?:\\in\s*(?:\\mathbb\s*\{?R\}?|\\Gamma))?[\s.,]*"
)


@dataclass(frozen=True)
class Note:
    """The words of a label, a tag or a text beside an equation; of a condition also the mathematics behind them."""

    command: str
    content: str
    offset: int
    words: str = ""

    @property
    def references(self) -> tuple[str, ...]:
        """Labels and numbers that it names: "by (A)" as well; a tag that is a number alone names itself."""
        if self.command in ("label", "condition") or (
            self.command == "tag" and re.fullmatch(r"\([^()]*\)", self.content)
        ):
            return ()
        pattern = _NAMED if _LEANS.search(self.content) else _REFERENCE
        return tuple(a or b for a, b in pattern.findall(self.content))

    @property
    def says_nothing(self) -> bool:
        """True for "for all p", "on Gamma", "where p is the angle": what an equation says anyhow, or no condition."""
        everywhere = _EVERY.match(self.words) or (self.words, self.content.strip(" .")) == ("on", "\\Gamma")
        return bool(everywhere or self.words.endswith(" is")) and bool(_MEMBERS.fullmatch(self.content))

    @property
    def is_supposed(self) -> bool:
        """True where its words say that the equation holds under the relation behind them."""
        return bool(_SUPPOSES.match(self.words))

    @property
    def supposes(self) -> bool:
        """True where it says that the equation is given."""
        return self.command not in ("label", "condition") and bool(_GIVEN.search(self.content)) and not self.references


@dataclass(frozen=True)
class Row:
    """A row of a display: where it ends, the number that LaTeX prints beside it, and its labels."""

    end: int
    number: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Display:
    """One displayed equation: its mathematics (notes blanked out, so that places stay) and where it begins."""

    text: str
    offset: int
    notes: tuple[Note, ...] = ()
    rows: tuple[Row, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Document:
    """A file: its head (and the lines of its entries) and its displays."""

    path: str
    source: str
    head: dict[str, Any] = field(default_factory=dict)
    displays: tuple[Display, ...] = ()
    lines: dict[str, int] = field(default_factory=dict)

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
    body, head, lines = source, dict[str, Any](), dict[str, int]()
    if path.endswith(".tex"):
        entries = [
            (n, m[1])
            for n, line in enumerate(source.split("\n"), 1)
            if (m := re.match(r"\s*%%? *sharpflow: ?(.*)", line))
        ]
        head = _head(entries, path, lines)
        body = re.sub(r"(?<!\\)%[^\n]*", lambda m: " " * len(m[0]), source)
    else:
        if (match := re.match(r"---[ \t]*\n(.*?)\n---[ \t]*(?:\n|$)", source, re.DOTALL)) is not None:
            head = _head(list(enumerate(match[1].split("\n"), 2)), path, lines)
            body = " " * match.end() + source[match.end() :]
        body = re.sub(r"(?<!`)`[^`\n]+`(?!`)", lambda m: " " * len(m[0]), body)
    document = Document(path, source, head, lines=lines)
    return replace(document, displays=tuple(_displays(body, document)))


def _displays(body: str, document: Document) -> Iterator[Display]:
    last, count = 0, _Count(body)
    for match in _SHOWN.finditer(body):
        _closed(body[last : match.start()], last, document)
        last = match.end()
        group = next((g for g in ("fence", "dollars", "brackets", "body") if match[g] is not None), None)
        if group is None:
            continue
        # Another display that begins inside, and does not end there, says that this one was not closed.
        inside = match[group]
        for opened in _OPENED.finditer(inside):
            if not opened["name"] or f"\\end{{{opened['name']}}}" not in inside:
                raise _unclosed(match[0], match.start(), document)
        yield from _display(match, group, inside, count)
    _closed(body[last:], last, document)


def _closed(between: str, offset: int, document: Document) -> None:
    """Refuse a display that begins between two others and does not end."""
    if opened := _OPENED.search(between):
        raise _unclosed(opened[0], offset + opened.start(), document)


def _unclosed(text: str, offset: int, document: Document) -> InputError:
    opened = _OPENED.match(text)
    assert opened is not None
    line = document.place(offset)[0]
    return InputError(f"{document.path}, line {line}: this {opened[0]} is not closed.")


def _display(match: re.Match[str], group: str, text: str, count: _Count) -> Iterator[Display]:
    offset, name = match.start(group), match["name"] or ""
    kind = name.rstrip("*")
    if len(text) > LENGTH:
        yield Display(text, offset, problem=f"the equation has {len(text)} characters; {LENGTH} is the limit")
        return
    if kind == "alignat":
        text = re.sub(r"^\s*\{\d+\}", lambda m: " " * len(m[0]), text)
    notes = tuple(
        Note(m["command"].rstrip("*"), (m["content"] or m["before"] or "").strip(), m.start())
        for m in _NOTE.finditer(text)
        if not (m["command"] == "text" and (m["content"] or "").strip() in ("and", ",", "in", "eff", *_NAMES))
        and not text[: m.start()].rstrip().endswith(("_", "_{"))
    )
    numbered = kind not in ("", "displaymath") and not name.endswith("*")
    rows = tuple(_rows(text, notes, count, match.start(), numbered, kind in ROWS))
    for m in [*_NOTE.finditer(text), *_INNER.finditer(text)]:
        if m.re is _INNER or any(note.offset == m.start() for note in notes):
            text = text[: m.start()] + _MARK * len(m[0]) + text[m.end() :]
    text, conditions, problem = _conditions(text, notes)
    notes = (*notes, *conditions)
    if kind in BROKEN:
        text = _BREAK.sub(lambda m: " " * len(m[0]), text)
    if text.strip():
        if kind in UNREAD:
            problem = f"\\begin{{{name}}} is not read; equation, align, gather and multline are"
        yield Display(text, offset, notes, rows, problem)


# Where a note stood, until what surrounds it is read.
_MARK = "\0"


def _conditions(text: str, notes: Sequence[Note]) -> tuple[str, list[Note], str]:
    """The mathematics without notes, what stands behind an equation under words such as "for" and "if", a problem."""
    found, problem = [], ""
    text = re.sub(r"\\forall\b", _MARK * 7, text) if (every := [*re.finditer(r"\\forall\b", text)]) else text
    words = [Note("text", "\\forall", m.start()) for m in every]
    for note in sorted([*notes, *words], key=lambda n: n.offset, reverse=True):
        begin = note.offset
        end = begin + len(text[begin:]) - len(text[begin:].lstrip(_MARK))
        stops = [m.start() for m in re.finditer(rf"\\\\|{_MARK}", text[end:])]
        stop = end + min(stops, default=len(text) - end)
        behind = text[end:stop]
        before = re.split(r"\\\\(?:\s*\[[^\]]*\])?", text[:begin])[-1]
        spoken = note.command in ("text", "textrm", "mbox") and not note.references and not note.supposes
        said, dollar, inner = note.content.partition("$")
        empty = r"(?:[\s&,;.~]|\\[,;:! ]|\\q?quad(?![A-Za-z]))*"
        if spoken and _THEN.match(note.content) and re.sub(empty, "", before):
            text = text[:begin] + ";" + text[begin + 1 :]
        elif spoken and (dollar or re.sub(empty, "", behind)) and re.sub(rf"{empty}|{_MARK}", "", before):
            content, place, said = (
                (behind, end, said.strip()) if not dollar else (inner.strip("$ ."), begin, said.strip())
            )
            if named := re.fullmatch(r"([^$]+)\$ (?:is|denotes|are)\b[^$]*", inner):
                content, said = named[1], f"{said} is"
            found.append(Note("condition", content, place, said))
            text = text[:end] + " " * (stop - end) + text[stop:]
        elif spoken and re.sub(empty, "", behind) and _BEFORE.match(note.content):
            problem = f"{note.content!r} in front of what it supposes; write that behind: a = b \\text{{ for }} K > 0"
        elif spoken and _IF.search(note.content.lower()):
            found.append(Note("condition", "", begin, note.content))
        if not re.sub(empty, "", text[end:stop]):
            # The comma before what is said of an equation separates it from nothing.
            head = text[:begin].rstrip()
            kept = re.sub(r"(?:[\s,;]|\\q?quad(?![A-Za-z]))+$", "", head)
            text = kept + " " * (begin - len(kept)) + text[begin:]
    return text.replace(_MARK, " "), found, problem


class _Count:
    """LaTeX's counter of equations: (1), (2), and (3a), (3b) in subequations."""

    def __init__(self, body: str) -> None:
        pattern = r"\\begin\{subequations\}(.*?)\\end\{subequations\}"
        self.groups = [m.span() for m in re.finditer(pattern, body, re.DOTALL)]
        self.count = self.letters = 0
        self.group: tuple[int, int] | None = None

    def step(self, offset: int) -> str:
        """The next number, of a display that begins at ``offset``."""
        group = next((g for g in self.groups if g[0] <= offset < g[1]), None)
        if group is None or group != self.group:
            self.count, self.letters, self.group = self.count + 1, 0, group
        if group is None:
            return str(self.count)
        self.letters += 1
        return f"{self.count}{chr(96 + self.letters)}" if self.letters <= 26 else f"{self.count}.{self.letters}"


def _rows(text: str, notes: Sequence[Note], count: _Count, offset: int, numbered: bool, several: bool) -> Iterator[Row]:
    """The rows that have a number each, or the display as one."""
    hidden = re.sub(
        r"\\begin\{(aligned|split|gathered|alignedat|cases|\w*matrix|array)\}.*?\\end\{\1\}",
        lambda m: " " * len(m[0]), text, flags=re.DOTALL,
    )  # fmt: skip
    ends = [m.start() for m in _BREAK.finditer(hidden)] if several else []
    begin = 0
    for end in [*ends, len(text)]:
        own = [note for note in notes if begin <= note.offset < end]
        rest = re.sub(r"\\\\|\s", "", text[begin:end])
        tag = next((n.content for n in own if n.command == "tag" and not n.references and not n.supposes), "")
        number = tag.strip("()")
        silent = re.search(r"\\(?:nonumber|notag)\b", text[begin:end]) or any(n.command == "tag" for n in own)
        if numbered and rest and not silent:
            number = count.step(offset)
        yield Row(end, number, tuple(n.content for n in own if n.command == "label"))
        begin = end


def _head(lines: list[tuple[int, str]], path: str, places: dict[str, int]) -> dict[str, Any]:
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
        places[under] = number
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
