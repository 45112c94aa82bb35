"""G_ij = <d_i zeta, d_j zeta>, positive definite on the domain of the chart."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.assumptions import prove_chart

    return prove_chart(case.subject)


def measure(case: Case) -> Measurement:
    """Central differences of the unit vector zeta(p)."""
    from sharpflow.numerics.measurements.chart_checks import metric_difference

    return weigh(
        metric_difference(case.geometry, seed=case.seed), 0.0, 1e-6,
        "largest difference between the derived metric and the one of central differences with step 1e-5 at 6 random "
        "points; "
        "tolerance: the differences' own error, the step squared times third derivatives near the ends of the chart",
    )  # fmt: skip


claim = Claim(
    title="induced metric of the chart",
    statement=r"G_{ij} = \langle \partial_i \zeta, \partial_j \zeta \rangle, \quad \det G > 0",
    section="minima",
    prove=prove,
    measure=measure,
    hypotheses=("scale_invariance",),
)
