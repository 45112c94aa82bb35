"""X' = X U, U' = 4 - 2 (4 + K^2) X^2 at the edge."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement
from sharpflow.claims._shared import COARSE, FINE, extrapolated, on_every_loss, reduces
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.routes import prove_oscillator

    if not reduces(case):
        return on_every_loss(case, "the map on rational numbers", "the scaled two-step map")
    return prove_oscillator(case.subject, case.rule)


def measure(case: Case) -> Measurement:
    """The coefficient of X^2, fitted to iterates."""
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.descent.orbit import edge_orbit

    coarse, fine = (edge_orbit(case.subject, case.rule, rate=rate, amplitude=1.6) for rate in (COARSE, FINE))
    law = law_of(case.rule)
    expected = law.response(float(fine.log_gradient_squared[0]))[1]
    return extrapolated(
        coarse.response()[1], fine.response()[1], float(expected),
        "b of dU/dT = a - b X^2, fitted to differences of iterates over an orbit of amplitude 1.6; expected from the "
        "rule's schedule "
        "and K by JAX",
        floor=5e-3,
    )  # fmt: skip


claim = Claim(
    title="oscillator at the edge",
    statement=r"X' = X U, \quad U' = 4 - 2 (4 + K^2) X^2",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
