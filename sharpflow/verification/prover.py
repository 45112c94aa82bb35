"""Symbolic proofs of claims, on a core of their own while measurements run beside them.

A proof is a function of the loss, the rule and the program: what was proved once is kept on disk
(`sharpflow.theory.keeping`), and the process is started for the rest alone.
"""

from __future__ import annotations

import inspect
import queue
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from sharpflow import claim as claim_module
from sharpflow.claim import Case, Claim, StepView
from sharpflow.claims import _shared
from sharpflow.provenance import no_device
from sharpflow.theory import keeping
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import OF_PROOFS, TimeLimitExceeded, ran_out, time_limit
from sharpflow.theory.proving.proof import Proof, Step
from sharpflow.verification.kernel import judged, settled
from sharpflow.verification.worker import Row, Worker

__all__ = ["Proved", "Prover", "internal_error", "prove", "view"]


# Longer statements are cut in the views: nobody reads them, and a page of many would not load.
LONGEST = 1500


@dataclass(frozen=True)
class Proved:
    """The outcome: the status, views of the steps, and what to say where there is no proof.

    ``final``: whether a machine with more time would say the same.
    """

    status: str
    steps: tuple[StepView, ...] = ()
    message: str = ""
    seconds: float = 0.0
    final: bool = False

    def to_json(self) -> dict[str, Any]:
        """The part that is kept."""
        return {"status": self.status, "message": self.message, "steps": [asdict(step) for step in self.steps]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Proved:
        """Back from `to_json`; it took no time."""
        steps = [StepView(**{**step, "witness": tuple(map(tuple, step["witness"]))}) for step in content["steps"]]
        return cls(content["status"], tuple(steps), content["message"], final=True)


def kept(name: str, claim: Claim, loss: str | None, rule: str | None, kernel: str = "") -> keeping.Entry:
    """The entry of a claim's proof for a loss and a rule, given by their fingerprints, and for a version of Coq."""
    makers: tuple[Any, ...] = (claim.prove, _shared, claim_module, prove, judged)
    sources = {inspect.getsourcefile(maker) for maker in makers}
    asked = (loss, rule, kernel) if kernel else (loss, rule)
    return keeping.entry(f"proof-{name}", *asked, sources=tuple(sorted(filter(None, sources))))


def prove(claim: Any, case: Case, limit: float = OF_PROOFS, kernel: bool = False) -> Proved:
    """The claim's proof for a case under a time limit; what it lacks makes it undecided, an exception an error.

    With ``kernel`` each proved step is handed to the kernel of Coq as well, outside the time limit.
    """
    begin = time.perf_counter()

    def done(status: str, message: str = "", steps: tuple[StepView, ...] = (), final: bool = False) -> Proved:
        return Proved(status, steps, message, time.perf_counter() - begin, final)

    try:
        with time_limit(limit):
            proof: Proof = claim.prove(case)
            steps = tuple(view(step) for step in proof.steps)
        if kernel:
            steps = judged(proof, steps)
    except TimeLimitExceeded:
        return done("undecided", f"the proof was given up after {limit:g} s of processor time")
    except (NoClosedForm, InputError) as reason:
        return done("undecided", str(reason), final=not ran_out())
    except Exception as error:
        return done("error", internal_error("proof", error))
    failed = proof.failed()
    message = "" if not failed else f"{failed[0].title}: {failed[0].status.value}{_witness(failed[0])}"
    # What is left open, or not found, after a limit ran out might be closed on a machine that is less busy.
    final = (proof.status in ("proved", "refuted") or not ran_out()) and settled(steps)
    return done(proof.status.value, message, steps, final)


def internal_error(where: str, error: Exception, /) -> str:
    """The message of an exception that none of the user's lines raised, with its traceback.

    Raises:
        InputError: JAX was asked for a device that is not there.
    """
    if reason := no_device():
        raise InputError(reason)
    lines = "".join(traceback.format_exception(error)).rstrip()
    return f"internal error in the {where}: {type(error).__name__}: {error}\n{lines}"


def _witness(step: Step) -> str:
    if not step.witness:
        return f" ({step.method})" if step.method else ""
    return " at " + ", ".join(f"{name} = {value}" for name, value in step.witness.items())


def view(step: Step, /) -> StepView:
    """A step as text, LaTeX and MathML."""
    from sharpflow.theory.writing.notation import mathml, step_latex

    statement = step.statement
    if len(statement) > LONGEST:
        short = f"an equation of {len(statement)} characters"
        latex, math = rf"\text{{{short}}}", f"<mtext>{short}</mtext>"
        statement = statement[:LONGEST] + " ..."
    else:
        relation = {"=": "=", ">": "&gt;", ">=": "&#8805;", "<=": "&#8804;"}[step.relation]
        latex = step_latex(step)
        math = f"<mrow>{mathml(step.lhs)}<mo>{relation}</mo>{mathml(step.rhs)}</mrow>"
    residual = "" if step.status == "proved" or step.residual is None else str(step.residual)[:LONGEST]
    return StepView(
        title=step.title, statement=statement, latex=latex, mathml=math, status=step.status.value, method=step.method,
        note=step.note, residual=residual, witness=tuple(step.witness.items()), seconds=step.seconds,
    )  # fmt: skip


def _answer(claim: Claim, case: Callable[[], Case], limit: float, kernel: bool) -> Proved:
    """In the process that proves."""
    try:
        return prove(claim, case(), limit, kernel)
    except InputError as error:
        return Proved("undecided", message=str(error))


class Prover:
    """The proving process, what it has answered so far, and what was kept of earlier runs.

    ``kernel``: the version of Coq that judges the proofs as well; empty for none.

    Proofs that cannot be handed over (a rule made at run time has no name) are made here, when they are asked for.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        limit: float = OF_PROOFS,
        inbox: queue.Queue[Worker] | None = None,
        /,
        kernel: str = "",
    ) -> None:
        self._limit, self._kernel = limit, bool(kernel)
        self._known: dict[int, Proved] = {}
        self._entries = dict(_entries(rows, kernel))
        for index, entry in self._entries.items():
            if (content := entry.read()) is not None:
                self._known[index] = Proved.from_json(content)
        left = [row.task for row in rows if row.rule is not None and row.index not in self._known]
        self._inbox: queue.Queue[Worker] = queue.Queue() if inbox is None else inbox
        self._worker = Worker(partial(_answer, limit=limit, kernel=self._kernel), left, self._inbox)

    def has(self, row: Row, /) -> bool:
        """True where `result` need not wait for the process."""
        index = row.index
        return index in self._known or not self._worker.takes(index) or self._worker.has(index)

    def result(self, row: Row, /) -> Proved:
        """The proof of a row; waits for it."""
        while not self.has(row):
            self._inbox.get()
        if row.index not in self._known:
            if not self._worker.takes(row.index):
                proved = prove(row.claim, row.case, self._limit, self._kernel)
            elif row.index in self._worker.answers:
                proved = self._worker.answers[row.index]
            else:
                return Proved("error", message=f"the proving process ended early ({self._worker.end})")
            self._learn(row.index, proved)
        return self._known[row.index]

    def _learn(self, index: int, proved: Proved) -> None:
        self._known[index] = proved
        if proved.final and index in self._entries:
            self._entries[index].write(proved.to_json())

    def close(self) -> None:
        """End the process, whether it is done or not; what it proved and nobody asked for yet is kept."""
        self._worker.close()
        for index, found in self._worker.answers.items():
            if index not in self._known and isinstance(found, Proved):
                self._learn(index, found)


def _entries(rows: Sequence[Row], kernel: str) -> Iterator[tuple[int, keeping.Entry]]:
    from sharpflow import claims
    from sharpflow.theory.fingerprint import exact_fingerprint

    prints: dict[int, str | None] = {}
    # Not of a claim of the user's, whose file may import others that an entry would know nothing of.
    for row in (row for row in rows if row.id in claims.names()):
        for subject in (row.case.loss, row.case.rule):
            if id(subject) not in prints:
                prints[id(subject)] = exact_fingerprint(subject)
        yield row.index, kept(row.id, row.claim, prints[id(row.case.loss)], prints[id(row.case.rule)], kernel)
