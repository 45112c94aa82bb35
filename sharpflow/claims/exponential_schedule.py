"""Weight decay is, in direction, an exponentially growing learning rate."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.noise.identities import prove_exponential_schedule

    return prove_exponential_schedule(case.rule)


def measure(case: Case) -> Measurement:
    """Two runs of 60 steps on three losses."""
    from sharpflow.numerics.noise.equilibria import schedule_difference

    return weigh(
        schedule_difference(case.rule), 0.0, 1e-12,
        "largest difference of theta over 60 steps on three losses at rate 1e-2; tolerance: rounding, hardly amplified",
    )  # fmt: skip


claim = Claim(
    title="weight decay is an exponential schedule",
    statement=r"\eta_t = \eta (1 - \eta\lambda)^{-2t - 1}",
    section="schedules",
    prove=prove,
    measure=measure,
    about="generic",
    source="Li, Arora 2019, arXiv:1910.07454",
)
