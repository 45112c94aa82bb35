"""The derivation for a rule on a GENERIC loss, given by its jets near Gamma: a theorem about every loss at once.

    the edge, the scaled two-step map, the oscillator and its energy, the drift, the energy law, and whether it tracks

each as checked steps. The steps hold between exact series and polynomials; the map itself is checked a second time by
`sharpflow.theory.derivation.rational_map`, which runs the rule on rational numbers and shares nothing with the series.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp

from sharpflow.theory.derivation.generic_steps import nonsmooth_proofs, smooth_proofs
from sharpflow.theory.derivation.remarks import in_the_clock
from sharpflow.theory.edge.edge_law import EdgeLaw, edge_law, law_json
from sharpflow.theory.edge.jets import generic_loss
from sharpflow.theory.identity import Identity
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.rule import Rule
from sharpflow.theory.writing.document import Document
from sharpflow.theory.writing.sentences import Equation

__all__ = ["GenericDerivation", "derive_generic", "generic_derivation"]


@dataclass(frozen=True, eq=False)
class GenericDerivation(Document):
    """A derivation on the generic loss, as `derive_generic` found it.

    Attributes:
        rule, law: of which rule, and its law.
        proofs: one for each part.
        remarks: sentences for the reader.
    """

    rule: Rule
    law: EdgeLaw
    proofs: tuple[Proof, ...]
    remarks: tuple[str, ...]

    @property
    def title(self) -> str:
        """For a heading."""
        return f"{self.rule.name} at the edge of stability, on every loss"

    def setting(self) -> Iterator[tuple[str, Equation]]:
        """The generic loss near Gamma."""
        yield (
            "The loss near zeta on Gamma, in units of lambda_1, x along v_1, y along another normal eigenvector, "
            "s along g (every other term leaves no trace up to the order of the energy law):",
            (sp.Symbol("l/lambda_1"), "=", generic_loss()),
        )

    def results(self) -> Iterator[tuple[str, Equation]]:
        """Edge, mean square, period, drift and energy law of the rule."""
        law = self.law
        if law.smooth:
            yield "Edge:", (sp.Symbol("effective_lr*lambda_1"), "=", law.edge)
        if law.mean_square is not None:
            yield "Mean square of the oscillation:", (sp.Symbol("<X^2>"), "=", law.mean_square)
        if law.period is not None:
            yield "Period of small orbits, in iterations:", (sp.Symbol("period"), "=", law.period)
            yield (
                "and of one of energy E = U^2/2 + V(y), y = log X^2, between its turning points:",
                (sp.Symbol("period"), "=", law.period_integral),
            )
        if law.drift is not None:
            yield (
                f"Drift, in the time {in_the_clock(self.rule.rate, law)}:",
                (sp.Symbol("zeta'"), "=", -law.drift * sp.Symbol("g")),
            )
        if law.coefficient is not None:
            yield (
                "Energy law dE/d tau = c <U^2>, with Q = c_4 - 3 c_3^2 - 3 c_21^2/m (summed over y) and B = K^2 K_s:",
                (sp.Symbol("c"), "=", law.coefficient),
            )

    def to_json(self) -> dict[str, Any]:
        """The content of ``derive generic --json``; expressions as text that the safe parser reads back."""
        law = self.law
        return {
            "loss": "generic",
            "rule": self.rule.name,
            "status": self.status.value,
            **law_json(law),
            "energy_law": None if law.coefficient is None else {
                "coefficient": sp.sstr(law.coefficient),
                "symbols": {"K2": "|g|^2", "B": "K^2 dK/ds along g", "Q": "c_4 - 3*c_3^2 - 3*sum c_21^2/m"},
            },
            "constants": dict(self.rule.constants),
            "remarks": list(self.remarks),
            "steps": self.steps_json(),
            "seconds": self.seconds,
            "latex": self.render("latex"),
        }  # fmt: skip


def derive_generic(rule: Rule, /) -> GenericDerivation:
    """The derivation of a rule on the generic loss.

    Raises:
        InputError, NoClosedForm: from `sharpflow.theory.edge.edge_law.edge_law`.
    """
    law = edge_law(rule)
    proofs = smooth_proofs(law) if law.smooth else nonsmooth_proofs(law)
    return GenericDerivation(rule, law, tuple(proofs), tuple(_remarks(law)))


@lru_cache(maxsize=64)
def _kept(key: Identity[Rule]) -> GenericDerivation:
    return derive_generic(key.value)


def generic_derivation(rule: Rule, /) -> GenericDerivation:
    """`derive_generic`, once for each rule."""
    return _kept(Identity(rule))


def _remarks(law: EdgeLaw) -> Iterator[str]:
    yield f"Tracking: {law.tracking}."
    if not law.smooth:
        yield "Edge: none, nonsmooth. The step of the rule is not differentiable on Gamma."
