"""The top eigenvalue is simple."""

from __future__ import annotations

from dataclasses import replace

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import with_proof


def run(subject: Subject) -> Trial:
    """The spectrum at random points of Gamma, and where a search along the chart finds the ratio smallest."""
    from sharpflow.claims.simple_sharpness import SMALLEST, near_tie
    from sharpflow.numerics.inspection.spectrum_search import smallest_gap

    found = smallest_gap(subject.given, subject.minima)
    good = found.value > SMALLEST
    text = f"(lambda_1 - lambda_2)/lambda_1, the smallest found{near_tie(found.value)}"
    trial = Trial(
        Outcome.PASSED if good else Outcome.FAILED,
        text,
        found.value,
        SMALLEST,
        None,
        {} if good else found.witness,
        bound=">=",
    )
    if subject.loss is None or subject.loss.minima is None:
        return trial
    if good:
        return with_proof(trial, "simple-sharpness", subject)
    proved = with_proof(replace(trial, message=""), "simple-sharpness", subject).message
    if found.value > 0 and "proof: proved" in proved:
        # Simple, and yet at the edge together with the next at any rate that can be run: neither right nor wrong.
        said = f"{text}; lambda_1 > lambda_2 is proved"
        return replace(trial, outcome=Outcome.INCONCLUSIVE, message=said, blocked=True)
    return trial


check = Check(
    meaning="lambda_1 > lambda_2 on Gamma",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice=(
        "Choose a domain without crossings, or declare expects_to_fail={'simple_sharpness'}: with "
        "several eigenvalues at "
        "the edge the flow of one does not describe gradient descent."
    ),
    advice_without_chart=(
        "Start where the two largest eigenvalues lie apart, or give expected_failed={'simple_sharpness': reason}: with "
        "several eigenvalues at the edge the flow of one does not describe gradient descent; `sharpflow compare` "
        "follows them all."
    ),
    supposes=("homogeneity", "chart", "minimizers", "minimal_kernel"),
    needs_minima=True,
    hypothesis="simple_sharpness",
    order=23,
)
