"""d zeta/d tau = -2 g/(4 + |g|^2), by two routes."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.routes import prove_drift

    return prove_drift(case.subject, case.rule)


def measure(case: Case) -> Measurement:
    """The displacement of gradient descent along Gamma against that of the flow."""
    import numpy as np

    run = case.comparison
    moved = float(np.linalg.norm(run.minima_points[-1] - run.minima_points[0])) if run.result.ok else float("nan")
    expected = float(np.linalg.norm(run.flow_points[-1] - run.flow_points[0]))
    return weigh(
        moved, expected, 5 * run.intrinsic_lr,
        f"chord that gradient descent, retracted to Gamma, travels in flow time {run.time:g} at rate {run.rate:g}; "
        f"expected: the "
        "flow's, by SciPy. Tolerance: 5 intrinsic_lr, the accuracy the tracking claim asks for",
    )  # fmt: skip


claim = Claim(
    title="sharpness-reduction flow, by two routes",
    statement=r"\frac{d\zeta}{d\tau} = -\frac{2 g}{4 + |g|^2}",
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
