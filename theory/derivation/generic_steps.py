"""The steps of a derivation on the generic loss: each a line that is checked, from what `edge_law` found."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from sharpflow.theory.derivation.oscillator_steps import (
    clock_steps,
    correction_steps,
    drift_steps,
    energy_steps,
    oscillator_steps,
    tracking_steps,
)
from sharpflow.theory.derivation.rational_map import confirm_map
from sharpflow.theory.edge.edge_law import LAMBDA, EdgeLaw
from sharpflow.theory.edge.first_crossing import crossing_step
from sharpflow.theory.edge.frame import SHARPNESS, leading_lr
from sharpflow.theory.edge.jets import CUBIC, CURVATURE, MIXED, QUARTIC, RATIO, TILT, TWIST, K
from sharpflow.theory.edge.nonsmooth import MODULUS, ROOT, PeriodTwo
from sharpflow.theory.edge.one_step import S, U, X
from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.proof import Proof, Step
from sharpflow.theory.proving.zero import prove_equal

__all__ = ["field_steps", "nonsmooth_proofs", "smooth_proofs"]


def smooth_proofs(law: EdgeLaw, /) -> Iterator[Proof]:
    """The parts for a rule that is smooth on Gamma."""
    assert law.single is not None
    assert law.energy is not None
    single, energy = law.single, law.energy
    yield Proof("the edge", tuple(_edge(law)))
    yield Proof("what is damped follows", tuple(_invariance(law)))
    yield Proof("the map on rational numbers", (confirm_map(single, energy.steps),))
    yield Proof("the scaled two-step map", tuple(field_steps(law)))
    yield Proof("the leading oscillator", tuple(oscillator_steps(energy, law)))
    if law.drift is None or law.mean_square is None:
        return
    yield Proof("the drift", (*drift_steps(energy, law), *clock_steps(energy, law)))
    yield Proof("the energy law", tuple(energy_steps(energy, law)))
    yield Proof("tracking", tuple(tracking_steps(energy, law)))
    yield Proof("first corrections", tuple(correction_steps(energy, law)))


def _edge(law: EdgeLaw) -> Iterator[Step]:
    """Where the first multiplier leaves the unit circle, and at what value of effective_lr*lambda_1."""
    single = law.single
    assert single is not None
    edge, vectors = single.edge, single.frame.vectors
    assert edge.polynomial is not None
    assert edge.block is not None
    lower = edge.block + sp.eye(edge.block.shape[0])
    determinant = sp.Determinant(sp.ImmutableMatrix(lower)) if vectors else sp.Symbol("det(M + 1)")
    yield prove_equal(
        f"M, the linearised step along v_1 of x{''.join(f' and {name}' for name in vectors)}, has the multiplier -1",
        lower.det(), edge.polynomial, show=(determinant, edge.polynomial),
        note="Where det(M + 1) = 0. r is the norm (of a rule on the sphere, effective_lr).",
    )  # fmt: skip
    lr = leading_lr(single.frame)
    yield prove_equal(
        "at the edge", edge.polynomial.subs(SHARPNESS, law.edge / lr), sp.Integer(0),
        show=(sp.Symbol("effective_lr*lambda_1"), law.edge),
        note=f"Put into the determinant, with effective_lr = {sp.sstr(lr)}.",
    )  # fmt: skip
    if vectors:
        at_edge = edge.block.subs(SHARPNESS, edge.sharpness)
        along = sp.Matrix([1, *(single.slaved[f"{name}.x"][1].as_expr().coeff(X, 1) for name in vectors)])
        yield prove_equal(
            "the direction in which the state oscillates with x", at_edge * along, -along,
            note="An eigenvector of M for -1: momentum set off in it makes an orbit of period two from the first step.",
        )  # fmt: skip
    yield crossing_step(single.frame, edge, law.defaults)
    if vectors:
        yield prove_positive(
            "what else the state does is damped at the edge", 1 - sp.Float(law.largest_multiplier, 12), domain={},
            note=f"1 - the largest modulus, of {', '.join(single.slaved)}, at the default constants and m = 1/2.",
        )  # fmt: skip


def field_steps(law: EdgeLaw) -> Iterator[Step]:
    """The field, confirmed above, in terms of what all the rest stands on; what of the jets is left in it."""
    energy = law.energy
    assert energy is not None
    steps = energy.steps
    x, u, s = energy.alpha * X * U, energy.growth - energy.brake * X**2, energy.push * X**2
    yield prove_equal("two steps move X by", steps.x, x, show=(sp.Symbol("X'"), law.readable(x)))
    yield prove_equal("and the edge by", steps.u, u, show=(sp.Symbol("U'"), law.readable(u)),
                      note="U' at X = 0 is the growth, what multiplies -X^2 the brake.")  # fmt: skip
    yield prove_equal("and s by", steps.s, s, show=(sp.Symbol("ds/dtau"), law.readable(s)))
    leading = sp.Matrix([steps.x, steps.u, steps.s])
    yield prove_equal(
        "cubic, quartic and mixed terms of the loss, and the curvature of Gamma, drop out at this order",
        leading.jacobian([CUBIC, QUARTIC, MIXED, RATIO, TILT, TWIST, CURVATURE]), sp.zeros(3, 7),
        show=(sp.Symbol("d(X', U', s')/d(c_3, c_4, c_21, m, c_31, c_111, h)"), sp.Integer(0)),
        note="The cubic one is there after one step: X+ = -X - delta (X U + c_3 X^2 ...), and cancels over two.",
    )  # fmt: skip


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
