"""Results are printed on a page, whatever they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.brief import brief
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import families


@brief
@dataclass(frozen=True, eq=False)
class Holds:
    value: Any
    hidden: int = field(default=3, repr=False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.zeros((500, 3)), "array of shape (500, 3)"),
        (np.array([0.5, np.nan]), "[0.5, nan]"),
        (np.arange(9), "array of shape (9,)"),
        (np.array([1234567, 12345678]), "[1234567, 12345678]"),
        (np.array([True, False]), "[True, False]"),
        (np.array(["a", "b"]), "array of shape (2,)"),
        (np.zeros(4, dtype=[("loss", "U64"), ("rates", int)]), "array of shape (4,)"),
        (np.array(0.5), "0.5"),
        (np.int64(3), "3"),
        (np.float32(0.5), "0.5"),
        (jnp.zeros((2, 2)), "array of shape (2, 2)"),
        (jnp.float64(0.25), "0.25"),
        ("two\nlines", "two lines"),
        (RESULTS.LEFT_MINIMA, "left_minima"),
        (1 / 3, "0.33333333"),
        ((0.25,), "(0.25,)"),
        ((1, "two"), "(1, two)"),
        (tuple(range(20)), "20 x int"),
        ((1, "two") * 5, "10 entries"),
        ((Holds(1), Holds(2)), "2 x Holds"),
        (Holds(1), "Holds"),
        ({"gd": 0.125, "flow": 2}, "{gd: 0.125, flow: 2}"),
        ({str(k): k for k in range(9)}, "9 entries: 0, 1, 2, 3, 4, 5, 6, 7, ..."),
        ("x" * 200, "x" * 97 + "..."),
        (True, "True"),
    ],
)
def test_a_field_is_a_short_line(value, shown):
    assert repr(Holds(value)) == f"Holds\n  value = {shown}"


@pytest.mark.parametrize("value", [None, ""])
def test_a_field_that_says_nothing_is_left_out(value):
    assert repr(Holds(value)) == "Holds"


def test_a_comparison_fits_on_a_page():
    run = compare(families.get("ridge").default(), rate=1e-3, time=0.2)
    lines = repr(run).splitlines()
    assert lines[0] == "Comparison"
    assert "  result = successful" in lines
    assert len(lines) < 40
    assert max(map(len, lines)) < 130
