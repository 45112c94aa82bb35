"""Sharpness never rises, however many eigenvalues are at the edge."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.several_edges import prove_edge_sharpness_falls

    return prove_edge_sharpness_falls(case.reduction)


def measure(case: Case) -> Measurement:
    """Steps of log lambda_1 along the flow through the crossing."""
    from sharpflow.numerics.measurements.crossing_checks import through_the_crossing

    found = through_the_crossing(case.rule, rate=1e-4, time=3.0)
    return weigh(
        found.rise if found.edge_count == 2 else float("nan"), 0.0, 1e-5,
        "largest rise of log lambda_1 between two records of the flow through the crossing; at most 0. Tolerance: the "
        "edge is met to the cube of a step, and the curve between steps is interpolated",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="sharpness never rises with several eigenvalues at the edge",
    statement=r"\frac{d \log \lambda_1}{d\tau} = 4\,\mathrm{tr}\,\Sigma - 2 = "
    r"-\frac{|\sum_{ij} \Sigma_{ij} A_{ij}|^2}{\mathrm{tr}\,\Sigma} \le 0",
    section="flow",
    prove=prove,
    measure=measure,
    about="generic",
    source="beyond the paper",
)
