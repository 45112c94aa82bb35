"""The two-step map checked by exact arithmetic on rational numbers, by code that shares nothing with the derivation.

All jets, the norm, the constants and X, U are drawn at random from the integers up to R = 2^64 (or their quotients by
it), the rule is run on lists of fractions c_0, c_1, ... (a number of the form sum c_k delta^k), and what comes out of
two steps is compared with the series at these numbers, coefficient by coefficient. Both sides are rational functions of
what is drawn; a bound d on the degree of the numerator of their difference is counted along with them
(`sharpflow.theory.derivation.rational_series`). Should they differ, a random point shows it but for a probability of
d/R (Schwartz and Zippel), and N independent points but for its N-th power.

What is taken over from the derivation is what is put to the test: the edge, what is damped as a function of X, U and s
(where the run starts, and where it must end), and the two-step vector field.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import sympy as sp

from sharpflow.theory.derivation.rational_series import LENGTH, Degrees, NotRational, Number, as_fraction, degrees_of
from sharpflow.theory.edge.energy_law import TwoStep
from sharpflow.theory.edge.one_step import EdgeMap, S, U, X
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.proving.proof import Status, Step
from sharpflow.theory.rule import Operations

__all__ = ["confirm_map", "dot", "lr_of_norm", "norm_squared_of", "run_twice", "series_of"]

RANGE = 2**64
POINTS = 2
# Coefficients of what is damped that the derivation gives, and those that two steps end with for sure.
KNOWN, DAMPED = 4, 3
# |G| is this power of delta where effective_lr is read off; so many coefficients of effective_lr are lost.
SMALL = 3
# effective_lr may fall with |w| to this power.
STEEPEST = 4
_PARTS = ("radial", "x", "y", "s")
_HIGHER = ("c_3", "c_4", "c_21", "c_31", "c_111")


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


def dot(a: _Vector, b: _Vector) -> Number:
    """<a, b>, of series."""
    first, *rest = (x * y for x, y in zip(a.parts, b.parts, strict=True))
    return sum(rest, start=first)


_OPERATIONS = Operations(dot=dot, norm=lambda a: dot(a, a).sqrt(), sqrt=lambda a: Number.of(a).sqrt())


class _Gradient:
    """grad L of L(w) = l(xi), xi = w/w_0 without w_0, and L - min L, both written out by hand."""

    def __init__(self, jets: dict[str, Any], sharpness: Any) -> None:
        self.jets, self.sharpness = jets, sharpness

    def _parts(self, w: _Vector) -> tuple[Number, Number, Number]:
        x, y, s = (part / w.parts[0] for part in w.parts[1:])
        return x, y, s

    def __call__(self, w: _Vector) -> _Vector:
        k, m, h = self.jets["K"], self.jets["m"], self.jets["h"]
        c3, c4, c21, c31, c111 = (self.jets[name] for name in _HIGHER)
        x, y, s = self._parts(w)
        by_x = (
            x + k * x * s - h * s * s * Fraction(1, 2) + c3 * x * x * Fraction(1, 2) + c4 * x * x * x * Fraction(1, 6)
            + c21 * x * y + c31 * x * x * s * Fraction(1, 2) + c111 * y * s
        )  # fmt: skip
        by_y = m * y + c21 * x * x * Fraction(1, 2) + c111 * x * s
        by_s = k * x * x * Fraction(1, 2) - h * x * s + c31 * x * x * x * Fraction(1, 6) + c111 * x * y
        slopes = [slope * self.sharpness for slope in (by_x, by_y, by_s)]
        radial = -(x * slopes[0] + y * slopes[1] + s * slopes[2])
        return _Vector((radial, *slopes)) / w.parts[0]

    def excess_loss(self, w: _Vector) -> Number:
        """L(w) - min L."""
        k, m, h = self.jets["K"], self.jets["m"], self.jets["h"]
        c3, c4, c21, c31, c111 = (self.jets[name] for name in _HIGHER)
        x, y, s = self._parts(w)
        total = (
            x * x * Fraction(1, 2) + m * y * y * Fraction(1, 2) + k * x * x * s * Fraction(1, 2)
            - h * x * s * s * Fraction(1, 2) + c3 * x * x * x * Fraction(1, 6) + c4 * x * x * x * x * Fraction(1, 24)
            + c21 * x * x * y * Fraction(1, 2) + c31 * x * x * x * s * Fraction(1, 6) + c111 * x * y * s
        )  # fmt: skip
        return total * self.sharpness


class _AtRest:
    """A gradient of the same value everywhere, and an excess loss that is as small as its square."""

    def __init__(self, slope: _Vector) -> None:
        self.slope = slope

    def __call__(self, _: _Vector) -> _Vector:
        return self.slope

    def excess_loss(self, _: _Vector) -> Number:
        """Of the order of |G|^2, as on Gamma."""
        return Number.of(1, 2 * SMALL)


@dataclass(frozen=True)
class Run:
    """Where two steps end: X, U, s/delta^2, and what is damped, by its name."""

    x: Number
    u: Number
    s: Number
    slaved: dict[str, Number]


def run_twice(single: EdgeMap, values: dict[sp.Symbol, Fraction], /) -> Run:
    """Two steps of the rule from X, U and S = 0, at these numbers."""
    frame, rule = single.frame, single.frame.rule
    exact = {symbol: sp.Rational(v.numerator, v.denominator) for symbol, v in values.items()}
    delta = Number.of(1, 1)
    parameters = {
        name: value if not isinstance(value, sp.Expr) else series_of(value, exact)
        for name, value in frame.parameters.items()
    }
    jets = {symbol.name: Number.of(v, degrees=Degrees(1)) for symbol, v in values.items()}
    sharpness, edge = _at(single.edge.sharpness, exact), _at(single.edge.value, exact)
    gradient = _Gradient(jets, sharpness)
    lr = (edge + jets["U"] * delta) / sharpness
    states: dict[str, Any] = {name: series_of(value, exact) for name, value in frame.scalars.items()}
    slaved = {name: _known(series.coefficients, exact) for name, series in single.slaved.items()}
    for name in frame.vectors:
        states[name] = _Vector(tuple(slaved[f"{name}.{part}"] for part in _PARTS))
    w = _Vector((Number.of(1), jets["X"] * delta, slaved["y"], Number.of(0)))
    if frame.on_weights:
        # |w|^2 by the definition of effective_lr: a step from rest multiplies theta and -G by numbers of this ratio.
        squared = norm_squared_of(frame, lr, parameters, states)
        w = w * (squared / dot(w, w)).sqrt()
    else:
        w = w / dot(w, w).sqrt()
        if "effective_lr" in rule.state:
            states["effective_lr"] = lr
    for _ in range(2):
        w, new = rule.step(w, gradient, SimpleNamespace(**states), SimpleNamespace(**parameters), _OPERATIONS)
        states = vars(new)
        if not frame.on_weights:
            w = w / dot(w, w).sqrt()
    xi = [part / w.parts[0] for part in w.parts[1:]]
    foot = xi[2] * (1 + jets["h"] * xi[0])
    if frame.on_weights:
        lr = lr_of_norm(frame, dot(w, w), parameters, states)
    elif "effective_lr" in rule.state:
        lr = states["effective_lr"]
    edge_now = lr * sharpness * (1 + jets["K"] * foot)
    damped = {"y": xi[1]}
    for name in frame.vectors:
        damped |= {f"{name}.{part}": number for part, number in zip(_PARTS, states[name].parts, strict=True)}
    return Run(xi[0].down(1), (edge_now - edge).down(1), foot.down(2), damped)


def _at(expression: Any, exact: dict[sp.Symbol, Any]) -> Number:
    """A rational expression, at the numbers drawn."""
    value = sp.sympify(expression)
    return Number.of(as_fraction(value.subs(exact)), degrees=degrees_of(value))


def _known(coefficients: Any, exact: dict[sp.Symbol, Any]) -> Number:
    """The damped directions are known to delta^3."""
    total = Number.of(0)
    for power, coefficient in enumerate(coefficients[:KNOWN]):
        expression = coefficient.as_expr()
        total = total + Number.of(as_fraction(expression.subs(exact)), power, degrees_of(expression))
    return Number(total.c[:KNOWN], total.degrees)


def series_of(value: Any, exact: dict[sp.Symbol, Any]) -> Number:
    """An expression in delta with numbers put in, of non-negative powers."""
    from sharpflow.theory.edge.series import DELTA

    whole = sp.expand(sp.sympify(value))
    total = Number.of(0)
    for power in range(LENGTH):
        part = whole.coeff(DELTA, power)
        total = total + Number.of(as_fraction(part.subs(exact)), power, degrees_of(part))
    return total


def lr_of_norm(frame: Any, squared: Number, parameters: dict[str, Any], states: dict[str, Any]) -> Number:
    """effective_lr at |w|^2 on Gamma: one step from rest along a small G orthogonal to theta, on numbers.

    Of |G| = delta^3 no other trace is left: what a rule makes of |G|^2 comes with delta^6, beyond what is known then.
    At |G| = 1 a step that depends on the size of the gradient would be another one than at the edge.
    """
    zero = Number.of(0)
    length = squared.sqrt()
    resting = {name: (_Vector((zero,) * 4) if name in frame.vectors else value) for name, value in states.items()}
    slope = _Vector((zero, Number.of(1, SMALL) / length, zero, zero))
    w = _Vector((length, zero, zero, zero))
    moved, _ = frame.rule.step(
        w, _AtRest(slope), SimpleNamespace(**resting), SimpleNamespace(**parameters), _OPERATIONS
    )
    return -moved.parts[1].down(SMALL) / moved.parts[0]


def norm_squared_of(frame: Any, lr: Number, parameters: dict[str, Any], states: dict[str, Any]) -> Number:
    """|w|^2 where effective_lr is a number over |w|^n: two evaluations, at |w| = 1 and 2, give the number and n.

    n = 2 for every multiple of the gradient (scale invariance); a rule may scale that by |w| once more.
    """
    at_one, at_two = (lr_of_norm(frame, Number.of(squared), parameters, states) for squared in (1, 4))
    for power in range(1, STEEPEST + 1):
        if not any((at_two * 2**power - at_one).c):
            return (at_one / lr) ** Fraction(2, power)
    raise NoClosedForm("effective_lr is no number over a power of |w|")


def confirm_map(single: EdgeMap, steps: TwoStep, /, *, points: int = POINTS, seed: int = 0) -> Step:
    """The step "two steps of the rule on rational numbers = the two-step vector field, integrated over T = 2 delta"."""
    begin = time.perf_counter()
    generator = random.Random(seed)
    symbols = [*single.ring.units, *single.ring.symbols]
    expected = _expected(steps, dict.fromkeys(single.slow, 1))
    status, degree = Status.PROVED, 0
    witness: dict[str, str] = {}
    lacking = ""
    for _ in range(points):
        values = {symbol: Fraction(generator.randrange(1, RANGE)) for symbol in symbols}
        for symbol in single.frame.constants.values():
            values[symbol] = Fraction(generator.randrange(1, RANGE), RANGE)
        values |= {symbol: Fraction(1) for symbol in single.slow} | {S: Fraction(0)}
        try:
            run = run_twice(single, values)
            pairs = list(_pairs(single, run, expected, values))
            if any(power >= len(left.c) for _, left, power, _ in pairs):
                raise NoClosedForm("too few orders are left")
        except (ArithmeticError, InputError) as reason:
            # The series took this rule: that it cannot be brought to rational points is no fault of its own.
            status, witness = Status.UNDECIDED, {"at rational points": str(reason)}
            root = isinstance(reason, NotRational)
            lacking = f"the rule {'takes a root that is not rational' if root else 'does not run on rational numbers'}"
            break
        degree = max(degree, *(_difference(left, power, right) for _, left, power, right in pairs))
        wrong = next((pair for pair in pairs if pair[1].c[pair[2]] != pair[3].c[0]), None)
        if wrong is not None:
            name, left, power, right = wrong
            status = Status.REFUTED
            witness = {"coefficient": name, "rule on rational numbers": str(left.c[power]), "series": str(right.c[0])}
            witness |= {symbol.name: str(v) for symbol, v in values.items()}
            break
    bound = min(1.0, degree / RANGE) ** points
    return Step(
        "two steps of the rule, run on rational numbers, end where the series do",
        sp.Symbol("two steps"), sp.Symbol("series"), status=status,
        method=f"exact rational arithmetic at {points} random points, error below {bound:.0e} (Schwartz-Zippel)"
        if status is not Status.UNDECIDED
        else lacking,
        residual=sp.Integer(0) if status is Status.PROVED else None, witness=witness,
        seconds=time.perf_counter() - begin,
        second=f"confirmed at {points} rational points, error below {bound:.0e}" if status is Status.PROVED else "",
        note="The coefficients of X and U to delta^2, of s to delta^3, of what is damped to delta^2; by code that "
        f"shares nothing with the derivation. Each difference is a quotient whose numerator has degree {degree} at "
        "most in what is drawn, each from 2^64 numbers.",
    )  # fmt: skip


def _expected(steps: TwoStep, start: dict[sp.Symbol, int]) -> list[tuple[str, str, int, sp.Expr]]:
    """Coefficients of the flow over T = 2 delta: v -> v + 2 delta v_0 + delta^2 (2 v_1 + 2 (v_0 . grad) v_0)."""

    def again(e: sp.Expr) -> sp.Expr:
        return 2 * (sp.diff(e, X) * steps.x + sp.diff(e, U) * steps.u)

    found = [
        ("X, 1", "x", 0, X), ("U, 1", "u", 0, U),
        ("X, delta", "x", 1, 2 * steps.x), ("U, delta", "u", 1, 2 * steps.u), ("s, delta^2", "s", 0, 2 * steps.s),
        ("X, delta^2", "x", 2, 2 * steps.x_next + again(steps.x)),
        ("U, delta^2", "u", 2, 2 * steps.u_next + again(steps.u)),
        ("s, delta^3", "s", 1, 2 * steps.s_next + again(steps.s)),
    ]  # fmt: skip
    return [(name, which, power, sp.sympify(e).subs(start)) for name, which, power, e in found]


def _pairs(
    single: EdgeMap, run: Run, expected: list[tuple[str, str, int, sp.Expr]], values: dict[sp.Symbol, Fraction]
) -> Iterator[tuple[str, Number, int, Number]]:
    """One comparison: a name, a series on rational numbers, which coefficient of it, and what it should be."""
    exact = {symbol: sp.Rational(v.numerator, v.denominator) for symbol, v in values.items()}
    for name, which, power, expression in expected:
        yield name, getattr(run, which), power, _at(expression, exact)
    # V(X, U, S) where the two steps end. Slow scalars have changed by 1 + O(rate) there, which moves V at delta^3 only.
    ends = {X: run.x, U: run.u, S: run.s}
    for name, series in single.slaved.items():
        value = Number.of(0)
        for power, coefficient in enumerate(series.coefficients[:DAMPED]):
            value = value + _composed(coefficient, ends, exact) * Number.of(1, power)
        for power in range(DAMPED):
            yield f"{name}, delta^{power}", run.slaved[name], power, Number((value.c[power],), value.degrees)


def _composed(element: Any, ends: dict[sp.Symbol, Number], exact: dict[sp.Symbol, Any]) -> Number:
    """A polynomial in X, U, S and the jets, with X, U, S at the ends."""
    polynomial = sp.Poly(element.as_expr(), *ends)
    total = Number.of(0)
    for exponents, coefficient in polynomial.terms():
        term = _at(coefficient, exact)
        for end, exponent in zip(ends.values(), exponents, strict=True):
            term = term * end**exponent
        total = total + term
    return total


def _difference(left: Number, power: int, right: Number) -> int:
    """Degree of the numerator of left - right."""
    (n, d), (above, below) = left.degrees.at(power), right.degrees.at(power)
    return max(n + below, above + d)
