"""The law of the rule is derived and proved on every loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.naming.clock import at_same_rate
from sharpflow.testing.check import Check, Outcome, RuleSubject, Trial
from sharpflow.testing.trying import failed, held
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from sharpflow.theory.rule import Rule


def run(subject: RuleSubject) -> Trial:
    """The generic derivation, with every step checked, and the law once more with other parameters of the same rate."""
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
    for move in at_same_rate(subject.given):
        if move.scales and (apart := _apart(subject.given, move.rule)):
            return failed(f"at the same rate the law is another one with {move.said}: {apart}")
    return held(f"{len(steps)} steps proved")


def _apart(rule: Rule, other: Rule) -> str:
    """The first number of two laws that is not the same: of the edge, of the oscillation, of the drift, at K = 1."""
    from sharpflow.theory.edge.edge_law import K2, LAMBDA, edge_law

    for name in ("edge", "mean_square", "drift"):
        own, moved = (
            "none" if value is None else f"{float(value.subs({**law.defaults, K2: 1, LAMBDA: 1})):.6g}"
            for law, value in ((law, getattr(law, name)) for law in (edge_law(rule), edge_law(other)))
        )
        if own != moved:
            return f"{name.replace('_', ' ')} {moved}, not {own}"
    return ""


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
