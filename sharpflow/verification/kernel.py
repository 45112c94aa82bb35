"""The fourth column: what the kernel of Coq says of the proved steps of a claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sharpflow.claim import ACCEPTED, NOT_EXPORTED, REJECTED, StepView
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from sharpflow.claim import Verdict
    from sharpflow.theory.kernel.coqc import Verdict as KernelVerdict
    from sharpflow.theory.kernel.export import Line
    from sharpflow.theory.proving.proof import Proof

__all__ = ["judged", "require_coqc", "settled", "share"]

# Of lemmas that the kernel was still checking when their time was over, and that it did not come to.
LATE, UNCHECKED = "the kernel was not done with it in time", "the kernel gave up on the file, not checked"


def require_coqc() -> str:
    """The version of Coq that judges.

    Raises:
        InputError: there is none.
    """
    from sharpflow.theory.kernel.coqc import INSTALL, coqc

    found = coqc()
    if found is None:
        raise InputError(f"--kernel: {INSTALL}.")
    return found[1]


def judged(proof: Proof, views: Sequence[StepView], /) -> tuple[StepView, ...]:
    """The views with what the kernel says of each proved step: accepted, not exported and why, rejected and how."""
    from sharpflow.theory.kernel.coqc import check
    from sharpflow.theory.kernel.export import export
    from sharpflow.theory.proving.proof import Status

    found = export(proof.title, [proof])
    verdict = check(found.text) if found.names else None
    said = [_said(line, verdict) for line in found.lines]
    words = iter(said)
    return tuple(
        replace(view, kernel=next(words)) if step.status is Status.PROVED else view
        for step, view in zip(proof.steps, views, strict=True)
    )


def _said(line: Line, verdict: KernelVerdict | None) -> str:
    if line.lemma is None or verdict is None:
        return f"{NOT_EXPORTED}: {line.reason}"
    name = line.lemma.name
    whole = f"it assumes {', '.join(verdict.strange)}" if verdict.strange else verdict.rejected.get("", "")
    if message := whole or verdict.rejected.get(name):
        return f"{REJECTED}: {message}"
    if name in verdict.late:
        return f"{NOT_EXPORTED}: {LATE}"
    if not verdict.complete:
        return f"{NOT_EXPORTED}: {UNCHECKED}"
    return f"{ACCEPTED}, one expression on both sides" if line.lemma.hollow else ACCEPTED


def settled(steps: Iterable[StepView], /) -> bool:
    """True where a machine with more time would have the kernel say the same."""
    return not any(step.kernel.endswith((LATE, UNCHECKED, "no certificate in time")) for step in steps)


def share(verdicts: Iterable[Verdict], /) -> list[str]:
    """Lines for the terminal: how many proved steps the kernel accepted, and the rest by kind."""
    said = [step.kernel for verdict in verdicts for step in verdict.steps if step.kernel]
    if not said:
        return []
    accepted = sum(s.startswith(ACCEPTED) for s in said)
    hollow = sum(s.startswith(f"{ACCEPTED},") for s in said)
    rest = Counter(s for s in said if not s.startswith(ACCEPTED))
    lines = [
        "",
        f"kernel: {accepted} of {len(said)} proved steps accepted ({100 * accepted / len(said):.0f} %), {hollow} of "
        "them with one expression on both sides.",
    ]
    return [*lines, *(f"  {count:4d} {reason}" for reason, count in rest.most_common())]
