"""lambda_1 > lambda_2 on Gamma."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.assumptions import prove_simple_sharpness

    return prove_simple_sharpness(case.subject)


def measure(case: Case) -> Measurement:
    """The relative gap by JAX against the derived one."""
    import numpy as np

    from sharpflow.numerics.measurements.chart_checks import at_minima, symbolic_values

    at = at_minima(case.subject, seed=case.seed)
    measured = (at.eigenvalues[:, 0] - at.eigenvalues[:, 1]) / at.eigenvalues[:, 0]
    flow = case.flow
    gap = flow.sharpness if flow.gap is None else flow.gap
    derived = symbolic_values(gap / flow.sharpness, case.subject, at.chart)
    k = int(np.argmin(measured))
    return weigh(
        float(measured[k]), float(derived[k]), 1e-9,
        "smallest (lambda_1 - lambda_2)/lambda_1 at 24 random points of the chart, by JAX; expected: the derived one "
        "there; tolerance: "
        "rounding of an eigenproblem",
    )  # fmt: skip


claim = Claim(
    title="the top eigenvalue is simple",
    statement=r"\lambda_1 - \lambda_j > 0, \quad j \ge 2",
    section="minima",
    prove=prove,
    measure=measure,
    hypotheses=("scale_invariance", "smoothness", "minimizers", "minimal_kernel"),
    settles="simple_sharpness",
)
