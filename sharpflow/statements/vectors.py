"""Vectors and matrices in a statement: grad L = (a, b, c), Hess L(w)*w = -grad L(w), dot(w, grad L(w)) = 0.

While a side is read, each of them is a symbol that does not commute; then every term is multiplied out. An equation
between vectors is one between their components. A product of two columns is their dot product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy as sp

from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.statements.nodes import LossAt
from sharpflow.theory.statements.statement import Relation

__all__ = ["Vectors"]


class Vectors:
    """The vectors and matrices of one statement, by the symbols that stand for them."""

    def __init__(self, loss: Loss | None) -> None:
        self.loss = loss
        self.held: dict[sp.Symbol, sp.MatrixBase] = {}

    def symbol(self, matrix: sp.MatrixBase) -> sp.Symbol:
        """The symbol that stands for a matrix; columns are vectors."""
        made = sp.Dummy("v", commutative=False)
        self.held[made] = matrix
        return made

    def of_parts(self, parts: Sequence[sp.Expr]) -> sp.Symbol:
        """(a, b, c), a column; ((a, b), (c, d)), a matrix by rows."""
        values = [self.value(part) for part in parts]
        rows = [list(v) if isinstance(v, sp.MatrixBase) else [v] for v in values]
        if len({len(row) for row in rows}) > 1:
            raise InputError("the rows of a matrix have different lengths.")
        return self.symbol(sp.Matrix(rows))

    @property
    def weights(self) -> sp.Symbol:
        """The vector w of the loss's variables."""
        assert self.loss is not None
        return self.symbol(sp.Matrix(self.loss.variables))

    def point(self, arguments: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
        """The coordinates of a point that is given by them, or as one vector."""
        value = self.value(arguments[0]) if len(arguments) == 1 else None
        return tuple(value) if isinstance(value, sp.MatrixBase) else tuple(arguments)

    def derivative(self, order: int, arguments: Sequence[sp.Expr] | None) -> sp.Symbol:
        """The gradient (order 1) or the Hessian (2) of L at a point; by default at the variables."""
        assert self.loss is not None
        n = self.loss.dimension
        point = self.loss.variables if arguments is None else self.point(arguments)
        if len(point) != n:
            raise InputError(f"L takes {n} arguments, a point in R^{n}, not {len(point)}.")
        if order == 1:
            return self.symbol(sp.Matrix([LossAt.of(point, i) for i in range(1, n + 1)]))
        return self.symbol(sp.Matrix(n, n, lambda i, j: LossAt.of(point, min(i, j) + 1, max(i, j) + 1)))

    def transposed(self, e: sp.Expr) -> sp.Symbol:
        """A row of a column, and the other way round."""
        value = self.value(e)
        if not isinstance(value, sp.MatrixBase):
            raise InputError("only a vector or a matrix is transposed.")
        return self.symbol(value.T)

    def dot(self, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        """The dot product of two vectors."""
        return self._product([self.value(a), self.value(b)])

    def size(self, e: sp.Expr) -> sp.Expr:
        """|e|, the length of a vector."""
        value = self.value(e)
        return sp.sqrt(sp.Add(*(v**2 for v in value))) if isinstance(value, sp.MatrixBase) else sp.Abs(value)

    def value(self, e: sp.Expr) -> sp.Expr | sp.MatrixBase:
        """The expression itself, or the matrix that it is."""
        if not e.atoms(sp.Symbol) & set(self.held):
            return e
        terms = []
        for term in sp.Add.make_args(sp.expand(e)):
            numbers, factors = term.args_cnc()
            terms.append(self._product([sp.Mul(*numbers), *(part for f in factors for part in self._factors(f))]))
        shapes = {t.shape if isinstance(t, sp.MatrixBase) else () for t in terms}
        if len(shapes) > 1:
            raise InputError("a sum of vectors, matrices or numbers that are not of one size.")
        total = terms[0]
        for term in terms[1:]:
            total += term
        return total

    def _factors(self, factor: sp.Expr) -> Iterator[sp.MatrixBase]:
        base, power = factor.as_base_exp()
        if base not in self.held or not (power.is_Integer and 0 < power <= 4):
            raise InputError("vectors are added, multiplied by numbers, matrices and one another, nothing else.")
        yield from [self.held[base]] * int(power)

    @staticmethod
    def _product(factors: Sequence[sp.Expr | sp.MatrixBase]) -> sp.Expr | sp.MatrixBase:
        found: sp.Expr | sp.MatrixBase = sp.Integer(1)
        for factor in factors:
            if isinstance(found, sp.MatrixBase) and isinstance(factor, sp.MatrixBase):
                left = found.T if found.shape == factor.shape and found.shape[1] == 1 else found
                if left.shape[1] != factor.shape[0]:
                    raise InputError(f"a product of {_size(found)} and {_size(factor)}.")
                found = left * factor
                found = found[0, 0] if found.shape == (1, 1) else found
            else:
                found = found * factor
        return found

    def relations(self, left: sp.Expr, sign: str, right: sp.Expr) -> Iterator[Relation]:
        """The relation, one for each component where it is between vectors; 0 is any of them that vanishes."""
        a, b = self.value(left), self.value(right)
        if not isinstance(a, sp.MatrixBase) and not isinstance(b, sp.MatrixBase):
            yield Relation(a, sign, b)
            return
        if sign != "=":
            raise InputError(f"vectors are equal or not; {sign} has no meaning between them.")
        a, b = (sp.zeros(*other.shape) if side == 0 else side for side, other in ((a, b), (b, a)))
        if not (isinstance(a, sp.MatrixBase) and isinstance(b, sp.MatrixBase) and a.shape == b.shape):
            raise InputError(f"{_size(a)} is not compared with {_size(b)}.")
        for x, y in zip(a, b, strict=True):
            yield Relation(x, sign, y)


def _size(value: sp.Expr | sp.MatrixBase) -> str:
    if not isinstance(value, sp.MatrixBase):
        return "a number"
    rows, columns = value.shape
    return f"a vector of {rows} components" if columns == 1 else f"a matrix of {rows} x {columns}"
