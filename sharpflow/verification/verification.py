"""From claims to verdicts: every claim on every loss, proofs in one process and measurements in the other."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sharpflow.claim import Case, Claim, Measurement, Verdict
from sharpflow.numerics.numbers import check_seed
from sharpflow.provenance import environment
from sharpflow.theory import keeping
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import OF_PROOFS
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.verification.kernel import require_coqc
from sharpflow.verification.measurer import Measurer, measure
from sharpflow.verification.prover import Prover
from sharpflow.verification.worker import Row, Worker

if TYPE_CHECKING:
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["Verification", "verify"]


SECTIONS = ("scale invariance", "reduction", "edge", "minima", "flow", "schedules", "noise", "regression")


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
    own: Mapping[str, Claim] | None = None, progress: Callable[[int, int, str], None] | None = None,
    judged: Callable[[Verdict, bool], None] | None = None, seed: int = 0, fresh: bool = False,
    limit: float = OF_PROOFS, kernel: bool = False,
) -> Verification:  # fmt: skip
    """Every claim on every loss it is about: a proof where there is one, and a measurement by an independent path.

    Args:
        losses: default: every built-in family.
        rule: another smooth rule, for the claims that hold for any; default: each claim's own.
        claims: their names; default: all.
        own: claims of the caller's, by names of their own, beside the built-in ones.
        progress: called with (verdicts done, verdicts in all, what is being done), before a measurement and after a
            verdict.
        judged: called with each verdict, in the order of the table, as soon as it and those before it are there; and
            with whether its claim is tried under several rules.
        seed: of random points.
        fresh: prove everything anew, also what was proved before and kept on disk. Measurements always are made anew.
        limit: processor seconds for each proof, which is left undecided after that.
        kernel: hand each proved step to the kernel of Coq as well, whose verdict is a column of its own.

    Raises:
        InputError: there is no such claim or rule; with ``kernel``, there is no coqc.
    """
    check_seed(seed)
    version = require_coqc() if kernel else ""
    begin = time.perf_counter()
    rows = _rows(losses, rule, claims, seed, own or {})
    done: dict[int, Verdict] = {}
    interrupted = False
    with keeping.ignored(fresh):
        rows_at_work = sorted(rows, key=_work_order)
        # Laws of rules that no other claim asks for first: measurements read them where they are kept.
        proofs = [row for row in sorted(rows, key=_proof_order) if row.claim.prove is not None and not _declared(row)]
        inbox: queue.Queue[Worker] = queue.Queue()
        prover = Prover(proofs, limit, inbox, kernel=version)
        measurer = Measurer([row for row in rows_at_work if _known_to_hold(row)], inbox)
        try:
            shown = _shown(rows, judged)
            for row, verdict in _judge_all(rows, done, prover, measurer, inbox, progress):
                done[row.index] = verdict
                shown(done)
                if progress is not None:
                    progress(len(done), len(rows), f"{row.id} on {row.loss}")
        except KeyboardInterrupt:
            interrupted = True
        finally:
            prover.close()
            measurer.close()
    verdicts = tuple(done[row.index] for row in sorted(rows, key=_reading_order) if row.index in done)
    cases = tuple(dict.fromkeys(row.case for row in rows if row.index in done))
    return Verification(verdicts, time.perf_counter() - begin, environment(), interrupted, cases)


def _judge_all(
    rows: Sequence[Row], done: Mapping[int, Verdict], prover: Prover, measurer: Measurer, inbox: queue.Queue[Worker],
    progress: Callable[[int, int, str], None] | None,
) -> Iterator[tuple[Row, Verdict]]:  # fmt: skip
    """Each row with its verdict, as it is reached.

    Nothing is measured here before its hypotheses are looked at, and no measurement waits for the proof of another row.
    """
    waiting, away = sorted(rows, key=_work_order), list[Row]()
    measured: list[tuple[Row, Measurement, float]] = []
    checks = {row.index: _checks(row, rows) for row in rows}
    while waiting or away or measured:
        for there in [row for row in away if measurer.has(row)]:
            away.remove(there)
            measured.append((there, *measurer.result(there)))
        for each in [each for each in measured if prover.has(each[0])]:
            measured.remove(each)
            yield each[0], _judge(*each, prover)
        ready = [row for row in waiting if all(check.index in done for check in checks[row.index])]
        # What is measured elsewhere takes no time here, and what is proved can be shown at once.
        row = next((row for row in ready if measurer.takes(row)), None)
        row = row or next((row for row in ready if prover.has(row)), ready[0] if ready else None)
        if row is None:
            if away or measured:
                inbox.get()
            continue
        waiting.remove(row)
        if broken := _broken(row, checks[row.index], done):
            yield row, replace(_blank(row), proof="not_applicable", numeric="not_applicable", message=broken)
        elif measurer.takes(row):
            away.append(row)
        else:
            if progress is not None:
                progress(len(done), len(rows), f"{row.id} on {row.loss}")
            measured.append((row, *measure(row.claim, partial(getattr, row, "case"))))


def _shown(
    rows: Sequence[Row], judged: Callable[[Verdict, bool], None] | None
) -> Callable[[Mapping[int, Verdict]], None]:
    """A function that hands on those verdicts that are there up to the first in the table that is not."""
    ahead = sorted(rows, key=_reading_order, reverse=True)
    rules: dict[str, set[str]] = {}
    for row in rows:
        rules.setdefault(row.id, set()).add(row.case.rule.name)

    def shown(done: Mapping[int, Verdict]) -> None:
        while judged is not None and ahead and ahead[-1].index in done:
            row = ahead.pop()
            judged(done[row.index], len(rules[row.id]) > 1)

    return shown


def _rows(losses: Sequence[Loss] | None, rule: Rule | str | None, names: Sequence[str] | None, seed: int,
          brought: Mapping[str, Claim]) -> list[Row]:  # fmt: skip
    from sharpflow import claims
    from sharpflow.naming.specs import resolve_rule
    from sharpflow.theory import families, rules

    chosen = list(claims.names()) if names is None else list(dict.fromkeys(names))
    found = {name: claims.get(name) for name in chosen} | dict(brought)
    subjects: list[Loss | None] = [None]
    subjects += [families.get(n).default() for n in families.names()] if losses is None else list(losses)
    other = resolve_rule(rule) if isinstance(rule, str) else rule
    spelled = rule if isinstance(rule, str) else None
    cases: dict[Any, Case] = {}
    rows: list[Row] = []
    for subject in subjects:
        for name, claim in found.items():
            if not claim.covers(subject):
                continue
            fits = other is not None and (claim.any_rule or other.name in claim.rules)
            for own in claim.rules_on(subject) if other is None else [None] if fits else []:
                used = rules.get(own) if own is not None else other
                assert used is not None
                key = (id(subject), used.name)
                case = cases.setdefault(key, Case(subject, used, seed=seed))
                text = own if own is not None else spelled or (used.name if used.name in rules.names() else None)
                # The process that proves knows the built-in claims only.
                rows.append(Row(len(rows), name, claim, case, None if name in brought else text))
    if not rows:
        raise InputError("no claim is about these losses and this rule; `sharpflow list claims` names them all.")
    return rows


def _known_to_hold(row: Row) -> bool:
    """True of built-in claims on built-in losses, where no hypothesis is declared to fail."""
    from sharpflow.theory import families

    loss = row.case.loss
    if row.rule is None or loss is None:
        return row.rule is not None
    return not _declared(row) and loss.name in families.names() and loss == families.get(loss.name).default()


def _declared(row: Row) -> str:
    """A hypothesis of the claim that the loss declares to fail; empty where there is none."""
    declared = () if row.case.loss is None else row.case.loss.expects_to_fail
    return next((hypothesis for hypothesis in row.claim.hypotheses if hypothesis in declared), "")


def _reading_order(row: Row) -> tuple[int, int, str, int]:
    """By section of the theory, what others stand on first; the rows of a claim stay together."""
    first = HYPOTHESES.index(row.claim.settles) if row.claim.settles else len(HYPOTHESES)
    return SECTIONS.index(row.claim.section), first, row.id, row.index


def _work_order(row: Row) -> tuple[bool, tuple[int, int, str, int]]:
    """As they are read, but what others stand on before all that happens at the edge."""
    order = _reading_order(row)
    return order[0] >= SECTIONS.index("edge") and not row.claim.settles, order


def _proof_order(row: Row) -> tuple[bool, bool, tuple[bool, tuple[int, int, str, int]]]:
    """As `_work_order`, but the laws of many rules before all else that happens at the edge."""
    order = _work_order(row)
    return order[0], not row.claim.others_on, order


def _blank(row: Row) -> Verdict:
    claim = row.claim
    return Verdict(
        id=row.id, title=claim.title, loss=row.loss, rule=row.case.rule.name, proof="none",
        numeric="not_run", statement=claim.statement, section=claim.section, source=claim.source,
    )  # fmt: skip


def _judge(row: Row, measurement: Measurement, seconds: float, prover: Prover) -> Verdict:
    verdict = _blank(row)
    if row.claim.prove is None:
        verdict = replace(verdict, message=row.claim.why_no_proof)
    else:
        proved = prover.result(row)
        # A proof without a step has nothing to say: no closed form was found, say.
        verdict = replace(
            verdict, proof=proved.status, steps=proved.steps, seconds=proved.seconds, message=proved.message
        )
    verdict = verdict.with_measurement(measurement, seconds)
    claim, loss = row.claim, row.case.loss
    if loss is None or claim.settles not in loss.expects_to_fail or verdict.error:
        return verdict
    if verdict.wrong:
        return replace(
            verdict, proof="not_applicable", numeric="not_applicable",
            message=f"hypothesis {claim.settles} fails, as the family declares: {verdict.message}",
        )  # fmt: skip
    return replace(verdict, message=f"declared to fail, but holds: {verdict.message}")


def _checks(row: Row, rows: Sequence[Row]) -> list[Row]:
    """The rows that check the hypotheses of a claim on its loss, and that it has to wait for."""
    loss = row.case.loss
    if loss is None:
        return []
    return [other for other in rows if other.case.loss is loss and other.claim.settles in row.claim.hypotheses]


def _broken(row: Row, checks: Sequence[Row], done: Mapping[int, Verdict]) -> str:
    """Which hypothesis of the claim fails for the loss or the rule; empty where none is known to."""
    if row.claim.any_rule and row.claim.needs_orbit and (open_orbits := _open_orbits(row.case.rule)):
        return f"hypothesis closed orbits at the edge fails for the rule: {open_orbits}"
    loss = row.case.loss
    if loss is None:
        return ""
    if declared := _declared(row):
        return f"hypothesis {declared} fails (declared by the family)"
    for hypothesis in row.claim.hypotheses:
        for other in checks:
            if other.claim.settles == hypothesis and done[other.index].wrong:
                how = (
                    "refuted by the proof"
                    if done[other.index].proof == "refuted"
                    else "inconsistent with the measurement"
                )
                return f"hypothesis {hypothesis} fails ({how} of the claim {other.id})"
    return ""


def _open_orbits(rule: Rule) -> str:
    """The tracking of a rule whose orbits at the edge do not close; empty for others, and where no law is derived."""
    from sharpflow.theory.edge.edge_law import edge_law

    try:
        law = edge_law(rule)
    except (NoClosedForm, InputError):
        return ""
    return law.tracking if law.closes is False else ""
