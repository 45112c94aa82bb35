"""No memory, no random state, no callback, double precision inside an update; every parameter is read."""

from __future__ import annotations

from sharpflow.naming.clock import at_same_rate
from sharpflow.testing.check import Check, RuleSubject, Trial
from sharpflow.testing.trying import failed, held, side_effect


def run(subject: RuleSubject) -> Trial:
    """Two traces of one update, under different global random states."""
    from sharpflow.numerics.inspection.rule import rule_trace, same_update, unchanging_states

    rule = subject.given
    found = rule_trace(rule)
    if trial := side_effect("the update", rule.update, found):
        return trial
    if found.impure:
        return failed(f"the update is not pure: {found.impure}")
    if found.callbacks:
        return failed(f"the update calls back to the host: {', '.join(found.callbacks)}")
    if found.prints:
        return failed(f"the update prints: {found.prints!r}")
    if found.low_precision:
        return failed(f"operations give less than float64 though w is float64: {', '.join(found.low_precision[:6])}")
    if still := unchanging_states(rule):
        return failed(f"state {', '.join(still)} never changes: the update returns what it was given")
    # A schedule on the sphere may know the rate alone, and not what it is the product of.
    moves = [move for move in at_same_rate(rule) if not (rule.space == "sphere" and move.scales)]
    idle = [move.said for move in moves if same_update(rule, move.rule)]
    if idle:
        return failed(f"an update is the same to the last digit at the same rate with {idle[0]}: nothing reads that")
    return held("two traces of an update agree; no callback, nothing printed, float64 throughout")


check = Check(
    meaning="an update is pure: what it remembers is in its state",
    source="one definition, two interpreters",
    advice=(
        "Keep what the rule remembers in state, and randomness out of it; return the new state, and take out a state "
        "that is none, and a parameter that nothing reads."
    ),
    run=run,
    about="rule",
    order=1,
)
