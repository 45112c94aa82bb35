"""function = |residuals|^2/2 everywhere."""

from __future__ import annotations

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import judge


def run(subject: Subject) -> Trial:
    """Both at random points."""
    from sharpflow.numerics.inspection.loss import residual_mismatch

    if subject.objective.residuals is None:
        return Trial(Outcome.NOT_APPLICABLE, "the loss has no residuals")
    found = residual_mismatch(subject.objective, seed=subject.seed)
    return judge(found, 1e-8, "largest | |residuals|^2/2 - L | over the largest L; tolerance: float32 data")


check = Check(
    meaning="an Objective's function is |residuals|^2/2",
    source="Gauss-Newton needs the residuals of this very function",
    run=run,
    advice="Write function as jnp.sum(residuals(w)**2)/2, so that they cannot differ.",
    supposes=("homogeneity",),
    order=9,
)
