"""L is C^4 near Gamma, the first assumption of the theory, read off the expression node by node.

A composition of analytic functions is analytic where every one of them is taken inside its domain: a quotient where
its denominator is not 0, a root and a logarithm where their argument is positive, |f| where f is not 0. On Gamma these
are inequalities in the chart, proved by interval arithmetic; what is strict on Gamma holds near it. |f|^q with q > 4
is C^4 without a condition. Where a condition fails the expression may still be smooth: that alone decides nothing, and
a derivative of order 4 or less that differs from side to side of a point of Gamma refutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import sympy as sp

from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.proof import Proof, Status, Step

__all__ = ["ORDER", "prove_smoothness", "switches"]

# The oscillator and the drift use derivatives to third order; the rest of the expansion is bounded by the fourth.
ORDER = 4
SIDE_SECONDS = 6.0

_ENTIRE = (
    sp.sin, sp.cos, sp.exp, sp.sinh, sp.cosh, sp.tanh, sp.sech, sp.atan, sp.asinh, sp.acot, sp.erf, sp.erfc, sp.sinc,
)  # fmt: skip
_KINKED = (sp.Abs, sp.sign, sp.Heaviside, sp.DiracDelta)


class _Unknown(Exception):
    """A function whose domain of analyticity is not in the table."""


def prove_smoothness(loss: Loss, /) -> Proof:
    """L is C^4 in a neighbourhood of Gamma.

    Raises:
        InputError: the loss has no minima.
    """
    if loss.minima is None:
        raise InputError(f"loss {loss.name!r} has no minima, so there is nothing near which it should be smooth.")
    title = f"smoothness of {loss.name} near Gamma"
    begin = time.perf_counter()
    try:
        conditions = list(dict.fromkeys(_conditions(loss.expression)))
    except _Unknown as reason:
        return Proof(title, _sides(loss, loss.minima, f"nothing is known of {reason}", begin))
    steps = [_composition(loss, len(conditions), time.perf_counter() - begin)]
    at = dict(zip(loss.variables, loss.minima.point, strict=True))
    domain = dict(zip(loss.minima.chart, loss.minima.domain or (), strict=True))
    for what, argument in conditions:
        step = prove_positive(
            f"{what} on Gamma", argument.subs(at, simultaneous=True), domain=domain,
            note=f"of {sp.sstr(argument)}" if sp.count_ops(argument) < 40 else "",
        )  # fmt: skip
        if step.status is not Status.PROVED:
            return Proof(title, (*steps, *_sides(loss, loss.minima, step.title, begin)))
        steps.append(step)
    return Proof(title, tuple(steps))


def switches(e: sp.Expr, /) -> tuple[sp.Expr, ...]:
    """The expressions at whose zeros ``e`` may have a kink: arguments of |f|, sign f, a maximum, a piece, a root."""
    found: list[sp.Expr] = []
    for node in sp.preorder_traversal(e):
        if isinstance(node, _KINKED):
            found.append(node.args[0])
        elif isinstance(node, sp.Max | sp.Min):
            found += [a - b for i, a in enumerate(node.args) for b in node.args[i + 1 :]]
        elif isinstance(node, sp.Piecewise):
            relations = {r for _, condition in node.args for r in condition.atoms(sp.core.relational.Relational)}
            found += sorted((r.lhs - r.rhs for r in relations), key=sp.default_sort_key)
        elif isinstance(node, sp.Pow) and not node.exp.is_Integer:
            found.append(node.base)
    return tuple(dict.fromkeys(f for f in found if f.free_symbols))


def _composition(loss: Loss, count: int, seconds: float) -> Step:
    parts = sorted({type(node).__name__ for node in sp.preorder_traversal(loss.expression) if node.args})
    return Step(
        "the loss is a composition of functions that are analytic inside their domains",
        "conditions to check on Gamma", sp.Integer(count), status=Status.PROVED, method=f"table: {', '.join(parts)}",
        residual=sp.Integer(0), seconds=seconds,
        note="What is strict on Gamma holds near it, each function being continuous there.",
    )  # fmt: skip


def _conditions(e: sp.Expr) -> Iterator[tuple[str, sp.Expr]]:
    """The expressions that must be positive for ``e`` to be C^4, innermost first."""
    if e.is_Symbol or e.is_number:
        return
    if isinstance(e, sp.Piecewise):
        raise _Unknown("Piecewise")
    for argument in _without_smooth_powers(e):
        yield from _conditions(argument)
    if isinstance(e, sp.Add | sp.Mul) or e.func in _ENTIRE or (isinstance(e, sp.Pow) and _is_smooth_power(e, 0)):
        return
    first = e.args[0]
    if isinstance(e, sp.Pow):
        if not (e.exp.is_Integer and e.exp > 0):
            yield ("a denominator does not vanish", first**2) if e.exp.is_Integer else ("a base is positive", first)
    elif e.func in _KINKED:
        yield "the argument of a kinked function does not vanish", first**2
    elif e.func in (sp.log, sp.gamma, sp.loggamma):
        yield "the argument of a logarithm is positive", first
    elif e.func in (sp.tan, sp.sec):
        yield "a cosine does not vanish", sp.cos(first) ** 2
    elif e.func in (sp.cot, sp.csc):
        yield "a sine does not vanish", sp.sin(first) ** 2
    elif e.func in (sp.asin, sp.acos, sp.atanh):
        yield "an argument is inside (-1, 1)", 1 - first**2
    elif e.func is sp.acosh:
        yield "an argument is above 1", first - 1
    elif e.func in (sp.Max, sp.Min):
        for i, a in enumerate(e.args):
            for b in e.args[i + 1 :]:
                yield "two arguments of a maximum differ", (a - b) ** 2
    else:
        raise _Unknown(e.func.__name__)


def _without_smooth_powers(e: sp.Expr) -> Iterator[sp.Expr]:
    """The arguments of ``e``; in f^p |f|^q with p + q > 4, which is C^4 wherever f is, f stands for |f|^q."""
    if not isinstance(e, sp.Mul | sp.Pow):
        yield from e.args
        return
    powers = dict(factor.as_base_exp() for factor in sp.Mul.make_args(e))
    for factor in sp.Mul.make_args(e):
        base, _ = factor.as_base_exp()
        if isinstance(base, sp.Abs) and _is_smooth_power(factor, powers.get(base.args[0], 0)):
            yield base.args[0]
        elif factor is e:
            yield from e.args
        else:
            yield factor


def _is_smooth_power(e: sp.Expr, beside: Any) -> bool:
    """True where e = |f|^q times f^beside is C^4 for its power alone."""
    base, power = e.as_base_exp()
    if not isinstance(base, sp.Abs) or not power.is_number:
        return False
    return bool(power + (beside if sp.sympify(beside).is_Integer and beside >= 0 else 0) > ORDER)


def _sides(loss: Loss, minima: Minima, failed: str, begin: float) -> tuple[Step, ...]:
    """Not shown smooth by composition: a derivative that jumps at a point of Gamma refutes, else it is left open."""
    step = Step(
        "the loss is C^4 at Gamma", "D^k L(zeta + 0 u)", "D^k L(zeta - 0 u)", status=Status.UNDECIDED,
        method="composition of analytic functions", seconds=time.perf_counter() - begin,
        note=f"Not shown: {failed}. That alone decides nothing.",
    )  # fmt: skip
    try:
        with time_limit(SIDE_SECONDS):
            witness = _jump(loss, minima)
    except (TimeLimitExceeded, NotImplementedError, ValueError, TypeError):
        witness = {}
    if witness:
        step = replace(
            step, status=Status.REFUTED, method="one-sided derivatives", witness=witness,
            note="The k-th derivative along u is infinite on Gamma, or differs from side to side of it.",
        )  # fmt: skip
    return (replace(step, seconds=time.perf_counter() - begin),)


def _jump(loss: Loss, minima: Minima) -> dict[str, str]:
    """A point of Gamma, a direction and an order k <= 4 whose one-sided derivatives differ."""
    start = {s: sp.nsimplify(v, rational=True) for s, v in zip(minima.chart, minima.start or (), strict=True)}
    point = [sp.sympify(p).subs(start) for p in minima.point]
    s = sp.Symbol("s", positive=True)
    for i, variable in enumerate(loss.variables):
        ahead, behind = (
            loss.at([p + sign * s if j == i else p for j, p in enumerate(point)]) for sign in (1, -1)
        )  # fmt: skip
        for k in range(ORDER + 1):
            right, left = sp.limit(sp.diff(ahead, s, k), s, 0, "+"), sp.limit(sp.diff(behind, s, k), s, 0, "+")
            difference = sp.simplify(right - (-1) ** k * left)
            if difference.is_finite is False or difference.is_zero is False or difference is sp.nan:
                return {
                    **{symbol.name: str(value) for symbol, value in start.items()},
                    "u": f"along {variable}", "k": str(k), "right": str(right), "left": str((-1) ** k * left),
                }  # fmt: skip
    return {}
