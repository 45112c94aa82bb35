"""A loss or an update rule as a short text: the same for the same formula or map, another where that is another.

A rule is run twice on fixed vectors of R^4 with a fixed gradient (of no loss: any vector field tells maps apart), at
two rates. A change of a helper function that the update calls is seen as well, which its source would not show.
"""

from __future__ import annotations

import hashlib
import math
from types import SimpleNamespace
from typing import Any

import sympy as sp

from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Operations, Rule

__all__ = ["exact_fingerprint", "fingerprint"]


class _Vector(tuple[float, ...]):
    """A vector of floats with the operators an update uses."""

    __slots__ = ()
    _op_priority = 300.0

    def __add__(self, other: Any) -> _Vector:
        return _Vector(a + b for a, b in zip(self, other, strict=True))

    def __sub__(self, other: Any) -> _Vector:
        return _Vector(a - b for a, b in zip(self, other, strict=True))

    def __neg__(self) -> _Vector:
        return _Vector(-a for a in self)

    def __mul__(self, factor: Any) -> _Vector:
        return _Vector(a * float(factor) for a in self)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> _Vector:
        return _Vector(a / float(divisor) for a in self)


def _dot(a: _Vector, b: _Vector) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


class _Gradient:
    """A smooth vector field and a positive function, with no symmetry that a rule could share."""

    def __call__(self, w: _Vector) -> _Vector:
        a, b, c, d = w
        return _Vector((0.7 * b + 0.1 * a * a, 1.3 * c - 0.2 * a, 0.9 * d + 0.3 * b * c, -1.1 * a + 0.4 * d * d))

    def excess_loss(self, w: _Vector) -> float:
        return 0.5 + _dot(w, w) * 0.37


_OPERATIONS = Operations(dot=_dot, norm=lambda a: math.sqrt(_dot(a, a)), sqrt=lambda a: math.sqrt(float(a)))
_STARTS = (_Vector((0.83, -0.31, 0.42, 0.19)), _Vector((-0.27, 0.91, 0.16, -0.52)))


def fingerprint(subject: Loss | Rule, /) -> str:
    """64 hexadecimal digits.

    Raises:
        InputError: the update of a rule fails on numbers.
    """
    seen = _of_loss(subject) if isinstance(subject, Loss) else _of_rule(subject)
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def exact_fingerprint(subject: Loss | Rule | None, /) -> str | None:
    """The same, of what nothing is missing in: else ``None``, as where a formula has a function of the user's own.

    "generic" for no subject.
    """
    if isinstance(subject, Loss):
        expressions = (subject.expression, *(() if subject.minima is None else subject.minima.point))
        nodes = (node for expression in expressions for node in sp.preorder_traversal(expression))
        if any(type(node).__module__.split(".")[0] != "sympy" for node in nodes):
            return None
    try:
        return "generic" if subject is None else fingerprint(subject)
    except Exception:  # a rule's functions are the user's own code
        return None


def _of_loss(loss: Loss) -> list[Any]:
    seen: list[Any] = [loss.name, loss.note, sorted(loss.expects_to_fail)]
    seen += [sp.srepr(part) for part in (*loss.variables, loss.expression)]
    if loss.minima is not None:
        minima = loss.minima
        seen += [*(sp.srepr(sp.sympify(part)) for part in (*minima.chart, *minima.point)), minima.start, minima.domain]
    return seen


def _of_rule(rule: Rule) -> list[Any]:
    seen: list[Any] = [
        rule.name, rule.space, rule.state, rule.rate, sorted(rule.constants.items()), rule.title, rule.source,
        sorted((name, sp.srepr(sp.sympify(value))) for name, value in rule.at_rate(sp.Symbol("rate")).items()),
    ]  # fmt: skip
    for rate, start in zip((1e-2, 3e-3), _STARTS, strict=True):
        p = rule.parameters(rate)
        scalars = {name: float(value) for name, value in rule.initial(p).items()} | {"effective_lr": 0.71}
        state: Any = SimpleNamespace(**{
            name: scalars[name] if name in scalars else _STARTS[1] * 0.3 + _STARTS[0] for name in rule.state
        })  # fmt: skip
        w = start
        for _ in range(2):
            w, state = rule.step(w, _Gradient(), state, p, _OPERATIONS)
            for value in (w, *(getattr(state, name) for name in rule.state)):
                numbers = value if isinstance(value, tuple) else (float(value),)
                seen.append([f"{number:.12e}" for number in numbers])
    return seen
