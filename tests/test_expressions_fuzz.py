"""A hundred thousand texts for the parser of losses: each is a loss or an error, in a second, and nothing is executed.

Three kinds, a third each: characters at random, tokens at random, and right expressions with a few characters changed.
"""

from __future__ import annotations

import builtins
import random
import time

import pytest

from sharpflow.expressions import SECONDS, parse_expression, parse_loss
from theory.errors import InputError

CHARACTERS = "xyzabE0123456789.+-*/^(),_ \t\n'\"\\[]{}:;=@#$%&!?<>|~`é²√∞\x00\u202e"
TOKENS = [
    *("x", "y", "z", "pi", "E", "I", "oo", "nan", "0", "1", "2", "3", "10", "1e9", "0.5", "99999999999", "1e-300"),
    *("+", "-", "*", "/", "**", "^", "(", ")", ",", " ", "sqrt(", "exp(", "log(", "sin(", "abs(", "sign(", "atan2("),
    *(
        "__import__",
        "os",
        ".system",
        "lambda",
        "eval(",
        "exec(",
        "open(",
        "x.diff",
        "x[0]",
        "'a'",
        "import sys",
        "self",
    ),
]
RIGHT = [
    "z^2/(x^2 + y^2 + z^2)*(2 + x*y/(x^2 + y^2 + z^2))",
    "x^2/(x^2 + y^2)",
    "sqrt(x^2 + y^2)/abs(x)",
    "exp(-x^2/(x^2 + y^2))*sin(y/x)^2",
    "0.25*(x^4 - y^4)/(x^2 + y^2)^2 + 1/3",
]
# The parser stops building after SECONDS; what it had begun is let go within as much again.
SLOWEST = 2 * SECONDS


def texts(count, seed):
    """``count`` texts, the same for a seed."""
    source = random.Random(seed)
    for k in range(count):
        if k % 3 == 0:
            yield "".join(source.choices(CHARACTERS, k=source.randint(0, 40)))
        elif k % 3 == 1:
            yield "".join(source.choices(TOKENS, k=source.randint(1, 20)))
        else:
            text = list(source.choice(RIGHT))
            for _ in range(source.randint(1, 4)):
                place = source.randrange(len(text) + 1)
                change = source.random()
                if change < 0.4 and place < len(text):
                    text[place] = source.choice(CHARACTERS)
                elif change < 0.7:
                    text.insert(place, source.choice(TOKENS))
                elif text[place : place + 3]:
                    del text[place : place + source.randint(1, 3)]
            yield "".join(text)


def feed(count, seed, monkeypatch):
    """Parse them all; how many were right, and the longest time."""

    def forbidden(*arguments, **options):
        raise AssertionError(f"text was executed: {arguments[:1]!r}")

    right, longest = 0, 0.0
    for k, text in enumerate(texts(count, seed)):
        parse = parse_loss if k % 2 else parse_expression
        with monkeypatch.context() as patch:
            patch.setattr(builtins, "eval", forbidden)
            begin = time.perf_counter()
            try:
                parse(text)
                right += 1
            except InputError as error:
                said = str(error)
            else:
                said = "right"
            assert said, text
            longest = max(longest, time.perf_counter() - begin)
            assert longest < SLOWEST, text
    return right, longest


def test_three_thousand_texts(monkeypatch):
    right, _ = feed(3_000, 0, monkeypatch)
    assert 100 < right < 2_000


@pytest.mark.deep
def test_a_hundred_thousand_texts(monkeypatch):
    right, longest = feed(100_000, 1, monkeypatch)
    assert right > 3_000
    print(f"{right} of 100000 texts are expressions or losses; the slowest took {longest:.2f} s")
