"""Expressions as terms of Coq over its real numbers.

    x**2/(K**2 + 4)  ->  x ^ 2 / (K ^ 2 + 4),    sqrt, exp, log, sin, cos, |.|  ->  sqrt, exp, ln, sin, cos, Rabs

A real symbol becomes a variable; so does what is left arbitrary, the value of a function or of a derivative that
nothing is known of: what holds for every real number in its place holds for that one.
"""

from __future__ import annotations

import re

import sympy as sp
from sympy.core.function import AppliedUndef

from sharpflow.theory.proving.tower import HYPERBOLIC, in_exponentials

__all__ = ["NotExported", "Terms", "plain"]

# Words of Coq's language, and names of its library that a statement would hide from itself.
RESERVED = frozenset({
    "as", "at", "cofix", "else", "end", "exists", "exists2", "fix", "for", "forall", "fun", "if", "IF", "in", "let",
    "match", "mod", "Prop", "return", "Set", "then", "Type", "using", "where", "with", "by", "R", "Rabs", "sin", "cos",
    "tan", "exp", "ln", "sqrt", "PI", "nat", "Rpower", "is_derive", "is_RInt",
})  # fmt: skip
FUNCTIONS = {sp.sin: "sin", sp.cos: "cos", sp.exp: "exp", sp.log: "ln", sp.Abs: "Rabs", sp.atan: "atan"}
TRIGONOMETRIC = (sp.tan, sp.cot, sp.sec, sp.csc)
# Precedences: a sum, a product, a power, an application.
SUM, PRODUCT, POWER, ATOM = range(4)


class NotExported(Exception):
    """A statement or a proof that is not restated for the kernel; the message is the kind of reason."""


def plain(expression: sp.Expr, /) -> sp.Expr:
    """The same in the functions that statements are made of: tan = sin/cos, cosh in exponentials."""
    expression = sp.sympify(expression)
    expression = expression.replace(lambda e: isinstance(e, HYPERBOLIC), in_exponentials)

    def quotient(e: sp.Expr) -> sp.Expr:
        sine, cosine = sp.sin(e.args[0]), sp.cos(e.args[0])
        return {sp.tan: sine / cosine, sp.cot: cosine / sine, sp.sec: 1 / cosine, sp.csc: 1 / sine}[e.func]

    return expression.replace(lambda e: isinstance(e, TRIGONOMETRIC), quotient)


class Terms:
    """The names that symbols have in one file, and expressions written in them."""

    def __init__(self) -> None:
        self.names: dict[sp.Basic, str] = {}
        # Symbols that stand for expressions: written as those are, and never multiplied out.
        self.nodes: dict[sp.Symbol, sp.Expr] = {}

    def name(self, symbol: sp.Basic) -> str:
        """An identifier of Coq for a symbol, or for what is left arbitrary."""
        if symbol not in self.names:
            stem = symbol.name if isinstance(symbol, sp.Symbol) else sp.sstr(symbol)
            stem = re.sub(r"\W+", "_", stem).strip("_") or "x"
            stem = stem if stem[0].isalpha() else f"x_{stem}"
            stem = f"{stem}_" if stem in RESERVED else stem[:40]
            taken, name, n = set(self.names.values()), stem, 1
            while name in taken:
                n += 1
                name = f"{stem}_{n}"
            self.names[symbol] = name
        return self.names[symbol]

    def __call__(self, expression: sp.Expr, /, level: int = SUM) -> str:
        """The term, in brackets where ``level`` asks for them."""
        text, own = self._written(expression)
        return text if own >= level else f"({text})"

    def _written(self, e: sp.Expr) -> tuple[str, int]:
        if e in self.nodes:
            return self._written(self.nodes[e])
        if e.is_Symbol or isinstance(e, AppliedUndef | sp.Derivative | sp.Subs):
            return self.name(e), ATOM
        if e.is_Integer:
            return (str(e), ATOM) if e >= 0 else (f"- {-e}", SUM)
        if e.is_Rational:
            return (f"{e.p} / {e.q}", PRODUCT) if e > 0 else (f"- {-e.p} / {e.q}", SUM)
        if e is sp.pi:
            return "PI", ATOM
        if e is sp.E:
            return "exp 1", POWER
        if isinstance(e, sp.Add):
            return self._sum(e), SUM
        if isinstance(e, sp.Mul):
            return self._product(e)
        if isinstance(e, sp.Pow):
            return self._power(e)
        if e.func in FUNCTIONS:
            return f"{FUNCTIONS[e.func]} {self(e.args[0], ATOM)}", POWER
        if e.is_Float:
            raise NotExported("a decimal number")
        if isinstance(e, sp.Integral):
            raise NotExported("an integral")
        raise NotExported(f"the function {e.func.__name__}")

    def _sum(self, e: sp.Add) -> str:
        parts: list[str] = []
        for term in e.as_ordered_terms():
            minus = term.could_extract_minus_sign()
            text = self(-term if minus else term, PRODUCT)
            parts.append((" - " if minus else " + ") + text if parts else ("- " if minus else "") + text)
        return "".join(parts)

    def _product(self, e: sp.Mul) -> tuple[str, int]:
        if e.could_extract_minus_sign():
            return f"- {self(-e, PRODUCT)}", SUM
        above, below = [], []
        for factor in e.as_ordered_factors():
            base, power = factor.as_base_exp()
            if factor.is_Rational:
                above += [str(factor.p)] if factor.p != 1 else []
                below += [str(factor.q)] if factor.q != 1 else []
            elif power.is_Rational and power < 0:
                below.append(self(base**-power, POWER))
            else:
                above.append(self(factor, POWER))
        text = " * ".join(above) or "1"
        if below:
            text += " / " + (below[0] if len(below) == 1 else f"({' * '.join(below)})")
        return text, PRODUCT

    def _power(self, e: sp.Pow) -> tuple[str, int]:
        base, power = e.as_base_exp()
        if isinstance(e, sp.exp):
            return f"exp {self(e.args[0], ATOM)}", POWER
        if power.is_Rational and power < 0:
            return f"/ {self(base**-power, POWER)}", PRODUCT
        if power.is_Integer:
            return f"{self(base, ATOM)} ^ {power}", POWER
        if power.is_Rational and power.q == 2:
            root = f"sqrt {self(base, ATOM)}"
            return (root, POWER) if power.p == 1 else (f"({root}) ^ {power.p}", POWER)
        raise NotExported("a power with a symbolic exponent" if power.free_symbols else "a root of higher order")
