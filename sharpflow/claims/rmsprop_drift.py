"""Scalar RMSprop drifts by -(C_b/2) g/(2 C_b + |g|^2)."""

from __future__ import annotations

from sharpflow.claim import Case, Claim
from sharpflow.claims._shared import from_own_flow
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.routes import prove_schedule_drift

    return prove_schedule_drift(case.subject, case.rule)


claim = Claim(
    title="drift of scalar RMSprop",
    statement=r"\frac{d\zeta}{d\tau} = -\frac{C_b}{2} \frac{g}{2 C_b + |g|^2}",
    rules=("rmsprop",),
    section="schedules",
    prove=prove,
    measure=from_own_flow,
    hypotheses=HYPOTHESES,
)
