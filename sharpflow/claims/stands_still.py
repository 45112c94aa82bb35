"""Where lambda_1 is constant on Gamma the flow stands still."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.corollaries import prove_stands_still

    return prove_stands_still(case.subject)


def measure(case: Case) -> Measurement:
    """How far gradient descent moves along Gamma."""
    import numpy as np

    run = case.comparison
    moved = (
        float(np.max(np.linalg.norm(run.minima_points - run.minima_points[0], axis=1)))
        if run.result.ok
        else float("nan")
    )
    return weigh(
        moved, 0.0, run.intrinsic_lr,
        f"largest displacement of gradient descent, retracted to Gamma, over flow time {run.time:g} at rate "
        f"{run.rate:g}; tolerance: "
        "one intrinsic_lr",
    )  # fmt: skip


claim = Claim(
    title="constant sharpness: the flow stands still",
    statement=r"\lambda_1 = \mathrm{const} \Rightarrow \frac{d\zeta}{d\tau} = 0",
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
    losses=("rayleigh",),
)
