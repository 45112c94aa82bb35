"""Placeholders in a statement until it is asked what it means: names of derived quantities, derivatives, orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from sharpflow.theory.proving.proof import Proof

__all__ = ["Along", "Fast", "Landau", "LossAt", "Meaning", "Meant", "Slope"]


class Meant(sp.Symbol):
    """A name with a meaning of its own: never equal to a symbol of the user's, should one bear the same name."""

    __slots__ = ()


@dataclass(frozen=True)
class Meaning:
    """One name.

    Attributes:
        name: as a statement spells it; ``flow(p)`` for one that takes a coordinate.
        words: what it is.
        value: derives it; ``None`` for a symbol that stands for itself.
        assumptions: of the symbol that stands for it until then.
        proofs: derive the checked steps that it rests on.
    """

    name: str
    words: str
    value: Callable[[], sp.Expr] | None = None
    assumptions: Mapping[str, bool] | None = None
    proofs: Callable[[], tuple[Proof, ...]] = tuple

    @property
    def symbol(self) -> sp.Symbol:
        """The symbol that stands for it in an expression."""
        if self.value is None:
            return sp.Symbol(self.name, **(self.assumptions or {"real": True}))
        return Meant(self.name, **(self.assumptions or {"real": True}))


class _Real(sp.Function):
    """A function whose value is real."""

    is_extended_real = True
    # In a statement.
    spelled = ""

    def _sympystr(self, printer: Any) -> str:
        return f"{self.spelled or type(self).__name__}({', '.join(map(printer.doprint, self.args))})"


class Along(_Real):
    """Along(e) = de/d tau, e a function of what moves with the flow: the chart's coordinates, or lambda_1 and K."""

    nargs = 1
    spelled = "along"


class Fast(_Real):
    """Fast(e) = de/dT in the fast time T = sqrt(rate) t, e a function of X and U that move with the oscillator."""

    nargs = 1
    spelled = "fast"


class Slope(_Real):
    """Slope(e, x) = de/dx."""

    nargs = 2
    spelled = "diff"


class Landau(_Real):
    """Landau(e) = O(e): something of the order of e, as the small parameter in e goes to 0."""

    nargs = 1
    spelled = "O"


class LossAt(_Real):
    """LossAt(i, j, ..., 0, w_1, ..., w_D): the derivative of L in its variables number i, j, ... (from 1) at w."""

    @classmethod
    def of(cls, point: Any, *variables: int) -> sp.Expr:
        """The derivative in these variables at a point; L itself without."""
        made: sp.Expr = cls(*map(sp.Integer, variables), sp.Integer(0), *point)
        return made

    @property
    def parts(self) -> tuple[tuple[int, ...], tuple[sp.Expr, ...]]:
        """(variables, point)."""
        split = self.args.index(sp.Integer(0))
        return tuple(map(int, self.args[:split])), self.args[split + 1 :]
