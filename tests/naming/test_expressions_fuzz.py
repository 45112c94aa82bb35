"""A hundred thousand texts for the parser of losses: each is a loss or an error, in a second, and nothing is executed.

Three kinds, a third each: characters at random, tokens at random, and right expressions with a few characters changed.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest
import sympy as sp

from sharpflow.naming.expressions import parse_expression, parse_loss
from sharpflow.naming.grammar import SECONDS
from sharpflow.theory.errors import InputError

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


# What the interpreter reports of itself (PEP 578) when text is compiled or run, a file or a socket opened, a process
# begun.
EXECUTION = ("compile", "exec", "open", "import", "os.system", "os.exec", "os.posix_spawn", "os.fork",
             "subprocess.Popen", "socket.connect", "ctypes.dlopen")  # fmt: skip
OWN = str(Path(sp.__file__).parent)
watched: list[bool] = []


def forbid(event, arguments):
    if watched and event in EXECUTION and not of_sympy(event, arguments):
        raise AssertionError(f"a text led to {event}{arguments!r:.200}")


def of_sympy(event, arguments):
    """Modules of its own that SymPy imports when it first needs them."""
    if event == "import":
        return arguments[0].startswith("sympy.")
    place = {"exec": lambda code, *_: code.co_filename, "open": lambda path, *_: path, "compile": lambda _, path: path}
    return event in place and str(place[event](*arguments)).startswith(OWN)


def feed(count, seed):
    """Parse them all; how many were right, the longest time and the longest time of the processor."""
    right, longest, worked = 0, 0.0, 0.0
    for k, text in enumerate(texts(count, seed)):
        parse = parse_loss if k % 2 else parse_expression
        begin, work = time.perf_counter(), time.thread_time()
        watched.append(True)
        try:
            parse(text)
            right += 1
        except InputError as error:
            said = str(error)
        else:
            said = "right"
        finally:
            watched.clear()
        longest, worked = max(longest, time.perf_counter() - begin), max(worked, time.thread_time() - work)
        assert said, text
        assert worked < SECONDS, text
        assert longest < 10 * SECONDS, text  # by the clock, on a machine that may be busy elsewhere
    return right, longest, worked


sys.addaudithook(forbid)  # for good, and idle but in `feed`


ACTIONS = [lambda: eval("1 + 1"), lambda: exec("1"), lambda: Path(__file__).read_bytes(), lambda: os.system("true")]


@pytest.mark.parametrize("action", ACTIONS, ids=["eval", "exec", "open", "system"])
def test_the_watch_sees_what_it_is_to_see(action):
    watched.append(True)
    try:
        with pytest.raises(AssertionError, match="led to"):
            action()
    finally:
        watched.clear()


def test_three_thousand_texts():
    right, *_ = feed(3_000, 0)
    assert 100 < right < 2_000


@pytest.mark.longest
def test_a_hundred_thousand_texts():
    right, longest, worked = feed(100_000, 1)
    assert right > 3_000
    print(f"{right} of 100000 texts are right; the slowest took {longest:.2f} s, {worked:.2f} s of the processor")
