"""Scalar RMSprop drifts by -(C_b/2) g/(2 C_b + |g|^2)."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from theory.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from theory.routes import prove_schedule_drift

    return prove_schedule_drift(case.subject, case.rule)


def measure(case: Case) -> Measurement:
    """The largest distance of the rule's iterates, retracted to Gamma, from the rule's own flow."""
    run = case.comparison
    value = run.max_distance_on_minima / run.intrinsic_lr if run.result.ok else float("nan")
    return weigh(
        value, 0.0, 5.0,
        f"largest distance on Gamma in units of intrinsic_lr over time {run.time:g} at rate {run.rate:g} in the "
        f"rule's own clock; tolerance: "
        "5, as for gradient descent",
    )  # fmt: skip


claim = Claim(
    title="drift of scalar RMSprop",
    statement=r"\frac{d\zeta}{d\tau} = -\frac{C_b}{2} \frac{g}{2 C_b + |g|^2}",
    rules=("rmsprop",),
    section="schedules",
    prove=prove,
    measure=measure,
    hypotheses=("scale_invariance", "smoothness", "minimizers", "minimal_kernel", "simple_sharpness"),
)
