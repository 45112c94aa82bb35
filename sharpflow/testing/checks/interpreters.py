"""One update, run by NumPy and by JAX."""

from __future__ import annotations

from sharpflow.testing.check import Check, RuleSubject, Trial
from sharpflow.testing.trying import judge


def run(subject: RuleSubject) -> Trial:
    """One step from a random point next to the minima of a Rayleigh quotient."""
    from sharpflow.numerics.inspection.rule import interpreter_difference

    return judge(
        interpreter_difference(subject.given, seed=subject.seed), 1e-12,
        "largest difference of the new w and state, over |w|; tolerance: rounding",
    )  # fmt: skip


check = Check(
    meaning="the update is the same under NumPy and under JAX",
    source="one definition, several interpreters",
    advice=("Use only + - * / and powers, and dot, norm and sqrt of ops, in the update."),
    run=run,
    about="rule",
    supposes=("rule_purity",),
    order=3,
)
