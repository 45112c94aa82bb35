"""No memory, no random state, no callback, double precision inside an update."""

from __future__ import annotations

from sharpflow.testing.check import Check, RuleSubject, Trial
from sharpflow.testing.trying import failed, held


def run(subject: RuleSubject) -> Trial:
    """Two traces of one update, under different global random states."""
    from numerics.rule_inspection import rule_trace

    found = rule_trace(subject.given)
    if found.impure:
        return failed(f"the update is not pure: {found.impure}")
    if found.callbacks:
        return failed(f"the update calls back to the host: {', '.join(found.callbacks)}")
    if found.prints:
        return failed(f"the update prints: {found.prints!r}")
    if found.low_precision:
        return failed(f"operations give less than float64 though w is float64: {', '.join(found.low_precision[:6])}")
    return held("two traces of an update agree; no callback, nothing printed, float64 throughout")


check = Check(
    meaning="an update is pure: what it remembers is in its state",
    source="one definition, two interpreters",
    advice=("Keep what the rule remembers in state, and randomness out of it."),
    run=run,
    about="rule",
    order=1,
)
