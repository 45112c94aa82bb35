"""The leading oscillator at the edge: its conserved energy, its averages over an orbit, and its period.

For X' = X phi(U), U' = h(X) in the fast time T = delta t (what `sharpflow.theory.chart.expansion` reads off a loss),

    E = int phi dU - int h(X)/X dX

is conserved; it is found by integrating. Here phi = U and h = a - b X^2 with a, b > 0. With y = log X^2 the energy is
a convex function of (y, U), so its level sets are closed orbits, and on a closed orbit <d log|X|/dT> = 0 = <dU/dT>.
That gives <U> = 0 and <X^2> = a/b, whatever the size of the orbit: the drift needs no small oscillation.
"""

from __future__ import annotations

import sympy as sp

from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.proof import Proof, Step
from sharpflow.theory.proving.zero import prove_equal

__all__ = ["A", "B", "Scaled", "U", "X", "prove_averages", "prove_energy", "prove_period"]


A, B = sp.symbols("a b", positive=True)
_Y = sp.Symbol("y", real=True)
_E = sp.Symbol("E", real=True)
_T = sp.Symbol("T", real=True)
_POSITIVE = sp.Symbol("X", positive=True)


class Scaled(sp.Symbol):
    """A variable of the expansion: never equal to a coordinate of a chart, should one bear the same name."""

    __slots__ = ()


U = Scaled("U", real=True)
X = Scaled("X", real=True)


def _field() -> tuple[sp.Expr, sp.Expr]:
    return X * U, A - B * X**2


def energy() -> sp.Expr:
    """E by separating the variables: phi dU = h/X dX along an orbit."""
    x_rate, u_rate = _field()
    phi = sp.cancel(x_rate / X)
    fall = sp.integrate(sp.expand(u_rate.subs(X, _POSITIVE) / _POSITIVE), _POSITIVE)
    return sp.integrate(phi, U) - fall.subs(_POSITIVE, sp.Abs(X))


def potential() -> sp.Expr:
    """V(y) with E = U^2/2 + V(y), y = log X^2."""
    return sp.expand(sp.expand_log(energy().subs(U, 0).subs(sp.Abs(X), sp.exp(_Y / 2)).subs(X**2, sp.exp(_Y))))


def mean_square() -> sp.Expr:
    """<X^2> from <U'> = 0, in a and b."""
    square = sp.Symbol("mean_square", positive=True)
    (solution,) = sp.solve(_field()[1].subs(X**2, square), square)
    return solution


def _linearised() -> sp.Matrix:
    """The Jacobian in (y, U) at rest, where y' = 2 U and U' = h."""
    field = sp.Matrix([2 * U, _field()[1].subs(X**2, sp.exp(_Y))])
    return field.jacobian([_Y, U]).subs({_Y: sp.log(mean_square()), U: 0})


def small_period(rate: sp.Expr) -> sp.Expr:
    """Iterations of a small oscillation: 2 pi/(omega sqrt(rate)), the eigenvalues at rest being +-i omega."""
    omega = sp.sqrt(_linearised().det())
    return sp.simplify(2 * sp.pi / (omega * sp.sqrt(rate)))


def period_integral(rate: sp.Expr) -> sp.Integral:
    """Iterations of an orbit of energy E between its turning points y_- < y_+: y' = 2 U, there and back."""
    low, high = sp.symbols("y_- y_+", real=True)
    return sp.Integral(1 / sp.sqrt(2 * rate * (_E - potential())), (_Y, low, high))


def prove_energy() -> Proof:
    """dE/dT = 0 along X' = X U, U' = a - b X^2, and the level sets of E are closed."""
    x_rate, u_rate = _field()
    found = energy()
    plain = found.subs(sp.Abs(X), X)
    along = sp.diff(plain, X) * x_rate + sp.diff(plain, U) * u_rate
    second = sp.diff(potential(), _Y, 2)
    return Proof(
        "the energy of the oscillation",
        (
            prove_equal(
                "the energy, found by integrating, is conserved",
                along,
                sp.Integer(0),
                show=(sp.Derivative(found, _T), sp.Integer(0)),
                note="X' = X U and U' = a - b X^2 separate: U dU = (a - b X^2)/X dX. The derivative is "
                "taken along them.",
            ),
            prove_equal(
                "in y = log X^2 it is kinetic plus potential energy",
                U**2 / 2 + potential().subs(_Y, sp.log(_POSITIVE**2)),
                found.subs(sp.Abs(X), _POSITIVE).subs(X, _POSITIVE),
                note="V(y) = b e^y/2 - a y/2 goes to infinity on both sides, as a, b > 0.",
            ),
            prove_positive(
                "the potential is strictly convex: level sets are closed orbits",
                second.subs(sp.exp(_Y), sp.Symbol("e^y", positive=True)),
                domain={},
                note="Together with U^2/2 the energy is convex and proper in (y, U).",
            ),
        ),
    )


def prove_averages() -> Proof:
    """<U> = 0 and <X^2> = a/b over any closed orbit of X' = X U, U' = a - b X^2."""
    x_rate, u_rate = _field()
    log_x, u = sp.log(X**2) / 2, U
    steps: list[Step] = [
        prove_equal(
            "U is the derivative of a function of the orbit",
            sp.diff(log_x, X) * x_rate + sp.diff(log_x, U) * u_rate,
            U,
            show=(sp.Derivative(sp.log(sp.Abs(X)), _T), U),
            note="log|X| returns to its value after one orbit, so <U> = 0.",
        ),
        prove_equal(
            "a - b X^2 is the derivative of a function of the orbit",
            sp.diff(u, X) * x_rate + sp.diff(u, U) * u_rate,
            A - B * X**2,
            show=(sp.Derivative(U, _T), A - B * X**2),
            note="U returns to its value after one orbit, so a - b <X^2> = 0.",
        ),
        prove_equal(
            "mean square of the oscillation over any closed orbit",
            mean_square(),
            A / B,
            show=(sp.Symbol("<X^2>"), A / B),
            note="Solved from a - b <X^2> = 0.",
        ),
    ]
    return Proof("averages over an orbit", tuple(steps))


def prove_period() -> Proof:
    """Small oscillations take 2 pi/sqrt(2 a rate) iterations; larger ones the integral between their turning points."""
    rate = sp.Symbol("rate", positive=True)
    jacobian = _linearised()
    curvature = sp.diff(potential(), _Y, 2).subs(_Y, sp.log(mean_square()))
    return Proof(
        "the period of the oscillation",
        (
            prove_equal("no damping at leading order: the trace at rest vanishes", jacobian.trace(), sp.Integer(0)),
            prove_equal(
                "squared frequency, from the linearised map and from the curvature of the energy",
                jacobian.det(),
                4 * curvature,
                note="y'' = 2 U' and U' = -2 V'(y), so omega^2 = 4 V''(y*): the determinant of the linearised field "
                "is computed without the energy.",
            ),
            prove_equal(
                "iterations of a small oscillation",
                small_period(rate),
                2 * sp.pi / sp.sqrt(2 * A * rate),
                note="At any amplitude: " + sp.sstr(period_integral(rate)) + " with E = V at both turning points.",
            ),
        ),
    )
