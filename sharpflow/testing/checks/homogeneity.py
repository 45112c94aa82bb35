"""L(c w) = L(w) for every c > 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import judge, with_proof

# An effect below this share of L is no dependence on |w| that was meant.
SMALL = 1e-3


def run(subject: Subject) -> Trial:
    """Values at random and special w, scaled by 1e-14 to 1e10; and the proof, of a formula."""
    from sharpflow.numerics.inspection.loss import scaling

    def tried(near: np.ndarray) -> Trial:
        return judge(
            scaling(subject.objective, near, seed=subject.seed), 1e-11,
            "largest |L(c w) - L(w)| over the largest |L|, c from 1e-14 to 1e10; tolerance: rounding of long sums, "
            "1e-16 each",
        )  # fmt: skip

    # Without points of Gamma first: gradient flow to them is long, and leads nowhere where |w| itself lowers L.
    trial = tried(np.zeros((0, subject.objective.dimension)))
    if trial.outcome is not Outcome.FAILED:
        trial = tried(subject.minima.points)
    if trial.outcome is Outcome.FAILED:
        return _with_size(trial, subject)
    if trial.outcome is Outcome.PASSED and subject.loss is not None:
        return with_proof(trial, "homogeneity", subject)
    return trial


def _with_size(trial: Trial, subject: Subject) -> Trial:
    """How large the effect is at the weights that were given, where it is small there."""
    start = subject.objective.start
    values = [float(subject.objective.value(c * start)) for c in (1.0, 0.5, 2.0)]
    change = max(abs(value - values[0]) for value in values)
    scale = max(map(abs, values))
    if not change < SMALL * scale:
        return trial
    said = f"between half and twice the weights given, |w| = {np.linalg.norm(start):.3g}, L changes by {change:.1e}"
    advice = (
        f"{said[0].upper()}{said[1:]}, {change / scale:.1e} of L: an epsilon in a normalization, most likely. What the "
        "theory says holds there up to that. To have it hold exactly take the epsilon out, or let it grow with what it "
        "stands beside, as in epsilon*|w|^2."
    )
    return replace(trial, message=f"{trial.message}; {said}", advice=advice)


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
