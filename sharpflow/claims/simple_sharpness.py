"""lambda_1 > lambda_2 on Gamma."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, Numeric, weigh
from sharpflow.theory.proving.proof import Proof

# A search for a crossing ends 1e-7 from it; eigenvalues this close are at the edge together at any rate that can be
# run.
SMALLEST = 1e-6
# Above this the next eigenvalue keeps out of an oscillation at every rate there is (0.1 at most).
FAR = 0.3


def near_tie(gap: float, /) -> str:
    """At which rates a relative gap keeps lambda_2 from the edge; nothing where that is at all of them.

    effective_lr*lambda_2 = 2 (1 - gap) while effective_lr*lambda_1 oscillates by some sqrt(rate) about 2.
    """
    if gap >= FAR:
        return ""
    if gap <= 0:
        return "; at no rate does the flow of one eigenvalue describe gradient descent there"
    return f"; the flow of one eigenvalue describes gradient descent there below a rate of gap^2 = {gap**2:.2g} only"


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
    if measured[k] <= SMALLEST:
        said = f"(lambda_1 - lambda_2)/lambda_1{near_tie(float(measured[k]))}"
        return Measurement(Numeric.INCONCLUSIVE, float(measured[k]), float(derived[k]), SMALLEST, said)
    return weigh(
        float(measured[k]), float(derived[k]), 1e-9,
        "smallest (lambda_1 - lambda_2)/lambda_1 at 24 random points of the chart, by JAX; expected: the derived one "
        "there; tolerance: "
        f"rounding of an eigenproblem{near_tie(float(measured[k]))}",
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
