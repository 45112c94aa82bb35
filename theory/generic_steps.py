"""The steps of a derivation on the generic loss: each a line that is checked, from what `theory.edge_law` found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import sympy as sp

from theory.center import S, U, X
from theory.checker import confirm
from theory.edge_law import K2, LAMBDA, QUARTIC_RESPONSE, TURN, EdgeLaw, in_invariants
from theory.energy_law import BEND, Decomposition, EnergyLaw
from theory.frame import SHARPNESS
from theory.jets import CUBIC, CURVATURE, MIXED, QUARTIC, RATIO, TILT, TWIST, K
from theory.nonsmooth import MODULUS, ROOT, PeriodTwo
from theory.positivity import prove_positive
from theory.proof import Proof, Status, Step
from theory.rational_map import confirm_map
from theory.zero import prove_equal

__all__ = ["nonsmooth_proofs", "smooth_proofs"]

_T = sp.Symbol("T", real=True)


def smooth_proofs(law: EdgeLaw, /) -> Iterator[Proof]:
    """The parts for a rule that is smooth on Gamma."""
    assert law.single is not None
    assert law.energy is not None
    single, energy = law.single, law.energy
    edge, steps = single.edge, energy.steps
    assert edge.polynomial is not None
    assert edge.block is not None
    at_edge = edge.block.subs(SHARPNESS, edge.sharpness)
    vectors = single.frame.vectors
    along = sp.Matrix([1, *(single.slaved[f"{name}.x"][1].as_expr().coeff(X, 1) for name in vectors)])
    yield Proof("the edge", (
        prove_equal(
            "a multiplier along v_1 is -1 at the edge", edge.polynomial.subs(SHARPNESS, edge.sharpness), sp.Integer(0),
            show=(sp.Symbol("det(M + 1)"), sp.Integer(0)),
            note=f"M is the linearised step along v_1: {sp.sstr(edge.block.tolist())} of x"
            f"{''.join(f' and {name}' for name in vectors)}, r the norm (or effective_lr). At the edge "
            f"effective_lr*lambda_1 = {law.edge}.",
        ),
        prove_equal(
            "the direction in which the state oscillates with x", at_edge * along, -along,
            note="An eigenvector of M for -1: momentum set off in it makes an orbit of period two from the first step.",
        ),
        prove_positive(
            "the other multipliers are inside the unit circle", 1 - sp.Float(law.largest_multiplier, 12), domain={},
            note=f"1 - the largest modulus, of {', '.join(single.slaved)}, at the default constants and m = 1/2.",
        ),
    ))  # fmt: skip
    yield Proof("what is damped follows", tuple(_invariance(law)))
    yield Proof("the map on rational numbers", (confirm_map(single, steps),))
    leading = sp.Matrix([steps.x, steps.u, steps.s])
    yield Proof("the scaled two-step map", (
        prove_equal("two steps move X by", steps.x, energy.alpha * X * U, show=(sp.Symbol("X'"), energy.alpha * X * U)),
        prove_equal("and the edge by", steps.u, energy.growth - energy.brake * X**2,
                    show=(sp.Symbol("U'"), energy.growth - energy.brake * X**2)),
        prove_equal("and s by", steps.s, energy.push * X**2, show=(sp.Symbol("ds/dtau"), energy.push * X**2)),
        prove_equal(
            "cubic, quartic and mixed terms of the loss, and the curvature of Gamma, drop out at this order",
            leading.jacobian([CUBIC, QUARTIC, MIXED, RATIO, TILT, TWIST, CURVATURE]), sp.zeros(3, 7),
            show=(sp.Symbol("d(X', U', s')/d(c_3, c_4, c_21, m, c_31, c_111, h)"), sp.Integer(0)),
            note="The cubic one is there after one step: X+ = -X - delta (X U + c_3 X^2 ...), and cancels over two.",
        ),
    ))  # fmt: skip
    yield Proof("the leading oscillator", tuple(_oscillator(energy, law)))
    if law.drift is None or law.mean_square is None:
        return
    yield Proof("the drift", (
        prove_equal(
            "mean of s' over a closed orbit", energy.push * energy.growth / energy.brake, -K * law.drift.subs(K2, K**2),
            show=(sp.Symbol("<ds/dtau>"), -K * law.drift),
            note="s runs along g/|g|, so that d zeta/d tau is this over K times g.",
        ),
    ))  # fmt: skip
    yield Proof("the energy law", tuple(_energy_law(law, energy)))
    yield Proof("first corrections", tuple(_corrections(energy)))


def _invariance(law: EdgeLaw) -> Iterator[Step]:
    """V(X+, U+, S+) = the state after the step, order by order: the solution is put back into the map."""
    single = law.single
    assert single is not None
    at = {X: single.x, U: single.u, S: single.s}
    names = list(single.slaved)
    for order in (1, 2, 3):
        sides: tuple[list[sp.Expr], list[sp.Expr]] = ([], [])
        for name in names:
            value = single.slaved[name].substitute(at)
            sides[0].append(single.after[name][order].as_expr())
            sides[1].append(value[order].as_expr())
        yield prove_equal(
            f"what is damped is a function of X, U and s, at order delta^{order}", sp.Matrix(sides[0]),
            sp.Matrix(sides[1]), show=(sp.Symbol(f"V_{order} after the step"), sp.Symbol(f"V_{order}(X+, U+, S+)")),
            note=f"V: {', '.join(names)}. What was found is put back into the map.",
        )  # fmt: skip


def _oscillator(energy: EnergyLaw, law: EdgeLaw) -> Iterator[Step]:
    a, b, alpha = energy.growth, energy.brake, energy.alpha
    found = sp.integrate(U, U) - sp.integrate(sp.expand((a - b * X**2) / (alpha * X)), X)
    yield prove_equal(
        "an energy, found by integrating dU/dX, is conserved",
        sp.diff(found, X) * alpha * X * U + sp.diff(found, U) * (a - b * X**2), sp.Integer(0),
        show=(sp.Derivative(sp.Symbol("E"), _T), sp.Integer(0)),
        note=f"E = {sp.sstr(sp.collect(sp.expand(found), [X, sp.log(X)]))}, with |X| for X.",
    )  # fmt: skip
    mean_square = law.mean_square
    if mean_square is None:
        if a == 0:
            still = "Without growth U only falls: orbits run from U > 0 to U < 0 once, and X dies out."
            yield prove_equal("nothing drives effective_lr up", _without_oscillation(law), a, note=still)
        return
    for words, value in (("alpha", alpha), ("the growth", a), ("the brake", b)):
        yield prove_positive(
            f"{words} is positive (K = 1, default constants)",
            value.subs(law.defaults).subs(K, 1),
            domain={},
            note="alpha, growth and brake positive: in y = log X^2 the energy is convex and its level sets closed.",
        )
    yield prove_equal(
        "mean square over a closed orbit",
        mean_square.subs(K2, K**2),
        a / b,
        show=(sp.Symbol("<X^2>"), a / b),
        note="<U'> = 0. And <U> = 0, as alpha U is the derivative of log|X|.",
    )
    omega = sp.Symbol("omega", positive=True)
    linear = sp.Matrix([[0, 2 * alpha], [-a, 0]])
    yield prove_equal(
        "frequency of small orbits", (linear - sp.I * omega * sp.eye(2)).det(), 2 * alpha * a - omega**2,
        show=(omega**2, 2 * alpha * a),
        note=f"y' = 2 alpha U, U' = a (1 - e^y). Period {sp.sstr(law.period)} iterations; at any amplitude the "
        "integral of dy/sqrt(2 rate (2 alpha)^2 (E - V)), V = (a/(2 alpha)) (e^y - y), between its turning points, "
        "twice.",
    )  # fmt: skip


def _without_oscillation(law: EdgeLaw) -> sp.Expr:
    """U' at X = 0, from the two-step map."""
    assert law.energy is not None
    return law.energy.steps.u.subs(X, 0)


def _average(title: str, name: str, part: Decomposition, mean: sp.Expr, energy: EnergyLaw, note: str) -> Step:
    along = sp.diff(part.potential, X) * energy.alpha * X * U + sp.diff(part.potential, U) * (
        energy.growth - energy.brake * X**2
    )
    odd = {sp.Symbol("<X>"): X, sp.Symbol("<X^3>"): X**3}
    whole = part.constant.subs(odd) + part.square * U**2 + along
    return _identity(title, part.polynomial, whole, (sp.Symbol(name), mean), note)


def _identity(title: str, lhs: sp.Expr, rhs: sp.Expr, show: tuple[Any, Any], note: str) -> Step:
    """An identity of long rational functions, by exact arithmetic at random points: normal forms take minutes there."""
    begin = time.perf_counter()
    found = confirm(lhs, rhs)
    if found.status is not Status.PROVED:
        return prove_equal(title, lhs, rhs, show=show, note=note)
    return Step(
        title, *show, status=Status.PROVED, residual=sp.Integer(0), seconds=time.perf_counter() - begin, note=note,
        second=found.summary,
        method=f"exact rational arithmetic at {found.points} random points, error below {found.error_bound:.0e}",
    )  # fmt: skip


def _energy_law(law: EdgeLaw, energy: EnergyLaw) -> Iterator[Step]:
    yield _average(
        "dE/dT at the next order is c U^2 and a derivative along the orbit",
        "<dE/dT>/delta",
        energy.energy,
        sp.Symbol("c") * sp.Symbol("<U^2>"),
        energy,
        "W is a polynomial in X and U, found by comparing coefficients. The change of the brake along Gamma is in it.",
    )
    yield _identity(
        "and nothing else", energy.energy.constant, sp.Integer(0),
        (sp.Symbol("<dE/dT>/delta") - sp.Symbol("c") * sp.Symbol("<U^2>"), sp.Integer(0)), "The part without U^2.",
    )  # fmt: skip
    assert law.coefficient is not None
    back = {QUARTIC_RESPONSE: QUARTIC - 3 * CUBIC**2 - 3 * MIXED**2 / RATIO, TURN: K**2 * BEND, K2: K**2}
    yield _identity(
        "of the jets only K, its slope B = K^2 dK/ds, and Q are left",
        law.coefficient.subs(back),
        energy.coefficient,
        (sp.Symbol("c"), law.coefficient),
        "Q = c_4 - 3 c_3^2 - 3 c_21^2/m, the last summed over the other normal directions, each of which is "
        "moved by x^2 alone and acts back on x alone.",
    )
    yield prove_equal(
        "curvature of Gamma and tilted terms leave no trace in c",
        sp.Matrix([sp.diff(energy.coefficient, jet) for jet in (CURVATURE, TILT, TWIST)]),
        sp.zeros(3, 1),
        show=(sp.Symbol("dc/d(h, c_31, c_111)"), sp.Integer(0)),
    )


def _corrections(energy: EnergyLaw) -> Iterator[Step]:
    edge = in_invariants(energy.edge.constant) + energy.edge.square * sp.Symbol("<U^2>")
    yield _average(
        "mean of effective_lr*lambda_1 above the edge, times -alpha, over the rate", "-alpha <U>/delta", energy.edge,
        edge, energy, "Between two times at which |X| sqrt(brake) is the same (where the energy grows or falls, add "
        "what its logarithm gained over T). lambda_1 at the point of Gamma nearest to theta; a Newton retraction lands "
        "K x^2 further down along g.",
    )  # fmt: skip
    yield _average(
        "mean square of X at even steps, times the brake, above its leading value", "(brake <X^2> - growth)/delta",
        energy.mean_square, energy.mean_square.constant, energy,
        "Odd in X: it has the other sign at odd steps, so that the mean over all steps has no correction here.",
    )  # fmt: skip


def nonsmooth_proofs(law: EdgeLaw, /) -> Iterator[Proof]:
    """The parts for a rule that is not."""
    orbit: PeriodTwo | None = law.orbit
    assert orbit is not None
    assert law.drift is not None
    twice = orbit.modulus.subs(MODULUS, orbit.modulus)
    carried = (orbit.push + orbit.push.subs(MODULUS, orbit.modulus)) / 2
    steps = [
        prove_equal("an orbit of period two", orbit.modulus.subs(MODULUS, orbit.fixed), orbit.fixed,
                    show=(sp.Function("f")(sp.Symbol("M*")), orbit.fixed),
                    note=f"x changes its side in every step, and |x| goes from M to f(M) = {orbit.modulus}, in units "
                    "of sqrt(rate); lambda_1 = 2 ell^2."),
        prove_equal("its multiplier", sp.diff(orbit.modulus, MODULUS).subs(MODULUS, orbit.fixed), orbit.multiplier,
                    show=(sp.Symbol("f'(M*)"), orbit.multiplier)),
    ]  # fmt: skip
    if orbit.multiplier == -1:
        steps += [
            prove_equal("every orbit has period two", twice, MODULUS, show=(sp.Symbol("f(f(M))"), MODULUS)),
            prove_equal("and carries the same drift", carried, orbit.drift,
                        show=(sp.Symbol("<d>"), orbit.drift.subs(ROOT, sp.sqrt(LAMBDA / 2)))),
        ]  # fmt: skip
    else:
        steps.append(
            prove_equal("the drift it carries", orbit.push.subs(MODULUS, orbit.fixed), orbit.drift,
                        show=(sp.Symbol("<d>"), orbit.drift.subs(ROOT, sp.sqrt(LAMBDA / 2))))
        )  # fmt: skip
    yield Proof("orbits of period two", tuple(steps))
    yield Proof("the drift", (
        prove_equal("drift along g", orbit.drift, (-K * law.drift).subs(LAMBDA, 2 * ROOT**2),
                    show=(sp.Symbol("<ds/dtau>"), -K * law.drift)),
    ))  # fmt: skip
