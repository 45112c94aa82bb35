"""Valid statements mutated: read, or refused with a place; nothing is executed, nothing takes over a second."""

import random
import time

import pytest
import sympy as sp

from sharpflow.statements.derivation_file import read_equations
from sharpflow.statements.latex import latex_tokens
from sharpflow.statements.prove import names_for
from sharpflow.statements.reader import functions_of, read_statement, read_tokens
from sharpflow.theory.errors import InputError
from tests.statements.zoo import DERIVATIONS, STATEMENTS

NAMES = names_for(
    "ridge", None, symbols=dict.fromkeys("abefhkmnqstvwCFGS", "positive") | {"beta": "real", "C_b": "real"}
)
FUNCTIONS = functions_of(NAMES)
LINES = [line.strip("$ ") for e in DERIVATIONS for line in e.text.splitlines() if line.startswith("$$")]
TEXTS = [e.text for e in STATEMENTS]
PIECES = [
    *"()[]{}^_&$%#~'\"|=<>+-*/,;:.!?\\ \n\t0123456789abcdefxyzKLOXU",
    "**",
    "^^",
    "9^9^9^9",
    "=>",
    r"\frac",
    r"\sqrt",
    r"\left(",
    r"\right)",
    r"\input{/etc/passwd}",
    r"\write18{touch x}",
    r"\def\a{\a\a}\a",
    r"\begin{align}",
    r"\end{align}",
    r"\\",
    r"\\[2pt]",
    r"\langle",
    r"\rangle",
    r"\dot",
    r"\nabla",
    r"\nabla^2 L(w)",
    r"^\top",
    r"\begin{pmatrix}",
    r"\end{pmatrix}",
    "&",
    "grad L(",
    "(1, 2, 3)",
    "dot(",
    r"\frac{d}{d\tau}",
    r"\implies",
    r"\text{by (3)}",
    r"\text{",
    "__import__('os').system('x')",
    "(" * 60,
    "{" * 60,
    "x^" * 20,
    "1e999",
    "exp(exp(exp(9999)))",
    "999999999^999",
    r"\sin",
    r"\cos^2",
    r"\mathrm{",
    "factorial(9999)",
    "diff(",
    "along(",
    "L(",
    "é",
    "\x00",
    "²",
    "∞",
    "lambda: 1",
    "'",
    r"\eqref{a}",
    r"\label{a}",
    "\N{MATHEMATICAL ITALIC SMALL X}",
    "\\",
]
# What stands around formulas in a file.
AROUND = [
    r"\text{}",
    r"\text{for } K > 0",
    r"\text{ if ",
    "$$",
    r"\[",
    r"\tag{1}",
    r"\label{a}",
    r"\text{by }(1)",
    r"\forall p",
]
AROUND += [
    r"\begin{equation}",
    r"\end{equation}",
    r"\nonumber",
    r"(\tau)",
    r"\sin^{-1}",
    r"\text{where $a$ is x}",
    "```math\n",
]


def mutated(draw):
    """A valid line with some pieces cut out, doubled, exchanged or put in."""
    lines = LINES if draw.random() < 0.6 else TEXTS
    text = draw.choice(lines)
    for _ in range(draw.randint(1, 4)):
        i = draw.randrange(len(text) + 1)
        j = min(len(text), i + draw.randint(0, 6))
        how = draw.random()
        if how < 0.3:
            text = text[:i] + text[j:]
        elif how < 0.5:
            text = text[:j] + text[i:j] + text[j:]
        elif how < 0.7:
            other = draw.choice(lines)
            k = draw.randrange(len(other) + 1)
            text = text[:i] + other[k : k + draw.randint(0, 20)] + text[j:]
        else:
            text = text[:i] + draw.choice(PIECES) + text[j:]
    return text, lines is LINES


def read(text, latex):
    if not latex:
        return read_statement(text, NAMES)
    tokens = latex_tokens(text, lambda n: n in NAMES.table, lambda n: n in FUNCTIONS, coordinate="p")
    return read_tokens(text, tokens, NAMES, free=lambda name: sp.Symbol(name, real=True))


def fuzz(count, seed):
    draw = random.Random(seed)
    understood, slowest, told = 0, 0.0, []
    for _ in range(count):
        text, latex = mutated(draw)
        begin = time.thread_time()
        try:
            read(text, latex)
            understood += 1
        except InputError as error:
            told.append(str(error))
        except Exception as error:
            error.add_note(repr(text))
            raise
        slowest = max(slowest, time.thread_time() - begin)
        assert slowest < 1.0, (text, slowest)
    assert all(message.strip() for message in told)
    return understood


def test_a_few_hundred(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fuzz(400, 0) > 40
    assert not list(tmp_path.iterdir())


def test_files_with_pieces_put_in_are_read_or_refused(tmp_path):
    draw, path = random.Random(2), tmp_path / "a.md"
    texts = [e.text for e in DERIVATIONS if "loss:" not in e.text]
    pieces = [*PIECES, *AROUND]
    for _ in range(300):
        text = draw.choice(texts)
        for _ in range(draw.randint(1, 4)):
            i = draw.randrange(20, len(text) + 1)
            text = text[:i] + draw.choice(pieces) + text[i:]
        path.write_text(text)
        try:
            read_equations(str(path))
        except InputError:
            continue
        except Exception as error:
            error.add_note(repr(text))
            raise


@pytest.mark.longest
def test_a_hundred_thousand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fuzz(100_000, 1) > 5_000
    assert not list(tmp_path.iterdir())
