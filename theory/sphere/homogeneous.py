"""Homogeneity and Euler's identity of a concrete expression, decided fast.

Two methods. *Degree calculus*: a variable has degree 1, a product adds degrees, a power multiplies them, a sum needs
equal ones, a function of degree-0 arguments has degree 0; a structural induction, hence a proof, of
f(c w) = c^k f(w). *Polynomial arithmetic*: for L = R0 + R1 sqrt(Q) with rational R0, R1 and a polynomial Q, every
derivative of order k is N/d^(k+1) (times sqrt(Q)) with one known d, and an identity between derivatives is an
identity of polynomials: no greatest common divisor is ever taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import sympy as sp

__all__ = ["degree", "euler_by_polynomials"]


def degree(expression: sp.Expr, variables: Sequence[sp.Symbol], /) -> sp.Rational | None:
    """The degree k with f(c w) = c^k f(w) for all c > 0, or ``None`` where the calculus finds none.

    Zero has every degree; it is returned as 0.
    """
    chosen = set(variables)

    def walk(e: sp.Expr) -> Any:
        if not e.free_symbols & chosen:
            return sp.Integer(0)
        if e.is_Symbol:
            return sp.Integer(1)
        parts = [walk(a) for a in e.args]
        if None in parts:
            return None
        if isinstance(e, sp.Add):
            return parts[0] if all(k == parts[0] for k in parts) else None
        if isinstance(e, sp.Mul):
            return sum(parts, sp.Integer(0))
        if isinstance(e, sp.Pow):
            return parts[0] * e.exp if e.exp.is_Rational else (sp.Integer(0) if not any(parts) else None)
        if isinstance(e, sp.Abs):
            return parts[0]
        return sp.Integer(0) if isinstance(e, sp.Function) and not any(parts) else None

    result = walk(sp.sympify(expression))
    if result is None:
        # A sum such as x**2 + c*(...) may hide equal degrees behind an unexpanded product of sums with different ones.
        result = walk(sp.together(expression))
    return result


def euler_by_polynomials(expression: sp.Expr, variables: Sequence[sp.Symbol], /) -> list[tuple[int, bool]] | None:
    """For k = 0, 1, 2: (number of entries, whether D^{k+1} L[w] = -k D^k L holds in every entry).

    ``None`` where L is not of the form R0 + R1 sqrt(Q).
    """
    split = _one_radical(expression, variables)
    if split is None:
        return None
    parts, radicand = split
    ring, *_ = sp.ring([v.name for v in variables], sp.QQ)
    verdicts = {k: [0, True] for k in (0, 1, 2)}
    for part, has_root in parts:
        numerator, denominator = (_to_ring(ring, x, variables) for x in sp.fraction(sp.together(part)))
        if numerator is None or denominator is None:
            return None
        root = _to_ring(ring, radicand, variables) if has_root else None
        _check_part(ring, numerator, denominator, root, verdicts)
    return [(verdicts[k][0], bool(verdicts[k][1])) for k in (0, 1, 2)]


def _one_radical(
    expression: sp.Expr, variables: Sequence[sp.Symbol]
) -> tuple[list[tuple[sp.Expr, bool]], sp.Expr | None] | None:
    roots = {
        a
        for a in expression.atoms(sp.Pow)
        if a.exp.is_Rational and not a.exp.is_Integer and a.free_symbols & set(variables)
    }
    if not roots:
        return ([(expression, False)], None) if expression.is_rational_function(*variables) else None
    bases = {a.base for a in roots}
    if len(bases) != 1 or any(a.exp.q != 2 for a in roots):
        return None
    base = bases.pop()
    if not base.is_polynomial(*variables):
        return None
    q = sp.Dummy("q", positive=True)
    replaced = expression.xreplace({a: q**a.exp.p for a in roots})
    try:
        top, bottom = (sp.Poly(sp.expand(x), q) for x in sp.fraction(sp.together(replaced)))
    except sp.PolynomialError:  # the root stands inside a function, as in exp(z/r)
        return None
    if sum(1 for _ in bottom.terms()) != 1:
        return None
    shift = bottom.degree()
    parts = {False: sp.Integer(0), True: sp.Integer(0)}
    for (k,), coefficient in top.terms():
        power = k - shift
        parts[bool(power % 2)] += coefficient / bottom.LC() * base ** (power // 2)
    if not all(x.is_rational_function(*variables) for x in parts.values()):
        return None
    return [(x, odd) for odd, x in parts.items() if x != 0], base


def _to_ring(ring: Any, expression: sp.Expr | None, variables: Sequence[sp.Symbol]) -> Any:
    if expression is None:
        return None
    try:
        polynomial = sp.Poly(expression, *variables, domain=sp.QQ)
    except sp.PolynomialError:
        return None
    except sp.CoercionFailed:
        return None
    return ring.from_dict(dict(polynomial.rep.to_dict()))


def _check_part(ring: Any, numerator: Any, denominator: Any, root: Any, verdicts: dict[int, list[Any]]) -> None:
    """One of R0, R1 sqrt(Q): derivatives of order k kept as N/d^(k+1), d = denominator (times 2 Q)."""
    gens = ring.gens
    if root is None:
        d, extra = denominator, [ring.zero] * len(gens)
    else:
        d = 2 * root * denominator
        numerator = numerator * 2 * root
        extra = [root.diff(x) * denominator for x in gens]  # d * Q_i/(2 Q)

    def derivative(n: Any, order: int, i: int) -> Any:
        return n.diff(gens[i]) * d - (order + 1) * n * d.diff(gens[i]) + n * extra[i]

    level: dict[tuple[int, ...], Any] = {(): numerator}
    for k in (0, 1, 2):
        deeper: dict[tuple[int, ...], Any] = {}
        for index, n in level.items():
            nexts = [derivative(n, k, i) for i in range(len(gens))]
            total = sum((x * y for x, y in zip(gens, nexts, strict=True)), ring.zero)
            verdicts[k][0] = max(verdicts[k][0], len(level))
            verdicts[k][1] = verdicts[k][1] and total == -k * n * d
            for i in range(index[-1] if index else 0, len(gens)):
                deeper[(*index, i)] = nexts[i]
        level = deeper
    assert len(level) == len(list(combinations_with_replacement(range(len(gens)), 3)))
