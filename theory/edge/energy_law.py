"""From the map of (X, U) at the edge to its oscillator, its drift and the law of its energy.

Two steps of the map, written as the flow of a vector field in the fast time T = delta t, are

    X' = alpha X U + delta f(X, U),    U' = a - b X^2 + delta h(X, U),    s' = delta (sigma X^2 + delta ...).

At leading order E = U^2/2 + (b X^2/2 - a log|X|)/alpha is conserved and its level sets are closed where a, b and alpha
have the right signs; on them <U> = 0 and <X^2> = a/b. At the next order E changes, and what it changes by is brought
to the form

    c U^2 + dW/dT    (W a function of X and U, differentiated along the leading field),

whose second part has no mean over a closed orbit: dE/d tau = c <U^2>, tau = rate t. The same decomposition of f/X and h
gives the first corrections to the mean of effective_lr*lambda_1 and to the mean of X^2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import sympy as sp

from sharpflow.theory.edge.jets import K
from sharpflow.theory.edge.one_step import EdgeMap, S, U, X
from sharpflow.theory.errors import NoClosedForm

__all__ = ["Decomposition", "EnergyLaw", "TwoStep", "decompose", "energy_law", "two_steps"]

BEND = sp.Symbol("K_s", real=True)


@dataclass(frozen=True, eq=False)
class TwoStep:
    """The vector field whose flow over T = 2 delta two steps are, at S = 0.

    Attributes:
        x, u: leading order.
        x_next, u_next: the coefficients of delta in X' and U'.
        s: ds/dT in units of delta.
        s_next: the coefficient of delta^2 in ds/dT.
    """

    x: sp.Expr
    u: sp.Expr
    x_next: sp.Expr
    u_next: sp.Expr
    s: sp.Expr
    s_next: sp.Expr


def _tidy(expression: sp.Expr) -> sp.Expr:
    """A polynomial in X and U with factored coefficients."""
    polynomial = sp.Poly(sp.together(expression), X, U)
    return sp.Add(*(sp.factor(c) * X**i * U**j for (i, j), c in polynomial.terms()))


def two_steps(single: EdgeMap, /) -> TwoStep:
    """Compose the map with itself from S = 0, and take the logarithm of the result to the second order."""
    ring = single.ring
    at_zero = {S: ring.zero}
    first = [series.substitute(at_zero) for series in (single.x, single.u, single.s)]
    values = dict(zip((X, U, S), first, strict=True))
    x, u, s = (series.substitute(values) for series in (single.x, single.u, single.s))
    if x[0] - ring.element(X) or u[0] - ring.element(U):
        raise NoClosedForm(
            "two steps at the edge are not the identity at leading order; does at_rate scale the parameters by rate?"
        )
    one = [x[1].as_expr() / 2, u[1].as_expr() / 2]
    two = [x[2].as_expr(), u[2].as_expr()]
    # exp(2 delta (v_0 + delta v_1)) = 1 + 2 delta v_0 + delta^2 (2 v_1 + 2 v_0 v_0) + ..., where v_0 v_0 is the
    # derivative of v_0 along itself.
    nexts = [
        sp.expand(b / 2 - sum(sp.diff(a, v) * w for v, w in zip((X, U), one, strict=True)))
        for a, b in zip(one, two, strict=True)
    ]
    return TwoStep(
        x=_tidy(one[0]), u=_tidy(one[1]), x_next=_tidy(nexts[0]), u_next=_tidy(nexts[1]),
        s=_tidy(s[0].as_expr() / 2),
        s_next=_tidy(
            s[1].as_expr() / 2 - sum(sp.diff(s[0].as_expr() / 2, v) * w for v, w in zip((X, U), one, strict=True))
        ),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Decomposition:
    """polynomial = constant + square U^2 + dW/dT along X' = alpha X U, U' = a - b X^2; the mean is the first two."""

    polynomial: sp.Expr
    constant: sp.Expr
    square: sp.Expr
    potential: sp.Expr


def decompose(polynomial: sp.Expr, alpha: sp.Expr, a: sp.Expr, b: sp.Expr, /) -> Decomposition:
    """Bring a polynomial in X and U to what has a mean over closed orbits and what has none.

    With the derivative along the orbit, d(X^i)/dT = i alpha X^i U and dU/dT = a - b X^2:

        X^2 = a/b - (1/b) dU/dT,              X^2 U^2 = (a/b) U^2 - (1/(3 b)) d(U^3)/dT,
        b X^4 = a X^2 + 2 alpha X^2 U^2 - d(X^2 U)/dT,      alpha X U^2 = b X^3 - a X + d(X U)/dT

    The mean of X^i with odd i is left as it is where it comes: it changes sign with the branch of the period-two orbit.

    Raises:
        NoClosedForm: there is another monomial.
    """
    one, square, potential = sp.Integer(0), sp.Integer(0), sp.Integer(0)
    odd: dict[int, sp.Expr] = {1: sp.Integer(0), 3: sp.Integer(0)}
    for (i, j), c in sp.Poly(polynomial, X, U).terms():
        if (i, j) == (0, 0):
            one += c
        elif (i, j) == (0, 2):
            square += c
        elif j == 1:
            potential += c * (X**i / i if i else sp.log(X)) / alpha
        elif (i, j) == (2, 0):
            one, potential = one + c * a / b, potential - c * U / b
        elif (i, j) == (2, 2):
            square, potential = square + c * a / b, potential - c * U**3 / (3 * b)
        elif (i, j) == (4, 0):
            one, square = one + c * a**2 / b**2, square + 2 * c * alpha * a / b**2
            potential -= c * (X**2 * U / b + a * U / b**2 + 2 * alpha * U**3 / (3 * b**2))
        elif (i, j) == (1, 2):
            odd[3], odd[1], potential = odd[3] + c * b / alpha, odd[1] - c * a / alpha, potential + c * X * U / alpha
        elif j == 0 and i in odd:
            odd[i] += c
        else:
            raise NoClosedForm(f"the mean of X^{i} U^{j} over an orbit, which is not a multiple of 1 and <U^2>.")
    left = sp.factor(odd[1]) * sp.Symbol("<X>") + sp.factor(odd[3]) * sp.Symbol("<X^3>")
    return Decomposition(polynomial, one + left, square, potential)


@dataclass(frozen=True, eq=False)
class EnergyLaw:
    """The oscillator at the edge of a rule, and how its energy changes.

    Attributes:
        alpha, growth, brake: X' = alpha X U, U' = growth - brake X^2.
        push: sigma in ds/d tau = sigma <X^2>; the drift is sigma growth/brake along g/|g|.
        steps: the two-step vector field.
        rate: dE/dT per delta, with E = U^2/2 + (brake X^2/2 - growth log|X|)/alpha.
        edge_rate: d log|X|/dT - alpha U per delta, the drift of brake and growth included.
        moving: growth, brake and push with the slow scalars of the state in them, in units of their start.
    """

    alpha: sp.Expr
    growth: sp.Expr
    brake: sp.Expr
    push: sp.Expr
    steps: TwoStep
    rate: sp.Expr
    edge_rate: sp.Expr
    moving: tuple[sp.Expr, sp.Expr, sp.Expr]

    def _average(self, polynomial: sp.Expr) -> Decomposition:
        return decompose(polynomial, self.alpha, self.growth, self.brake)

    @cached_property
    def energy(self) -> Decomposition:
        """The orbit average of dE/dT."""
        return self._average(self.rate)

    @cached_property
    def edge(self) -> Decomposition:
        """That of ``edge_rate``: <U> = -delta/alpha times it."""
        return self._average(self.edge_rate)

    @cached_property
    def mean_square(self) -> Decomposition:
        """That of h: <X^2> = growth/brake + delta/brake times it."""
        return self._average(self.steps.u_next)

    @property
    def coefficient(self) -> sp.Expr:
        """c in dE/d tau = c <U^2>."""
        return self.energy.square


def energy_rate(steps: TwoStep, alpha: sp.Expr, a: sp.Expr, b: sp.Expr, a_rate: sp.Expr, b_rate: sp.Expr) -> sp.Expr:
    """d E/dT per delta, at constant a, b, plus what their drift does to a (E - min E)/a.

    With y = log(b X^2/a), E/a = U^2/(2 a) + (e^y - y)/(2 alpha): a drift of a and b changes it by
    - a' U^2/(2 a^2) + (e^y - 1)(b'/b - a'/a)/(2 alpha). ``a_rate`` and ``b_rate`` are a'/a and b'/b per delta.
    """
    slope = (b * X**2 - a) / alpha
    drift = slope / 2 * (b_rate - a_rate) - a_rate * U**2 / 2
    return sp.expand(slope * sp.expand(steps.x_next / X) + U * steps.u_next + drift)


def log_rate(quantity: sp.Expr, push: sp.Expr, slow: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """d log(quantity)/dT per delta: along g, where dK/ds = K_s, and by what moves in the state by itself."""
    along = sp.diff(sp.log(quantity), K) * BEND * push * X**2
    return along + sum((sp.diff(sp.log(quantity), ratio) * ratio * rate for ratio, rate in slow.items()), sp.Integer(0))


def energy_law(single: EdgeMap, /) -> EnergyLaw:
    """Read the oscillator off the two-step field, and average its next order.

    Raises:
        NoClosedForm: the leading field is not of the form X' = alpha X U, U' = a - b X^2.
    """
    steps = two_steps(single)
    alpha = sp.factor(sp.cancel(steps.x / (X * U)))
    drive = sp.Poly(steps.u, X, U)
    a, b = sp.factor(drive.coeff_monomial(1)), sp.factor(-drive.coeff_monomial(X**2))
    push = sp.factor(sp.cancel(steps.s / X**2))
    if {X, U} & (alpha.free_symbols | push.free_symbols) or sp.expand(steps.u - a + b * X**2) != 0:
        raise NoClosedForm(f"the oscillator is X' = {steps.x}, U' = {steps.u}, not alpha X U and a - b X^2.")
    known = {K, *single.frame.constants.values(), *single.slow}
    strange = (alpha.free_symbols | a.free_symbols | b.free_symbols) - known
    if strange or alpha.free_symbols & {K, *single.slow} or K in a.free_symbols:
        raise NoClosedForm(f"alpha = {alpha}, a = {a}, b = {b}: their change along Gamma is not known.")
    a_rate = log_rate(a, push, single.slow) if a != 0 else sp.Integer(0)
    b_rate = log_rate(b, push, single.slow)
    start = dict.fromkeys(single.slow, 1)
    moving = (a, b, push)
    whole = energy_rate(steps, alpha, a, b, a_rate, b_rate)
    mean_u = sp.expand(steps.x_next / X) + (b_rate - a_rate) / 2
    steps = TwoStep(*(getattr(steps, f.name).subs(start) for f in fields(TwoStep)))
    whole, mean_u, alpha, a, b, push = (e.subs(start) for e in (whole, mean_u, alpha, a, b, push))
    return EnergyLaw(alpha, a, b, push, steps, whole, mean_u, moving)
