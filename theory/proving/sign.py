"""f > 0, f >= 0 and their negatives on a domain: what `prove_positive` proves, and inequalities that are attained.

A nonstrict inequality may be an equality somewhere, where no enclosure by intervals tells it from its opposite. Then

    f = c f_1^n_1 f_2^n_2 ...   over Q: even powers are >= 0, and every odd one is asked for its own sign;
    f(x) of one variable, a polynomial: its sign changes at real roots of odd multiplicity only, which Sturm counts.

    a + b sqrt(u), u >= 0: where a and b differ in sign, that of a^2 - b^2 u (K <= 1 from K^2 <= 1).
    f with exp, log, |u| and the like, or of several variables: derivatives, squares (`calculus`).

cos p and sin p are (1 - t^2)/(1 + t^2) and 2t/(1 + t^2) there, which misses p = pi alone: a nonstrict inequality holds
there as well, by continuity.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import sympy as sp

from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.calculus import sign_by_calculus
from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.proof import Status, Step
from sharpflow.theory.proving.tower import HYPERBOLIC, in_exponentials
from sharpflow.theory.proving.zero import decide_zero, normal_form

__all__ = ["prove_sign"]

SECONDS = 6.0
# Above this, factors are not looked for.
OPERATIONS = 600


def prove_sign(
    title: str, lhs: Any, relation: str, rhs: Any, /, *, domain: Mapping[sp.Symbol, tuple[Any, Any]], note: str = ""
) -> Step:
    """The step ``lhs relation rhs`` with a relation among < <= > >=, on the whole domain.

    Args:
        title, note: for the reader.
        lhs, relation, rhs: the inequality.
        domain: open intervals of the symbols; for others the sign that they are declared with, or the whole line.
    """
    begin = time.perf_counter()
    difference = sp.sympify(lhs) - sp.sympify(rhs)
    if relation in ("<", "<="):
        difference = -difference
    try:
        ends = {s: (sp.sympify(low), sp.sympify(high)) for s, (low, high) in domain.items()}
        with time_limit(SECONDS):
            status, method = _decide(difference, relation in ("<", ">"), ends)
    except TimeLimitExceeded:
        status, method = Status.UNDECIDED, f"given up after {SECONDS:g} s"
    return Step(
        title=title, lhs=lhs, rhs=rhs, relation=relation, status=status, method=method, residual=difference,
        seconds=time.perf_counter() - begin, note=note, sides=(lhs, rhs), domain=domain,
    )  # fmt: skip


def _decide(difference: sp.Expr, strict: bool, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> tuple[Status, str]:
    f = normal_form(difference)
    shifted = _from_zero(f, domain)
    if shifted.is_positive or (not strict and shifted.is_nonnegative):
        return Status.PROVED, "sign of each term"
    if not strict:
        if decide_zero(f).status is Status.PROVED:
            return Status.PROVED, "the two sides are equal"
        if how := _by_factors(f, domain):
            return Status.PROVED, how
    if how := sign_by_calculus(f, strict, domain, _quickly):
        return Status.PROVED, how
    # The normal form makes 1/(1 + s) a fraction over 1 - s^2, which may vanish.
    if how := _by_root(difference, strict, domain) or _by_root(f, strict, domain):
        return Status.PROVED, how
    step = prove_positive("", f, domain=_bounded(f, domain))
    if step.status is Status.PROVED:
        return step.status, step.method
    if strict and (how := _by_factors(f, domain, strict=True)):
        return Status.PROVED, how
    return Status.UNDECIDED, "no method told the sign: " + step.method


def _quickly(f: sp.Expr, strict: bool, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> bool:
    """True where the sign is seen without looking at intervals of several variables."""
    shifted = _from_zero(f, domain)
    if shifted.is_positive or (not strict and shifted.is_nonnegative):
        return True
    if f.is_number or len(f.free_symbols) > 1:
        return f.is_number and prove_positive("", f, domain={}).status is Status.PROVED
    return bool(_by_factors(f, domain, strict))


def _by_root(f: sp.Expr, strict: bool, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> str:
    """How the sign of f, rational in one root sqrt(u), is that of formulas without it; empty where it is not told."""

    def is_root(e: sp.Expr) -> bool:
        return isinstance(e, sp.Pow) and e.exp.is_Rational and e.exp.q == 2 and bool(e.free_symbols)

    def holds(e: sp.Expr, strictly: bool) -> bool:
        if not strictly and decide_zero(e).status is Status.PROVED:
            return True
        several = len(e.free_symbols) > 1 and _by_factors(e, domain, strictly)
        return bool(several or _quickly(e, strictly, domain))

    def surd(part: sp.Expr, strictly: bool) -> bool:
        """a + b s > 0 (or >= 0): neither term is negative, or the larger one is not."""
        b, a = (normal_form(rest.coeff_monomial(s**n)) for rest in [sp.rem(sp.Poly(part, s), square)] for n in (1, 0))
        if holds(a, strictly) and holds(b, False):
            return True
        excess = normal_form(a**2 - b**2 * u)
        if holds(a, strictly) and holds(-b, False):
            return holds(excess, strictly)
        return holds(b, False) and holds(-a, False) and holds(-excess, strictly)

    roots = {e.base for e in f.atoms(sp.Pow) if is_root(e)}
    if len(roots) != 1 or sp.count_ops(f) > OPERATIONS:
        return ""
    (u,) = roots
    s = sp.Dummy("s", nonnegative=True)
    square = sp.Poly(s**2 - u, s)
    above, below = sp.fraction(sp.together(f.replace(is_root, lambda e: s ** (2 * e.exp))))
    if not (above.is_polynomial(s) and below.is_polynomial(s) and holds(u, False)):
        return ""
    told = any(surd(sign * below, True) and surd(sign * above, strict) for sign in (1, -1))
    return "signs in a + b sqrt(u), and of a^2 - b^2 u" if told else ""


def _from_zero(f: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> sp.Expr:
    """x of a half line (a, oo) as a + t with t > 0: polynomials with positive coefficients show their sign."""
    half = {s: ends for s, ends in domain.items() if s in f.free_symbols and ends[0].is_finite and ends[1] == sp.oo}
    if not half or sp.count_ops(f) > OPERATIONS:
        return f
    moved: sp.Expr = sp.expand(f.subs({s: low + sp.Dummy(s.name, positive=True) for s, (low, _) in half.items()}))
    return moved


def _bounded(f: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]]) -> dict[sp.Symbol, tuple[Any, Any]]:
    """The domain, with half a line for symbols that are declared positive or negative."""
    found = dict(domain)
    for symbol in f.free_symbols - set(found):
        if symbol.is_nonnegative:
            found[symbol] = (sp.Integer(0), sp.oo)
        elif symbol.is_nonpositive:
            found[symbol] = (-sp.oo, sp.Integer(0))
    return found


def _by_factors(f: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]], strict: bool = False) -> str:
    """How the sign of f is that of its factors; empty where it is not told so."""
    if sp.count_ops(f) > OPERATIONS:
        return ""
    rational, box = _rational(f, domain)
    if rational is None:
        return ""
    above, below = sp.fraction(sp.cancel(sp.together(rational)))
    sign = sp.Integer(1)
    for part in (above, below):
        constant, factors = sp.factor_list(part)
        sign *= sp.sign(constant)
        for factor, power in factors:
            if power % 2 == 0 and not strict:
                continue
            found = _sign_of(factor, box, strict)
            if not found:
                return ""
            sign *= found**power
    return "signs of the factors" if sign == 1 else ""


def _rational(
    f: sp.Expr, domain: Mapping[sp.Symbol, tuple[Any, Any]]
) -> tuple[sp.Expr | None, dict[sp.Symbol, tuple[Any, Any]]]:
    """The same function of rational variables, and where they are; ``None`` where it has another function in it."""
    box = _bounded(f, domain)
    for p in sorted(f.free_symbols, key=str):
        if f.has(sp.sin(p), sp.cos(p), sp.tan(p)) or any(
            p in e.free_symbols for e in f.atoms(sp.sin, sp.cos, sp.tan, sp.exp)
        ):
            t = sp.Dummy(f"t_{p}", real=True)
            plain = sp.expand_trig(f.replace(lambda e: isinstance(e, HYPERBOLIC), in_exponentials))
            halves = {sp.cos(p): (1 - t**2) / (1 + t**2), sp.sin(p): 2 * t / (1 + t**2), sp.tan(p): 2 * t / (1 - t**2)}
            changed = plain.subs(halves)
            ends = (-sp.oo, sp.oo)
            if changed.has(p):
                t = sp.Dummy(f"t_{p}", positive=True)
                changed = sp.expand(plain, power_exp=True).subs(p, sp.log(t))
                low, high = box.get(p, ends)
                ends = sp.exp(low), sp.exp(high)
            if changed.has(p):
                return None, box
            box.pop(p, None)
            box[t] = ends
            f = changed
    return (f if f.is_rational_function() else None), box


def _sign_of(factor: sp.Expr, box: Mapping[sp.Symbol, tuple[Any, Any]], strict: bool) -> int:
    """1 or -1 where the factor keeps one sign all over the box (nonstrict: may vanish), else 0."""
    for sign in (1, -1):
        e = sign * factor
        if e.is_positive or (not strict and e.is_nonnegative):
            return sign
    symbols = factor.free_symbols
    if len(symbols) == 1 and not strict:
        (x,) = symbols
        return _one_variable(sp.Poly(factor, x), box.get(x, (-sp.oo, sp.oo)))
    for sign in (1, -1):
        if prove_positive("", sign * factor, domain={s: box[s] for s in symbols if s in box}).status is Status.PROVED:
            return sign
    return 0


def _one_variable(polynomial: sp.Poly, interval: tuple[Any, Any]) -> int:
    """The sign of an irreducible polynomial that has no root inside the interval, else 0."""
    low, high = (end if end.is_infinite or end.is_Rational else None for end in map(sp.sympify, interval))
    if low is None or high is None or not all(c.is_Rational for c in polynomial.all_coeffs()):
        return 0
    # Sturm counts roots at finite ends as well, which an open interval does not have.
    ends = [end for end in (low, high) if not end.is_infinite and polynomial.eval(end) == 0]
    roots = polynomial.count_roots(None if low.is_infinite else low, None if high.is_infinite else high) - len(ends)
    if roots:
        return 0
    if low.is_infinite:
        inside = sp.Integer(0) if high.is_infinite else high - 1
    else:
        inside = low + 1 if high.is_infinite else (low + high) / 2
    return int(sp.sign(polynomial.eval(inside)))
