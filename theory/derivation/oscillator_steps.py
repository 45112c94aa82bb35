"""An orbit of the two-step field: its energy, averages, period, drift, energy law, horizon, as checked steps.

A mean over a closed orbit is never read off a formula: the quantity is written as its mean plus the derivative of a
function along the field, and that identity in X and U is what is checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import sympy as sp

from sharpflow.theory.edge.edge_law import K2, LAMBDA, QUARTIC_RESPONSE, TURN, EdgeLaw, in_invariants
from sharpflow.theory.edge.energy_law import BEND, Decomposition, EnergyLaw
from sharpflow.theory.edge.jets import CUBIC, CURVATURE, MIXED, QUARTIC, RATIO, TILT, TWIST, K
from sharpflow.theory.edge.one_step import U, X
from sharpflow.theory.edge.series import DELTA
from sharpflow.theory.proving.checker import confirm
from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.proof import Status, Step
from sharpflow.theory.proving.zero import prove_equal

__all__ = ["clock_steps", "correction_steps", "drift_steps", "energy_steps", "oscillator_steps", "tracking_steps"]

_T = sp.Symbol("T", real=True)
_Y = sp.Symbol("y", real=True)
_E = sp.Symbol("E", real=True)
_ABOVE_REST = {K: (0, sp.oo)}
_MEAN_U2 = sp.Symbol("<U^2>")


def _along(function: sp.Expr, energy: EnergyLaw) -> sp.Expr:
    """Its derivative along X' = alpha X U, U' = growth - brake X^2."""
    by_x = sp.diff(function, X) * energy.alpha * X * U
    return by_x + sp.diff(function, U) * (energy.growth - energy.brake * X**2)


def oscillator_steps(energy: EnergyLaw, law: EdgeLaw, /) -> Iterator[Step]:
    """The energy by integration; where orbits close, the averages and the period at any amplitude."""
    a, b, alpha = energy.growth, energy.brake, energy.alpha
    found = sp.integrate(U, U) - sp.integrate(sp.expand((a - b * X**2) / (alpha * X)), X)
    yield prove_equal(
        "an energy, found by integrating dU/dX, is conserved", _along(found, energy), sp.Integer(0),
        show=(sp.Derivative(sp.Symbol("E"), _T), sp.Integer(0)),
        note="X' and U' separate: U dU = (growth - brake X^2)/(alpha X) dX.",
    )  # fmt: skip
    potential = law.potential(_Y)
    yield prove_equal(
        "in y = log X^2 it is kinetic plus potential energy", found.subs(X, sp.exp(_Y / 2)), U**2 / 2 + potential,
        show=(_E, U**2 / 2 + law.readable(potential)),
    )  # fmt: skip
    if not law.closes:
        yield from _open_orbits(energy, law)
        return
    for words, value in (("alpha", alpha), ("the growth", a), ("the brake", b)):
        yield prove_positive(
            f"{words} is positive, for every K (default constants)", value.subs(law.defaults), domain=_ABOVE_REST,
            note="With alpha, growth and brake positive the potential is convex and grows on both sides: level sets "
            "are closed.",
        )  # fmt: skip
    yield prove_equal(
        "U is a derivative, and has no mean", _along(sp.log(X), energy), alpha * U,
        show=(sp.Derivative(sp.log(sp.Abs(X)), _T), law.readable(alpha) * U),
        note="log|X| returns to its value after one orbit: <U> = 0.",
    )  # fmt: skip
    assert law.mean_square is not None
    yield prove_equal(
        "mean square over a closed orbit", X**2, law.with_norm(law.mean_square).subs(K2, K**2) - _along(U, energy) / b,
        show=(X**2, law.mean_square - sp.Derivative(U, _T) / law.readable(b)),
        note="U returns to its value after one orbit: <X^2> is the first term, whatever the size of the orbit.",
    )  # fmt: skip
    yield from _periods(found, energy, law)


def _periods(found: sp.Expr, energy: EnergyLaw, law: EdgeLaw) -> Iterator[Step]:
    a, alpha = energy.growth, energy.alpha
    omega, rate = sp.symbols("omega rate", positive=True)
    linear = sp.Matrix([[0, 2 * alpha], [-a, 0]])
    yield prove_equal(
        "frequency of small orbits, in T", (linear - sp.I * omega * sp.eye(2)).det(), 2 * alpha * a - omega**2,
        show=(omega**2, law.readable(2 * alpha * a)),
        note="The eigenvalues +-i omega at rest of y' = 2 alpha U, U' = growth (1 - e^y), y measured from rest.",
    )  # fmt: skip
    assert law.period is not None
    yield prove_equal(
        "iterations of a small orbit", law.period**2 * rate * 2 * alpha * a, (2 * sp.pi) ** 2,
        show=(sp.Symbol("period"), law.period), note="2 pi/(omega sqrt(rate)), as T = sqrt(rate) t.",
    )  # fmt: skip
    yield prove_equal(
        "at any amplitude: an integral between the turning points of y, there and back",
        (2 * alpha * U) ** 2,
        8 * alpha**2 * (found.subs(X, sp.exp(_Y / 2)) - law.potential(_Y)),
        show=(sp.Symbol("period"), law.period_integral),
        note="dy/dT = 2 alpha U, and U = +-sqrt(2 (E - V)) on the orbit of energy E, V the potential above; E = V at "
        "y_- and y_+.",
    )  # fmt: skip


def _open_orbits(energy: EnergyLaw, law: EdgeLaw) -> Iterator[Step]:
    """Why no orbit closes, and, where nothing drives effective_lr, what would have to."""
    if not law.rests:
        numbers = law.defaults | {K: sp.Integer(1)}
        for words, value in (("alpha", energy.alpha), ("the growth", energy.growth), ("the brake", energy.brake)):
            number = value.subs(numbers)
            if number == 0:
                yield prove_equal(f"{words} is 0: no orbit closes (default constants, K = 1)", number, sp.Integer(0))
            elif number < 0:
                yield prove_positive(
                    f"{words} is negative: no orbit closes (default constants, K = 1)", -number, domain={},
                    note=f"Minus its value, {sp.sstr(law.readable(value))} in general.",
                )  # fmt: skip
        return
    drive, b, alpha = sp.Symbol("sharpening", positive=True), energy.brake, energy.alpha
    yield prove_equal(
        "nothing drives effective_lr up: U' where x = 0", energy.steps.u.subs(X, 0), sp.Integer(0),
        show=(sp.Symbol("U' at x = 0"), sp.Integer(0)),
        note="U only falls: an orbit runs once from U > 0 to U < 0, where X dies out.",
    )  # fmt: skip
    conserved = U**2 / 2 + b * X**2 / (2 * alpha)
    yield prove_equal(
        "it leaves the edge as far below as it came from above", _along(conserved, energy), sp.Integer(0),
        show=(sp.Derivative(U**2 / 2 + law.readable(b / (2 * alpha)) * X**2, _T), sp.Integer(0)),
        note="X = 0 at both ends, so that U^2 is the same at both.",
    )  # fmt: skip
    along_g = sp.Symbol("edge") * sp.Symbol("s'")
    assert law.edge is not None
    yield prove_equal(
        "the brake is the motion along Gamma alone", energy.steps.u - energy.growth,
        law.edge * K * energy.push * X**2, show=(sp.Symbol("U'"), K * along_g),
        note="log lambda_1 changes by K ds; effective_lr does not change at all.",
    )  # fmt: skip
    mean = law.edge * drive / b
    yield prove_equal(
        "what an oscillator needs: sharpening from elsewhere, d log lambda_1/dtau where x = 0",
        X**2, mean - (law.edge * drive - b * X**2) / b,
        show=(X**2, law.readable(mean) - sp.Derivative(U, _T) / law.readable(b)),
        note="U' = edge*sharpening - brake X^2 has closed orbits where sharpening > 0, with the first term as mean.",
    )  # fmt: skip
    yield prove_equal(
        "then the drift undoes it: the sharpness stays at the edge", drive + K * energy.push * mean, sp.Integer(0),
        show=(drive + K * sp.Symbol("<ds/dtau>"), sp.Integer(0)),
        note="Self-stabilisation (Damian, Nichani, Lee 2022): the mean motion keeps lambda_1 at edge/effective_lr. "
        "On Gamma of a scale-invariant loss the gradient vanishes, and sharpening with it.",
    )  # fmt: skip


def drift_steps(energy: EnergyLaw, law: EdgeLaw, /) -> Iterator[Step]:
    """s' is its mean plus a derivative along the orbit."""
    assert law.drift is not None
    mean = -K * law.with_norm(law.drift).subs(K2, K**2)
    yield prove_equal(
        "mean of s' over a closed orbit", energy.push * X**2, mean - _along(energy.push * U / energy.brake, energy),
        show=(sp.Symbol("<ds/dtau>"), -K * law.drift),
        note="s' is this plus the derivative along the orbit of a multiple of U; s runs along g/|g|, so that "
        "d zeta/d tau is this over K times g.",
    )  # fmt: skip


def clock_steps(energy: EnergyLaw, law: EdgeLaw, /) -> Iterator[Step]:
    """A schedule: slow scalars of the state change the clock of the flow, and the clock alone."""
    if law.single is None or not law.single.slow or law.drift is None:
        return
    a, b, push = energy.moving
    ratios = ", ".join(f"d {ratio.name}/dtau = {sp.sstr(ratio * rate)}" for ratio, rate in law.single.slow.items())
    mean = energy.push * energy.growth / energy.brake
    shown = -K * law.drift * (law.pace if law.pace is not None else sp.Symbol("pace"))
    yield prove_equal(
        "where the slow scalars have moved, the drift is the same in another clock",
        sp.diff(push * a / b / mean, K), sp.Integer(0), show=(sp.Symbol("<ds/dtau>"), shown),
        note=f"What the drift is multiplied by does not depend on K. In units of the start, {ratios}.",
    )  # fmt: skip


def _average(title: str, name: str, part: Decomposition, mean: sp.Expr, energy: EnergyLaw, note: str) -> Step:
    odd = {sp.Symbol("<X>"): X, sp.Symbol("<X^3>"): X**3}
    whole = part.constant.subs(odd) + part.square * U**2 + _along(part.potential, energy)
    return _identity(title, part.polynomial, whole, (sp.Symbol(name), mean), note)


def _identity(title: str, lhs: sp.Expr, rhs: sp.Expr, show: tuple[Any, Any], note: str) -> Step:
    """An identity of long rational functions: in the field of fractions of polynomials, as normal forms take minutes.

    Two methods that have nothing in common: that, and exact arithmetic at random points.
    """
    begin = time.perf_counter()
    difference = sp.sympify(lhs - rhs)
    try:
        names = sorted(difference.free_symbols, key=str)
        residual = _polynomials(difference, names).from_sympy(difference) if names else difference
    except (sp.PolynomialError, sp.CoercionFailed, ValueError):
        return prove_equal(title, lhs, rhs, show=show, note=note)
    again = confirm(lhs, rhs)
    if residual != 0 or again.status is Status.REFUTED:
        return prove_equal(title, lhs, rhs, show=show, note=note)
    return Step(
        title, *show, status=Status.PROVED, residual=sp.Integer(0), seconds=time.perf_counter() - begin, note=note,
        method=f"arithmetic in the field of rational functions of {len(names)} symbols", second=again.summary,
        sides=(lhs, rhs),
    )  # fmt: skip


def _polynomials(expression: sp.Expr, names: list[sp.Symbol]) -> Any:
    """Polynomials in what an expression does not divide by, over the rational functions of what it does divide by.

    Elements of the field of all names are the same, but every sum there takes a greatest common divisor in all of them.
    """
    divisors = {s for power in expression.atoms(sp.Pow) if power.exp.is_negative for s in power.base.free_symbols}
    below, above = ([name for name in names if (name in divisors) is wanted] for wanted in (True, False))
    field = sp.QQ.frac_field(*below) if below else sp.QQ
    return field[tuple(above)] if above else field


def _by_the_chain_rule(energy: EnergyLaw, law: EdgeLaw) -> tuple[sp.Expr, sp.Expr]:
    """growth d/dT (E/growth) from E as a function of time, K and slow scalars moving with it: orders 1 and delta."""
    single, steps = law.single, energy.steps
    assert single is not None
    x, u, k = (sp.Function(name, real=True)(_T) for name in "XUK")
    ratios = {symbol: sp.Function(f"ratio{i}", positive=True)(_T) for i, symbol in enumerate(single.slow)}
    a, b = (e.subs({K: k, **ratios}) for e in energy.moving[:2])
    measured = u**2 / (2 * a) + (b * x**2 / a - 1 - sp.log(b * x**2 / a)) / (2 * energy.alpha)
    rates: dict[sp.Expr, sp.Expr] = {
        sp.Derivative(x, _T): steps.x + DELTA * steps.x_next,
        sp.Derivative(u, _T): steps.u + DELTA * steps.u_next,
        sp.Derivative(k, _T): DELTA * BEND * steps.s,
    }
    rates |= {sp.Derivative(f, _T): DELTA * single.slow[symbol] * f for symbol, f in ratios.items()}
    whole = (a * sp.diff(measured, _T)).subs(rates).subs({x: X, u: U, k: K} | dict.fromkeys(ratios.values(), 1))
    whole = whole.subs(dict.fromkeys(single.slow, 1))
    return whole.subs(DELTA, 0), sp.diff(whole, DELTA)


def energy_steps(energy: EnergyLaw, law: EdgeLaw, /) -> Iterator[Step]:
    """dE/d tau = c <U^2>."""
    conserved, changed = _by_the_chain_rule(energy, law)
    yield _identity(
        "with K moving along Gamma, E from its minimum is conserved at leading order", conserved, sp.Integer(0),
        (sp.Symbol("dE/dT at delta^0"), sp.Integer(0)),
        "E = U^2/2 + growth/(2 alpha) (e^y - 1 - y), y = log(X^2/<X^2>), growth and brake at the place and the time "
        "(E over the growth where a schedule moves that), by the chain rule.",
    )  # fmt: skip
    yield _identity(
        "and changes at the next by a polynomial in X and U", changed, energy.rate,
        (sp.Symbol("dE/dT at delta^1"), sp.Symbol("P(X, U)")), "P, which is averaged next, by the chain rule as well.",
    )  # fmt: skip
    yield _average(
        "dE/dT at the next order is c U^2 and a derivative along the orbit", "<dE/dT>/delta", energy.energy,
        sp.Symbol("c") * _MEAN_U2, energy,
        "W is a polynomial in X and U, found by comparing coefficients. The change of the brake along Gamma is in it.",
    )  # fmt: skip
    yield _identity(
        "and nothing else", energy.energy.constant, sp.Integer(0),
        (sp.Symbol("<dE/dT>/delta") - sp.Symbol("c") * _MEAN_U2, sp.Integer(0)), "The part without U^2.",
    )  # fmt: skip
    assert law.coefficient is not None
    back = {QUARTIC_RESPONSE: QUARTIC - 3 * CUBIC**2 - 3 * MIXED**2 / RATIO, TURN: K**2 * BEND, K2: K**2}
    # A step that depends on the size of the gradient knows lambda_1 itself, which at the edge is a function of |w|.
    besides = ", besides lambda_1" if law.coefficient.has(LAMBDA) else ""
    yield _identity(
        f"of the jets only K, its slope B = K^2 dK/ds, and Q are left{besides}",
        law.with_norm(law.coefficient).subs(back), energy.coefficient,
        (sp.Symbol("c"), law.coefficient),
        "Q = c_4 - 3 c_3^2 - 3 c_21^2/m, the last summed over the other normal directions, each of which is "
        "moved by x^2 alone and acts back on x alone.",
    )  # fmt: skip
    yield prove_equal(
        "curvature of Gamma and tilted terms leave no trace in c",
        sp.Matrix([sp.diff(energy.coefficient, jet) for jet in (CURVATURE, TILT, TWIST)]), sp.zeros(3, 1),
        show=(sp.Symbol("dc/d(h, c_31, c_111)"), sp.Integer(0)),
    )  # fmt: skip


def tracking_steps(energy: EnergyLaw, law: EdgeLaw, /) -> Iterator[Step]:
    """How the energy of a small orbit grows, and how long it takes to what is not small any more."""
    rho, tau, c, start, end = sp.symbols("rho tau c E_0 E_max", positive=True)
    a, alpha = energy.growth.subs(law.defaults), energy.alpha.subs(law.defaults)
    omega = sp.sqrt(2 * alpha * a)
    y = rho * sp.cos(omega * _T)
    u = sp.diff(y, _T) / (2 * alpha)
    mean = sp.integrate(u**2, (_T, 0, 2 * sp.pi / omega)) * omega / (2 * sp.pi)
    height = law.potential(_Y).subs(law.defaults)
    rest = sp.log(a / energy.brake.subs(law.defaults))
    yield prove_equal(
        "small orbits: the mean of U^2 is the energy above its minimum (default constants)", mean,
        sp.diff(height, _Y, 2).subs(_Y, rest) * rho**2 / 2, show=(_MEAN_U2, _E - sp.Symbol("min E")),
        note="y = rho cos(omega T) about rest, integrated over a period; E - min E from the curvature of the "
        "potential. "
        "So that dE/d tau = c (E - min E).",
    )  # fmt: skip
    grown = start * sp.exp(c * tau)
    yield prove_equal(
        "the horizon: when E_0 has grown to E_max, both from the minimum, at constant c",
        grown.subs(tau, sp.log(end / start) / c), end, show=(tau, sp.log(end / start) / c),
        note="E = E_0 e^(c tau). Tracking can be expected for a time shorter than this, and for c <= 0 at all times; "
        "where c changes along the flow, until its integral is log(E_max/E_0).",
    )  # fmt: skip


def correction_steps(energy: EnergyLaw, law: EdgeLaw, /) -> Iterator[Step]:
    """Of the mean of effective_lr*lambda_1, and of the mean square."""
    edge = in_invariants(energy.edge.constant) + energy.edge.square * _MEAN_U2
    yield _average(
        "mean of effective_lr*lambda_1 above the edge, times -alpha, over the rate", "-alpha <U>/delta", energy.edge,
        law.readable(edge), energy,
        "Between two times at which |X| sqrt(brake) is the same (where the energy grows or falls, add "
        "what its logarithm gained over T). lambda_1 at the point of Gamma nearest to theta; a Newton retraction lands "
        "K x^2 further down along g.",
    )  # fmt: skip
    yield _average(
        "mean square of X at even steps, times the brake, above its leading value", "(brake <X^2> - growth)/delta",
        energy.mean_square, law.readable(energy.mean_square.constant), energy,
        "Odd in X: it has the other sign at odd steps, so that the mean over all steps has no correction here.",
    )  # fmt: skip
