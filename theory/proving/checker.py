"""P(a false identity passes) <= (2^k N/(R - 2^k M))^points: a second, independent check of the identities.

Both sides are evaluated exactly at random points, each coordinate one of R = 2^40 rationals (Schwartz and Zippel):

- a symbol x is a rational of its sign, and so is pi; p/m, where m clears the denominators of all multiples of p, is a
  rational point of the circle, x/m in exp a positive rational. These are independent (p, cos p and sin p satisfy only
  cos^2 + sin^2 = 1, and by Ax's theorem the like holds of exp): a nonzero rational function of them is refuted.
- a root s = sqrt(e) is adjoined with s^2 = the value of e, of either sign: zero is zero for both signs, and a nonzero
  norm (the product over all signs) is nonzero for both. Where e is positive by its form on the whole, connected set
  of points, a root that is rational has one sign there, so the positive one is taken.

N bounds the degree of the numerator of lhs - rhs, by pairs of degrees (numerator, denominator):

    sum (max(n1 + d2, n2 + d1), d1 + d2),  product (n1 + n2, d1 + d2),  inverse (d, n),
    cos, sin and exp of j p/m (2 |j|, 2 |j|),  sqrt ((n + d)/2, d).

Each of the k roots that are not constant doubles it (its norm); M, the degrees of the divisors, is for redrawn points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from itertools import chain, combinations, product
from random import Random
from typing import Any

import sympy as sp

from sharpflow.theory.proving.proof import Status, Step

__all__ = ["Confirmation", "confirm", "confirm_step"]

RANGE, SCALE = 2**40, 2**38
DRAWS, POWERS, NODES, DEGREES, ROOTS = 50, 200, 200_000, 10_000, 6
# What is drawn, then the numerator and the denominator among the cosine, the sine, one and the exponential.
FUNCTIONS = {sp.cos: ("tan", 0, 2), sp.sin: ("tan", 1, 2), sp.tan: ("tan", 1, 0), sp.exp: ("exp", 3, 2)}
FUNCTIONS |= {sp.cosh: ("exp", 0, 2), sp.sinh: ("exp", 1, 2), sp.tanh: ("exp", 1, 0), sp.cot: ("tan", 0, 1)}
Atoms = tuple[Any, ...]
Element = dict[frozenset[int], Fraction]  # the coefficients of the products of roots
Value = tuple[Element, int, int]  # with the degrees of its numerator and denominator
RATIONAL: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Confirmation:
    """lhs - rhs at ``points`` points: 0 at all (proved), not at ``witness`` (refuted), or why it is undecided."""

    status: Status
    points: int = 0
    error_bound: float = 1.0
    witness: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def summary(self) -> str:
        """One clause for a `Step`."""
        if self.status is Status.PROVED:
            return f"confirmed at {self.points} rational points, error below {max(self.error_bound, 1e-99):.0e}"
        at = ", ".join(f"{name} = {value}" for name, value in self.witness.items())
        return f"contradicted at {at}" if self.status is Status.REFUTED else f"undecided: {self.reason}"


def confirm(lhs: Any, rhs: Any, /, *, points: int = 4, seed: int = 0) -> Confirmation:
    """lhs = rhs, compared at random points (matrices: entry by entry)."""
    lhs, rhs = (sp.Integer(side) if isinstance(side, int) else side for side in (lhs, rhs))
    shape, other = (side.shape if isinstance(side, sp.MatrixBase) else () for side in (lhs, rhs))
    if shape != other or not all(isinstance(side, sp.Expr | sp.MatrixBase) for side in (lhs, rhs)):
        return Confirmation(Status.UNDECIDED, reason="no two expressions, nor two matrices of one shape")
    generator, found = Random(seed), Confirmation(Status.PROVED, points, 0.0)
    for index, sides in enumerate(zip(lhs, rhs, strict=True) if shape else [(lhs, rhs)]):
        entry = _confirm_entry(*sides, points, generator)
        if entry.status is Status.REFUTED:
            place = {"entry": str(divmod(index, shape[1]))} if shape else {}
            return Confirmation(Status.REFUTED, entry.points, 0.0, {**place, **entry.witness})
        if found.status is Status.PROVED and (entry.reason or entry.error_bound > found.error_bound):
            found = entry
    return found


def confirm_step(step: Step) -> Confirmation:
    """step.lhs = step.rhs as shown; a symbol on one side only may name a value, so no refutation rests on it."""
    if step.relation != "=":
        return Confirmation(Status.UNDECIDED, reason=f"the relation {step.relation} is no identity")
    found = confirm(step.lhs, step.rhs)
    if found.status is Status.REFUTED and step.lhs.free_symbols != step.rhs.free_symbols:
        names = ", ".join(sorted(map(str, step.lhs.free_symbols ^ step.rhs.free_symbols)))
        return Confirmation(Status.UNDECIDED, reason=f"names on one side only: {names}")
    return found


def _confirm_entry(lhs: Any, rhs: Any, points: int, generator: Random) -> Confirmation:
    compared = doubtful = 0
    try:
        denominators = _denominators(lhs, rhs)
        for _ in range(DRAWS + points):
            point = _Point(denominators, generator)
            try:
                residual, degree, _ = point.add(point.of(lhs), point.times(_rational(-1), point.of(rhs)))
            except ZeroDivisionError:
                continue
            compared += 1
            constants = sum(all(a is sp.pi for a in atoms) for _, atoms in point.drawn)
            if constants < 2 and point.norm(residual)[1]:  # of e and pi together nothing is known
                return Confirmation(Status.REFUTED, compared, 0.0, point.witness(residual))
            doubtful += bool(residual)
            if compared >= points and not doubtful:
                free = RANGE - 2**point.varying * point.inverted
                bound = min(1.0, 2**point.varying * degree / free) ** points if free > 0 else 1.0
                return Confirmation(Status.PROVED, points, bound)
    except (NotImplementedError, RecursionError) as obstacle:
        return Confirmation(Status.UNDECIDED, reason=str(obstacle))
    reason = "zero for some signs of the roots only, or a relation of e and pi" if doubtful else "division by zero"
    return Confirmation(Status.UNDECIDED, compared, reason=reason)


def _terms(e: Any) -> dict[Atoms, Fraction]:
    """The argument of a function as {monomial: coefficient}."""
    result: dict[Atoms, Fraction] = {}
    for term in e.args if e.is_Add else (e,):
        factors = term.args if term.is_Mul else (term,)
        atoms = tuple(f for f in factors if not f.is_Rational)
        for f in atoms:
            base = f.base if f.is_Pow and f.exp.is_Integer else f
            if f is not sp.pi and not (base.is_Symbol and base.is_real is not False):
                raise NotImplementedError(f"an argument that is no sum of monomials: {type(f).__name__}")
        result[atoms] = math.prod((Fraction(f.p, f.q) for f in factors if f.is_Rational), start=Fraction(1))
    return {atoms: coefficient for atoms, coefficient in result.items() if coefficient}


def _denominators(*sides: Any) -> dict[tuple[str, Atoms], int]:
    """The common denominator of all multiples of an angle, and of an exponent."""
    result: dict[tuple[str, Atoms], int] = {}
    for count, e in enumerate(chain.from_iterable(map(sp.preorder_traversal, sides))):
        if count > NODES:
            raise NotImplementedError(f"more than {NODES} nodes")
        if e.func in FUNCTIONS or e is sp.E:
            kind, argument = ("exp", sp.S.One) if e is sp.E else (FUNCTIONS[e.func][0], e.args[0])
            for atoms, coefficient in _terms(argument).items():
                result[kind, atoms] = math.lcm(result.get((kind, atoms), 1), coefficient.denominator)
    return result


def _floor(e: Any) -> int:
    """2 where e is positive by its form at every point, 1 where it is not negative, 0 where the form does not tell."""
    if e.is_Add or e.is_Mul:
        floors = list(map(_floor, e.args))
        return max(floors) if e.is_Add and min(floors) else min(floors)
    if e.is_Pow and e.exp.is_Rational:
        below, even = _floor(e.base), e.exp.is_Integer and e.exp.p > 0 and e.exp.p % 2 == 0
        regular = e.base.is_Symbol or e.base.func in (sp.cos, sp.sin, sp.sinh)  # no pole, so no change of sign
        return below if below == 2 or (below and e.exp.p > 0) else int(even and regular)
    if e.is_Rational or e.is_Symbol:
        return 2 if e.is_positive else int(bool(e.is_nonnegative))
    return 2 * (e is sp.pi or e is sp.E or e.func in (sp.exp, sp.cosh))


def _rational(value: Fraction | int, top: int = 0, bottom: int = 0) -> Value:
    return {RATIONAL: Fraction(value)} if value else {}, top, bottom


class _Point:
    """A random point, and the values of expressions there, in Q[s_1, ..., s_k]/(s_i^2 - e_i)."""

    def __init__(self, denominators: Mapping[tuple[str, Atoms], int], generator: Random) -> None:
        self.denominators, self.generator = denominators, generator
        self.known: dict[Any, Value] = {}
        self.drawn: dict[tuple[str, Atoms], Fraction] = {}
        self.squares: list[Fraction] = []
        self.certain: list[int] = []  # the roots of what is positive by its form
        self.varying = self.inverted = 0

    def of(self, e: Any) -> Value:
        if e not in self.known:
            self.known[e] = self.read(e)
        return self.known[e]

    def read(self, e: Any) -> Value:
        if e.is_Rational:
            return _rational(Fraction(e.p, e.q))
        if e is sp.pi or (e.is_Symbol and e.is_real is not False):
            return _rational(self.draw("", (e,), int(bool(e.is_nonnegative)) - int(bool(e.is_nonpositive))), 1)
        if e.is_Add or e.is_Mul:
            return reduce(self.add if e.is_Add else self.times, map(self.of, e.args))
        if e.is_Pow and e.exp.is_Rational and e.exp.q <= 2 and abs(e.exp.p) <= POWERS:
            base = self.of(e.base) if e.exp.q == 1 else self.root(e.base)
            return self.power(base if e.exp.p > 0 else self.inverse(base), abs(e.exp.p))
        if e.func in FUNCTIONS or e is sp.E:
            kind, top, bottom = FUNCTIONS[sp.exp if e is sp.E else e.func]
            parts = self.parts(kind, sp.S.One if e is sp.E else e.args[0])
            return parts[top] if bottom == 2 else self.times(parts[top], self.inverse(parts[bottom]))
        if e.func is sp.Abs and _floor(e.args[0]):
            return self.of(e.args[0])
        raise NotImplementedError(f"a power with exponent {e.exp}" if e.is_Pow else f"a {type(e).__name__}")

    def draw(self, kind: str, atoms: Atoms, sign: int) -> Fraction:
        if (kind, atoms) not in self.drawn:
            number = Fraction(self.generator.randint(1, RANGE), 1 if not kind and atoms[0].is_integer else SCALE)
            self.drawn[kind, atoms] = number * (sign or self.generator.choice((-1, 1)))
        return self.drawn[kind, atoms]

    def parts(self, kind: str, argument: Any) -> tuple[Value, ...]:
        """Cosine, sine, one and their sum, of the circle or of the hyperbola (where the sum is the exponential)."""
        cosine, sine, degree, square = Fraction(1), Fraction(0), 0, -1 if kind == "tan" else 1
        for atoms, coefficient in _terms(argument).items():
            count = coefficient * (2 if kind == "tan" and sp.pi in atoms else self.denominators[kind, atoms])
            if abs(count) > POWERS or count.denominator > 1 or (kind == "tan" and sp.pi in atoms and len(atoms) > 1):
                raise NotImplementedError(f"a multiple above {POWERS}, or an angle with pi that is no multiple of pi/2")
            c, s = Fraction(0), Fraction(1)
            if kind == "exp" or sp.pi not in atoms:
                q, degree = self.draw(kind, atoms, int(kind == "exp")), degree + 2 * abs(int(count))
                half = (q + 1 / q) / 2  # of the circle 1/half is the sine, of the hyperbola half is the cosine
                c, s = ((1 / q - q) / 2 / half, 1 / half) if kind == "tan" else (half, q - half)
            s = s if count > 0 else -s
            for _ in range(abs(int(count))):
                cosine, sine = cosine * c + square * sine * s, cosine * s + sine * c
        return tuple(_rational(value, degree, degree) for value in (cosine, sine, Fraction(1), cosine + sine))

    def root(self, base: Any) -> Value:
        element, top, bottom = self.of(base)
        if element.keys() - {RATIONAL}:
            raise NotImplementedError("a root of an expression with roots")
        square, certain = element.get(RATIONAL, Fraction(0)), _floor(base) == 2
        degrees = (top + bottom + 1) // 2, bottom
        self.varying += top + bottom > 0
        # Positive by form: a rational multiple of a product of earlier such roots is that product, not a new root.
        subsets = chain.from_iterable(combinations(self.certain, size) for size in range(len(self.certain) + 1))
        for chosen in subsets if certain else ():
            scale = math.prod((self.squares[i] for i in chosen), start=Fraction(1))
            root = Fraction(*map(math.isqrt, (square * scale).as_integer_ratio()))
            if root * root == square * scale:
                return {frozenset(chosen): root / scale}, *degrees
        if square not in self.squares:
            self.certain += [len(self.squares)] * certain
            self.squares.append(square)
            if len(self.squares) > ROOTS:
                raise NotImplementedError(f"more than {ROOTS} roots")
        return {frozenset({self.squares.index(square)}): Fraction(1)}, *degrees

    def add(self, a: Value, b: Value) -> Value:
        sums = {key: a[0].get(key, Fraction(0)) + b[0].get(key, Fraction(0)) for key in a[0].keys() | b[0].keys()}
        return {key: c for key, c in sums.items() if c}, max(a[1] + b[2], b[1] + a[2]), a[2] + b[2]

    def times(self, a: Value, b: Value) -> Value:
        result: Element = {}
        if a[1] + b[1] + a[2] + b[2] > DEGREES:
            raise NotImplementedError(f"a degree above {DEGREES}")
        for (i, x), (j, y) in product(a[0].items(), b[0].items()):
            result[i ^ j] = result.get(i ^ j, Fraction(0)) + x * y * math.prod(self.squares[k] for k in i & j)
        return {key: c for key, c in result.items() if c}, a[1] + b[1], a[2] + b[2]

    def power(self, a: Value, exponent: int) -> Value:
        half = self.power(a, exponent // 2) if exponent > 1 else _rational(1)
        return self.times(self.times(half, half), a if exponent % 2 else _rational(1))

    def norm(self, a: Element) -> tuple[Element, Fraction]:
        """(b, a b) with a b rational: b is the product of a with the signs of roots changed."""
        others, whole = _rational(1), (a, 0, 0)
        for root in sorted(frozenset().union(*a)):
            conjugate = {key: -c if root in key else c for key, c in whole[0].items()}, 0, 0
            others, whole = self.times(others, conjugate), self.times(whole, conjugate)
        return others[0], whole[0].get(RATIONAL, Fraction(0))

    def inverse(self, a: Value) -> Value:
        others, norm = self.norm(a[0])
        self.inverted += a[1]
        return {key: c / norm for key, c in others.items()}, a[2], a[1]

    def witness(self, residual: Element) -> dict[str, str]:
        names = {}
        for (kind, atoms), value in self.drawn.items():
            name, divisor = "*".join(map(str, atoms)) or "1", self.denominators.get((kind, atoms), 1)
            names[f"{kind}({name}/{divisor * (2 if kind == 'tan' else 1)})" if kind else name] = str(value)
        value = self.norm(residual)[1]
        short = value.numerator.bit_length() < 4000  # Python writes no longer numbers
        return {
            **names,
            f"{'norm of ' * (residual.keys() != {RATIONAL})}lhs - rhs": str(value) if short else "not zero",
        }
