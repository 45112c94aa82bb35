"""(eta, lambda, w) and (c^2 eta, lambda/c^2, c w) give the same theta for ever."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement
from sharpflow.claims._shared import STEPS_REASON, two_runs
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.sphere.statements import prove_rescaling

    return prove_rescaling(case.reduction)


def measure(case: Case) -> Measurement:
    """The rule on w, and rescaled on c w."""
    return two_runs(case, "rescaled", "largest difference of theta between the two runs on w, c = 3.7,", STEPS_REASON)


claim = Claim(
    title="rescaling symmetry",
    statement=r"(\eta, \lambda, w_0) \sim (c^2 \eta, \lambda / c^2, c\, w_0)",
    section="reduction",
    prove=prove,
    measure=measure,
    about="both",
    hypotheses=("scale_invariance",),
    needs_minima=False,
)
