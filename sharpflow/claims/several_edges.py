"""Gradient descent follows the flow with several eigenvalues at the edge, on the implicit manifold."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.several_edges import prove_several_edges

    return prove_several_edges(case.reduction)


def measure(case: Case) -> Measurement:
    """The crossing loss in R^5, through the crossing."""
    from sharpflow.numerics.measurements.crossing_checks import through_the_crossing

    rate, time = 1e-4, 3.0
    found = through_the_crossing(case.rule, rate=rate, time=time)
    value = found.distance if found.result == "successful" and found.edge_count == 2 else float("nan")
    return weigh(
        value, 0.0, 3.0,
        f"largest distance to the flow in units of intrinsic_lr at rate {rate:g} over flow time {time:g}, two "
        f"eigenvalues meeting near 0.75 ({found.result}, {found.edge_count} at the edge in the end). Tolerance: 3; the "
        "distance is O(intrinsic_lr), and 1 of it is the oscillation itself",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="several eigenvalues at the edge",
    statement=r"\frac{d\zeta}{d\tau} = -\sum_{ij} \Sigma_{ij} A_{ij},\quad 0 \le \Sigma \perp M(\Sigma) - 2I \ge 0",
    section="flow",
    prove=prove,
    measure=measure,
    about="generic",
    source="beyond the paper",
)
