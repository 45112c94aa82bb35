"""From claims to verdicts: every claim on every loss, proofs in one process and measurements in the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sharpflow.claim import Case, Claim, Measurement, Numeric, Verdict
from sharpflow.numerics.numbers import check_seed
from sharpflow.provenance import environment
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.verification.prover import Prover, Row, internal_error

if TYPE_CHECKING:
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["Verification", "verify"]


SECTIONS = ("scale invariance", "reduction", "edge", "minima", "flow", "schedules", "regression")


@dataclass(frozen=True)
class Verification:
    """All verdicts of one run.

    Attributes:
        verdicts: in the order of the theory, loss by loss.
        seconds: wall-clock time of the run.
        environment: versions and machine.
        interrupted: whether it was stopped before its end; what is there is complete.
        cases: the cases behind the verdicts, with their comparisons, for pictures.
    """

    verdicts: tuple[Verdict, ...]
    seconds: float
    environment: dict[str, Any]
    interrupted: bool = False
    cases: tuple[Case, ...] = ()

    @property
    def wrong(self) -> tuple[Verdict, ...]:
        """Verdicts that were refuted or found inconsistent."""
        return tuple(v for v in self.verdicts if v.wrong)

    @property
    def open(self) -> tuple[Verdict, ...]:
        """Verdicts left undecided or inconclusive, and not wrong."""
        return tuple(v for v in self.verdicts if v.open and not v.wrong)

    @property
    def errors(self) -> tuple[Verdict, ...]:
        """Verdicts that a mistake of the program itself prevented."""
        return tuple(v for v in self.verdicts if v.error)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many verdicts of each kind, for proofs and for measurements."""
        return {
            "proof": _count(v.proof for v in self.verdicts),
            "numeric": _count(v.numeric for v in self.verdicts),
        }

    def to_json(self) -> dict[str, Any]:
        """The content of ``verify --json``."""
        from sharpflow.version import __version__

        return {
            "version": __version__,
            "environment": self.environment,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "claims": [verdict.to_json() for verdict in self.verdicts],
        }


def _count(values: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


def verify(
    losses: Sequence[Loss] | None = None, /, *, rule: Rule | str | None = None, claims: Sequence[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None, seed: int = 0,
) -> Verification:  # fmt: skip
    """Every claim on every loss it is about: a proof where there is one, and a measurement by an independent path.

    Args:
        losses: default: every built-in family.
        rule: another smooth rule, for the claims that hold for any; default: each claim's own.
        claims: their names; default: all.
        progress: called with (verdicts done, verdicts in all, what is being done).
        seed: of random points.

    Raises:
        InputError: there is no such claim or rule.
    """
    check_seed(seed)
    begin = time.perf_counter()
    rows = _rows(losses, rule, claims, seed)
    prover = Prover([row for row in rows if row.claim.prove is not None])
    done: dict[int, Verdict] = {}
    interrupted = False
    try:
        for row in rows:
            if progress is not None:
                progress(len(done), len(rows), f"{row.id} on {_loss_name(row.case)}")
            done[row.index] = _judge(row, rows, done, prover)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        prover.close()
    verdicts = tuple(done[row.index] for row in sorted(rows, key=_reading_order) if row.index in done)
    cases = tuple(dict.fromkeys(row.case for row in rows if row.index in done))
    return Verification(verdicts, time.perf_counter() - begin, environment(), interrupted, cases)


def _loss_name(case: Case) -> str:
    return "generic" if case.loss is None else case.loss.name


def _rows(losses: Sequence[Loss] | None, rule: Rule | str | None, names: Sequence[str] | None, seed: int) -> list[Row]:
    from sharpflow import claims
    from sharpflow.naming.specs import resolve_rule
    from sharpflow.theory import families, rules

    chosen = list(claims.names()) if names is None else list(dict.fromkeys(names))
    found = {name: claims.get(name) for name in chosen}
    subjects: list[Loss | None] = [None]
    subjects += [families.get(n).default() for n in families.names()] if losses is None else list(losses)
    other = resolve_rule(rule) if isinstance(rule, str) else rule
    spelled = rule if isinstance(rule, str) else None
    cases: dict[Any, Case] = {}
    rows: list[Row] = []
    for subject in subjects:
        for name in sorted(found, key=lambda n: _work_order(n, found[n])):
            claim = found[name]
            if not claim.covers(subject):
                continue
            fits = other is not None and (claim.any_rule or other.name in claim.rules)
            for own in claim.rules_on(subject) if other is None else [None] if fits else []:
                used = rules.get(own) if own is not None else other
                assert used is not None
                key = (id(subject), used.name)
                case = cases.setdefault(key, Case(subject, used, seed=seed))
                text = own if own is not None else spelled or (used.name if used.name in rules.names() else None)
                rows.append(Row(len(rows), name, claim, case, text))
    if not rows:
        raise InputError("no claim is about these losses and this rule; `sharpflow list claims` names them all.")
    return rows


def _work_order(name: str, claim: Claim) -> tuple[int, int, str]:
    # What other claims stand on comes first.
    first = HYPOTHESES.index(claim.settles) if claim.settles else len(HYPOTHESES)
    return first, SECTIONS.index(claim.section), name


def _reading_order(row: Row) -> tuple[int, int, str, int]:
    first, section, name = _work_order(row.id, row.claim)
    return section, first, name, row.index


def _judge(row: Row, rows: Sequence[Row], done: dict[int, Verdict], prover: Prover) -> Verdict:
    claim, loss = row.claim, row.case.loss
    verdict = Verdict(
        id=row.id, title=claim.title, loss=_loss_name(row.case), rule=row.case.rule.name, proof="none",
        numeric="not_run",
        statement=claim.statement, section=claim.section, source=claim.source,
    )  # fmt: skip
    broken = _broken(row, rows, done)
    if broken:
        return replace(verdict, proof="not_applicable", numeric="not_applicable", message=broken)
    begin = time.perf_counter()
    measurement = _measure(claim, row.case)
    measured = time.perf_counter() - begin
    if claim.prove is None:
        verdict = replace(verdict, message=claim.why_no_proof)
    else:
        proved = prover.result(row)
        # A proof without a step has nothing to say: no closed form was found, say.
        verdict = replace(
            verdict, proof=proved.status, steps=proved.steps, seconds=proved.seconds, message=proved.message
        )
    verdict = verdict.with_measurement(measurement, measured)
    if loss is None or claim.settles not in loss.expects_to_fail or verdict.error:
        return verdict
    if verdict.wrong:
        return replace(
            verdict, proof="not_applicable", numeric="not_applicable",
            message=f"hypothesis {claim.settles} fails, as the family declares: {verdict.message}",
        )  # fmt: skip
    return replace(verdict, message=f"declared to fail, but holds: {verdict.message}")


def _broken(row: Row, rows: Sequence[Row], done: dict[int, Verdict]) -> str:
    """Which hypothesis of the claim fails for the loss or the rule; empty where none is known to."""
    if row.claim.any_rule and row.claim.needs_orbit and (open_orbits := _open_orbits(row.case.rule)):
        return f"hypothesis closed orbits at the edge fails for the rule: {open_orbits}"
    loss = row.case.loss
    if loss is None:
        return ""
    for hypothesis in row.claim.hypotheses:
        if hypothesis in loss.expects_to_fail:
            return f"hypothesis {hypothesis} fails (declared by the family)"
        checks = [other for other in rows if other.claim.settles == hypothesis and other.case.loss is loss]
        for other in checks:
            if other.index in done and done[other.index].wrong:
                found = done[other.index]
                how = "refuted by the proof" if found.proof == "refuted" else "inconsistent with the measurement"
                return f"hypothesis {hypothesis} fails ({how} of the claim {other.id})"
    return ""


def _open_orbits(rule: Rule) -> str:
    """What a rule does whose orbits at the edge do not close; empty for others, and where its law is not derived."""
    from sharpflow.theory.edge.edge_law import edge_law

    try:
        law = edge_law(rule)
    except (NoClosedForm, InputError):
        return ""
    return law.tracking if law.closes is False else ""


def _measure(claim: Claim, case: Case) -> Measurement:
    """The claim's measurement; what it lacks makes it inconclusive, an exception an error."""
    if claim.measure is None:
        return Measurement(Numeric.NOT_RUN, message=claim.why_no_measurement)
    try:
        return claim.measure(case)
    except (InputError, NoClosedForm) as reason:
        return Measurement(Numeric.INCONCLUSIVE, message=str(reason))
    except Exception as error:
        return Measurement(Numeric.ERROR, message=internal_error("measurement", error))
