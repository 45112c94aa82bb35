"""<effective_lr lambda_1> = 2 over a period at the edge."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import beyond_horizon
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.averaging import prove_averages

    return prove_averages()


def measure(case: Case) -> Measurement:
    """The mean over the last whole period of the comparison."""
    from sharpflow.numerics.descent.law import law_of

    run = case.comparison
    if (beyond := beyond_horizon(case)) is not None:
        return beyond
    value = run.gd.mean_edge if run.result.ok and run.gd.mean_edge is not None else float("nan")
    return weigh(
        value, law_of(case.rule).edge, 10 * run.rate**0.5,
        f"mean of effective_lr lambda_1 over the last whole period at rate {run.rate:g}, after flow time "
        f"{run.time:g}; tolerance: "
        "10 sqrt(rate), the next order of the expansion",
    )  # fmt: skip


claim = Claim(
    title="gradient descent stays at the edge of stability",
    statement=r"\langle \eta_{\mathrm{eff}} \lambda_1 \rangle = 2",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
