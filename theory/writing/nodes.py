"""SymPy expressions as JSON and back, for what is kept on disk: nothing of what is read is ever evaluated as text.

A value becomes {"nodes": [...], "value": ...}: every expression in it is the number of a node, and a node is the name
of its class and the numbers of its arguments, each subexpression once. Only the classes named here are built.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

__all__ = ["NotWritten", "from_nodes", "to_nodes"]

_CLASSES = {
    c.__name__: c for c in (
        sp.Add, sp.Mul, sp.Pow, sp.Abs, sp.sign, sp.Min, sp.Max, sp.exp, sp.log, sp.sin, sp.cos, sp.tan, sp.cot, sp.sec,
        sp.csc, sp.asin, sp.acos, sp.atan, sp.acot, sp.sinh, sp.cosh, sp.tanh, sp.sech, sp.asinh, sp.acosh, sp.atanh,
        sp.erf, sp.erfc, sp.gamma, sp.loggamma, sp.LambertW, sp.atan2,
    )
}  # fmt: skip
_NUMBERS = {"pi": sp.pi, "E": sp.E, "oo": sp.oo, "-oo": -sp.oo}
# What the symbols of this theory are declared to be.
_ASSUMED = ("real", "positive", "nonnegative", "")


class NotWritten(Exception):  # noqa: N818  a condition, not a mistake
    """An expression of a class that is not written."""


def to_nodes(value: Any, /) -> dict[str, Any]:
    """A value of expressions, matrices, mappings, sequences, texts and numbers.

    Raises:
        NotWritten: a part of it would not come back as it is.
    """
    writer = _Writer()
    content = {"value": writer.of(value), "nodes": writer.nodes}
    if from_nodes(content) != value:
        raise NotWritten("it reads back as something else")
    return content


def from_nodes(content: dict[str, Any], /) -> Any:
    """The value again.

    Raises:
        ValueError, KeyError, TypeError, IndexError: the content is none of `to_nodes`.
    """
    built: list[Any] = []
    for node in content["nodes"]:
        built.append(_built(node, built))
    return _read(content["value"], built)


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[list[Any]] = []
        self.known: dict[sp.Basic, int] = {}

    def of(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, sp.MatrixBase):
            return {"matrix": [list(value.shape), [self.node(entry) for entry in value]]}
        if isinstance(value, sp.Basic):
            return {"node": self.node(value)}
        if isinstance(value, int | float):
            return value
        if isinstance(value, tuple | list):
            return {"sequence": [self.of(part) for part in value]}
        if hasattr(value, "items"):
            return {"mapping": [[self.of(key), self.of(entry)] for key, entry in value.items()]}
        raise NotWritten(type(value).__name__)

    def node(self, e: sp.Basic) -> int:
        """The number of an expression, after those of its parts; without recursion, as expressions may be deep."""
        stack = [e]
        while stack:
            top = stack[-1]
            if top in self.known:
                stack.pop()
                continue
            missing = [] if top.is_Atom else [part for part in top.args if part not in self.known]
            if missing:
                stack += missing
                continue
            self.known[top] = len(self.nodes)
            self.nodes.append(self.row(top))
            stack.pop()
        return self.known[e]

    def row(self, e: sp.Basic) -> list[Any]:
        if type(e) is sp.Symbol:
            for assumed in _ASSUMED:
                if _symbol(e.name, assumed) == e:
                    return ["Symbol", e.name, assumed]
        if isinstance(e, sp.Rational):
            return ["Rational", str(e.p), str(e.q)]
        for name, number in _NUMBERS.items():
            if e is number:
                return ["Number", name]
        if _CLASSES.get(type(e).__name__) is type(e):
            return [type(e).__name__, *(self.known[part] for part in e.args)]
        raise NotWritten(type(e).__name__)


def _symbol(name: str, assumed: str) -> sp.Symbol:
    return sp.Symbol(name, **({assumed: True} if assumed in _ASSUMED[:-1] else {}))


def _built(row: list[Any], built: list[Any]) -> sp.Basic:
    name, *parts = row
    if name == "Symbol":
        return _symbol(str(parts[0]), parts[1])
    if name == "Rational":
        return sp.Rational(int(parts[0]), int(parts[1]))
    if name == "Number":
        return _NUMBERS[parts[0]]
    # As it was, argument by argument: SymPy would multiply 2 (K + 4) out.
    return _CLASSES[name](*(built[int(part)] for part in parts), evaluate=False)


def _read(value: Any, built: list[Any]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "node":
        return built[held]
    if kind == "matrix":
        (rows, columns), entries = held
        return sp.ImmutableMatrix(rows, columns, [built[entry] for entry in entries])
    if kind == "sequence":
        return tuple(_read(part, built) for part in held)
    if kind == "mapping":
        return {_read(key, built): _read(entry, built) for key, entry in held}
    raise ValueError(f"{kind} is no kind of value")
