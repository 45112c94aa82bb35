"""(eta, lambda, w) and (c^2 eta, lambda/c^2, c w) give the same theta for ever."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import objective
from theory.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from theory.sphere import prove_rescaling

    return prove_rescaling(case.reduction)


def measure(case: Case) -> Measurement:
    """Both runs from one random direction."""
    from numerics.probes import forms

    found = forms(objective(case), case.rule, rate=1e-3, seed=case.seed)
    value = found.rescaled if found.finite else float("nan")
    return weigh(
        value, 0.0, 1e-12,
        f"largest difference of theta between the two runs on w, c = 3.7, over {found.steps} steps at rate 1e-3, "
        f"below the edge; "
        "tolerance: 200 steps of rounding at 1.1e-16, not amplified below the edge, times an allowance of 50",
    )  # fmt: skip


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
