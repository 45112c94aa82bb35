"""The kernel component of w is multiplied by exactly 1 - eps in each step."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.regression import prove_kernel_decay

    return prove_kernel_decay(case.subject, case.reduction)


def measure(case: Case) -> Measurement:
    """The kernel component of w itself, on real data."""
    from sharpflow.numerics.measurements.regression_checks import kernel_decay

    return weigh(
        kernel_decay(case.rule, rate=1e-3, steps=200, seed=case.seed), 0.0, 1e-11,
        "largest relative difference of the kernel component of w from (1 - eps)^t times its start over 200 steps at "
        "rate 1e-3, on the "
        "breast-cancer set; tolerance: 200 steps of rounding on vectors of 30 entries",
    )  # fmt: skip


claim = Claim(
    title="regression: the kernel component decays by exactly 1 - eps a step",
    statement=r"P_{\ker} w_{t+1} = (1 - \varepsilon)\, P_{\ker} w_t",
    prove=prove,
    measure=measure,
    section="regression",
    losses=("bn-regression",),
)
