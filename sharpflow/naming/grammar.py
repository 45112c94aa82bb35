"""The grammar of expressions typed as text: a parser that builds SymPy objects from a whitelist and evaluates nothing.

    sum      := product (("+" | "-") product)*
    product  := signed (("*" | "/") signed)*
    signed   := ("+" | "-")* power
    power    := atom (("**" | "^") signed)?               to the right: 2^3^2 = 2^9
    atom     := number | name | function "(" sum ("," sum)* ")" | "(" sum ")"

SymPy computes powers of numbers while it builds them, so an input of ten characters can ask for more digits than
there are atoms. Lengths, nesting, towers of exponents and the size of numbers are therefore bounded before SymPy sees
them, and building is stopped after `SECONDS`.
"""

from __future__ import annotations

import gc
import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn, TypeVar

import sympy as sp

from sharpflow.naming.tokens import Token, fail
from sharpflow.theory.errors import InputError, did_you_mean
from sharpflow.theory.limits import TimeLimitExceeded, time_limit

__all__ = ["FUNCTIONS", "LENGTH", "SECONDS", "Parser", "in_time", "natural_order", "short"]

Built = TypeVar("Built")

LENGTH = 10_000  # characters of a text
DEPTH = 100  # parentheses and exponents inside each other
# Exponents in exponents: of numbers, x^(1/2)^(1/2)^..., SymPy finds digits by way of all numbers inside, at each of its
# steps. Eight times longer for each level: 0.04 s of the processor at four, 4 s at seven, where nothing is computed but
# common subexpressions.
TOWER = 4
NAME_LENGTH = 100
DIGITS = 300  # of a number as typed
BITS = 2048  # of a number that SymPy computes: it factors what it takes roots of, which at this size takes milliseconds
DEGREE = 1024  # of a power of anything but a number or a sum
SUM_DEGREE = 64  # of a power of a sum, which later steps may have to expand
SECONDS = 1.0

_OF_ONE = (
    *(sp.sin, sp.cos, sp.tan, sp.cot, sp.sec, sp.csc, sp.asin, sp.acos, sp.atan, sp.acot),
    *(sp.sinh, sp.cosh, sp.tanh, sp.coth, sp.sech, sp.csch, sp.asinh, sp.acosh, sp.atanh),
    *(sp.exp, sp.log, sp.sqrt, sp.Abs, sp.sign, sp.erf, sp.erfc),
)
# By name: the function and how many arguments it takes.
FUNCTIONS: dict[str, tuple[Callable[..., sp.Expr], int]] = {
    **{function.__name__: (function, 1) for function in _OF_ONE},
    "abs": (sp.Abs, 1),
    "ln": (sp.log, 1),
    "atan2": (sp.atan2, 2),
}

CONSTANTS: dict[str, sp.Expr] = {"pi": sp.pi, "E": sp.E}
# Names that mean a number elsewhere, and not a real one: a symbol of that name would surprise.
RESERVED = {"I": "the imaginary unit", "oo": "infinity", "zoo": "infinity", "nan": "not a number", "inf": "infinity"}


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key: digits count as numbers, so that w2 comes before w10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def short(text: str, /) -> str:
    """``text`` on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def in_time(text: str, build: Callable[[], tuple[Parser, Callable[[], Built]]], /) -> Built:
    """The value of the second part of ``build`` (a parser, and what it is asked), within `SECONDS` of the processor.

    Raises:
        InputError: it took longer, or more than there is of the stack or of memory.
    """
    # The second time is for a machine that was busy elsewhere: a text is refused only for work of its own.
    # And a collection of garbage in a large process takes most of a second, or swallows the signal.
    collects = gc.isenabled()
    gc.disable()
    try:
        for seconds in (SECONDS, 10 * SECONDS):
            parser, parse = build()
            try:
                with time_limit(seconds):
                    return parse()
            except (TimeLimitExceeded, RecursionError, MemoryError) as error:
                reason = type(error).__name__
                if not isinstance(error, TimeLimitExceeded) or parser.seconds > SECONDS / 2:
                    break
    finally:
        if collects:
            gc.enable()
    raise InputError(
        f"the expression {short(text)!r} is too much for the text parser ({reason}). "
        "Build it with SymPy in a file and name that: file.py:attribute."
    )


class Parser:
    """Recursive descent over the tokens; one method for each line of the grammar.

    Args:
        text: for messages.
        tokens: its words, with an end.
        names: as in `sharpflow.naming.expressions.parse_expression`.
        functions: more of them by name, or others than those of `FUNCTIONS`; an arity ``None`` takes any number.
        about: what the expression is part of, for messages.
    """

    def __init__(
        self, text: str, tokens: Sequence[Token], names: Mapping[str, sp.Expr] | Iterable[str] | None,
        functions: Mapping[str, tuple[Callable[..., sp.Expr], int | None]] | None = None, about: str = "losses are",
    ) -> None:  # fmt: skip
        self.text = text
        self.functions: dict[str, tuple[Callable[..., sp.Expr], int | None]] = {**FUNCTIONS, **(functions or {})}
        self.about = about
        self.names: dict[str, sp.Expr] | None = None
        if isinstance(names, Mapping):
            self.names = dict(names)
        elif names is not None:
            self.names = {str(name): sp.Symbol(str(name), real=True) for name in names}
        self.used: set[str] = set()
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.tower = 0
        self.begin = time.thread_time()

    # Reading tokens

    @property
    def token(self) -> Token:
        """The next one."""
        return self.tokens[self.position]

    def _next(self) -> Token:
        token = self.token
        self.position += 1
        return token

    def _accept(self, *operators: str) -> Token | None:
        if self.token.kind == "operator" and self.token.text in operators:
            return self._next()
        return None

    def _fail(self, column: int, what: str, advice: str) -> NoReturn:
        fail(self.text, column, what, advice)

    @property
    def seconds(self) -> float:
        """Processor time spent on this text."""
        return time.thread_time() - self.begin

    def _in_time(self) -> None:
        # The signal of the time limit reaches the main thread only, and may be swallowed by whoever runs just then.
        if self.seconds > SECONDS:
            raise TimeLimitExceeded(f"over {SECONDS:g} s")

    def _enter(self, token: Token) -> None:
        self._in_time()
        self.depth += 1
        if self.depth > DEPTH:
            self._fail(
                token.column, f"nested more than {DEPTH} deep", "name a part of it, or build it with SymPy in a file"
            )

    # The grammar

    def parse(self) -> sp.Expr:
        """The expression that all tokens together spell."""
        result = self._sum()
        token = self.token
        if token.kind != "end":
            if token.text == ")":
                self._fail(token.column, "this ')' closes nothing", "remove it, or open a '(' before")
            if token.text == ",":
                self._fail(
                    token.column, "a ',' outside a function", "write a decimal point as '.', and one expression only"
                )
            before = self.tokens[self.position - 1]
            self._fail(
                token.column, "an operator is missing", f"for a product write {before.text[-20:]}*{token.text[:20]}"
            )
        if result.has(sp.I, sp.nan, sp.zoo, sp.oo, -sp.oo):
            self._fail(0, f"the expression comes to {sp.sstr(result)[:60]}", "it must be real and finite")
        return result

    def _sum(self) -> sp.Expr:
        terms = [self._product()]
        while operator := self._accept("+", "-"):
            term = self._product()
            terms.append(-term if operator.text == "-" else term)
        return terms[0] if len(terms) == 1 else sp.Add(*terms)

    def _product(self) -> sp.Expr:
        start = self.token
        factors = self._signed()
        while operator := self._accept("*", "/"):
            place = self.token
            more = self._signed()
            if operator.text == "/":
                divisor = self._multiply(more, place)
                if divisor.is_zero:
                    self._fail(place.column, "division by zero", "the divisor is identically zero; correct it")
                more = [self._power_of(divisor, sp.Integer(-1), place)]
            factors.extend(more)
        return self._multiply(factors, start)

    def _multiply(self, factors: list[sp.Expr], place: Token) -> sp.Expr:
        if len(factors) == 1:
            return factors[0]
        return self._checked(sp.Mul(*factors), place)

    def _signed(self) -> list[sp.Expr]:
        """The factors of a signed power: -1 where there is an odd number of minus signs, and the power."""
        negative = False
        while sign := self._accept("+", "-"):
            negative ^= sign.text == "-"
        power = self._power()
        return [sp.Integer(-1), power] if negative else [power]

    def _power(self) -> sp.Expr:
        place = self.token
        base = self._atom()
        operator = self._accept("**", "^")
        if operator is None:
            return base
        self._enter(operator)
        self.tower += 1
        if self.tower > TOWER:
            self._fail(
                operator.column, f"exponents inside each other more than {TOWER} deep",
                "write (x^a)^b or x^(a*b) if that is meant, since x^a^b is x^(a^b)",
            )  # fmt: skip
        exponent = self._multiply(self._signed(), place)
        self.tower -= 1
        self.depth -= 1
        return self._power_of(base, exponent, operator)

    def _atom(self) -> sp.Expr:
        token = self._next()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "name":
            name = unicodedata.normalize("NFKC", token.text)
            return self._call(name, token) if self.token.text == "(" else self._name(name, token)
        if token.text == "(":
            self._enter(token)
            value = self._sum()
            self._close(token)
            return value
        if token.kind == "end":
            self._fail(token.column, "the text ends too early", "a number, a name or '(' is missing here")
        self._fail(
            token.column, f"{token.text!r} has nothing to work on", "a number, a name or '(' is missing before it"
        )

    def _close(self, opened: Token) -> None:
        if not self._accept(")"):
            if self.token.kind == "end":
                self._fail(opened.column, "this '(' is never closed", "add a ')'")
            if self.token.text == ",":
                self._fail(self.token.column, "a ',' too many", "write a decimal point as '.', and one expression only")
            self._fail(self.token.column, "an operator or a ')' is missing", "for a product write *")
        self.depth -= 1

    def _number(self, token: Token) -> sp.Expr:
        mantissa, _, exponent = token.text.lower().partition("e")
        if len(mantissa) > DIGITS or len(exponent) > 4 or abs(int(exponent or 0)) > DIGITS:
            self._fail(token.column, f"a number of more than {DIGITS} digits", "write a shorter one")
        return sp.Rational(token.text)

    def _name(self, name: str, token: Token) -> sp.Expr:
        if len(name) > NAME_LENGTH:
            self._fail(token.column, f"a name of more than {NAME_LENGTH} characters", "write a shorter one")
        if self.names is not None and name in self.names:
            self.used.add(name)
            return self.names[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in self.functions:
            self._fail(
                token.column, f"{name} is a function", f"write {name}(...), or choose another name for the variable"
            )
        if name in RESERVED:
            self._fail(
                token.column, f"{name} is {RESERVED[name]}", f"{self.about} real and finite; choose another name"
            )
        if self.names is not None:
            known = ", ".join(sorted(self.names, key=natural_order)[:20]) or "none"
            self._fail(
                token.column, f"no name {name!r} is known here", f"{did_you_mean(name, self.names)}known are {known}"
            )
        self.used.add(name)
        return sp.Symbol(name, real=True)

    def _call(self, name: str, token: Token) -> sp.Expr:
        if name not in self.functions:
            if name in CONSTANTS or len(name) == 1 or (self.names is not None and name in self.names):
                self._fail(self.token.column, "an operator is missing", f"for a product write {name}*(...)")
            hint = did_you_mean(name, self.functions)
            known = ", ".join(sorted(self.functions))
            self._fail(
                token.column, f"no function is called {name[:40]!r}", f"{hint}for a product write *; there are {known}"
            )
        function, arity = self.functions[name]
        opened = self._next()
        self._enter(opened)
        arguments = [self._sum()]
        while self._accept(","):
            arguments.append(self._sum())
        self._close(opened)
        if arity is not None and len(arguments) != arity:
            self._fail(
                token.column, f"{name} takes {arity} argument{'s' * (arity > 1)}, not {len(arguments)}", "correct it"
            )
        if name == "sqrt":
            return self._power_of(arguments[0], sp.S.Half, token)
        if name == "exp":
            return self._power_of(sp.E, arguments[0], token)
        return self._checked(function(*arguments), token)

    # Guards around what SymPy evaluates by itself

    def _power_of(self, base: sp.Expr, exponent: sp.Expr, place: Token) -> sp.Expr:
        """``base**exponent``, refused before SymPy computes it where the result would be too large."""
        if exponent.is_Rational:
            coefficient, rest = base.as_coeff_Mul()
            size = max(_bits(coefficient), 1) if abs(coefficient) != 1 else 0
            limit = SUM_DEGREE if any(factor.is_Add for factor in sp.Mul.make_args(rest)) else DEGREE
            if (rest != 1 and abs(exponent) > limit) or exponent.q > 99_999 or size * abs(exponent) > BITS:
                self._fail(place.column, "an exponent too large", self._power_advice(limit))
            if base.is_zero and exponent.is_negative:
                self._fail(place.column, "division by zero", "the base of a negative power is identically zero")
        elif any(_bits(number) > 10 for number in exponent.atoms(sp.Rational)) and (
            base.is_number or exponent.is_number
        ):
            # exp(n log 2) and 2^(n + x) compute 2^n.
            self._fail(place.column, "an exponent too large", self._power_advice(DEGREE))
        return self._checked(sp.Pow(base, exponent), place)

    @staticmethod
    def _power_advice(limit: int) -> str:
        return f"exponents go up to {limit}, numbers to {BITS} binary digits; factor or rescale the expression"

    def _checked(self, value: sp.Expr, place: Token) -> sp.Expr:
        """``value``, unless it is not real or grew past the bounds (powers of one base add their exponents)."""
        self._in_time()
        if value in (sp.nan, sp.zoo, sp.oo, -sp.oo):
            self._fail(place.column, "not a finite number", "this part comes to infinity or to nothing at all")
        for factor in sp.Mul.make_args(value):
            if factor is sp.I:
                self._fail(place.column, "not a real number", f"this part is imaginary, and {self.about} real")
            if factor.is_Rational and _bits(factor) > 2 * BITS:
                self._fail(place.column, "a number too large", f"numbers go up to {BITS} binary digits; rescale")
            if factor.is_Pow and not factor.exp.is_Rational:
                if factor.base.is_number and any(_bits(number) > 10 for number in factor.exp.atoms(sp.Rational)):
                    self._fail(place.column, "an exponent too large", self._power_advice(DEGREE))
            elif factor.is_Pow and abs(factor.exp) > (limit := SUM_DEGREE if factor.base.is_Add else DEGREE):
                self._fail(place.column, "an exponent too large", self._power_advice(limit))
        return value


def _bits(number: sp.Rational) -> int:
    """Binary digits of numerator or denominator, whichever has more."""
    return max(int(abs(number.p)).bit_length(), int(number.q).bit_length())
