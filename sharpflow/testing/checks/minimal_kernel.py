"""The Hessian has full rank normal to Gamma."""

from __future__ import annotations

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import with_proof

# A ratio of rounding errors is 1e-16 or so; eigenvalues this close, or this flat, are at the edge together for any rate
# above it.
SMALLEST = 1e-6


def run(subject: Subject) -> Trial:
    """The spectrum at random points of Gamma, and where a search along the chart finds the ratio smallest."""
    from sharpflow.numerics.inspection.spectrum_search import assumed_rank, smallest_rank

    found = smallest_rank(subject.given, subject.minima)
    good = found.value > SMALLEST
    text = "smallest eigenvalue normal to Gamma over the largest, the smallest found"
    if subject.minima.chart is None:
        dimension = subject.objective.dimension - 1 - assumed_rank(subject.given, subject.minima)
        text += (
            f"; dim Gamma = {dimension} is taken from the rank of the Hessian at {len(subject.minima.points)} minima, "
            "which gradient flow reached from around the start"
        )
        if len(subject.minima.elsewhere):
            text += f"; {len(subject.minima.elsewhere)} that are no part of the start's Gamma are left out"
    trial = Trial(
        Outcome.PASSED if good else Outcome.FAILED,
        text,
        found.value,
        SMALLEST,
        None,
        {} if good else found.witness,
        bound=">=",
    )
    if good and subject.loss is not None and subject.loss.minima is not None:
        return with_proof(trial, "minimal-kernel", subject)
    return trial


check = Check(
    meaning="rank Hess L = D - 1 - dim Gamma on Gamma, positive normal to it",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice=(
        "Gamma is larger than the chart says, or L is flat there to second order; give Minima a chart of all of "
        "Gamma, a smaller domain, or declare expects_to_fail={'minimal_kernel'}."
    ),
    advice_without_chart=(
        "The Hessian is flatter at some minima than at others that gradient flow reached from around the start: "
        "start in a part of Gamma where its rank stays, take what is flat to second order out of the loss, or give "
        "expected_failed={'minimal_kernel': reason}."
    ),
    supposes=("homogeneity", "chart", "minimizers"),
    needs_minima=True,
    hypothesis="minimal_kernel",
    order=22,
)
