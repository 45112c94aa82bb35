r"""The signs of LaTeX mathematics, and which names and relations they spell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sharpflow.naming.grammar import FUNCTIONS
from sharpflow.naming.tokens import Token, fail

__all__ = ["Lexeme", "call", "lexemes_of", "parenthesised", "spelled"]

_LEXEME = re.compile(
    r"(?P<skip>\s+|%[^\n]*|\\[,;:! ]|~|&|\\(?:left|right|[bB]igg?[lrm]?|displaystyle|limits|nonumber|notag)"
    r"(?![A-Za-z])\.?)|(?P<command>\\\\(?:\s*\[[^\]]*\])?|\\(?:[A-Za-z]+|[{}|_]))|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<letter>[A-Za-z])"
    r"|(?P<sign>:=|[-+*/=<>(){}\[\]^_|',;.:])"
)
GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
    "ell",
]
RELATIONS = {"le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">"}
RELATIONS |= {"approx": "~", "sim": "~", "simeq": "~", "equiv": ":=", "coloneqq": ":=", "triangleq": ":=", "eq": "="}
RELATIONS |= dict.fromkeys(("implies", "Rightarrow", "Longrightarrow"), "=>")
FONTS = ("mathrm", "mathit", "mathbf", "mathcal", "mathsf", "boldsymbol", "operatorname", "bm", "text", "textrm")
ACCENTS = ("bar", "hat", "tilde", "overline", "widehat", "widetilde")
CALLS = {name: name for name in FUNCTIONS if name.isalpha()} | {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}
# What an argument without parentheses may be made of, besides letters and numbers.
ARGUMENTS = (*GREEK, "pi", "frac", "dfrac", "tfrac", "sqrt")
EXECUTED = (
    "input include write def newcommand renewcommand let openin openout read catcode immediate csname expandafter"
)
# What a name of the field means; used where that name has a meaning for the loss and the rule.
MEANINGS = {
    "eta": "learning_rate", "lambda": "weight_decay", "varepsilon": "rate", "epsilon": "rate", "eta_in": "intrinsic_lr",
    "eta_eff": "effective_lr", "E": "energy", "eta_eff0": "effective_lr_0", "eta_0": "effective_lr_0",
    "lambda_max": "lambda_1",
}  # fmt: skip
# Averages, as they are written without spaces and fonts.
AVERAGES = {
    "x^2": ("mean_square",), "X^2": ("(", "mean_square", "/", "rate", ")"), r"L-\minL": ("excess_loss",),
    r"\eta_eff\lambda_1": ("mean_edge",), r"\lambda_1\eta_eff": ("mean_edge",),
}  # fmt: skip
SIZES = {
    "g": ("K",), "w": ("sqrt", "(", "norm_squared", ")"), r"\dot\zeta": ("speed",),
    r"\frac{d\zeta}{d\tau}": ("speed",),
}  # fmt: skip


@dataclass(frozen=True)
class Lexeme:
    """A sign of the text: a command, a number, a letter or another; its column counts from 0."""

    kind: str
    text: str
    column: int


def lexemes_of(text: str, /) -> Iterator[Lexeme]:
    """The signs of ``text`` and an end, without spaces, comments and what only moves things."""
    column = 0
    while column < len(text):
        match = _LEXEME.match(text, column)
        if match is None:
            fail(text, column, f"{text[column]!r} has no meaning here", "use letters, numbers and commands")
        if match.lastgroup != "skip":
            yield Lexeme(str(match.lastgroup), match.group(), column)
        column = match.end()
    yield Lexeme("end", "", len(text.rstrip()))


def parenthesised(words: list[Token], column: int, /) -> list[Token]:
    """( words )."""
    return [Token("operator", "(", column), *words, Token("operator", ")", column)]


def call(name: str, argument: list[Token], column: int, /) -> list[Token]:
    """Name ( argument )."""
    return [Token("name", name, column), *parenthesised(argument, column)]


def spelled(words: tuple[str, ...], column: int, /) -> list[Token]:
    """Names and operators as they are."""
    return [Token("name" if word.isidentifier() else "operator", word, column) for word in words]
