"""g^i = G^ij d_j log lambda_1, K^2 = |g|^2."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.assumptions import prove_log_sharpness_gradient

    return prove_log_sharpness_gradient(case.subject)


def measure(case: Case) -> Measurement:
    """lambda_1 and K^2 by JAX, which forms v_1^T D^3 L v_1 and knows no chart."""
    import numpy as np

    from sharpflow.numerics.measurements.chart_checks import at_minima, symbolic_values

    at, flow = at_minima(case.subject, seed=case.seed), case.flow
    top = symbolic_values(flow.sharpness, case.subject, at.chart)
    squared = symbolic_values(flow.log_gradient_squared, case.subject, at.chart)
    difference = max(
        float(np.max(np.abs(at.eigenvalues[:, 0] / top - 1))),
        float(np.max(np.abs(at.log_gradient_squared - squared) / np.maximum(1, squared))),
    )
    return weigh(
        difference, 0.0, 1e-8,
        "largest relative difference of lambda_1 and of K^2 between the chart and JAX at 24 random points; "
        "tolerance: rounding, "
        "amplified by the eigenvector and by third derivatives",
    )  # fmt: skip


claim = Claim(
    title="sharpness and its logarithmic gradient on Gamma",
    statement=r"g^i = G^{ij} \partial_j \log \lambda_1, \quad K^2 = |g|^2",
    section="minima",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
