"""The law of the rule is derived and proved on every loss."""

from __future__ import annotations

from sharpflow.testing.check import Check, Outcome, RuleSubject, Trial
from sharpflow.testing.trying import failed, held
from sharpflow.theory.errors import InputError


def run(subject: RuleSubject) -> Trial:
    """The generic derivation, with every step checked."""
    from sharpflow.theory.derivation.generic import generic_derivation

    try:
        found = generic_derivation(subject.given)
    except InputError as error:
        return failed(f"no law at the edge is derived: {error}")
    steps = [step for proof in found.proofs for step in proof.steps]
    wrong = [step for step in steps if step.status == "refuted"]
    if wrong:
        return failed(f"refuted: {wrong[0].title}: {wrong[0].statement}"[:600], **dict(wrong[0].witness))
    still = [step.title for step in steps if step.status != "proved"]
    if still:
        return Trial(Outcome.INCONCLUSIVE, f"{len(still)} of {len(steps)} steps are undecided: {', '.join(still[:3])}")
    return held(f"{len(steps)} steps proved")


check = Check(
    meaning="drift, oscillator and energy law are derived from the update and proved on every loss",
    source="docs/derivation.md",
    advice=(
        "The message names what the update lacks; a rule of w must use its gradient only through gradient(w), and "
        "scale with |w| as the gradient of a scale-invariant loss does."
    ),
    run=run,
    about="rule",
    supposes=("interpreters", "weight_decay", "descent"),
    order=10,
)
