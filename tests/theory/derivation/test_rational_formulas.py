"""Power series in delta on fractions, the gradient written out by hand, and the learning rate of a norm."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy as sp

from sharpflow.theory import rules
from sharpflow.theory.derivation.rational_map import (
    _Gradient,
    _Vector,
    confirm_map,
    dot,
    lr_of_norm,
    norm_squared_of,
    series_of,
)
from sharpflow.theory.derivation.rational_series import LENGTH, Degrees, Number, degrees_of
from sharpflow.theory.edge.edge_law import edge_law
from sharpflow.theory.edge.frame import Frame
from sharpflow.theory.edge.series import DELTA
from sharpflow.theory.proving.proof import Status

D = sp.Symbol("d")
FIRST, SECOND = 4 + 3 * D - 5 * D**2 + D**4 / 7, sp.Rational(9, 4) - 2 * D + D**3 / 3
LATE = 9 * D**2 + 2 * D**3 - D**4


def number(expression):
    return Number(tuple(Fraction(str(sp.expand(expression).coeff(D, k))) for k in range(LENGTH)))


def coefficients(expression, count):
    series = sp.series(expression, D, 0, count).removeO()
    return tuple(Fraction(str(sp.expand(series).coeff(D, k))) for k in range(count))


A, B, C = number(FIRST), number(SECOND), number(LATE)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (A + B, FIRST + SECOND), (A - B, FIRST - SECOND), (-A, -FIRST), (2 + A, 2 + FIRST),
        (Fraction(1, 3) - A, sp.Rational(1, 3) - FIRST), (A - 3, FIRST - 3), (A * B, FIRST * SECOND),
        (sp.Rational(3, 5) * A, 3 * FIRST / 5), (A / B, FIRST / SECOND), (3 / A, 3 / FIRST), (A / 4, FIRST / 4),
        (A**3, FIRST**3), (A**0, sp.Integer(1)), (C**0, sp.Integer(1)), (A**-2, FIRST**-2), (A.sqrt(), sp.sqrt(FIRST)),
        (B ** Fraction(3, 2), SECOND ** sp.Rational(3, 2)), (B ** sp.Rational(-1, 2), SECOND ** sp.Rational(-1, 2)),
        (0.5 * A, FIRST / 2),
    ],
)  # fmt: skip
def test_series_on_fractions_are_those_of_sympy(found, expected):
    assert found.c == coefficients(expected, LENGTH)


@pytest.mark.parametrize(
    ("found", "expected", "count"),
    [
        # Divided by what begins with delta^2, two coefficients are lost; multiplied, none.
        (C / number(D**2 * SECOND), LATE / (D**2 * SECOND), LENGTH - 2),
        (C * A, LATE * FIRST, LENGTH),
        # Of 1/(1 + d + O(d^2)) two coefficients are known; of d^2 times it, four.
        (C / Number((Fraction(1), Fraction(1))), 9 * D**2 - 7 * D**3, 4),
        (C.down(1), LATE / D, LENGTH - 1),
        (C.sqrt(), 3 * D * sp.sqrt(1 + 2 * D / 9 - D**2 / 9), LENGTH - 1),
        (C * (1 / A), LATE / FIRST, LENGTH),
        (Number.of(5, 3), 5 * D**3, LENGTH),
        (Number((Fraction(0), Fraction(0), Fraction(1))) * Number((Fraction(1), Fraction(2))), D**2, 3),
        (Number((Fraction(1), Fraction(2))) * Number((Fraction(0), Fraction(3))), 3 * D, 2),
        (Number((Fraction(1), Fraction(2))) * Number((Fraction(0), Fraction(3), Fraction(1))), 3 * D + 7 * D**2, 3),
        (Number((Fraction(1), Fraction(2))) + Number((Fraction(1),) * 4), 2 + 3 * D, 2),
    ],
)
def test_what_is_known_of_a_series_is_told_by_its_length(found, expected, count):
    assert found.c == coefficients(expected, count)


def test_what_has_no_series():
    assert (A.low(), C.low(), number(0).low()) == (0, 2, LENGTH)
    with pytest.raises(ZeroDivisionError):
        C.down(3)
    with pytest.raises(ZeroDivisionError):
        A / C
    for wrong in (number(2 + D), number(D), number(sp.Rational(4, 3))):
        with pytest.raises(ArithmeticError):
            wrong.sqrt()
    with pytest.raises(ArithmeticError, match="power"):
        A ** Fraction(1, 3)


def test_a_polynomial_in_delta_at_numbers():
    b = sp.Symbol("b")
    assert series_of(3 - b * DELTA**2 + DELTA**8, {b: sp.Rational(1, 2)}).c == coefficients(3 - D**2 / 2 + D**8, 9)


def test_the_gradient_written_out_is_that_of_its_loss():
    """L = lambda (x^2/2 + K x^2 s/2 - h x s^2/2 + m y^2/2 + ...) of x, y, s = w_1, w_2, w_3 over w_0."""
    w = sp.symbols("w0:4")
    x, y, s = (e / w[0] for e in w[1:])
    names = ("K", "m", "h", "c_3", "c_4", "c_21", "c_31", "c_111")
    jets = dict(zip(names, map(Fraction, (2, 3, 5, 7, 11, 13, 17, 19)), strict=True))
    k, m, h, c3, c4, c21, c31, c111 = (int(v) for v in jets.values())
    loss = x**2 / 2 + k * x**2 * s / 2 - h * x * s**2 / 2 + c3 * x**3 / 6 + c4 * x**4 / 24
    loss += m * y**2 / 2 + c21 * x**2 * y / 2 + c31 * x**3 * s / 6 + c111 * x * y * s
    at = [sp.Rational(3, 2), sp.Rational(1, 5), sp.Rational(-2, 7), sp.Rational(4, 3)]
    point = _Vector(tuple(Number.of(v) for v in at))
    gradient = _Gradient(jets, Fraction(6))
    found = gradient(point)
    known = [6 * sp.diff(loss, v).subs(dict(zip(w, at, strict=True))) for v in w]
    assert [part.c[0] for part in found.parts] == [Fraction(str(v)) for v in known]
    assert not any(dot(point, found).c)  # Euler's identity
    assert gradient.excess_loss(point).c[0] == Fraction(str(6 * loss.subs(dict(zip(w, at, strict=True)))))


def test_vectors_of_series():
    a, b = _Vector((A, B, C, A)), _Vector((B, B, A, C))
    plus, minus, negative, scaled, divided = a + b, a - b, -a, 3 * a, a / B
    assert [part.c for part in plus.parts] == [(A + B).c, (B + B).c, (C + A).c, (A + C).c]
    assert [part.c for part in minus.parts] == [(A - B).c, (B - B).c, (C - A).c, (A - C).c]
    assert [part.c for part in negative.parts] == [(-A).c, (-B).c, (-C).c, (-A).c]
    assert [part.c for part in scaled.parts] == [(A + A + A).c, (B + B + B).c, (C + C + C).c, (A + A + A).c]
    assert [part.c for part in divided.parts] == [(A / B).c, (B / B).c, (C / B).c, (A / B).c]
    assert dot(a, b).c == (A * B + B * B + C * A + A * C).c


def test_the_effective_learning_rate_of_a_norm_and_back():
    """eta/((1 - eps) |w|^2), at eta = 1/4, lambda = 1/3 and |w|^2 = 4."""
    frame = Frame(rules.get("gd-wd"))
    parameters = {"learning_rate": Fraction(1, 4), "weight_decay": Fraction(1, 3)}
    lr = lr_of_norm(frame, Number.of(4), parameters, {})
    assert lr.c[0] == Fraction(1, 4) / (Fraction(11, 12) * 4)
    assert not any(lr.c[1:])
    assert norm_squared_of(frame, lr, parameters, {}).c[0] == 4


R, Q = sp.symbols("r q", positive=True)


def drawn(expression, values):
    """A series in D with coefficients in R and Q, with the degrees of each coefficient."""
    total = Number.of(0)
    for power in range(LENGTH):
        part = sp.expand(expression).coeff(D, power)
        total = total + Number.of(Fraction(str(part.subs(values))), power, degrees_of(part))
    return total


@pytest.mark.parametrize(
    "combine",
    [
        lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: 1 / (a * b) + a,
        lambda a, b: (a + 1 / b) / (a - b / a), lambda a, b: (a * a).sqrt() / b, lambda a, b: ((a / b) ** 2).sqrt() * b,
        lambda a, b: (1 / (a * a)).sqrt() + b**-2,
    ],
)  # fmt: skip
def test_degrees_bound_those_of_the_rational_functions(combine):
    """deg N and deg D of each coefficient in lowest terms are within the bounds, and deg(N D') as well."""
    first, second = R**2 + D * R * Q - D**2, 3 + Q * D + R * Q**2 * D**2
    values = {R: sp.Integer(5), Q: sp.Integer(7)}
    found = combine(drawn(first, values), drawn(second, values))
    whole = sp.cancel(combine(_Roots(first), _Roots(second)).e)
    for power in range(3):
        above, below = sp.fraction(sp.cancel(sp.diff(whole, D, power).subs(D, 0) / sp.factorial(power)))
        n, d = found.degrees.at(power)
        assert found.c[power] == Fraction(str((above / below).subs(values)))
        assert sp.Poly(above, R, Q).total_degree() <= n
        assert sp.Poly(below, R, Q).total_degree() <= d


class _Roots:
    """A SymPy expression with the operators of a series, and the root that is positive at the values."""

    def __init__(self, e):
        self.e = sp.sympify(e)

    def _of(self, other):
        return other.e if isinstance(other, _Roots) else other

    def __add__(self, other):
        return _Roots(self.e + self._of(other))

    def __sub__(self, other):
        return _Roots(self.e - self._of(other))

    def __mul__(self, other):
        return _Roots(self.e * self._of(other))

    __rmul__ = __mul__

    def __truediv__(self, other):
        return _Roots(self.e / self._of(other))

    def __rtruediv__(self, other):
        return _Roots(other / self.e)

    def __pow__(self, exponent):
        return _Roots(self.e**exponent)

    def sqrt(self):
        roots = []
        for part in sp.fraction(sp.cancel(self.e)):
            number, factors = sp.factor_list(part)
            roots.append(sp.sqrt(number) * sp.Mul(*(f ** (k // 2) for f, k in factors)))
        return _Roots(roots[0] / roots[1])


def test_a_divisor_counts_once_however_often_it_divides():
    """(a + b)/c over c^2 and not over c c."""
    a, c = Number.of(3, degrees=Degrees(1)), Number.of(5, degrees=Degrees(2))
    assert (a / c + a / c).degrees.at(0) == (1, 2)
    assert (a / c + a / Number.of(5, degrees=Degrees(2))).degrees.at(0) == (3, 4)  # another series, for all we know
    assert ((a / c) * (a / c)).degrees.at(0) == (2, 4)
    assert degrees_of((R + Q**3) / (R * Q) ** 2).at(0) == (3, 4)


def test_degrees_by_hand():
    """n + m k above, and d (p + q k) below for each divisor; shifted by j, those of k + j."""
    one, two = Degrees(3, 2, {"a": (5, 1, 2), "b": (7, 0, 1)}), Degrees(4, 1, {"b": (7, 2, 0)})
    assert (Degrees(2).at(5), Degrees().at(1)) == ((2, 0), (0, 0))
    assert one.at(3) == (3 + 2 * 3, 5 * (1 + 2 * 3) + 7 * 3)
    assert [one.shifted(2).at(k) for k in range(3)] == [one.at(k + 2) for k in range(3)]
    # 1/(a a^2k b^k) + 1/b^2: over a a^2k b^(2 + k) the one gains b^2, and the other a a^2k b^k; the larger n, and m.
    above = max(3 + 7 * 2, 4 + 5) + 3 * max(2, 1 + 5 * 2 + 7)
    assert one.plus(two).at(3) == (above, 5 * (1 + 2 * 3) + 7 * (2 + 3))
    # The numerators of c_i and d_j are brought over a^2k b^k, k = i + j, before they are multiplied.
    assert one.times(two).at(3) == (3 + 4 + 3 * (1 + 5 * 2 + 7), 5 * (1 + 2 * 3) + 7 * (2 + 3))
    # 1/b = (1/b_0)(1 + ...): a below goes above, b_0 below; the rest over powers of a^2 b b_0, with m + n above.
    assert one.inverse("b_0").at(3) == (5 + 3 * max(3 + 2, 5 * 2 + 7 + 3), 5 * 2 * 3 + 7 * 3 + 3 * (1 + 3))
    # A root of half the degrees, of a numerator and a divisor made squares by a.
    assert one.root("b_0").at(3) == ((3 + 5 + 1) // 2 + 3 * (5 * 2 + 7 + 3), 5 * (1 + 2 * 3) + 7 * 3 + 3 * 3)
    assert Degrees(0, 2).inverse("b_0").at(1) == (2, 0)
    assert degrees_of((R + 1) ** 3 / (R * Q) ** 2).at(0) == (3, 4)


def test_slow_scalars_begin_at_one_in_the_series_too():
    law = edge_law(rules.get("gd-scheduled"))
    assert confirm_map(law.single, law.energy.steps).status is Status.PROVED
