"""Gradient descent on w and on the sphere."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge, not_reduced


def run(subject: Subject) -> Trial:
    """From one random direction, 20 steps at rate 1e-3 below the edge."""
    from sharpflow.numerics.inspection.loss import Finding
    from sharpflow.numerics.measurements.probes import forms

    if (without := not_reduced(subject.rule, descent=False)) is not None:
        return without
    found = forms(subject.objective, subject.rule, rate=1e-3, seed=subject.seed)
    value = found.sphere if found.finite else float("inf")
    return judge(
        Finding(value),
        1e-10,
        "largest difference of theta between the run on w and its form on the sphere, over 20 steps; "
        "tolerance: 20 steps of rounding, each stretched by 1.5 at the most: 7e-12",
    )


check = Check(
    meaning="gradient descent with weight decay on w is projected gradient descent on the sphere",
    source="Li, Lyu, Arora 2020; Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice=(
        "See the checks homogeneity and derivatives: where both hold, the two forms can differ by rounding "
        "only, which a kink or a direction of strong curvature may stretch: see smoothness."
    ),
    supposes=("homogeneity", "derivatives"),
    order=30,
)
