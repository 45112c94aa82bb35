"""Prove or refute a statement: proved, refuted with a witness, or undecided with what is left.

A = B is looked at in a few points first, for a witness; what survives is given to computer algebra (`prove_equal`) and,
independently, to exact arithmetic at random rational points (`confirm`). Inequalities go to `prove_sign`. What a
statement is said to follow from is put in (`sharpflow.theory.statements.consequence`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from sharpflow.theory.chart.geometry import tidy
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.limits import OF_STATEMENTS, TimeLimitExceeded, time_limit
from sharpflow.theory.proving.checker import confirm
from sharpflow.theory.proving.proof import Proof, Status, Step, combine
from sharpflow.theory.proving.sign import prove_sign
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.statements.asymptotics import check_asymptotic
from sharpflow.theory.statements.consequence import follows, suppose
from sharpflow.theory.statements.names import Names
from sharpflow.theory.statements.nodes import Along, Landau, Meant
from sharpflow.theory.statements.slips import explain
from sharpflow.theory.statements.statement import Checked, Relation, Statement, Supposed
from sharpflow.theory.statements.witness import Witness, counterexample, witness_at

__all__ = ["check"]

# Longer formulas are not printed in a sentence.
LONGEST = 160
# Of a logarithm, that a product of powers is made of.
LARGEST = 12
# Of the processor, for one way of several.
SHORT = 3.0
# Longer ones are not simplified for it.
READABLE = 60


def check(statement: Statement, names: Names, /, *, limit: float = OF_STATEMENTS) -> Checked:
    """The verdict on a statement, the worst of its links.

    Args:
        statement, names: what is claimed, and what its names mean.
        limit: processor seconds, the derivation of the names included.
    """
    over = Checked(Status.UNDECIDED, message=f"given up after {limit:g} s; a larger time limit may decide it")
    begin = time.process_time()
    try:
        with time_limit(limit):
            found = _check(statement, names)
            # The end may have come inside the limit of a method, which took it for its own.
            late = found.proof is Status.UNDECIDED and time.process_time() - begin > limit
            return over if late else found
    except TimeLimitExceeded:
        return over
    except NoClosedForm as reason:
        return Checked(Status.UNDECIDED, message=str(reason))
    except Exception as reason:  # of SymPy, on a formula of the reader's: the other statements go on
        return Checked(Status.UNDECIDED, message=f"the computer algebra gave up: {type(reason).__name__}: {reason}")


def _check(statement: Statement, names: Names) -> Checked:
    whole = (*statement.given, *statement.links)
    expressions = [side for r in whole for side in (r.lhs, r.rhs)]
    values = names.values(*expressions)
    valued = [Relation(a, r.symbol, b) for r, a, b in zip(whole, values[::2], values[1::2], strict=True)]
    given = valued[: len(statement.given)]
    supposed = suppose(given, names.domain)
    if supposed.impossible:
        message = f"what is given does not hold: {supposed.impossible}; nothing can follow from it"
        return Checked(Status.UNDECIDED, message=message)
    links = zip(statement.links, valued[len(given) :], strict=True)
    found = [_link(link, value, supposed, names) for link, value in links]
    status = combine(c.proof for c in found)
    chosen = next((c for c in found if c.proof is status), found[-1])
    steps = [step for c in found for step in c.steps]
    grounds, obstacle = _grounds(expressions, names)
    if obstacle is not None and status is Status.PROVED:
        status, message = Status.UNDECIDED, obstacle
    elif obstacle is not None:
        message = f"{chosen.message}; {obstacle}"
    else:
        message = chosen.message
    return Checked(
        status, chosen.method, (*grounds, *steps), chosen.claimed, chosen.derived, chosen.sides, chosen.witness, message
    )


def _grounds(expressions: Sequence[sp.Expr], names: Names) -> tuple[tuple[Step, ...], str | None]:
    """The checked steps that the names rest on, and which of them does not hold."""
    proofs: dict[str, Proof] = {}
    for meaning in names.used(*expressions):
        for proof in meaning.proofs():
            proofs.setdefault(proof.title, proof)
    steps = tuple(step for proof in proofs.values() for step in proof.steps)
    declared = frozenset() if names.loss is None else names.loss.expects_to_fail
    for step in steps:
        if step.status is Status.REFUTED and not (declared and step.relation == ">"):
            at = ", ".join(f"{k} = {v}" for k, v in step.witness.items())
            return steps, f"it rests on {step.title!r}, which is refuted{f' at {at}' if at else ''}"
        if step.status is Status.UNDECIDED:
            return steps, f"it rests on {step.title!r}, which is undecided"
    return steps, None


def _link(link: Relation, value: Relation, supposed: Supposed, names: Names) -> Checked:
    """One relation, and the same with names replaced, under what is supposed."""
    if link.symbol == ":=":
        return Checked(Status.NONE, "definition", message="read as a definition")
    if link.symbol == "~" or link.rhs.has(Landau) or link.lhs.has(Landau):
        return check_asymptotic(value, supposed)
    lhs, rhs = value.lhs, value.rhs
    claimed, derived, right = _claimed(link, lhs, rhs)
    said = {"claimed": _short(claimed), "derived": "" if derived is None else _short(_tidied(derived))}
    left, other = supposed.apply(lhs), supposed.apply(rhs)
    witness = None if supposed.equations else counterexample(Relation(left, link.symbol, other), supposed)
    if witness is None:
        checked = _prove(link, left, other, supposed, names)
    else:
        checked = Checked(Status.REFUTED, "exact evaluation at a point", witness=witness.text)
        checked = _explained(checked, witness, link, claimed, derived, right, supposed, names)
    if checked.proof is Status.REFUTED and not checked.message:
        checked = _with_sentence(checked)
    return Checked(
        checked.proof, checked.method, checked.steps, said["claimed"], said["derived"], (lhs, rhs), checked.witness,
        checked.message,
    )  # fmt: skip


def _claimed(link: Relation, lhs: sp.Expr, rhs: sp.Expr) -> tuple[sp.Expr, sp.Expr | None, sp.Expr]:
    """(what the reader wrote, what is derived for the other side or ``None``, that side's value)."""

    def named(e: sp.Expr) -> bool:
        return isinstance(e, Meant | Along) or (e.has(Meant) and not (link.lhs.has(Meant) and link.rhs.has(Meant)))

    if named(link.lhs):
        return link.rhs, lhs, lhs
    if named(link.rhs):
        return link.lhs, rhs, rhs
    return link.rhs, (lhs if link.lhs.has(Meant) else None), lhs


def _explained(
    checked: Checked, witness: Witness, link: Relation, claimed: sp.Expr, derived: sp.Expr | None, right: sp.Expr,
    supposed: Supposed, names: Names,
) -> Checked:  # fmt: skip
    equal = link.symbol == "="
    words = "they differ" if equal else f"{link.symbol} fails"
    if derived is not None and equal and claimed is link.rhs:
        # In the order of the words before it: the claimed value, then the derived one.
        witness = replace(witness, left=witness.right, right=witness.left)
    message = f"{words}{' ' if witness.point else ': '}{witness.sentence}"
    if derived is not None and equal:
        message = f"claimed {_short(claimed)}, derived {_short(_tidied(derived))}, {message}"
    elif derived is not None and not derived.is_Symbol:
        # A bound claims no value: what stands on its side is one.
        named = link.lhs if claimed is link.rhs else link.rhs
        message = f"{_short(named)} is {_short(_tidied(derived))}; {message}"
    if equal and not supposed.bounds and (slip := explain(claimed, right, names, domain=supposed.domain)):
        message += f"; {slip}"
    return Checked(checked.proof, checked.method, witness=checked.witness, message=message)


def _with_sentence(checked: Checked) -> Checked:
    at = ", ".join(f"{k} = {v}" for k, v in checked.witness.items() if k not in ("left", "right"))
    message = f"refuted{f' at {at}' if at else ''}"
    return Checked(checked.proof, checked.method, checked.steps, witness=checked.witness, message=message)


def _tidied(e: sp.Expr) -> sp.Expr:
    """A derived formula as a reader would write it, where that takes no time."""
    return tidy(e) if sp.count_ops(e) <= READABLE else e


def _short(e: sp.Expr) -> str:
    text = sp.sstr(e)
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


def _prove(link: Relation, lhs: sp.Expr, rhs: sp.Expr, supposed: Supposed, names: Names) -> Checked:
    if supposed.equations:
        return follows(lhs, link.symbol, rhs, supposed)
    if link.symbol == "=":
        checked = prove_equality(lhs, rhs, supposed)
        return follows(lhs, "=", rhs, supposed) if checked.proof is Status.UNDECIDED and supposed.bounds else checked
    step = prove_sign("", lhs, link.symbol, rhs, domain=supposed.domain)
    if step.status is not Status.PROVED and supposed.bounds:
        return follows(lhs, link.symbol, rhs, supposed)
    message = "" if step.status is Status.PROVED else f"left: {_short(lhs)} {link.symbol} {_short(rhs)}"
    return Checked(step.status, f"computer algebra: {step.method}", (step,), message=message)


def prove_equality(lhs: sp.Expr, rhs: sp.Expr, supposed: Supposed) -> Checked:
    """lhs = rhs by computer algebra and by the rational check."""
    claim = Relation(lhs, "=", rhs)
    somewhere = False
    if lhs.has(sp.log) or rhs.has(sp.log):
        lhs, rhs = sp.expand_log(lhs), sp.expand_log(rhs)
        if (product := _one_logarithm(lhs - rhs)) is not None:
            somewhere = not all(e.args[0].is_nonnegative for e in (lhs - rhs).atoms(sp.log))
            lhs, rhs = product, sp.Integer(1)
    if any(not power.exp.is_number for power in (lhs - rhs).atoms(sp.Pow)):
        # Powers of one base with symbols in the exponent: b^x b^y = b^(x + y).
        lhs, rhs = (sp.powsimp(sp.expand(side), combine="exp") for side in (lhs, rhs))
    if (step := _by_squares(lhs, rhs, supposed.domain)) is not None:
        return Checked(
            Status.PROVED, f"computer algebra (squares of sides that are not negative: {step.method})", (step,)
        )
    step = prove_equal("the two sides", lhs, rhs, domain=supposed.domain)
    if step.status is Status.PROVED:
        confirmed = step.second.startswith("confirmed")
        method = f"computer algebra ({step.method})" + (f" and rational check ({step.second})" if confirmed else "")
        if somewhere:
            message = "it holds where all logarithms in it are real numbers; say which symbols are positive"
            return Checked(Status.UNDECIDED, method, (step,), message=message)
        return Checked(Status.PROVED, method, (step,))
    if step.status is Status.REFUTED:
        by_name = {s.name: s for s in lhs.free_symbols | rhs.free_symbols}
        point = {by_name[k]: sp.Rational(v) for k, v in step.witness.items() if k in by_name}
        if witness := witness_at(claim, point, supposed):
            return Checked(Status.REFUTED, step.method, (step,), witness=witness.text)
    second = confirm(lhs, rhs)
    if second.status is Status.PROVED and step.residual is not None and second.error_bound < 1e-20:
        return Checked(Status.PROVED, f"rational check ({second.summary})", (step,))
    left = _short(sp.sympify(step.residual)) if step.residual is not None else "the difference"
    return Checked(Status.UNDECIDED, step.method, (step,), message=f"left: {left} = 0; {step.method}")


def _by_squares(lhs: sp.Expr, rhs: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> Step | None:
    """lhs^2 = rhs^2, proved, where neither side is negative: so are |x| and roots of squares compared."""
    if not any(e.has(sp.Abs) or any(power.exp == sp.S.Half for power in e.atoms(sp.Pow)) for e in (lhs, rhs)):
        return None
    with contextlib.suppress(TimeLimitExceeded), time_limit(SHORT):
        step = prove_equal("the squares of the two sides", lhs**2, rhs**2, domain=domain)
        if step.status is Status.PROVED and all(
            side.is_extended_nonnegative or prove_sign("", side, ">=", 0, domain=domain).status is Status.PROVED
            for side in (lhs, rhs)
        ):
            return step
    return None


def _one_logarithm(residual: sp.Expr) -> sp.Expr | None:
    """The product u_1^n_1 u_2^n_2 ... of a residual c (n_1 log u_1 + n_2 log u_2 + ...), which is 0 where it is 1.

    log u is a real number where u > 0 only, so that the sum is the logarithm of the product.
    """
    terms = [term.as_independent(sp.log) for term in sp.Add.make_args(sp.expand(residual, log=False))]
    if len(terms) < 2 or not all(isinstance(logarithm, sp.log) for _, logarithm in terms):
        return None
    counts = [sp.cancel(factor / terms[0][0]) for factor, _ in terms]
    if not all(n.is_Rational and max(abs(n.p), n.q) <= LARGEST for n in counts):
        return None
    whole = sp.ilcm(*(n.q for n in counts))
    product: sp.Expr = sp.Mul(
        *(logarithm.args[0] ** (n * whole) for n, (_, logarithm) in zip(counts, terms, strict=True))
    )
    return product
