"""d log lambda_1/d tau = -2 K^2/(4 + K^2) <= 0."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import beyond_horizon
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.corollaries import prove_monotone

    return prove_monotone(case.subject)


def measure(case: Case) -> Measurement:
    """Steps of log lambda_1 along the integrated flow."""
    import numpy as np

    run = case.comparison
    if not run.result.ok:
        nothing = weigh(float("nan"), 0.0, 1e-8, run.message or run.result.advice, upper=True)
        return beyond_horizon(case) or nothing
    rise = float(np.max(np.diff(np.log(run.flow_sharpness))))
    return weigh(
        rise, 0.0, 1e-8,
        f"largest rise of log lambda_1 between two of {len(run.times)} records of the flow over time {run.time:g}; "
        f"at most 0. Tolerance: "
        "the integrator's 1e-9",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="sharpness never rises along the flow",
    statement=r"\frac{d \log \lambda_1}{d\tau} = -\frac{2 K^2}{4 + K^2} \le 0",
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
