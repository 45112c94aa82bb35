"""Residuals as quotients of polynomials in what is adjoined, and the certificate that they vanish.

Over the atoms of an expression (symbols, sin p, cos p, e^p, square roots, ...) a residual is N/D, and it vanishes where

    N M = Q_1 r_1 + ... + Q_k r_k,      M, D not 0,

r_i = 0 being the relations of what is adjoined: sin^2 p + cos^2 p - 1, q^2 - A for q = sqrt A. Functions of sums are
written in those of their parts before, cos 2p as 2 cos^2 p - 1. The cofactors Q_i are computed here, by division with
remainder in one atom after the other; the kernel checks the identity as one of rational functions, and needs to know
nothing of how it was found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import sympy as sp
from sympy.core.function import AppliedUndef

from sharpflow.theory.kernel.terms import NotExported

__all__ = ["Atoms", "Certificate", "Relation", "Rewriting", "factors"]

# Above this many terms a certificate takes the kernel longer than a reader would wait.
TERMS = 3000


@dataclass(frozen=True)
class Relation:
    """polynomial = 0, solved for ``atom``: sin^2 + cos^2 - 1 of a circle, D q^2 - N of a root q = sqrt(N/D)."""

    atom: sp.Symbol
    polynomial: sp.Expr
    node: sp.Expr


@dataclass(frozen=True)
class Rewriting:
    """node = value: of the functions of a sum in those of its parts, (sin u)^k in sin u and cos u.

    Attributes:
        node: as it is written: a function of a sum, a power of a sine, log x^2 of a positive x.
        value: in the atoms.
        parts: (n, u) for each n u in the argument.
    """

    node: sp.Expr
    value: sp.Expr
    parts: tuple[tuple[int, sp.Expr], ...]


@dataclass
class Atoms:
    """Symbols in the place of what is adjoined; ``node`` says of what.

    Attributes:
        node, symbol: of each atom, and back.
        relations: what roots and circles obey.
        rewritings: what is written in the atoms before anything else.
        units: of each angle, in how many parts it is cut.
        veiled: atoms whose node holds other nodes (a root, a logarithm), outer ones first.
        shown: nodes of the other atoms that are not symbols.
        inner: denominators within denominators.
        raw: powers of sines are left as they are.
    """

    node: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    symbol: dict[sp.Expr, sp.Symbol] = field(default_factory=dict)
    relations: list[Relation] = field(default_factory=list)
    rewritings: dict[sp.Expr, Rewriting] = field(default_factory=dict)
    units: dict[sp.Expr, int] = field(default_factory=dict)
    veiled: list[sp.Symbol] = field(default_factory=list)
    shown: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    inner: Counter[sp.Expr] = field(default_factory=Counter)
    raw: bool = False

    def prepare(self, *expressions: sp.Expr) -> None:
        """Note the smallest unit of every argument of sin, cos and exp: the half where p and p/2 occur."""
        for expression in expressions:
            for node in sp.preorder_traversal(expression):
                if isinstance(node, sp.sin | sp.cos | sp.exp):
                    for factor, base in _linear_parts(node.args[0]):
                        self.units[base] = sp.ilcm(self.units.get(base, 1), factor.q)

    def atom(self, node: sp.Expr) -> sp.Symbol:
        """The symbol of a node."""
        if node not in self.symbol:
            new = sp.Symbol(f"a{len(self.symbol)}") if not node.is_Symbol else node
            self.symbol[node], self.node[new] = new, node
            if isinstance(node, sp.sin):
                other = self.atom(sp.cos(node.args[0]))
                self.relations.append(Relation(new, new**2 + other**2 - 1, node))
            elif isinstance(node, sp.Pow):
                self.veiled.append(new)
                inside, below = self.fraction(self.convert(node.base))
                self.relations.append(Relation(new, _expand(_product(below) * new**2 - inside), node))
            elif isinstance(node, sp.log | sp.Abs | sp.atan):
                self.veiled.append(new)
            if new not in self.veiled and not node.is_Symbol:
                self.shown[new] = node
        return self.symbol[node]

    def node_of_all(self) -> dict[sp.Symbol, sp.Expr]:
        """The node of every atom that is not a symbol."""
        return {symbol: node for symbol, node in self.node.items() if symbol != node}

    def convert(self, e: sp.Expr) -> sp.Expr:
        """The expression in the atoms, with all rewritings made."""
        if e.is_Rational:
            return e
        if e.is_Symbol or isinstance(e, AppliedUndef | sp.Derivative | sp.Subs) or e in (sp.pi, sp.E):
            return self.atom(e)
        if isinstance(e, sp.Add | sp.Mul):
            return e.func(*map(self.convert, e.args))
        if isinstance(e, sp.sin | sp.cos | sp.exp):
            return self._angle(e)
        if isinstance(e, sp.Pow):
            base, power = e.as_base_exp()
            if not power.is_Rational:
                raise NotExported("a power with a symbolic exponent")
            if power.q > 2:
                raise NotExported("a root of higher order")
            if power.q == 2:
                return self.atom(sp.sqrt(base)) ** power.p
            if not self.raw and isinstance(base, sp.sin) and abs(power) > 1 and self._is_unit(base):
                return self._sines(base, abs(int(power))) ** sp.sign(power)
            return self.convert(base) ** power
        if isinstance(e, sp.log) and e.args[0].is_Pow and e.args[0].exp == 2 and e.args[0].base.is_positive:
            value = 2 * self.atom(sp.log(e.args[0].base))
            self.rewritings[e] = Rewriting(e, value, ())
            return value
        if isinstance(e, sp.log | sp.Abs | sp.atan):
            return self.atom(e)
        raise NotExported("a decimal number" if e.is_Float else f"the function {e.func.__name__}")

    def _parts(self, node: sp.Expr) -> list[tuple[int, sp.Expr]]:
        parts = _linear_parts(node.args[0])
        return [(int(f * self.units.get(b, f.q)), b / self.units.get(b, f.q)) for f, b in parts]

    def _is_unit(self, node: sp.Expr) -> bool:
        return [n for n, _ in self._parts(node)] == [1]

    def _sines(self, node: sp.Expr, power: int) -> sp.Expr:
        """(sin u)^k = (1 - cos^2 u)^j, times sin u where k is odd."""
        s, c = self.atom(node), self.atom(sp.cos(node.args[0]))
        value = (1 - c**2) ** (power // 2) * s ** (power % 2)
        self.rewritings[node**power] = Rewriting(node**power, value, ())
        return value

    def _angle(self, node: sp.Expr) -> sp.Expr:
        parts = self._parts(node)
        if [n for n, _ in parts] == [1]:
            return self.atom(node)
        if node in self.rewritings:
            return self.rewritings[node].value
        if isinstance(node, sp.exp):
            value = sp.Mul(*(self.atom(sp.exp(u)) ** n for n, u in parts))
        else:
            cosine, sine = sp.Integer(1), sp.Integer(0)
            for n, u in parts:
                c, s = self.atom(sp.cos(u)), self.atom(sp.sin(u))
                circle = sp.Poly(s**2 + c**2 - 1, s)
                for _ in range(abs(n)):
                    cosine, sine = cosine * c - sine * s * sp.sign(n), sine * c + cosine * s * sp.sign(n)
                    cosine, sine = (sp.rem(sp.Poly(e, s), circle).as_expr() for e in (cosine, sine))
            value = sp.expand(cosine if isinstance(node, sp.cos) else sine)
        self.rewritings[node] = Rewriting(node, value, tuple(parts))
        return value

    def fraction(self, e: sp.Expr) -> tuple[sp.Expr, Counter[sp.Expr]]:
        """(N, {d: k}) of an expression in the atoms: N over the product of the d^k, which are irreducible."""
        if e.is_Rational or e.is_Symbol:
            return e, Counter()
        if isinstance(e, sp.Add):
            parts = [self.fraction(a) for a in e.args]
            below: Counter[sp.Expr] = Counter()
            for _, d in parts:
                below |= d
            total = [n * sp.Mul(*(f ** (k - d[f]) for f, k in below.items())) for n, d in parts]
            return _expand(sp.Add(*total)), below
        if isinstance(e, sp.Mul):
            above, below = sp.Integer(1), Counter[sp.Expr]()
            for a in e.args:
                n, d = self.fraction(a)
                above, below = above * n, below + d
            return _expand(above), below
        base, power = e.as_base_exp()
        above, below = self.fraction(base)
        n = abs(int(power))
        above, below = _expand(above**n), Counter({f: k * n for f, k in below.items()})
        if power > 0:
            return above, below
        self.inner.update(below)
        constant, found = factors(above)
        if constant == 0:
            raise NotExported("a division by zero")
        return _product(below) / constant, Counter(dict(found))

    def certify(self, numerator: sp.Expr) -> Certificate:
        """Cofactors of the relations that bring a polynomial to zero.

        Raises:
            NotExported: it does not vanish where they do, as far as division tells.
        """
        rest, multiplier = numerator, Counter[sp.Expr]()
        cofactors: list[tuple[Relation, sp.Expr]] = []
        for relation in self.ordered():
            if not rest.has(relation.atom):
                continue
            divisor = sp.Poly(relation.polynomial, relation.atom)
            leading = divisor.LC()
            polynomial = sp.Poly(rest, relation.atom)
            power = max(polynomial.degree() - divisor.degree() + 1, 0)
            quotient, remainder = sp.pdiv(polynomial, divisor)
            if leading.is_Rational:
                scale = sp.Integer(1)
                quotient, remainder = quotient / leading**power, remainder / leading**power
            else:
                scale = leading**power
            cofactors = [(r, _expand(q * scale)) for r, q in cofactors]
            cofactors.append((relation, _expand(quotient.as_expr())))
            rest = _expand(remainder.as_expr())
            if scale != 1:
                constant, parts = factors(leading)
                multiplier.update({f: k * power for f, k in parts})
                cofactors = [(r, q / constant**power) for r, q in cofactors]
                rest = rest / constant**power
        if rest != 0:
            raise NotExported("no certificate: division by the relations leaves a remainder")
        return Certificate(tuple((r, q) for r, q in cofactors if q != 0), multiplier)

    def ordered(self) -> list[Relation]:
        """The relations, those first whose polynomials hold the atoms of others."""
        order: list[Relation] = []
        left = list(self.relations)
        while left:
            free = [r for r in left if not any(o is not r and o.polynomial.has(r.atom) for o in left)]
            chosen = free[0] if free else left[0]
            order.append(chosen)
            left.remove(chosen)
        return order


@dataclass(frozen=True)
class Certificate:
    """numerator * multiplier = sum of cofactor * relation."""

    cofactors: tuple[tuple[Relation, sp.Expr], ...]
    multiplier: Counter[sp.Expr]


def factors(polynomial: sp.Expr) -> tuple[sp.Expr, list[tuple[sp.Expr, int]]]:
    """A constant, and irreducible factors with their multiplicities, their leading coefficients positive."""
    constant, parts = sp.factor_list(polynomial)
    found = []
    for factor, k in parts:
        flip = factor.could_extract_minus_sign()
        constant *= (-1) ** k if flip else 1
        found.append((-factor if flip else factor, k))
    return constant, found


def _product(powers: Counter[sp.Expr]) -> sp.Expr:
    return sp.Mul(*(d**k for d, k in powers.items()))


def _expand(e: sp.Expr) -> sp.Expr:
    expanded = sp.expand(e)
    if isinstance(expanded, sp.Add) and len(expanded.args) > TERMS:
        raise NotExported("too long for the kernel")
    return expanded


def _linear_parts(argument: sp.Expr) -> list[tuple[sp.Rational, sp.Expr]]:
    parts = []
    for term in sp.Add.make_args(sp.expand(argument)):
        factor, base = term.as_coeff_Mul(rational=True)
        parts.append((factor, base))
    return parts
