"""rate and at_rate say the same."""

from __future__ import annotations

from sharpflow.testing.check import Check, RuleSubject, Trial
from sharpflow.testing.trying import failed, held


def run(subject: RuleSubject) -> Trial:
    """The text of the rate at the parameters of two rates."""
    from sharpflow.naming.clock import clock_mismatch

    wrong = clock_mismatch(subject.given)
    return failed(wrong) if wrong else held(f"{subject.given.rate} is the rate at the parameters of at_rate")


check = Check(
    meaning="rate, in the parameters that at_rate gives, is the rate",
    source="flow time is rate times t",
    advice=("rate is what multiplies t to give flow time: write it in the names that at_rate returns."),
    run=run,
    about="rule",
    order=2,
)
