"""No removable gaps."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge


def run(subject: Subject) -> Trial:
    """L and its derivatives where coordinates vanish or coincide, on Gamma, and where gradient flow leads."""
    from sharpflow.numerics.inspection.loss import removable_gaps

    return judge(
        removable_gaps(subject.objective, subject.minima.points, reached=subject.minima.broken, seed=subject.seed), 0.0,
        "places where L, its gradient or its Hessian is not finite although L tends to one number there from all "
        "sides, or gradient flow leads there; poles of the loss are not counted",
    )  # fmt: skip


check = Check(
    meaning="L and its derivatives are finite wherever L has a limit, and where gradient flow leads",
    source="jnp.where and sqrt at 0 give nan derivatives",
    run=run,
    advice=(
        "Rewrite the expression that is 0/0, or the branch that is nan, there: sqrt(x**2) as abs(x) is no cure, a safe "
        "argument inside jnp.where is."
    ),
    supposes=("homogeneity",),
    order=8,
)
