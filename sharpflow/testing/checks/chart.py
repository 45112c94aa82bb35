"""The chart of Gamma is regular."""

from __future__ import annotations

from sharpflow.testing.check import Check, Outcome, Subject, Trial


def run(subject: Subject) -> Trial:
    """Singular values of d zeta over the domain, and where a search finds the smallest."""
    loss = subject.loss
    if loss is None or loss.minima is None:
        return Trial(Outcome.NOT_APPLICABLE, "the loss has no chart")
    from sharpflow.numerics.inspection.chart_rank import SINGULAR, chart_rank

    found = chart_rank(loss, seed=subject.seed)
    if found.nowhere is not None:
        origin = ", ".join(f"{name} = {value:.6g}" for name, value in found.nowhere.items())
        said = (
            f"Minima.point is 0 at {origin}, where it names no direction: the chart turns by pi there, or has no limit"
        )
        return Trial(Outcome.FAILED, said, counterexample=found.nowhere)
    good = found.value > SINGULAR
    place = ", ".join(f"{name} = {value:.6g}" for name, value in found.at.items())
    names = ", ".join(found.at)
    if good:
        text = f"smallest singular value of d zeta over the largest, in the domain; it is at {place}"
    elif found.everywhere:
        text = (
            f"the chart is singular everywhere: Minima.point does not move with every one of its coordinates ({names})"
        )
    else:
        text = f"the chart is singular at {place}: d zeta loses its rank there"
    return Trial(
        Outcome.PASSED if good else Outcome.FAILED, text, found.value, SINGULAR, None,
        {} if good or found.everywhere else dict(found.at), bound=">=",
    )  # fmt: skip


check = Check(
    meaning="the chart is regular: d zeta has full rank all over its domain",
    source="an inverse metric makes the gradient of the flow",
    run=run,
    advice=(
        "Give Minima a point that moves at a nonzero speed along every coordinate (p in place of p^2), a domain "
        "without the singular place, or fewer coordinates where one does nothing."
    ),
    order=19,
)
