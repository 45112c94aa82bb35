"""The two-step map checked by exact arithmetic on rational numbers, by code that shares nothing with the derivation.

All jets, the norm, the constants and X, U are drawn at random from the integers up to 2^24 (or their quotients), the
rule is run on lists of fractions c_0, c_1, ... (a number of the form sum c_k delta^k), and what comes out after two
steps is compared with the series at these numbers, coefficient by coefficient. Both sides are rational functions whose
numerators have degree at most d in what is drawn; should they differ, a random point shows it but for a probability of
d/2^24 (Schwartz and Zippel), and N independent points but for its N-th power.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from types import SimpleNamespace
from typing import Any

import sympy as sp

from theory.center import EdgeMap
from theory.energy_law import TwoStep
from theory.proof import Status, Step
from theory.rule import Operations

__all__ = ["Number", "confirm_map", "run_twice"]

RANGE = 2**24
POINTS = 4
# A generous bound: no coefficient that is compared has a numerator of this degree.
DEGREE = 400
LENGTH = 9


def _fraction(value: Any) -> Fraction:
    if isinstance(value, int | Fraction):
        return Fraction(value)
    number = sp.Rational(sp.nsimplify(value, rational=True))
    return Fraction(int(number.p), int(number.q))


@dataclass(frozen=True, eq=False)
class Number:
    """c_0 + c_1 delta + ..., as a list of fractions; what is beyond the list is unknown."""

    c: tuple[Fraction, ...]

    _op_priority = 200.0

    @staticmethod
    def of(value: Any, power: int = 0) -> Number:
        """value*delta^power."""
        if isinstance(value, Number):
            return value
        return Number((Fraction(0),) * power + (_fraction(value),) + (Fraction(0),) * (LENGTH - power - 1))

    def __add__(self, other: Any) -> Number:
        return Number(tuple(a + b for a, b in zip(self.c, Number.of(other).c, strict=False)))

    __radd__ = __add__

    def __neg__(self) -> Number:
        return Number(tuple(-a for a in self.c))

    def __sub__(self, other: Any) -> Number:
        return self + (-Number.of(other))

    def __rsub__(self, other: Any) -> Number:
        return Number.of(other) - self

    def __mul__(self, other: Any) -> Number:
        if not isinstance(other, Number | int | float | Fraction | sp.Expr):
            return NotImplemented
        second = Number.of(other)
        a, b = self.c, second.c
        # What is unknown of one factor is multiplied by the leading zeros of the other.
        count = min(LENGTH, self.low() + len(b), second.low() + len(a))
        total = [Fraction(0)] * count
        for i, left in enumerate(a[:count]):
            if left:
                for j, right in enumerate(b[: count - i]):
                    if right:
                        total[i + j] += left * right
        return Number(tuple(total))

    __rmul__ = __mul__

    def low(self) -> int:
        """How many leading coefficients are 0."""
        return next((k for k, a in enumerate(self.c) if a), len(self.c))

    def down(self, by: int) -> Number:
        """Divided by delta^by."""
        if any(self.c[:by]):
            raise ZeroDivisionError("a pole at delta = 0")
        return Number(self.c[by:])

    def __truediv__(self, other: Any) -> Number:
        divisor = Number.of(other)
        by = divisor.low()
        b, a = divisor.down(by).c, self.down(by).c
        quotient: list[Fraction] = []
        for k in range(min(len(a), len(b))):
            quotient.append((a[k] - sum((quotient[i] * b[k - i] for i in range(k)), Fraction(0))) / b[0])
        return Number(tuple(quotient))

    def __rtruediv__(self, other: Any) -> Number:
        return Number.of(other) / self

    def sqrt(self) -> Number:
        """The root with a positive leading coefficient, which must be a rational number."""
        by = self.low()
        a = self.down(by).c
        root = Fraction(isqrt(a[0].numerator), isqrt(a[0].denominator))
        if root**2 != a[0] or by % 2:
            raise ArithmeticError(f"{a[0]} is not the square of a rational number")
        found = [root]
        for k in range(1, len(a)):
            found.append((a[k] - sum((found[i] * found[k - i] for i in range(1, k)), Fraction(0))) / (2 * root))
        return Number((Fraction(0),) * (by // 2) + tuple(found))

    def __pow__(self, exponent: Any) -> Number:
        twice = _fraction(exponent) * 2
        if twice.denominator != 1:
            raise ArithmeticError(f"the power {exponent}")
        base, count = (self.sqrt(), int(twice)) if twice % 2 else (self, int(twice) // 2)
        if count < 0:
            base, count = 1 / base, -count
        result = Number.of(1)
        for _ in range(count):
            result = result * base
        return result


@dataclass(frozen=True, eq=False)
class _Vector:
    """Components along zeta, v_1, the other normal direction and g."""

    parts: tuple[Number, ...]

    _op_priority = 300.0

    def __add__(self, other: _Vector) -> _Vector:
        return _Vector(tuple(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def __sub__(self, other: _Vector) -> _Vector:
        return _Vector(tuple(a - b for a, b in zip(self.parts, other.parts, strict=True)))

    def __neg__(self) -> _Vector:
        return _Vector(tuple(-a for a in self.parts))

    def __mul__(self, factor: Any) -> _Vector:
        return _Vector(tuple(a * factor for a in self.parts))

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> _Vector:
        return _Vector(tuple(a / divisor for a in self.parts))


def _dot(a: _Vector, b: _Vector) -> Number:
    first, *rest = (x * y for x, y in zip(a.parts, b.parts, strict=True))
    return sum(rest, start=first)


_OPERATIONS = Operations(dot=_dot, norm=lambda a: _dot(a, a).sqrt(), sqrt=lambda a: Number.of(a).sqrt())


def _gradient(jets: dict[str, Fraction], sharpness: Fraction) -> Callable[[_Vector], _Vector]:
    """grad L of L(w) = l(xi), xi = w/w_0 without w_0, written out by hand."""
    k, m, h = jets["K"], jets["m"], jets["h"]
    c3, c4, c21, c31, c111 = (jets[name] for name in ("c_3", "c_4", "c_21", "c_31", "c_111"))

    def gradient(w: _Vector) -> _Vector:
        x, y, s = (part / w.parts[0] for part in w.parts[1:])
        by_x = (
            x + k * x * s - h * s * s * Fraction(1, 2) + c3 * x * x * Fraction(1, 2) + c4 * x * x * x * Fraction(1, 6)
            + c21 * x * y + c31 * x * x * s * Fraction(1, 2) + c111 * y * s
        )  # fmt: skip
        by_y = m * y + c21 * x * x * Fraction(1, 2) + c111 * x * s
        by_s = k * x * x * Fraction(1, 2) - h * x * s + c31 * x * x * x * Fraction(1, 6) + c111 * x * y
        slopes = [slope * sharpness for slope in (by_x, by_y, by_s)]
        radial = -(x * slopes[0] + y * slopes[1] + s * slopes[2])
        return _Vector((radial, *slopes)) / w.parts[0]

    return gradient


def run_twice(single: EdgeMap, values: dict[sp.Symbol, Fraction], /) -> tuple[Number, Number, Number]:
    """X, U and s/delta^2 after two steps of the rule from X, U and S = 0, at these numbers."""
    frame, rule = single.frame, single.frame.rule
    exact = {symbol: sp.Rational(v.numerator, v.denominator) for symbol, v in values.items()}
    at = lambda e: _fraction(sp.sympify(e).subs(exact))  # noqa: E731
    delta = Number.of(1, 1)
    parameters = {
        name: value if not isinstance(value, sp.Expr) else _polynomial(value, exact)
        for name, value in frame.parameters.items()
    }
    jets = {s.name: v for s, v in values.items()}
    sharpness, edge = at(single.edge.sharpness), at(single.edge.value)
    gradient = _gradient(jets, sharpness)
    x, u = jets["X"], jets["U"]
    lr = (edge + u * delta) / sharpness
    states: dict[str, Any] = {name: _polynomial(value, exact) for name, value in frame.scalars.items()}
    slaved = {
        name: Number(tuple(at(c.as_expr()) for c in series.coefficients[:4])) for name, series in single.slaved.items()
    }
    for name in frame.vectors:
        states[name] = _Vector(tuple(slaved[f"{name}.{part}"] for part in ("radial", "x", "y", "s")))
    w = _Vector((Number.of(1), x * delta, slaved["y"], Number.of(0)))
    if frame.on_weights:
        # |w|^2 by the definition of effective_lr: a step from rest multiplies theta and -G by numbers of this ratio.
        squared = _norm_squared(frame, lr, parameters, states)
        w = w * (squared / _dot(w, w)).sqrt()
    else:
        w = w / _dot(w, w).sqrt()
        if "effective_lr" in rule.state:
            states["effective_lr"] = lr
    for _ in range(2):
        w, new = rule.step(w, gradient, SimpleNamespace(**states), SimpleNamespace(**parameters), _OPERATIONS)
        states = vars(new)
        if not frame.on_weights:
            w = w / _dot(w, w).sqrt()
    xi = [part / w.parts[0] for part in w.parts[1:]]
    foot = xi[2] * (1 + jets["h"] * xi[0])
    if frame.on_weights:
        lr = _lr_of_norm(frame, _dot(w, w), parameters, states)
    elif "effective_lr" in rule.state:
        lr = states["effective_lr"]
    edge_now = lr * sharpness * (1 + jets["K"] * foot)
    return xi[0].down(1), (edge_now - edge).down(1), foot.down(2)


def _polynomial(value: Any, exact: dict[sp.Symbol, Any]) -> Number:
    """An expression in delta with numbers put in, of non-negative powers."""
    from theory.series import DELTA

    expression = sp.expand(sp.sympify(value).subs(exact))
    total = Number.of(0)
    for power in range(LENGTH):
        total = total + Number.of(expression.coeff(DELTA, power), power)
    return total


def _lr_of_norm(frame: Any, squared: Number, parameters: dict[str, Any], states: dict[str, Any]) -> Number:
    """effective_lr at |w|^2: one step from rest along a unit G orthogonal to theta, on numbers."""
    zero, one = Number.of(0), Number.of(1)
    length = squared.sqrt()
    resting = {name: (_Vector((zero,) * 4) if name in frame.vectors else value) for name, value in states.items()}
    slope = _Vector((zero, one / length, zero, zero))
    w = _Vector((length, zero, zero, zero))
    moved, _ = frame.rule.step(
        w, lambda _: slope, SimpleNamespace(**resting), SimpleNamespace(**parameters), _OPERATIONS
    )
    return -moved.parts[1] / moved.parts[0]


def _norm_squared(frame: Any, lr: Number, parameters: dict[str, Any], states: dict[str, Any]) -> Number:
    """effective_lr is a number over |w|^2 (scale invariance): one evaluation at |w| = 1 gives the number."""
    return _lr_of_norm(frame, Number.of(1), parameters, states) / lr


def confirm_map(single: EdgeMap, steps: TwoStep, /, *, points: int = POINTS, seed: int = 0) -> Step:
    """The step "two steps of the rule on rational numbers = the two-step vector field, integrated over T = 2 delta"."""
    from theory.center import U, X

    begin = time.perf_counter()
    generator = random.Random(seed)
    symbols = [*single.ring.units, *single.ring.symbols]
    start = dict.fromkeys(single.slow, 1)
    field = [steps.x, steps.u]
    follow = [
        sp.Matrix([2 * field[i], 2 * (steps.x_next, steps.u_next)[i] + 2 * (
            sp.diff(field[i], X) * field[0] + sp.diff(field[i], U) * field[1]
        )]) for i in range(2)
    ]  # fmt: skip
    along = [2 * steps.s, 2 * steps.s_next + 2 * (sp.diff(steps.s, X) * field[0] + sp.diff(steps.s, U) * field[1])]
    status, witness = Status.PROVED, {}
    for _ in range(points):
        values = {symbol: Fraction(generator.randrange(1, RANGE)) for symbol in symbols}
        for symbol in single.frame.constants.values():
            values[symbol] = Fraction(generator.randrange(1, RANGE), RANGE)
        values |= {symbol: Fraction(1) for symbol in single.slow}
        values[symbols[symbols.index(sp.Symbol("S", real=True))]] = Fraction(0)
        exact = {symbol: sp.Rational(v.numerator, v.denominator) for symbol, v in values.items()}
        try:
            x, u, s = run_twice(single, values)
        except ArithmeticError as reason:
            # A root of what is drawn: this rule cannot be brought to rational points.
            status, witness = Status.UNDECIDED, {"at rational points": str(reason)}
            break
        expected = [e.subs(start).subs(exact) for pair in follow for e in pair] + [
            e.subs(start).subs(exact) for e in along
        ]
        measured = [x.c[1], x.c[2], u.c[1], u.c[2], s.c[0], s.c[1]]
        names = ["X, delta", "X, delta^2", "U, delta", "U, delta^2", "s, delta^2", "s, delta^3"]
        for name, left, right in zip(names, measured, expected, strict=True):
            if left != _fraction(right):
                status = Status.REFUTED
                witness = {"coefficient": name, "rule on rational numbers": str(left), "series": str(right)}
                witness |= {symbol.name: str(v) for symbol, v in values.items()}
                break
        if status is Status.REFUTED:
            break
    bound = (DEGREE / RANGE) ** points
    return Step(
        "two steps of the rule, run on rational numbers, are the series",
        sp.Symbol("two steps"), sp.Symbol("series"), status=status,
        method=f"exact rational arithmetic at {points} random points, error below {bound:.0e} (Schwartz-Zippel)"
        if status is not Status.UNDECIDED
        else "the rule takes roots that are not rational at rational points",
        residual=sp.Integer(0) if status is Status.PROVED else None, witness=witness,
        seconds=time.perf_counter() - begin,
        second=f"confirmed at {points} rational points, error below {bound:.0e}" if status is Status.PROVED else "",
        note="The coefficients of X, U to delta^2, of s to delta^3; by code that shares nothing with the derivation.",
    )  # fmt: skip
