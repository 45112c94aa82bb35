"""Expressions as JSON and back: what comes back is what was written, and nothing is evaluated on the way."""

from __future__ import annotations

import json

import pytest
import sympy as sp

from sharpflow.theory import families
from sharpflow.theory.writing.nodes import NotWritten, from_nodes, to_nodes

p = sp.Symbol("p", real=True)
tau = sp.Symbol("tau", positive=True)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        0.35,
        (1, (2.5, "a")),
        sp.Rational(-3, 7),
        sp.sqrt(2) * sp.sin(p) ** 3 / (1 + sp.exp(-tau)) - sp.pi,
        {p: sp.log(sp.Abs(p)), tau: -sp.oo},
        sp.Matrix([[p, 1], [sp.cos(p), 0]]),
        (sp.Symbol("u"), sp.Symbol("u", real=True), sp.Symbol("u", nonnegative=True)),
        sp.Mul(2, p + 4, evaluate=False),
        (families.get("two-layer").default().expression, families.get("conic").default().minima.point),
    ],
)
def test_what_comes_back_is_what_was_written(value):
    assert from_nodes(json.loads(json.dumps(to_nodes(value)))) == value


def test_a_subexpression_is_written_once():
    common = sp.sin(p) + 1
    assert len(to_nodes(common**2 + sp.exp(common))["nodes"]) == 8  # p, sin, 1, 1 + sin, 2, the power, exp, the sum


@pytest.mark.parametrize("value", [sp.Dummy("x"), sp.Function("f")(p), sp.Integral(p, p), sp.Symbol("k", integer=True)])
def test_what_would_not_come_back_is_not_written(value):
    with pytest.raises(NotWritten):
        to_nodes(value)


def test_what_would_come_back_changed_is_not_written():
    with pytest.raises(NotWritten, match="something else"):
        to_nodes([p])  # a tuple, then


@pytest.mark.parametrize(
    "nodes",
    [
        [["Symbol", "x", "real"], ["eval", 0]],
        [["Lambda", "x"]],
        [["Add", "__import__('os').getcwd()"]],
        [["Add", 7]],
        [["Rational", "1.5", "x"]],
        [["Symbol"]],
        5,
    ],
)
def test_no_text_is_evaluated(nodes):
    with pytest.raises((ValueError, KeyError, TypeError, IndexError)):
        from_nodes({"value": {"node": 0}, "nodes": nodes})
