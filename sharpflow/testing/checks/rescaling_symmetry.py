"""(eta, lambda, w) and (c^2 eta, lambda/c^2, c w) are the same run."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge, not_reduced


def run(subject: Subject) -> Trial:
    """From one random direction, 20 steps at rate 1e-3 below the edge."""
    from sharpflow.numerics.inspection.loss import Finding
    from sharpflow.numerics.measurements.probes import forms

    if (without := not_reduced(subject.rule, descent=True)) is not None:
        return without
    found = forms(subject.objective, subject.rule, rate=1e-3, seed=subject.seed)
    value = found.rescaled if found.finite else float("inf")
    return judge(
        Finding(value),
        1e-10,
        "largest difference of theta between the runs on w and on 3.7 w, over 20 steps; tolerance: "
        "20 steps of rounding, each stretched by 1.5 at the most: 7e-12",
    )


check = Check(
    meaning="(eta, lambda, w) and (c^2 eta, lambda/c^2, c w) give the same theta",
    source="Li, Lyu, Arora 2020; Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice=(
        "See the checks homogeneity and euler_identities: grad L(c w) = grad L(w)/c fails somewhere; where both hold, "
        "the runs can differ by rounding only, which a kink or strong curvature may stretch: see smoothness."
    ),
    supposes=("homogeneity", "derivatives"),
    order=31,
)
