"""f >= 0 by what calculus tells: where f falls and rises, squares that are completed, the two signs of |u|.

    f' >= 0 on (a, b) and f(a+) >= 0             =>  f >= 0, and f > 0 unless f is constant (f is analytic)
    f'(c) = 0, f' <= 0 before c, >= 0 after it   =>  f >= f(c); f convex is the case f'' >= 0
    a > 0 and 4 a d - b^2 >= 0                   =>  a x^2 + b x + d >= 0
    f >= 0 with u for |u| and with -u for |u|    =>  f >= 0

Each asks for signs of simpler functions again, down to a few levels; none looks at values to be sure of a sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sympy as sp

from sharpflow.theory.proving.proof import Status
from sharpflow.theory.proving.zero import decide_zero, normal_form

__all__ = ["sign_by_calculus"]

Domain = Mapping[sp.Symbol, tuple[Any, Any]]
# Whether f > 0 (strict) or f >= 0 on a domain, by methods of another kind.
Oracle = Callable[[sp.Expr, bool, Domain], bool]

LEVELS = 5
OPERATIONS = 120
SYMBOLS = 3
ABSOLUTES = 3
# Analytic on the whole line.
ENTIRE = (sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.atan, sp.asinh, sp.erf)
# Where derivatives of what people write often vanish.
TURNS = (0, 1, -1, 1 / sp.E, sp.E, sp.Rational(1, 2), 2)
LINE = (-sp.oo, sp.oo)
# A limit at infinity is held against the value this far out.
FAR, NEAR = sp.Integer(10) ** 9, sp.Rational(1, 1000)


def sign_by_calculus(f: sp.Expr, strict: bool, domain: Domain, oracle: Oracle, /) -> str:
    """How f > 0 (or f >= 0) is known on the domain; empty where it is not."""
    if f.has(sp.Abs):
        return "cases of the sign of |u|" if _absolute(f, strict, domain, oracle) else ""
    if _Signs(oracle).holds(f, strict, domain, LEVELS):
        return "signs of derivatives, and squares completed"
    return ""


def _absolute(f: sp.Expr, strict: bool, domain: Domain, oracle: Oracle) -> bool:
    """Each |u| is u or -u; for a symbol u, with u of that sign."""
    found = sorted(f.atoms(sp.Abs), key=sp.count_ops)
    if not found:
        return _Signs(oracle).holds(f, strict, domain, LEVELS)
    if len(found) > ABSOLUTES:
        return False
    u = found[0].args[0]
    if u.is_Symbol and domain.get(u, LINE) == LINE:
        size = sp.Dummy(u.name, nonnegative=True)
        cases = [f.subs(u, size), f.subs(u, -size)]
    else:
        cases = [f.xreplace({found[0]: u}), f.xreplace({found[0]: -u})]
    return all(_absolute(sp.expand(case), strict, domain, oracle) for case in cases)


class _Signs:
    """Asks for the sign of f, of its derivatives, of discriminants."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.known: dict[Any, bool] = {}

    def holds(self, f: sp.Expr, strict: bool, domain: Domain, levels: int) -> bool:
        """F > 0, or f >= 0, on the domain."""
        key = (f, strict, tuple(sorted(((s.name, *domain[s]) for s in f.free_symbols if s in domain), key=str)))
        if key not in self.known:
            self.known[key] = False
            self.known[key] = self._holds(f, strict, domain, levels)
        return self.known[key]

    def _holds(self, f: sp.Expr, strict: bool, domain: Domain, levels: int) -> bool:
        if self.oracle(f, strict, domain):
            return True
        if not levels or not 0 < len(f.free_symbols) <= SYMBOLS or sp.count_ops(f) > OPERATIONS:
            return False
        f, domain = _of_one_argument(f, domain)
        above, below = sp.fraction(sp.together(f))
        if below != 1 and self.holds(below, True, domain, levels - 1):
            return self.holds(sp.expand(above), strict, domain, levels - 1)
        for x in sorted(f.free_symbols, key=lambda s: s.name):
            if f.is_polynomial(x):
                if sp.degree(f, x) == 2 and self._square(sp.Poly(f, x), strict, domain, levels):
                    return True
            elif not x.is_integer and self._turning(f, x, strict, domain, levels):
                return True
        return False

    def _square(self, f: sp.Poly, strict: bool, domain: Domain, levels: int) -> bool:
        a, b, d = f.all_coeffs()
        rest = normal_form(4 * a * d - b**2)
        return self.holds(a, True, domain, levels - 1) and self.holds(rest, strict, domain, levels - 1)

    def _turning(self, f: sp.Expr, x: sp.Symbol, strict: bool, domain: Domain, levels: int) -> bool:
        a, b = domain.get(x, _declared(x))
        if x in {e.args[0] for e in f.atoms(sp.log)}:
            a = sp.Max(a, 0)  # log x is a real number there
        if not self._analytic(f, x, {**domain, x: (a, b)}):
            return False
        slope = _tidied(sp.diff(f, x))
        # An analytic function that never falls rises strictly, unless it is constant.
        steep = strict and not (f.free_symbols == {x} and decide_zero(slope).status is Status.REFUTED)
        for end, sign in ((a, 1), (b, -1)):
            # f rises from its value at the left end, or falls to its value at the right one.
            value = _end(f, x, end, after=sign == 1)
            attained = value is not None and self._value(value, False, domain, levels)
            if attained and self.holds(sign * slope, steep, {**domain, x: (a, b)}, levels - 1):
                return True
        for c in _turns(slope, x, a, b):
            if not self._value(f.subs(x, c), strict, domain, levels):
                continue
            before, after = {**domain, x: (a, c)}, {**domain, x: (c, b)}
            if self.holds(slope, False, after, levels - 1) and self.holds(-slope, False, before, levels - 1):
                return True
        return False

    def _value(self, value: sp.Expr, strict: bool, domain: Domain, levels: int) -> bool:
        if not strict and decide_zero(value).status is Status.PROVED:
            return True
        return bool(value.is_finite is not False) and self.holds(value, strict, domain, levels - 1)

    def _analytic(self, f: sp.Expr, x: sp.Symbol, domain: Domain) -> bool:
        """True where f is analytic in x on the open interval, as its parts are."""
        if not f.has(x):
            return True
        if f.is_Symbol or f.is_Add or f.is_Mul or isinstance(f, ENTIRE):
            return all(self._analytic(part, x, domain) for part in f.args)
        if isinstance(f, sp.log):
            return self._analytic(f.args[0], x, domain) and self.holds(f.args[0], True, domain, 1)
        if isinstance(f, sp.Pow) and not f.exp.has(x):
            if f.exp.is_Integer and f.exp > 0:
                return self._analytic(f.base, x, domain)
            signs = (1, -1) if f.exp.is_Integer else (1,)
            return self._analytic(f.base, x, domain) and any(self.holds(s * f.base, True, domain, 1) for s in signs)
        return False


def _declared(x: sp.Symbol) -> tuple[Any, Any]:
    return (sp.Integer(0) if x.is_nonnegative else -sp.oo, sp.Integer(0) if x.is_nonpositive else sp.oo)


def _tidied(slope: sp.Expr) -> sp.Expr:
    """The derivative in the form in which its sign is seen: factored over one denominator where that is short."""
    above, below = sp.fraction(sp.together(slope))
    return slope if below == 1 else sp.factor(above) / below


def _of_one_argument(f: sp.Expr, domain: Domain) -> tuple[sp.Expr, Domain]:
    """F as a function of u alone, where its symbols occur in one combination u only; u may be anywhere on the line."""
    for function in sorted(f.atoms(sp.Function), key=sp.count_ops):
        u = function.args[0]
        if len(u.free_symbols) < 2:
            continue
        sign = {"positive": True} if u.is_positive else {"real": True}
        t = sp.Dummy("u", **sign)
        changed = f.subs(u, t)
        if changed.free_symbols == {t}:
            return changed, domain
    return f, domain


def _end(f: sp.Expr, x: sp.Symbol, end: Any, after: bool) -> sp.Expr | None:
    """The limit of f at an end of the interval: its value where it has one there, else SymPy's, held against values."""
    if end.is_finite and _continues(f, x, end):
        return f.subs(x, end)
    if f.free_symbols != {x}:
        return None
    found = sp.limit(f, x, end, "+" if after else "-")
    near = (FAR if end == sp.oo else -FAR) if end.is_infinite else end + (1 if after else -1) / FAR
    value = sp.N(f.subs(x, near), 20, maxn=200)
    if not (found.is_number and found.is_finite and value.is_real):
        return None
    return found if abs(value - found) < NEAR else None


def _continues(f: sp.Expr, x: sp.Symbol, end: Any) -> bool:
    """True where f is continuous at a finite end: no denominator vanishes, nor what a logarithm is taken of."""
    bases = [p.base for p in f.atoms(sp.Pow) if not (p.exp.is_nonnegative or p.base is sp.E)]
    positive = [e.args[0] for e in f.atoms(sp.log)]
    return all(e.subs(x, end).is_nonzero for e in bases) and all(e.subs(x, end).is_positive for e in positive)


def _turns(slope: sp.Expr, x: sp.Symbol, a: Any, b: Any) -> Iterator[Any]:
    """Points inside the interval where the derivative vanishes."""
    for c in map(sp.sympify, TURNS):
        if bool(a < c) and bool(c < b):
            value = slope.subs(x, c)
            if value.is_finite is not False and not value.has(sp.nan) and decide_zero(value).status is Status.PROVED:
                yield c
