"""Which known slip makes one formula of another: a factor, a sign, K for K^2, another clock, a term, an exponent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sympy as sp

from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.zero import decide_zero, normal_form
from sharpflow.theory.statements.names import Names
from sharpflow.theory.statements.nodes import Meant
from sharpflow.theory.statements.witness import holds_at, nice_points

__all__ = ["explain"]

SECONDS = 2.0
TERMS = 8
# Names that are taken for one another.
SWAPPED = (
    ("rate", "intrinsic_lr", "rate for intrinsic_lr"),
    ("intrinsic_lr", "rate", "intrinsic_lr for rate"),
    ("learning_rate", "effective_lr", "learning_rate for effective_lr"),
    ("learning_rate", "rate", "learning_rate for rate"),
    ("learning_rate", "intrinsic_lr", "learning_rate for intrinsic_lr"),
    ("weight_decay", "rate", "weight_decay for rate"),
    ("rate", "learning_rate", "rate for learning_rate"),
    ("rate", "weight_decay", "rate for weight_decay"),
)


def explain(claimed: sp.Expr, right: sp.Expr, names: Names, /, *, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> str:
    """The slip that makes ``claimed`` (names not replaced) of ``right`` (replaced); empty where none does."""
    try:
        with time_limit(SECONDS):
            return _explain(claimed, right, names, domain)
    except (TimeLimitExceeded, NoClosedForm, ValueError, TypeError, ArithmeticError, NotImplementedError):
        return ""


def _explain(claimed: sp.Expr, right: sp.Expr, names: Names, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> str:
    clock = names.has_parameters(right)
    wrong = names.value(claimed, clock=clock)
    ratio = normal_form(right / wrong) if wrong != 0 and right != 0 else sp.nan
    if ratio.is_finite and ratio.is_number and (found := _factor(ratio)):
        return found
    for said, variant in _variants(claimed):
        if _equal(names.value(variant, clock=clock), right, domain):
            return said
    if found := _factor(ratio):
        return found
    missing = normal_form(right - wrong)
    if 0 < sp.count_ops(missing) <= 6 and wrong.is_Add and not missing.is_number:
        return f"a term {sp.sstr(missing)} is missing"
    return ""


def _factor(ratio: sp.Expr) -> str:
    """In words, where the right side is a number, or a power of the rate, times the claimed one."""
    if ratio is sp.nan:
        return ""
    if ratio == -1:
        return "the sign is wrong"
    if ratio.is_number:
        return f"a factor {sp.sstr(ratio)} is missing" + (" (and the sign is wrong)" if ratio.is_negative else "")
    clock = {"rate", "learning_rate", "weight_decay"}
    if {s.name for s in ratio.free_symbols} <= clock:
        rates = [f for f in sp.Mul.make_args(ratio) if f.free_symbols]
        powers = {sp.Abs(f.as_base_exp()[1]) for f in rates}
        whole = {s.name for s in ratio.free_symbols} in ({"rate"}, {"learning_rate", "weight_decay"})
        whole = whole and powers == {sp.Integer(1)}
        if whole:
            return f"the other clock: a factor {sp.sstr(ratio)} between iterations and flow time is missing"
        return f"a factor {sp.sstr(ratio)} is missing"
    return ""


def _variants(claimed: sp.Expr) -> Iterator[tuple[str, sp.Expr]]:
    """Formulas that one slip makes ``claimed`` of."""
    here = {s.name: s for s in claimed.free_symbols}
    if "K" in here:
        k, square = here["K"], sp.Dummy("k", positive=True)
        yield "K^2 for K", claimed.subs(k**2, square).subs(k, sp.sqrt(square)).subs(square, k)
        yield "K for K^2", claimed.xreplace({k: k**2})
    for name, other, said in SWAPPED:
        if name in here:
            yield said, claimed.xreplace({here[name]: _of_name(other)})
    if len(terms := sp.Add.make_args(claimed)) <= TERMS and len(terms) > 1:
        for term in terms:
            yield f"the sign of the term {sp.sstr(term)}", claimed - 2 * term
    yield "it is turned upside down", 1 / claimed
    for node in sorted(claimed.atoms(sp.Add), key=sp.default_sort_key)[:TERMS]:
        for term in node.args:
            yield f"the sign of {sp.sstr(term)}", claimed.xreplace({node: node - 2 * term})
            for factor in (2, sp.Rational(1, 2), 4, sp.Rational(1, 4)):
                changed = claimed.xreplace({node: node + (factor - 1) * term})
                yield f"a factor {factor} in the term {sp.sstr(term)}", changed
    for node in sorted(claimed.atoms(sp.Pow), key=sp.default_sort_key)[:TERMS]:
        base, exponent = node.as_base_exp()
        if exponent.is_Rational:
            for other in (exponent + 1, exponent - 1, 2 * exponent, exponent / 2, -exponent):
                if other != 0:
                    yield f"the exponent of {sp.sstr(base)}", claimed.xreplace({node: base**other})
    for node in sorted(claimed.atoms(sp.sin, sp.cos), key=sp.default_sort_key)[:TERMS]:
        other = sp.cos if isinstance(node, sp.sin) else sp.sin
        yield f"{other.__name__} for {node.func.__name__}", claimed.xreplace({node: other(*node.args)})
        yield f"the multiple in {sp.sstr(node)}", claimed.xreplace({node: node.func(2 * node.args[0])})
        yield f"the multiple in {sp.sstr(node)}", claimed.xreplace({node: node.func(node.args[0] / 2)})


def _of_name(name: str) -> sp.Symbol:
    kind = Meant if name in ("intrinsic_lr", "effective_lr") else sp.Symbol
    return kind(name, positive=True)


def _equal(a: sp.Expr, b: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> bool:
    """a = b, by looking at two points first."""
    symbols = sorted(a.free_symbols | b.free_symbols, key=lambda s: s.name)
    seen = [holds_at(a, "=", b, point, exact=False) for point in nice_points(symbols, domain, 3)]
    return False not in seen and decide_zero(a - b, domain=domain).status is Status.PROVED
