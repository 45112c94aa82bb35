"""The process that proves: symbolic proofs run here, on a core of their own, while the main process measures.

`main` reads one pickled list of `Task` from standard input and writes one pickled `Proved`
for each to
standard output as it is done. It is a process of its own, not a fork: a script that verifies needs no guard around
its main part.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpflow.claim import Case, Claim, StepView
from sharpflow.provenance import no_device
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.proof import Proof, Step

if TYPE_CHECKING:
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["LIMIT", "Proved", "Prover", "Row", "Task", "internal_error", "prove", "view"]


# Ten times what the slowest claim of a built-in loss takes: a loss of a user's own may be harder.
LIMIT = 30.0
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
    """What came of it: the status, views of the steps, and what to say where there is no proof."""

    index: int
    status: str
    steps: tuple[StepView, ...] = ()
    message: str = ""
    seconds: float = 0.0


def prove(index: int, claim: Any, case: Case, limit: float = LIMIT) -> Proved:
    """The claim's proof for a case under a time limit; what it lacks makes it undecided, an exception an error."""
    begin = time.perf_counter()

    def done(status: str, message: str = "", steps: tuple[StepView, ...] = ()) -> Proved:
        return Proved(index, status, steps, message, time.perf_counter() - begin)

    try:
        with time_limit(limit):
            proof: Proof = claim.prove(case)
            steps = tuple(view(step) for step in proof.steps)
    except TimeLimitExceeded:
        return done("undecided", f"the proof was given up after {limit:g} s")
    except (NoClosedForm, InputError) as reason:
        return done("undecided", str(reason))
    except Exception as error:
        return done("error", internal_error("proof", error))
    failed = proof.failed()
    message = "" if not failed else f"{failed[0].title}: {failed[0].status.value}{_witness(failed[0])}"
    return done(proof.status.value, message, steps)


def internal_error(where: str, error: Exception, /) -> str:
    """What to say of an exception that none of the user's lines raised, with its traceback.

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
    from sharpflow import claims

    # Whatever prints must not get between the results.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: list[Task] = pickle.load(sys.stdin.buffer)
    cases: dict[Any, Case] = {}
    rules: dict[str, Rule] = {}
    for task in tasks:
        try:
            done = prove(task.index, claims.get(task.claim), _case(cases, rules, task))
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
    """The proving process and what it has answered so far.

    Proofs that cannot be handed over (a rule made at run time has no name) are made here, when they are asked for.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        from sharpflow.verification.prover import Task

        self._answers: queue.Queue[Any] = queue.Queue()
        self._known: dict[int, Proved] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: set[int] = set()
        self._end = ""
        tasks = [Task(row.index, row.id, row.case.loss, row.rule) for row in rows if row.rule is not None]
        try:
            message = pickle.dumps(tasks)
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

    def result(self, row: Row) -> Proved:
        """The proof of a row; waits for it."""
        from sharpflow.verification.prover import Proved, prove

        if row.index not in self._sent:
            return prove(row.index, row.claim, row.case)
        while row.index not in self._known:
            if self._end:
                return Proved(row.index, "error", message=self._end)
            answer = self._answers.get()
            if isinstance(answer, str):
                assert self._process is not None
                self._process.kill()
                self._end = f"the proving process ended early ({answer}, exit status {self._process.wait()})"
            else:
                self._known[answer.index] = answer
        return self._known[row.index]

    def close(self) -> None:
        """End the process, whether it is done or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
