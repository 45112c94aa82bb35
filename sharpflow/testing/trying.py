"""From findings, measurements of claims, and proofs to the trial of a check."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sharpflow.claim import Case, Measurement, Numeric
from sharpflow.testing.check import Outcome, Subject, Trial

if TYPE_CHECKING:
    from sharpflow.numerics.inspection.loss import Finding
    from sharpflow.numerics.inspection.purity import Trace
    from sharpflow.theory.rule import Rule

__all__ = ["failed", "from_measurement", "held", "judge", "measured_by", "not_reduced", "side_effect", "with_proof"]

# A proof that takes longer is left to `sharpflow verify`; a check takes two seconds.
PROOF_LIMIT = 2.0


def judge(finding: Finding, tolerance: float, message: str, /) -> Trial:
    """Passed where the residual is at most ``tolerance``; failed, with its witness, where it is not."""
    text = f"{message}; at {finding.note}" if finding.note else message
    if math.isnan(finding.value):
        return Trial(Outcome.INCONCLUSIVE, f"nothing measured; {text}", None, 0.0, tolerance)
    good = finding.value <= tolerance
    witness = {} if good else finding.witness
    return Trial(Outcome.PASSED if good else Outcome.FAILED, text, finding.value, 0.0, tolerance, witness)


def held(message: str) -> Trial:
    """Passed, without a number."""
    return Trial(Outcome.PASSED, message)


def failed(message: str, /, **counterexample: Any) -> Trial:
    """Failed, without a number."""
    return Trial(Outcome.FAILED, message, counterexample=counterexample)


def side_effect(what: str, function: Callable[..., Any], found: Trace, /) -> Trial | None:
    """Failed where the trace of the user's ``function`` shows that it does more than return a value."""
    from sharpflow.theory.user_frames import defined_at

    at = defined_at(function)
    if found.effects:
        message = f"{what} has effects beside its value: it {'; it '.join(found.effects[:3])}"
        advice = "Do that once, outside of it: it is called any number of times, or only traced and never called again."
    elif found.drawn:
        message = f"{what}{at} {found.drawn}"
        advice = (
            "Draw numbers once, outside of it, by np.random.default_rng(seed), and let it use the array; take out seed "
            "and np.random inside of it."
        )
    elif found.changes:
        more = f" and {len(found.changes) - 3} more" if len(found.changes) > 3 else ""
        message = f"{what}{at} changes {', '.join(found.changes[:3])}{more} whenever it is called"
        advice = "Let it change nothing that outlives the call: take the list, the counter or the generator out of it."
    else:
        return None
    return replace(failed(message), advice=advice)


_OUTCOMES = {
    Numeric.CONSISTENT: Outcome.PASSED,
    Numeric.INCONSISTENT: Outcome.FAILED,
    Numeric.INCONCLUSIVE: Outcome.INCONCLUSIVE,
    Numeric.NOT_RUN: Outcome.NOT_APPLICABLE,
    Numeric.NOT_APPLICABLE: Outcome.NOT_APPLICABLE,
    Numeric.ERROR: Outcome.ERROR,
}


def from_measurement(measurement: Measurement, /, **counterexample: Any) -> Trial:
    """The measurement of a claim as a trial; the counterexample is kept where it failed."""
    outcome = _OUTCOMES[measurement.status]
    return Trial(
        outcome, measurement.message, measurement.measured, measurement.expected, measurement.tolerance,
        counterexample if outcome is Outcome.FAILED else {}, bound="<=" if measurement.upper else "",
    )  # fmt: skip


def not_reduced(rule: Rule, /, *, descent: bool) -> Trial | None:
    """Not applicable where the rule has no form on the sphere (with ``descent``: not that of gradient descent)."""
    from sharpflow.numerics.descent.forms import reduction_of
    from sharpflow.theory.errors import InputError
    from sharpflow.theory.sphere.reduction import is_decayed_descent

    try:
        reduction = reduction_of(rule)
    except InputError:
        said = f"the rule {rule.name} has no form on the sphere in which effective_lr is all of its state"
        return Trial(Outcome.NOT_APPLICABLE, said)
    if descent and not is_decayed_descent(reduction):
        said = f"the rule {rule.name} is not gradient descent with weight decay, of which this speaks"
        return Trial(Outcome.NOT_APPLICABLE, said)
    return None


def _no_orbit(rule: Rule, smooth: bool) -> Trial | None:
    """Not applicable where the rule has no closed orbit at the edge (with ``smooth``: no smooth oscillator)."""
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.theory.errors import InputError

    try:
        law = law_of(rule)
    except InputError as reason:
        return Trial(Outcome.NOT_APPLICABLE, str(reason))
    if smooth and law.exact.coefficient is None:
        said = f"the rule {rule.name} has no smooth oscillator; `sharpflow rules --measure` measures its orbits"
        return Trial(Outcome.NOT_APPLICABLE, said)
    return None


def measured_by(claim: str, /, *, orbit: bool = True, smooth: bool = False) -> Callable[[Subject], Trial]:
    """A check that is the measurement of a claim.

    Args:
        claim: its name.
        orbit: whether it speaks of closed orbits at the edge, which some rules lack.
        smooth: whether it speaks of a smooth oscillator, which some rules lack that have orbits.
    """

    def run(subject: Subject) -> Trial:
        from sharpflow import claims

        if orbit and (none := _no_orbit(subject.rule, smooth)) is not None:
            return none
        case, measure = subject.case, claims.get(claim).measure
        assert measure is not None  # a claim without a measurement checks nothing
        return from_measurement(measure(case), start=case.objective.start, rate=case.rate, rule=case.rule.name)

    return run


def with_proof(trial: Trial, claim: str, subject: Subject, /) -> Trial:
    """``trial``, failed where the proof of the claim is refuted; the message says how the proof ended."""
    from sharpflow import claims
    from sharpflow.verification.prover import prove

    proved = prove(claims.get(claim), Case(subject.loss, subject.rule, seed=subject.seed), PROOF_LIMIT)
    if proved.status == "error":
        return Trial(Outcome.ERROR, proved.message)
    if proved.status != "refuted":
        return replace(trial, message=f"{trial.message}; proof: {proved.status}")
    step = next(s for s in proved.steps if s.status == "refuted")
    message = f"refuted by proof: {step.title}: {step.statement}"
    # The numbers passed, and say nothing of what the proof refutes: its witness does.
    return Trial(Outcome.FAILED, message, counterexample=dict(step.witness))
