"""Euler's identities to third order."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge


def run(subject: Subject) -> Trial:
    """Derivatives by JAX at 32 random points."""
    from sharpflow.numerics.inspection.loss import euler

    return judge(
        euler(subject.objective, seed=subject.seed), 1e-9,
        "largest relative residual at 32 random points; tolerance: third derivatives lose some digits of the sixteen",
    )  # fmt: skip


check = Check(
    meaning="D^(k+1) L(w)[w] = -k D^k L(w), k = 0, 1, 2",
    source="Euler",
    run=run,
    advice=(
        "A loss that is scale-invariant but fails here has wrong derivatives: "
        "look for stop_gradient, custom_jvp, custom_vjp and rounding."
    ),
    supposes=("homogeneity",),
    order=6,
)
