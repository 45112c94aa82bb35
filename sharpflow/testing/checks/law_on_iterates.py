"""The derived law against iterates."""

from __future__ import annotations

from sharpflow.testing.check import Check, Outcome, RuleSubject, Trial
from sharpflow.testing.trying import judge

FAMILIES = ("ridge", "conic")


def run(subject: RuleSubject) -> Trial:
    """Drift, mean square, periods and energy coefficient on two losses, at rates 1e-5 to 1e-7."""
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.inspection.loss import Finding
    from sharpflow.numerics.measurements.rule_check import check_rule_on
    from sharpflow.theory import families
    from sharpflow.theory.edge.edge_law import edge_law
    from sharpflow.theory.errors import InputError

    try:
        if not edge_law(subject.given).rests:
            law_of(subject.given)
    except InputError as reason:  # derived, but not numbers of K alone: nothing to hold iterates to
        return Trial(Outcome.NOT_APPLICABLE, str(reason))
    ratios = [
        (name, ratio)
        for name in FAMILIES
        for ratio in check_rule_on(families.get(name).default(), subject.given).ratios
    ]
    known = [(name, ratio) for name, ratio in ratios if ratio.agrees is not None]
    if not known:
        return Trial(Outcome.INCONCLUSIVE, "no orbit gave a number")
    name, worst = max(known, key=lambda pair: abs(pair[1].value - 1) / pair[1].tolerance)
    places = {"loss": name, "quantity": worst.name, "measured over derived": worst.value, "tolerance": worst.tolerance}
    return judge(
        Finding(abs(worst.value - 1) / worst.tolerance, places, f"{worst.name} on {name}"), 1.0,
        "largest |measured/derived - 1| in units of its tolerance: the correction made by extrapolating to rate 0, and "
        "0.005 for the sampling of an orbit",
    )  # fmt: skip


check = Check(
    meaning="drift, mean square, periods and energy of iterates are those derived",
    source="docs/rules.md",
    advice=("See the checks clock and weight_decay; `sharpflow rules FILE:RULE --measure` shows every number."),
    run=run,
    about="rule",
    supposes=("clock", "derivation", "closed_orbit"),
    order=12,
)
