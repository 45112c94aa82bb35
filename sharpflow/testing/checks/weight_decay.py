"""The weights decay at rest."""

from __future__ import annotations

import math

from sharpflow.naming.clock import at_same_rate
from sharpflow.testing.check import Check, Outcome, RuleSubject, Trial
from sharpflow.testing.trying import failed, held


def run(subject: RuleSubject) -> Trial:
    """|w| from step to step where the gradient vanishes: at two rates, and at one with each parameter moved."""
    from sharpflow.numerics.inspection.rule import decay_at_rest

    rule = subject.given
    if rule.space == "sphere":
        return Trial(Outcome.NOT_APPLICABLE, "a rule on the sphere has no |w|; see the check closed_orbit")
    # Far below the rates of a run: a schedule moves the decay by its slope times the flow time, 0.004 here.
    coarse, fine = (decay_at_rest(rule, rate=rate) for rate in (1e-5, 1e-6))
    numbers = {"at rate 1e-5": coarse, "at rate 1e-6": fine}
    if math.isnan(fine):
        return Trial(Outcome.NOT_APPLICABLE, "where the gradient vanishes the step is 0/0: the rule is never at rest")
    if not fine > 1e-6:
        return failed(f"|w+| = (1 - k rate) |w| at rest with k = {fine:.3g}: the weights do not decay", **numbers)
    # k = 1 + O(rate): over a decade of the rate it changes by a hundredth at most.
    if abs(coarse / fine - 1) > 0.1:
        return failed("|w+| = (1 - k rate) |w| at rest with a k that depends on the rate", **numbers)
    for move in at_same_rate(rule):
        other = decay_at_rest(move.rule, rate=1e-6)
        said = f"with {move.said} at the same rate"
        if not other > 1e-6:
            return failed(f"|w+| = (1 - k rate) |w| at rest with k = {other:.3g} {said}: the weights do not decay")
        # Of a constant of order one that the clock leaves out k may be any function.
        if move.clocked and abs(other / fine - 1) > 0.01:
            return failed(f"|w+| = (1 - k rate) |w| at rest with k = {fine:.4g}, and {other:.4g} {said}")
    return held(f"|w+| = (1 - k rate) |w| at rest with k = {fine:.4g}")


check = Check(
    meaning="at rest |w| shrinks by a factor 1 - k rate, k > 0",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    advice=(
        "Without decay in proportion to rate nothing brings gradient descent to the edge: look for a forgotten "
        "factor (1 - learning_rate*weight_decay), its sign, and the scaling in at_rate."
    ),
    run=run,
    about="rule",
    supposes=("interpreters",),
    order=4,
)
