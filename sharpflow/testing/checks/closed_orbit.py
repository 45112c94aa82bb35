"""Something keeps the oscillation up at the edge."""

from __future__ import annotations

from sharpflow.testing.check import Check, Outcome, RuleSubject, Trial
from sharpflow.testing.trying import failed, held


def run(subject: RuleSubject) -> Trial:
    """Signs of the leading oscillator."""
    from sharpflow.theory.edge.edge_law import edge_law

    rule = subject.given
    law = edge_law(rule)
    if not law.smooth:
        return held("orbits of period two; the rule is not smooth on Gamma and has no edge")
    if law.closes:
        return held(f"closed orbits at effective_lr*lambda_1 = {law.edge}")
    reason = "the leading orbits are not closed: the oscillation dies out, or the edge is never reached"
    if rule.space == "sphere" and law.rests:
        return Trial(Outcome.NOT_APPLICABLE, f"{reason}; the rule claims no weight decay", blocked=True)
    return failed(reason, edge=str(law.edge), largest_multiplier=law.largest_multiplier)


check = Check(
    meaning="at the edge the oscillation is kept up: the leading orbits are closed",
    source="docs/derivation.md",
    advice=("effective_lr must grow at rest and fall where the gradient is large: see the check weight_decay."),
    run=run,
    about="rule",
    supposes=("weight_decay", "derivation"),
    order=11,
)
