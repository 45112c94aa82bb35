"""|w|^2 obeys its recursion."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge, not_reduced


def run(subject: Subject) -> Trial:
    """From one random direction, 200 steps at rate 1e-3 below the edge."""
    from sharpflow.numerics.inspection.loss import Finding
    from sharpflow.numerics.measurements.probes import forms

    if (without := not_reduced(subject.rule, descent=True)) is not None:
        return without
    found = forms(subject.objective, subject.rule, rate=1e-3, seed=subject.seed)
    value = found.schedule if found.finite else float("inf")
    return judge(
        Finding(value),
        1e-9,
        "largest relative residual of the recursion of 1/effective_lr^2, over 200 steps; tolerance: "
        "200 steps of rounding",
    )


check = Check(
    meaning="v+ = beta v + 2 beta eta_in^2 |G|^2 + beta eta_in^2 effective_lr^2 |G|^4 for v = |w|^4",
    source="Li, Lyu, Arora 2020; Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice="<grad L, w> = 0 fails somewhere: see the checks homogeneity and derivatives.",
    supposes=("homogeneity", "derivatives"),
    order=32,
)
