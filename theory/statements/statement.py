"""A statement: relations between expressions, and what they are said to follow from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from sharpflow.theory.proving.proof import Status, Step

__all__ = ["RELATIONS", "Checked", "Relation", "Statement", "Supposed"]

# As text, with how they are negated for a witness; ~ is asymptotic equality, := a definition.
RELATIONS = ("=", "<=", "<", ">=", ">", "~", ":=")


@dataclass(frozen=True)
class Relation:
    """``lhs symbol rhs``, names not yet replaced by what they mean."""

    lhs: sp.Expr
    symbol: str
    rhs: sp.Expr

    def __str__(self) -> str:
        return f"{sp.sstr(self.lhs)} {self.symbol} {sp.sstr(self.rhs)}"


@dataclass(frozen=True)
class Statement:
    """``given => links``: where all of ``given`` hold, all of ``links`` do, for all values of the symbols.

    Attributes:
        links: A = B = C is two.
        given: empty for a statement that supposes nothing but where its symbols are.
    """

    links: tuple[Relation, ...]
    given: tuple[Relation, ...] = ()

    def __str__(self) -> str:
        said = " and ".join(map(str, self.links))
        return f"{'; '.join(map(str, self.given))} => {said}" if self.given else said


@dataclass(frozen=True)
class Supposed:
    """The suppositions, made ready.

    Attributes:
        given: all of them, as they were stated: a witness satisfies each.
        fixed: symbols that equations give, in the others.
        equations: those that give none, as expressions that are 0.
        bounds: inequalities.
        domain: intervals of symbols, of the chart and of bounds such as a > 2.
        impossible: which of what is supposed is false; empty where nothing is known to be.
    """

    given: tuple[Relation, ...] = ()
    fixed: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    equations: tuple[sp.Expr, ...] = ()
    bounds: tuple[Relation, ...] = ()
    domain: Mapping[sp.Symbol, tuple[Any, Any]] = field(default_factory=dict)
    impossible: str = ""

    def apply(self, e: sp.Expr) -> sp.Expr:
        """The expression with the fixed symbols put in."""
        found: sp.Expr = e.subs(self.fixed) if self.fixed else e
        return found


@dataclass(frozen=True)
class Checked:
    """The verdict on a statement.

    Attributes:
        proof: proved, refuted (then there is a witness), undecided, or none (a definition: nothing was claimed).
        method: what closed it.
        steps: of the proof, and of the derivation of the names in it.
        claimed, derived: the two sides as text, where one of them is a name with a meaning.
        sides: the two sides that were compared, names replaced: what a picture shows.
        witness: values of the symbols, and of both sides.
        message: one or two sentences for the reader.
    """

    proof: Status
    method: str = ""
    steps: tuple[Step, ...] = ()
    claimed: str = ""
    derived: str = ""
    sides: tuple[sp.Expr, sp.Expr] | None = None
    witness: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
