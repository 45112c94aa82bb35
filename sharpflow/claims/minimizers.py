"""grad L = 0 and L = min L on Gamma."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.assumptions import prove_minimizers

    return prove_minimizers(case.subject)


def measure(case: Case) -> Measurement:
    """Gradients on Gamma by JAX, and values of the loss all over the sphere."""
    from sharpflow.numerics.measurements.chart_checks import at_minima, lowest_excess

    at = at_minima(case.subject, seed=case.seed)
    lower = max(0.0, -lowest_excess(case.objective, float(at.value.max()), seed=case.seed))
    size = max(1.0, float(abs(at.eigenvalues).max()))
    return weigh(
        max(float(at.gradient.max()), lower) / size, 0.0, 1e-9,
        "largest of |grad L| at 24 random points of the chart and of how far below Gamma the loss gets at 5120 "
        "random directions, "
        "relative to the largest eigenvalue; tolerance: rounding of the chart's point, times 1e6",
    )  # fmt: skip


claim = Claim(
    title="Gamma is made of minimizers",
    statement=r"\nabla L(\zeta) = 0, \quad L(\zeta) = \min L, \quad \zeta \in \Gamma",
    section="minima",
    prove=prove,
    measure=measure,
    hypotheses=("scale_invariance",),
    settles="minimizers",
)
