r"""LaTeX mathematics as the words of the safe parser: nothing is evaluated and no macro is executed.

A reader of its own: SymPy's (the Lark grammar) and latex2sympy evaluate while they read, so that 9^{9^9} does not end,
and know neither \langle x^2 \rangle nor \dot p nor chains. Each word keeps the place it was written at; what has no
meaning here is refused by name. Sizes are bounded by the parser that the words are given to.

    \frac{a}{b}  \sqrt[n]{a}  a^{b}  a_{b}  \sin^2 p  |a|  e^{a}  \frac{dp}{d\tau}  \dot p  X'  2 a b
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import NoReturn

from sharpflow.naming.grammar import DEPTH, LENGTH
from sharpflow.naming.tokens import Token, fail
from sharpflow.statements import latex_parts as parts
from sharpflow.statements import lexemes as signs
from sharpflow.statements.lexemes import Lexeme, lexemes_of
from sharpflow.theory.errors import InputError

__all__ = ["latex_tokens"]


def latex_tokens(
    text: str, known: Callable[[str], bool], functions: Callable[[str], bool], /, *, coordinate: str = "",
    arguments: Collection[str] = (), meant: Collection[str] = (),
) -> list[Token]:  # fmt: skip
    r"""The words of a displayed equation, with relations among them and an end.

    Args:
        text: without the delimiters, ``\tag`` and ``\label``; rows may be separated by ``\\``.
        known: whether a name has a meaning.
        functions: whether a name takes arguments.
        coordinate: the only one of the chart, where there is only one: g is its component of the gradient.
        arguments: coordinates and clocks: a name applied to them, K(p) or p(\tau), is that name.
        meant: names with a meaning of their own, for a loss and a rule.

    Raises:
        InputError: something has no meaning here, with its place.

    >>> [t.text for t in latex_tokens(r"\frac{1}{2} x^{2}", lambda n: False, lambda n: False)][:12]
    ['(', '(', '1', ')', '/', '(', '2', ')', ')', '*', 'x', '^']
    """
    if len(text) > LENGTH:
        raise InputError(f"the equation has {len(text)} characters; {LENGTH} is the limit")
    return _Reader(text, known, functions, coordinate, arguments, meant).tokens()


class _Reader:
    def __init__(
        self, text: str, known: Callable[[str], bool], functions: Callable[[str], bool], coordinate: str,
        arguments: Collection[str], meant: Collection[str],
    ) -> None:  # fmt: skip
        self.text, self.known, self.functions, self.coordinate = text, known, functions, coordinate
        self.arguments, self.meant = arguments, meant
        self.lexemes = list(lexemes_of(text))
        self.position = 0
        self.depth = 0

    def fail(self, column: int, what: str, advice: str) -> NoReturn:
        fail(self.text, column, what, advice)

    @property
    def next(self) -> Lexeme:
        return self.lexemes[self.position]

    def take(self) -> Lexeme:
        self.position += 1
        return self.lexemes[self.position - 1]

    def accept(self, *texts: str) -> bool:
        if self.next.text in texts and self.next.kind != "end":
            self.position += 1
            return True
        return False

    def group(self, what: str) -> tuple[int, int]:
        """Positions of the lexemes of an argument: those in braces, or a single one."""
        opened = self.take()
        if opened.text != "{":
            if opened.kind not in ("letter", "number", "command"):
                self.fail(opened.column, f"{what} has no argument", "write it in braces, as in {a}")
            if opened.text[1:] in signs.FONTS and self.next.text == "{":
                # \eta_\text{in}: the font with what it is put on.
                begin = self.position - 1
                self.group(what)
                return begin, self.position
            if opened.kind == "number" and len(opened.text) > 1 and "." not in opened.text:
                # \frac12: each digit is an argument of its own.
                rest = Lexeme("number", opened.text[1:], opened.column + 1)
                self.lexemes[self.position - 1 : self.position] = [
                    Lexeme("number", opened.text[0], opened.column),
                    rest,
                ]
            return self.position - 1, self.position
        begin, depth = self.position, 1
        while depth:
            lexeme = self.take()
            if lexeme.kind == "end":
                self.fail(opened.column, "this '{' is never closed", "add a '}'")
            depth += (lexeme.text == "{") - (lexeme.text == "}")
        return begin, self.position - 1

    def inside(self, begin: int, end: int) -> list[Token]:
        """The words of the lexemes from begin to end."""
        saved = self.lexemes, self.position
        self.depth += 1
        if self.depth > DEPTH:
            self.fail(self.lexemes[begin].column, f"nested more than {DEPTH} deep", "name a part of it")
        self.lexemes = [*self.lexemes[begin:end], Lexeme("end", "", self.lexemes[end].column)]
        self.position = 0
        try:
            found = self.words(nested=True)
            if not found:
                self.fail(self.next.column, "something is missing here", "braces and parentheses hold an expression")
            return found
        finally:
            self.lexemes, self.position = saved
            self.depth -= 1

    def plain(self, begin: int, end: int) -> str:
        """The source of lexemes, without spaces and fonts."""
        texts = [x.text for x in self.lexemes[begin:end]]
        fonts = {f"\\{font}" for font in signs.FONTS}
        joined = "".join(t for t in texts if t not in fonts)
        return re.sub(r"_\{(\w+)\}", r"_\1", re.sub(r"\^\{(\w+)\}", r"^\1", joined))

    def tokens(self) -> list[Token]:
        found = self.words(nested=False)
        while found and found[-1].text == ";":
            found.pop()
        return [*found, Token("end", "", len(self.text.rstrip()))]

    def words(self, nested: bool) -> list[Token]:
        out: list[Token] = []
        while self.next.kind != "end":
            lexeme = self.next
            if not nested and (sign := self.relation(lexeme)) is not None:
                self.take()
                self.separate(out, Token("relation", sign, lexeme.column))
            elif lexeme.kind == "sign" and lexeme.text in "+-*/,":
                self.take()
                if out and out[-1].text == ";" and self.goes_on(out[-1].column):
                    out.pop()
                out.append(Token("operator", lexeme.text, lexeme.column))
            elif lexeme.text in ("\\cdot", "\\times"):
                self.take()
                out.append(Token("operator", "*", lexeme.column))
            elif lexeme.text in ("\\quad", "\\qquad"):
                self.take()
                if not nested and out and self.ends(out[-1]) and self.another():
                    out.append(Token("relation", ";", lexeme.column))
            elif lexeme.text in (".", ",", ";", ":"):
                self.take()
                if self.next.kind != "end":
                    self.fail(
                        lexeme.column, f"{lexeme.text!r} in the middle", "end the equation with it, or take it out"
                    )
            else:
                made = self.factor()
                if out and self.ends(out[-1]):
                    out.append(Token("operator", "*", lexeme.column))
                out += made
        return out

    def relation(self, lexeme: Lexeme) -> str | None:
        if lexeme.kind == "sign":
            if lexeme.text in ("=", "<", ">", ":="):
                return lexeme.text
            if lexeme.text in (",", ";"):  # between statements, or at the end
                return ";"
        if lexeme.text.startswith("\\\\") or (lexeme.text == "\\text" and self.peek_text() in ("and", ",")):
            if lexeme.text == "\\text":
                self.take()
                self.group("\\text")
                self.position -= 1
            return ";"
        return signs.RELATIONS.get(lexeme.text[1:]) if lexeme.kind == "command" else None

    def another(self) -> bool:
        """True where a statement of its own comes before the next break."""
        for i, lexeme in enumerate(self.lexemes[self.position :]):
            sign = self.relation(lexeme) if lexeme.text != "\\text" else None
            if sign is not None:
                return bool(i) and sign not in (";", "=>")
        return False

    def goes_on(self, column: int) -> bool:
        """True where the row after the break at ``column`` is aligned to go on with the one before."""
        return re.match(r"\\\\(?:\s*\[[^\]]*\])?\s*&", self.text[column:]) is not None

    def peek_text(self) -> str:
        found = re.match(r"\\text\s*\{\s*([^{}]*?)\s*\}", self.text[self.next.column :])
        return found[1] if found else ""

    @staticmethod
    def separate(out: list[Token], sign: Token) -> None:
        """A relation between two rows goes on with the chain; a second separator is none."""
        if out and out[-1].text == ";":
            if sign.text == ";":
                return
            out.pop()
        if out or sign.text != ";":
            out.append(sign)

    @staticmethod
    def ends(token: Token) -> bool:
        return token.kind in ("number", "name") or token.text == ")"

    def factor(self) -> list[Token]:
        """An atom with what stands above it."""
        column = self.next.column
        base = self.atom()
        if self.next.text == "'" and len(base) == 1 and base[0].text in self.meant and base[0].text not in parts.MOVING:
            advice = "write \\frac{d}{d\\tau} or \\frac{d}{dp} of it; X' is dX/dT"
            self.fail(self.next.column, f"a prime at {base[0].text} may be one of several derivatives", advice)
        while self.accept("'"):
            base = signs.call("fast", base, column)
            parts.own_argument(self, "")
        if self.next.text == "^" and parts.transposes(self):
            base = signs.call("T", base, column)
        if self.accept("^"):
            begin, end = self.group("^")
            if len(base) == 1 and base[0].kind == "name":
                parts.own_argument(self, base[0].text)
            base = [*base, Token("operator", "^", column), *signs.parenthesised(self.inside(begin, end), column)]
            if self.next.text == "^":
                self.fail(self.next.column, "a second exponent", "write {x^a}^b or x^{ab}")
        return base

    def atom(self) -> list[Token]:
        lexeme = self.take()
        column = lexeme.column
        if lexeme.kind == "number":
            return [Token("number", lexeme.text, column)]
        if lexeme.kind == "letter":
            return self.named(lexeme.text, column)
        if lexeme.text in ("(", "["):
            return self.closed({"(": ")", "[": "]"}[lexeme.text], column)
        if lexeme.text == "{":
            self.position -= 1
            begin, end = self.group("{")
            return signs.parenthesised(self.inside(begin, end), column)
        if lexeme.text in ("|", "\\|", "\\lvert", "\\lVert"):
            return self.size(lexeme)
        if lexeme.kind == "command":
            return self.command(lexeme.text[1:], column)
        if lexeme.kind == "end":
            self.fail(column, "the equation ends too early", "something is missing here")
        self.fail(column, f"{lexeme.text!r} has nothing to work on", "something is missing before it")

    def closed(self, closing: str, column: int) -> list[Token]:
        begin, end = self.until(closing, column)
        return signs.parenthesised(self.inside(begin, end), column)

    def until(self, closing: str, column: int) -> tuple[int, int]:
        """Positions of what comes before the parenthesis that closes here."""
        begin, depth = self.position, 0
        pairs = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
        while True:
            lexeme = self.next
            if lexeme.kind == "end":
                self.fail(column, f"this {self.text[column]!r} is never closed", f"add a {closing!r}")
            if depth == 0 and lexeme.text == closing:
                self.position += 1
                return begin, self.position - 1
            depth += pairs.get(lexeme.text, 0)
            self.position += 1

    def size(self, opened: Lexeme) -> list[Token]:
        closing = {"\\lvert": "\\rvert", "\\lVert": "\\rVert"}.get(opened.text, opened.text)
        begin, end = self.until(closing, opened.column)
        words = signs.SIZES.get(self.plain(begin, end))
        if words is not None and self.known(next(w for w in words if w.isidentifier() and w != "sqrt")):
            return signs.spelled(words, opened.column)
        return signs.call("abs", self.inside(begin, end), opened.column)

    def named(self, base: str, column: int) -> list[Token]:
        """A letter with its subscript: what it means, or its name."""
        if base == "e" and self.next.text == "^" and not self.known("e"):
            self.take()
            begin, end = self.group("^")
            return signs.call("exp", self.inside(begin, end), column)
        name = base
        if self.accept("_"):
            begin, end = self.group("_")
            below = re.sub(r"\W", "", self.plain(begin, end))
            if not below:
                self.fail(column, "an empty subscript", "write letters or digits in it")
            name = f"{base}_{below}"
        if name in ("O",) and self.next.text == "(":
            self.take()
            return signs.call("O", self.closed(")", column)[1:-1], column)
        meant = signs.MEANINGS.get(name, name)
        name = meant if self.known(meant) else name
        if not self.known(name):
            parts.reserved(self, name, column)
        if self.functions(name) and self.next.text == "(":
            self.take()
            return signs.call(name, self.closed(")", column)[1:-1], column)
        parts.own_argument(self, name)
        if name == "g" and self.coordinate and self.functions("g"):
            return signs.spelled(("g", "(", self.coordinate, ")"), column)
        return [Token("name", name, column)]

    def command(self, name: str, column: int) -> list[Token]:
        if name in ("frac", "dfrac", "tfrac"):
            return parts.fraction(self, column)
        if name == "sqrt":
            return parts.root(self, column)
        if name in signs.CALLS:
            return self.applied(signs.CALLS[name], column)
        if name == "pi":
            return [Token("name", "pi", column)]
        if name in signs.GREEK:
            return self.named(name, column)
        if name in signs.FONTS:
            begin, end = self.group(f"\\{name}")
            return self.named(re.sub(r"\W", "", self.plain(begin, end)) or "_", column)
        if name in signs.ACCENTS:
            begin, end = self.group(f"\\{name}")
            return self.named(f"{re.sub(r'[^A-Za-z0-9_]', '', self.plain(begin, end))}_{name}", column)
        if name == "dot":
            begin, end = self.group("\\dot")
            moved = self.moving(self.inside(begin, end), column)
            parts.own_argument(self, "")
            return moved
        if name in ("langle", "nabla", "begin"):
            return {"langle": _Reader.average, "nabla": parts.gradient, "begin": parts.array}[name](self, column)
        if name in signs.EXECUTED.split() or name.startswith(("write", "input", "def")):
            self.fail(column, f"\\{name} is refused", "nothing is executed here; write the formula out")
        advice = (
            "\\frac, \\sqrt, \\sin, \\log, \\exp, \\dot, \\langle x^2 \\rangle, Greek letters and relations have one"
        )
        self.fail(column, f"\\{name} has no meaning here", advice)

    def average(self, column: int) -> list[Token]:
        begin, end = self.until("\\rangle", column)
        words = signs.AVERAGES.get(self.plain(begin, end))
        if words is None or not self.known(next(w for w in words if w.isidentifier())):
            known = "\\langle x^2 \\rangle, \\langle X^2 \\rangle, \\langle L - \\min L \\rangle have one"
            self.fail(column, "this average has no meaning here", f"for a loss and a rule {known}")
        return signs.spelled(words, column)

    def moving(self, tokens: list[Token], column: int) -> list[Token]:
        if tokens[0].text == "zeta" and self.known("velocity"):
            return signs.spelled(("velocity",), column)
        if len(tokens) == 1 and self.functions("fast") and tokens[0].text in ("X", "U", "energy"):
            return signs.call("fast", tokens, column)
        return signs.call("along", tokens, column)

    def applied(self, name: str, column: int) -> list[Token]:
        r"""\sin^2 2p \cos p: a power before the argument, which ends at the next operator or function."""
        power: list[Token] = []
        if self.accept("^"):
            begin, end = self.group("^")
            if self.plain(begin, end) in ("-1", "{-1}"):
                name = parts.inverse(self, name, column)
            else:
                power = [Token("operator", "^", column), *signs.parenthesised(self.inside(begin, end), column)]
        if self.next.text in ("(", "["):
            opened = self.take()
            argument = self.closed({"(": ")", "[": "]"}[opened.text], opened.column)[1:-1]
        else:
            argument = []
            while self.begins_argument(first=not argument):
                here = self.next.column
                made = self.factor()
                argument += [Token("operator", "*", here), *made] if argument else made
            if not argument:
                self.fail(column, f"\\{name} has no argument", "write it in parentheses")
        called = signs.call(name, argument, column)
        return [*signs.parenthesised(called, column), *power] if power else called

    def begins_argument(self, first: bool) -> bool:
        """True where the next sign goes on with an argument that has no parentheses."""
        kind, text = self.next.kind, self.next.text
        opened = first and text in ("{", "|", "\\lvert", *(f"\\{font}" for font in signs.FONTS))
        return kind in ("letter", "number") or (kind == "command" and text[1:] in signs.ARGUMENTS) or opened
