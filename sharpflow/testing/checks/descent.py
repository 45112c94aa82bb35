"""Small steps lower the loss."""

from __future__ import annotations

from sharpflow.testing.check import Check, RuleSubject, Trial
from sharpflow.testing.trying import failed, held


def run(subject: RuleSubject) -> Trial:
    """A Rayleigh quotient before and after twenty steps far below the edge."""
    from sharpflow.numerics.inspection.rule import small_steps

    before, after = small_steps(subject.given, seed=subject.seed)
    if not after < before:
        return failed("twenty small steps do not lower the loss", L_before=before, L_after=after)
    return held(f"twenty small steps take L - min L from {before:.4g} to {after:.4g}")


check = Check(
    meaning="small steps go down the loss",
    source="a descent method",
    advice="Look for the sign of the gradient in the update.",
    run=run,
    about="rule",
    supposes=("interpreters",),
    order=5,
)
