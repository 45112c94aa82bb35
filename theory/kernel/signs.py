"""Positivity with a certificate: a polynomial as a sum of terms none of which can be negative.

A term is not negative where its coefficient is positive and every atom in it is positive or has an even power. A
polynomial in sin p and cos p is first made homogeneous with sin^2 p + cos^2 p = 1 (Polya), so that terms that cancel
partly are compared where they belong: 3 - 2 sin^2 p is 3 cos^2 p + sin^2 p.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from sharpflow.theory.kernel.field import Atoms, Relation

__all__ = ["Positive", "positive"]

# Extra powers of sin^2 p + cos^2 p that are tried.
ELEVATIONS = 4
TERMS = 400

Cofactors = tuple[tuple[Relation, sp.Expr], ...]


@dataclass(frozen=True)
class Positive:
    """sign*polynomial = sum of the terms + sum of cofactor * relation; the first term is positive if any is."""

    polynomial: sp.Expr
    sign: int
    terms: tuple[sp.Expr, ...]
    cofactors: Cofactors
    strict: bool


def positive(polynomial: sp.Expr, atoms: Atoms, /) -> Positive | None:
    """A certificate of the sign of a polynomial in the atoms, strict if there is one; ``None`` where none is found."""
    weak = None
    for whole, cofactors in _forms(sp.expand(polynomial), atoms):
        for sign in (1, -1):
            found = _terms(sign * whole, atoms)
            if found is not None:
                signed = tuple((r, sign * q) for r, q in cofactors)
                result = Positive(polynomial, sign, tuple(found[0]), signed, found[1])
                if result.strict:
                    return result
                weak = weak or result
    for sign in (1, -1):
        squares = _squares(sp.expand(sign * polynomial))
        if squares is not None:
            return Positive(polynomial, sign, tuple(squares), (), squares[0].is_Rational)
    return weak


def _squares(quadratic: sp.Expr) -> list[sp.Expr] | None:
    """A polynomial of degree two as positive multiples of squares, a positive number first; ``None`` if it is none.

    Lagrange's completion of squares, one variable after the other.
    """
    names = sorted(quadratic.free_symbols, key=str)
    if not names or sp.Poly(quadratic, *names).total_degree() > 2:
        return None
    terms, rest = [], quadratic
    for x in names:
        polynomial = sp.Poly(rest, x)
        top, middle = polynomial.coeff_monomial(x**2), polynomial.coeff_monomial(x)
        if not top.is_Rational or top < 0 or (top == 0 and middle != 0):
            return None
        if top > 0:
            square = sp.Pow(x + sp.expand(middle / (2 * top)), 2, evaluate=False)
            terms.append(sp.Mul(top, square, evaluate=False) if top != 1 else square)
            rest = sp.expand(polynomial.coeff_monomial(1) - middle**2 / (4 * top))
    if not rest.is_Rational or rest < 0:
        return None
    return [rest, *terms] if rest > 0 else terms


def _forms(polynomial: sp.Expr, atoms: Atoms) -> Iterator[tuple[sp.Expr, Cofactors]]:
    """The polynomial in several forms that are equal where the relations hold, with the cofactors of the difference."""
    yield polynomial, ()
    circles = [
        r for r in atoms.relations if isinstance(r.node, sp.sin) and polynomial.free_symbols & r.polynomial.free_symbols
    ]
    if not circles:
        return
    for which in (0, 1):
        rest: sp.Expr = polynomial
        found: Cofactors = ()
        for relation in circles:
            pair = sorted(relation.polynomial.free_symbols, key=str)
            rest, found = _divided(rest, found, relation, pair[which])
        yield rest, found
    for extra in range(ELEVATIONS):
        rest, found = polynomial, ()
        for relation in circles:
            lifted = _homogeneous(rest, relation, extra)
            if lifted is None:
                return
            remainder, difference = _divided(sp.expand(rest - lifted), (), relation, relation.atom)
            if remainder != 0:
                return
            rest, found = lifted, (*found, *difference)
        yield rest, found


def _divided(whole: sp.Expr, cofactors: Cofactors, relation: Relation, atom: sp.Symbol) -> tuple[sp.Expr, Cofactors]:
    quotient, rest = sp.div(sp.Poly(whole, atom), sp.Poly(relation.polynomial, atom))
    if quotient.is_zero:
        return whole, cofactors
    return sp.expand(rest.as_expr()), (*cofactors, (relation, sp.expand(quotient.as_expr())))


def _homogeneous(polynomial: sp.Expr, relation: Relation, extra: int) -> sp.Expr | None:
    """Every term brought to one even degree in (cos, sin) by factors sin^2 + cos^2; ``None`` where a degree is odd."""
    pair = sorted(relation.polynomial.free_symbols, key=str)
    one = relation.polynomial + 1
    terms = sp.Poly(polynomial, *pair).terms()
    top = max(i + j for (i, j), _ in terms)
    if any((top - i - j) % 2 for (i, j), _ in terms):
        return None
    lifted = [c * pair[0] ** i * pair[1] ** j * one ** ((top - i - j) // 2 + extra) for (i, j), c in terms]
    return sp.expand(sp.Add(*lifted))


def _terms(polynomial: sp.Expr, atoms: Atoms) -> tuple[list[sp.Expr], bool] | None:
    """The terms, a positive one first, and whether there is one; ``None`` where one of them may be negative."""
    strict: list[sp.Expr] = []
    weak: list[sp.Expr] = []
    parts = sp.Add.make_args(sp.expand(polynomial))
    if len(parts) > TERMS:
        return None
    for term in parts:
        coefficient, powers = term.as_coeff_Mul()
        if not coefficient.is_Rational or coefficient <= 0:
            return None
        kinds = [_kind(base, power, atoms) for base, power in powers.as_powers_dict().items() if base != 1]
        if "" in kinds:
            return None
        (weak if "weak" in kinds else strict).append(term)
    return [*strict, *weak], bool(strict)


def _kind(base: sp.Expr, power: sp.Expr, atoms: Atoms) -> str:
    """strict: positive; weak: not negative; empty: of unknown sign."""
    node = atoms.node.get(base, base)
    if isinstance(node, sp.exp) or node in (sp.pi, sp.E) or (node.is_Symbol and node.is_positive):
        return "strict"
    if isinstance(node, sp.Pow) and node.base.is_Rational:
        return "strict"
    if isinstance(node, sp.Pow | sp.Abs) or (node.is_Symbol and node.is_nonnegative):
        return "weak"
    return "weak" if power.is_even else ""
