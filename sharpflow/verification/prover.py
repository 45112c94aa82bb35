"""The process that proves: symbolic proofs run here, on a core of their own, while the main process measures.

`main` reads one pickled list of `Task` from standard input and writes one pickled `Proved` for each to standard output
as it is done. It is a process of its own, not a fork: a script that verifies needs no guard around its main part.

A proof is a function of the loss, the rule and the program: what was proved once is kept on disk
(`sharpflow.theory.keeping`), and the process is started for the rest alone.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sharpflow import claim as claim_module
from sharpflow.claim import Case, Claim, StepView
from sharpflow.claims import _shared
from sharpflow.provenance import no_device
from sharpflow.theory import keeping
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import OF_PROOFS, TimeLimitExceeded, ran_out, time_limit
from sharpflow.theory.proving.proof import Proof, Step

if TYPE_CHECKING:
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["Proved", "Prover", "Row", "Task", "internal_error", "prove", "view"]


# Longer statements are cut in the views: nobody reads them, and a page of many would not load.
LONGEST = 1500


@dataclass(frozen=True)
class Task:
    """One proof to make: a claim by name, a loss, and a rule by the text that names it."""

    index: int
    claim: str
    loss: Loss | None
    rule: str


@dataclass(frozen=True)
class Proved:
    """The outcome of a task: the status, views of the steps, and what to say where there is no proof.

    ``final``: whether a machine with more time would say the same.
    """

    index: int
    status: str
    steps: tuple[StepView, ...] = ()
    message: str = ""
    seconds: float = 0.0
    final: bool = False

    def to_json(self) -> dict[str, Any]:
        """The part that is kept."""
        return {"status": self.status, "message": self.message, "steps": [asdict(step) for step in self.steps]}

    @classmethod
    def from_json(cls, index: int, content: dict[str, Any]) -> Proved:
        """Back from `to_json`; it took no time."""
        steps = [StepView(**{**step, "witness": tuple(map(tuple, step["witness"]))}) for step in content["steps"]]
        return cls(index, content["status"], tuple(steps), content["message"], final=True)


def kept(name: str, claim: Claim, loss: str | None, rule: str | None) -> keeping.Entry:
    """The entry of a claim's proof for a loss and a rule, given by their fingerprints."""
    makers: tuple[Any, ...] = (claim.prove, _shared, claim_module, prove)
    sources = {inspect.getsourcefile(maker) for maker in makers}
    return keeping.entry(f"proof-{name}", loss, rule, sources=tuple(sorted(filter(None, sources))))


def prove(index: int, claim: Any, case: Case, limit: float = OF_PROOFS) -> Proved:
    """The claim's proof for a case under a time limit; what it lacks makes it undecided, an exception an error."""
    begin = time.perf_counter()

    def done(status: str, message: str = "", steps: tuple[StepView, ...] = (), final: bool = False) -> Proved:
        return Proved(index, status, steps, message, time.perf_counter() - begin, final)

    try:
        with time_limit(limit):
            proof: Proof = claim.prove(case)
            steps = tuple(view(step) for step in proof.steps)
    except TimeLimitExceeded:
        return done("undecided", f"the proof was given up after {limit:g} s of processor time")
    except (NoClosedForm, InputError) as reason:
        return done("undecided", str(reason), final=not ran_out())
    except Exception as error:
        return done("error", internal_error("proof", error))
    failed = proof.failed()
    message = "" if not failed else f"{failed[0].title}: {failed[0].status.value}{_witness(failed[0])}"
    # What is left open, or not found, after a limit ran out might be closed on a machine that is less busy.
    return done(proof.status.value, message, steps, proof.status in ("proved", "refuted") or not ran_out())


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


def _case(cases: dict[Any, Case], rules: dict[str, Rule], task: Task) -> Case:
    from sharpflow.naming.specs import resolve_rule

    if task.rule not in rules:
        rules[task.rule] = resolve_rule(task.rule)
    key = (task.loss, task.rule)
    if key not in cases:
        cases[key] = Case(task.loss, rules[task.rule])
    return cases[key]


def main() -> None:
    """Read the tasks, prove them in order, write each result at once."""
    # Whatever prints must not get between the results.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: list[Task]
    fresh, limit, tasks = pickle.load(sys.stdin.buffer)
    with keeping.ignored(fresh):
        _prove_all(tasks, results, limit)


def _prove_all(tasks: Sequence[Task], results: BinaryIO, limit: float) -> None:
    from sharpflow import claims

    cases: dict[Any, Case] = {}
    rules: dict[str, Rule] = {}
    for task in tasks:
        try:
            done = prove(task.index, claims.get(task.claim), _case(cases, rules, task), limit)
        except InputError as error:
            done = Proved(task.index, "undecided", message=str(error))
        pickle.dump(done, results)
        results.flush()


@dataclass(frozen=True)
class Row:
    """One verdict that is asked for: a claim on a loss, with a rule."""

    index: int
    id: str
    claim: Claim
    case: Case
    rule: str | None


def _path() -> list[str]:
    """As here, but the working directory last: a file there may be named as one of Python's own or of a package's."""
    home, here = str(Path(__file__).parents[2]), os.getcwd()
    folders = [folder or here for folder in dict.fromkeys(sys.path)]
    first = [folder for folder in folders if folder != here or here == home]
    return list(dict.fromkeys([*first, *folders]))


class Prover:
    """The proving process, what it has answered so far, and what was kept of earlier runs.

    Proofs that cannot be handed over (a rule made at run time has no name) are made here, when they are asked for.
    """

    def __init__(self, rows: Sequence[Row], limit: float = OF_PROOFS) -> None:
        self._limit = limit
        self._answers: queue.Queue[Any] = queue.Queue()
        self._known: dict[int, Proved] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: set[int] = set()
        self._end = ""
        self._entries = dict(_entries(rows))
        for index, entry in self._entries.items():
            if (content := entry.read()) is not None:
                self._known[index] = Proved.from_json(index, content)
        tasks = [
            Task(row.index, row.id, row.case.loss, row.rule)
            for row in rows
            if row.rule is not None and row.index not in self._known
        ]
        try:
            message = pickle.dumps((keeping.ignoring(), limit, tasks))
        except Exception:  # a loss with something in it that does not pickle is proved here
            return
        if not tasks:
            return
        self._sent = {task.index for task in tasks}
        self._process = subprocess.Popen(
            # -P: Python itself adds no folder to the path.
            [sys.executable, "-P", "-c", "from sharpflow.verification.prover import main; main()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_path())}, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._talk, args=(message,), daemon=True).start()

    def _talk(self, message: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(message)
            self._process.stdin.close()
            while True:
                self._answers.put(pickle.load(self._process.stdout))
        except Exception as end:  # whatever it is: whoever waits for an answer must hear of it
            self._answers.put(f"{type(end).__name__}: {end}")

    def has(self, row: Row) -> bool:
        """True where `result` need not wait for the process."""
        while not self._answers.empty():
            self.wait()
        return row.index in self._known or row.index not in self._sent or bool(self._end)

    def result(self, row: Row) -> Proved:
        """The proof of a row; waits for it."""
        while not self.has(row):
            self.wait()
        if row.index in self._sent and row.index not in self._known:
            return Proved(row.index, "error", message=self._end)
        if row.index not in self._known:
            self._learn(prove(row.index, row.claim, row.case, self._limit))
        return self._known[row.index]

    def wait(self) -> None:
        """Take the process's next answer."""
        answer = self._answers.get()
        if isinstance(answer, str):
            assert self._process is not None
            self._process.kill()
            self._end = f"the proving process ended early ({answer}, exit status {self._process.wait()})"
        else:
            self._learn(answer)

    def _learn(self, proved: Proved) -> None:
        self._known[proved.index] = proved
        if proved.final and proved.index in self._entries:
            self._entries[proved.index].write(proved.to_json())

    def close(self) -> None:
        """End the process, whether it is done or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _entries(rows: Sequence[Row]) -> Iterator[tuple[int, keeping.Entry]]:
    from sharpflow import claims
    from sharpflow.theory.fingerprint import exact_fingerprint

    prints: dict[int, str | None] = {}
    # Not of a claim of the user's, whose file may import others that an entry would know nothing of.
    for row in (row for row in rows if row.id in claims.names()):
        for subject in (row.case.loss, row.case.rule):
            if id(subject) not in prints:
                prints[id(subject)] = exact_fingerprint(subject)
        yield row.index, kept(row.id, row.claim, prints[id(row.case.loss)], prints[id(row.case.rule)])
