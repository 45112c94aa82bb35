"""tan alpha(tau) = tan alpha_0 exp(-tau) for linear regression with batch normalization."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.regression import prove_regression_angle

    return prove_regression_angle(case.subject)


def measure(case: Case) -> Measurement:
    """tan alpha of gradient descent at the end over the closed form."""
    import math

    from sharpflow.numerics.measurements.regression_checks import tan_alpha_of_loss

    run = case.comparison
    if not run.result.ok:
        return weigh(float("nan"), 1.0, 0.0, run.message or run.result.advice)
    first, last = tan_alpha_of_loss(case.subject, run.minima_points[[0, -1]])
    return weigh(
        last / first, math.exp(-run.times[-1]), 5 * run.intrinsic_lr,
        f"tan(alpha)/tan(alpha_0) of gradient descent after flow time {run.time:g} at rate {run.rate:g}; tolerance: "
        f"5 intrinsic_lr",
    )  # fmt: skip


claim = Claim(
    title="regression with batch normalization: closed form of the angle",
    statement=r"\tan \alpha(\tau) = \tan \alpha_0\, e^{-\tau}",
    prove=prove,
    measure=measure,
    section="regression",
    losses=("bn-regression",),
    hypotheses=HYPOTHESES,
)
