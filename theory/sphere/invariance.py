"""Scale invariance: L(c w) = L(w) for c > 0, and the Euler identities D^{k+1} L(w)[w] = -k D^k L(w), k = 0, 1, 2.

For a generic loss the proof is free of dimension. Fix w and any direction u; then L(c w + s u) = L(w + (s/c) u) =
h(s/c), where h(sigma) = L(w + sigma u) is an arbitrary function of ONE variable. Differentiating k times in s and
once in c at (c, s) = (1, 0) gives D^{k+1} L(w)[w, u, ..., u] on the left and -k h^(k)(0) on the right, and a
symmetric k-linear form is determined by its values on the diagonal (polarisation). No coordinates, so no D.
"""

from __future__ import annotations

import time
from functools import partial

import sympy as sp

from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof, Status, Step
from sharpflow.theory.proving.zero import Decision, decide_zero, prove_equal, witness_of
from sharpflow.theory.sphere.homogeneous import degree, euler_by_polynomials

__all__ = [
    "contracted_derivative", "prove_euler", "prove_euler_generic", "prove_homogeneity", "require_homogeneous",
    "worst_of",
]  # fmt: skip

ENTRY_SECONDS = 3.0
_ORDERS = {0: "first", 1: "second", 2: "third"}


def prove_homogeneity(loss: Loss, /) -> Proof:
    """L(c w) = L(w) for a symbolic c > 0; refuted with a witness (w, c) where it fails."""
    begin = time.perf_counter()
    c = sp.Symbol("c", positive=True)
    title, note = "degree-0 homogeneity", "w is replaced by c w with a symbolic c > 0 in the loss itself."
    show = (sp.Function("L")(*[c * v for v in loss.variables]), sp.Function("L")(*loss.variables))
    moved = loss.at([c * v for v in loss.variables])
    difference = moved - loss.expression
    if not witness_of(difference) and degree(loss.expression, loss.variables) == 0:
        step = Step(
            title, *show, status=Status.PROVED, method="degree calculus", residual=sp.Integer(0), note=note,
            sides=(moved, loss.expression),
            seconds=time.perf_counter() - begin,
        )  # fmt: skip
    else:
        step = prove_equal(title, difference, 0, show=show, note=note)
    return Proof(f"{loss.name} is scale-invariant", (step,))


def require_homogeneous(loss: Loss, /) -> None:
    """Raise `InputError` with the witness when the loss is refuted to be scale-invariant."""
    step = prove_homogeneity(loss).steps[0]
    if step.status is Status.REFUTED:
        where = ", ".join(f"{name} = {value}" for name, value in step.witness.items() if name != "residual")
        raise InputError(
            f"loss {loss.name!r} is not scale-invariant: at {where}, L(c w) - L(w) = {step.witness['residual']}. "
            "Divide by the right power of |w|."
        )


def prove_euler(loss: Loss, /) -> Proof:
    """D^{k+1} L(w)[w] = -k D^k L(w) for k = 0, 1, 2, entry by entry, from the derivatives of the concrete expression.

    By polynomial arithmetic where L is rational up to one radical; otherwise by the degree of every entry of D^k L,
    to which Euler's theorem on homogeneous functions (the generic proof) applies.
    """
    begin = time.perf_counter()
    polynomial = euler_by_polynomials(loss.expression, loss.variables)
    steps = []
    for k in (0, 1, 2):
        entries = _entries(loss, k)
        if polynomial is not None and polynomial[k][1]:
            decision = Decision(Status.PROVED, f"polynomial arithmetic, {polynomial[k][0]} entries", sp.Integer(0), {})
        elif polynomial is None and all(f == 0 or degree(f, loss.variables) == -k for f in entries):
            decision = Decision(Status.PROVED, f"degree of each of {len(entries)} entries", sp.Integer(0), {})
        else:
            decision = worst_of([sum(sp.diff(f, v) * v for v in loss.variables) + k * f for f in entries])
        steps.append(
            Step(
                title=f"Euler identity, {_ORDERS[k]} order",
                lhs=_tensor(k + 1, "w"),
                rhs=sp.Integer(-k) * _tensor(k) if k else sp.Integer(0),
                status=decision.status,
                method=decision.method,
                residual=decision.residual,
                witness=decision.witness,
                seconds=time.perf_counter() - begin,
                sides=partial(_euler_sides, loss, k),
                note="Each independent entry of the tensor identity is checked for the concrete expression.",
            )
        )
        begin = time.perf_counter()
    return Proof(f"Euler identities of {loss.name}", tuple(steps))


def _euler_sides(loss: Loss, k: int) -> tuple[sp.Matrix, sp.Matrix]:
    """D^{k+1} L(w)[w] and -k D^k L(w), entry by entry."""
    entries = _entries(loss, k)
    sums = [sp.Add(*(sp.diff(f, v) * v for v in loss.variables)) for f in entries]
    return sp.Matrix(sums), sp.Matrix([-k * f for f in entries])


def _entries(loss: Loss, k: int) -> list[sp.Expr]:
    """Independent entries of D^k L."""
    if k == 0:
        return [loss.expression]
    if k == 1:
        return list(loss.gradient)
    return [loss.hessian[i, j] for i in range(loss.dimension) for j in range(i, loss.dimension)]


def worst_of(residuals: list[sp.Expr]) -> Decision:
    """The verdict on residuals that should all vanish; a refutation is looked for in all of them first."""
    for residual in residuals:
        found = witness_of(residual)
        if found:
            return Decision(Status.REFUTED, "exact evaluation at a rational point", residual, found)
    decision = Decision(Status.PROVED, "nothing to check", sp.Integer(0), {})
    for residual in residuals:
        try:
            with time_limit(ENTRY_SECONDS):
                decision = decide_zero(residual)
        except TimeLimitExceeded:
            return Decision(Status.UNDECIDED, f"gave up after {ENTRY_SECONDS:g} s", residual, {})
        if decision.status is not Status.PROVED:
            return decision
    return decision


def _tensor(order: int, slot: str = "") -> sp.Expr:
    """A symbol that prints as D^order L(w)[slot]."""
    name = {0: "L", 1: "grad L", 2: "Hess L"}.get(order, f"D^{order} L")
    return sp.Symbol(f"{name}(w)[{slot}]" if slot else f"{name}(w)")


def contracted_derivative(k: int, /) -> sp.Expr:
    """D^{k+1} L(w)[w, u, ..., u] for every L, w and u, in terms of h_j = D^j L(w)[u, ..., u].

    L(c w + s u) = h(s/c) with h(sigma) = L(w + sigma u) arbitrary: the k-th derivative in s, once in c, at (1, 0).
    """
    c, s, along = _along()
    derivative = sp.diff(along, s, k) if k else along
    return _at_zero(sp.diff(derivative, c).subs(s, 0).doit().subs(c, 1).doit())


def _along() -> tuple[sp.Symbol, sp.Symbol, sp.Expr]:
    """c, s and h(s/c)."""
    c, s = sp.Symbol("c", positive=True), sp.Symbol("s", real=True)
    return c, s, sp.Function("h")(s / c)


def prove_euler_generic() -> Proof:
    """The Euler identities to third order and the scaling of the derivatives, for every L and every dimension."""
    c, s, along = _along()
    steps = []
    for k in (0, 1, 2):
        steps.append(
            prove_equal(
                f"Euler identity, {_ORDERS[k]} order, any dimension",
                contracted_derivative(k),
                -k * sp.Symbol(f"h_{k}"),
                show=(_tensor(k + 1, "w"), sp.Integer(-k) * _tensor(k) if k else sp.Integer(0)),
                note="L(c w + s u) = h(s/c) with h(sigma) = L(w + sigma u) arbitrary; d/dc of the k-th s-derivative "
                "at (1, 0). Symmetric forms are determined by their diagonal, so no coordinates enter.",
            )
        )
    for k in (1, 2):
        steps.append(
            prove_equal(
                f"derivative of order {k} at c w is that at w divided by c^{k}",
                _at_zero(sp.diff(along, s, k).subs(s, 0).doit()),
                sp.Symbol(f"h_{k}") / c**k,
                show=(sp.Derivative(sp.Function("L")(c * sp.Symbol("w")), (sp.Symbol("w"), k)), _tensor(k) / c**k),
                note="The same function of one variable, differentiated in s only.",
            )
        )
    return Proof("scale invariance of a generic loss, any dimension", tuple(steps))


def _at_zero(expression: sp.Expr) -> sp.Expr:
    """h^(k)(0) as a plain symbol h_k, whichever of SymPy's forms (Subs, Derivative) it stands in."""
    expression = sp.sympify(expression).doit()
    for node in sorted(expression.atoms(sp.Subs), key=sp.count_ops):
        order = sum(n for d in node.atoms(sp.Derivative) for _, n in d.variable_count)
        expression = expression.subs(node, sp.Symbol(f"h_{order}"))
    return expression
