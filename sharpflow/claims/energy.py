"""E = U^2/2 + (4 + K^2) X^2 - 4 log|X| is conserved to leading order."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import not_run
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.averaging import prove_energy

    return prove_energy()


def measure(case: Case) -> Measurement:
    """The order in sqrt(rate) at which the energy changes along an orbit of iterates."""
    if case.loss is None:
        return not_run("measured on each loss")
    from sharpflow.numerics.measurements.energy import energy_order

    fit = energy_order(case.subject, case.rule)
    return weigh(
        fit.slope, 1.0, 0.1 + (fit.high - fit.low) / 2,
        f"power of sqrt(rate) in max |E - E_0| over 2.5 periods of amplitude 2, fitted over three decades of the "
        f"rate, 95 % interval "
        f"[{fit.low:.3f}, {fit.high:.3f}]; conserved to leading order means 1. Tolerance: 0.1 and half the interval",
    )  # fmt: skip


claim = Claim(
    title="energy of the oscillation",
    statement=r"E = \tfrac{1}{2} U^2 + (4 + K^2) X^2 - 4 \log |X|, \quad \frac{dE}{dT} = 0",
    about="both",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
