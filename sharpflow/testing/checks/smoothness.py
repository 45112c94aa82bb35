"""L is C^4 next to Gamma."""

from __future__ import annotations

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import judge, with_proof

STEP = 1e-5


def run(subject: Subject) -> Trial:
    """Derivatives to fourth order on the two sides of Gamma."""
    from numerics.inspection import kink

    trial = judge(
        kink(subject.objective, subject.minima.points, step=STEP, seed=subject.seed), 0.05,
        f"largest change of the first four derivatives across Gamma, within {STEP:g}, over their size; tolerance: the "
        "fifth derivative; a kink is of order one",
    )  # fmt: skip
    if trial.outcome is Outcome.PASSED and subject.loss is not None and subject.loss.minima is not None:
        return with_proof(trial, "smoothness", subject)
    return trial


check = Check(
    meaning="no kink of L, nor of its first three derivatives, on Gamma",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice=(
        "Take Abs, Max, relu and fractional powers of what vanishes on Gamma out of the loss; no flow of one "
        "eigenvalue exists there (normalized rules and sqrt of the loss are described otherwise)."
    ),
    supposes=("homogeneity",),
    needs_minima=True,
    hypothesis="smoothness",
    order=20,
)
