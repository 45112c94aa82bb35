"""|d zeta/d tau| <= 1/2."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.corollaries import prove_speed_bound

    return prove_speed_bound(case.subject)


def measure(case: Case) -> Measurement:
    """The speed of the integrated flow, from its records."""
    import numpy as np

    run = case.comparison
    chord = np.linalg.norm(np.diff(run.flow_points, axis=0), axis=1)
    speed = float(np.max(chord / np.diff(run.times))) if run.result.ok else float("nan")
    return weigh(
        speed, 0.5, 1e-4,
        f"largest speed between two of {len(run.times)} records of the flow; at most 1/2. Tolerance: the "
        f"integrator's error over the "
        "distance of two records",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="speed of the flow is at most one half",
    statement=r"\left| \frac{d\zeta}{d\tau} \right| \le \frac{1}{2}",
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
