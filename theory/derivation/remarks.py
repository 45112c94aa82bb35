"""Remarks on what a derivation on one loss left out, and why, in sentences for the reader."""

from __future__ import annotations

from collections.abc import Iterator

from sharpflow.theory.chart.flow import SharpnessFlow
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.edge.edge_law import EdgeLaw
from sharpflow.theory.loss import HYPOTHESES, Loss

__all__ = ["in_the_clock", "remarks", "ties"]


def ties(loss: Loss) -> bool:
    """True where lambda_1 vanishes or equals another eigenvalue all over Gamma."""
    geometry = geometry_of(loss)
    return any(value == 0 for value in (geometry.sharpness, *geometry.gaps))


def remarks(
    loss: Loss,
    law: EdgeLaw | None,
    failed: dict[str, str],
    declared: list[str],
    omitted: dict[str, list[str]],
    flow: SharpnessFlow | None,
) -> Iterator[str]:
    """Sentences for the reader: what is not derived, and why."""
    if loss.minima is None:
        yield "The loss has minima=None: what needs a chart of Gamma (its edge direction, the drift) is not derived."
    for name in declared:
        where = "" if name in failed else " The flow is derived where the gap is open."
        yield f"The loss declares that the hypothesis {name} fails; it is refuted as declared.{where}"
    for name, parts in omitted.items():
        what = f"the hypothesis {name}" if name in HYPOTHESES else f"the {name}"
        yield f"Not derived, since {what} {failed[name]}: {', '.join(parts)}."
        undeclared = name == "simple_sharpness" and name not in declared and failed[name] == "was refuted"
        if undeclared and not ties(loss):
            yield (
                "Where eigenvalues only meet at single points of Gamma, declare it: expects_to_fail="
                "{'simple_sharpness'} in the Loss. Then the flow is derived where the gap is open."
            )
    if law is None:
        yield "The law of the rule at the edge was not derived; `sharpflow derive generic --rule NAME` says why."
    elif not law.smooth:
        yield "Edge: none, nonsmooth. The step of the rule is not differentiable on Gamma."
    if flow is not None and flow.stands_still:
        yield "The flow stands still: lambda_1 is constant on Gamma."
    elif flow is not None and flow.closed_form is None:
        found = "; there is a quadrature." if flow.invariants else "."
        yield f"No closed form of the flow was found{found}"


def in_the_clock(rate: str, law: EdgeLaw | None, /) -> str:
    """The definition of tau: the rate times the iterations, summed up where a schedule moves it."""
    if law is None or not law.slow:
        return f"tau = {rate} t"
    moving = " and ".join(str(ratio).removesuffix("_ratio") for ratio in law.slow)
    return f"tau = sum of {rate} over the iterations, {moving} as they are then"
