"""Usable in float32."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge


def run(subject: Subject) -> Trial:
    """L and grad L at float32 weights against float64."""
    from sharpflow.numerics.inspection.loss import single_precision_error

    found = single_precision_error(subject.objective, subject.minima.points, seed=subject.seed)
    return judge(
        found, 1000.0,
        "largest error of L and grad L in float32, in units of 1.2e-7 of the largest; tolerance: some hundred "
        "operations, ill-conditioned ones lose three digits",
    )  # fmt: skip


check = Check(
    meaning="float32 weights give L and grad L to four digits at least",
    source="networks are trained in float32",
    run=run,
    advice=(
        "Subtract before you square, normalise before you multiply; sums of large numbers that cancel lose everything."
    ),
    supposes=("homogeneity", "finite"),
    order=10,
)
