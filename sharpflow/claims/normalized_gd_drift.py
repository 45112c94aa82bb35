"""Normalized gradient descent drifts by -g/4; edge: none, nonsmooth."""

from __future__ import annotations

from sharpflow.claim import Case, Claim
from sharpflow.claims._shared import from_own_flow
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.routes import prove_nonsmooth_drift

    return prove_nonsmooth_drift(case.subject, case.rule)


claim = Claim(
    title="drift of normalized gradient descent",
    statement=r"\frac{d\zeta}{d\tau} = -\frac{g}{4}",
    rules=("normalized-gd",),
    section="schedules",
    prove=prove,
    measure=from_own_flow,
    hypotheses=HYPOTHESES,
    source="Arora, Li, Panigrahi 2022, arXiv:2205.09745",
)
