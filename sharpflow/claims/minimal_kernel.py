"""rank Hess L = D - 1 - dim Gamma on Gamma, and the Hessian is positive normal to it."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.assumptions import prove_minimal_kernel

    return prove_minimal_kernel(case.subject)


def measure(case: Case) -> Measurement:
    """Eigenvalues of the Hessian by JAX at random points of the chart."""
    from sharpflow.numerics.measurements.chart_checks import at_minima

    at = at_minima(case.subject, seed=case.seed)
    # Not divided by the largest: of a flat minimum it is 0.
    least = 1e-9 * abs(at.eigenvalues[:, :1])
    ranks = (abs(at.eigenvalues) > least).sum(axis=1)
    expected = case.geometry.codimension
    worst = max(ranks, key=lambda rank: abs(int(rank) - expected))
    if (at.eigenvalues < -least).any():
        worst = -1
    return weigh(
        float(worst), float(expected), 0.0,
        "number of eigenvalues above 1e-9 of the largest (rounding leaves 1e-15), the farthest from the expected one "
        "of 24 random "
        "points; -1 where one is negative",
    )  # fmt: skip


claim = Claim(
    title="minimal kernel: the Hessian has full rank normal to Gamma",
    statement=r"\operatorname{rank} \nabla^2 L(\zeta) = D - 1 - \dim \Gamma",
    section="minima",
    prove=prove,
    measure=measure,
    hypotheses=("scale_invariance", "smoothness", "minimizers"),
    settles="minimal_kernel",
)
