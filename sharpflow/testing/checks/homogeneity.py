"""L(c w) = L(w) for every c > 0."""

from __future__ import annotations

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import judge, with_proof


def run(subject: Subject) -> Trial:
    """Values at random and special w, scaled by 1e-14 to 1e10; and the proof, of a formula."""
    from sharpflow.numerics.inspection.loss import scaling

    trial = judge(
        scaling(subject.objective, subject.minima.points, seed=subject.seed), 1e-11,
        "largest |L(c w) - L(w)| over the largest |L|, c from 1e-14 to 1e10; tolerance: rounding of long sums, 1e-16 "
        "each",
    )  # fmt: skip
    if trial.outcome is Outcome.PASSED and subject.loss is not None:
        return with_proof(trial, "homogeneity", subject)
    return trial


check = Check(
    meaning="the loss is scale-invariant: L(c w) = L(w)",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice=(
        "Divide by |w| wherever w enters, and take every epsilon out of the normalization; any other dependence on |w| "
        "(a power, a logarithm) counts, too."
    ),
    supposes=("purity", "precision"),
    hypothesis="scale_invariance",
    order=5,
)
