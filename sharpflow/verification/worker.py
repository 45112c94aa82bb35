"""A process of its own that answers tasks one after the other: proofs, or measurements, on another core.

`main` reads one pickled (function, whether to ignore what is kept, tasks) from standard input and writes one pickled
(index, answer) for each task to standard output as it is done. It is a process of its own, not a fork: a script that
verifies needs no guard around its main part.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharpflow.claim import Case, Claim
from sharpflow.theory import keeping
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from sharpflow.theory.loss import Loss

__all__ = ["GENERIC", "Row", "Task", "Worker"]


# The name of no loss: that of claims about every loss.
GENERIC = "generic"


@dataclass(frozen=True)
class Row:
    """One verdict that is asked for: a claim on a loss, with a rule.

    Attributes:
        rule: the text that names the rule; ``None`` where another process cannot find claim or rule by name.
    """

    index: int
    id: str
    claim: Claim
    case: Case
    rule: str | None

    @property
    def loss(self) -> str:
        """The name of the loss, or `GENERIC`."""
        return GENERIC if self.case.loss is None else self.case.loss.name

    @property
    def task(self) -> Task:
        """The row for another process."""
        assert self.rule is not None
        return Task(self.index, self.id, self.case.loss, self.rule, self.case.seed)


@dataclass(frozen=True)
class Task:
    """One proof or measurement to make: a claim by name, a loss, and a rule by the text that names it."""

    index: int
    claim: str
    loss: Loss | None
    rule: str
    seed: int = 0


class Worker:
    """One process, and what it has answered so far.

    Args:
        answer: (claim, function that makes the case) -> the answer; a function of a module, pickled by its name.
        tasks: in the order in which they are answered. An `InputError` (JAX has no device, say) is an answer, too, and
            raised by `has`.
        inbox: where this worker is put whenever it has an answer: what waits for one of several has one place to wait.

    Attributes:
        answers: index of a task -> its answer.
        end: why the process ended before its last answer; empty as long as it did not.
    """

    def __init__(
        self, answer: Callable[[Claim, Callable[[], Case]], Any], tasks: Sequence[Task], inbox: queue.Queue[Worker], /
    ) -> None:
        self.answers: dict[int, Any] = {}
        self.end = ""
        self._inbox, self._come = inbox, queue.Queue[Any]()
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: frozenset[int] = frozenset()
        try:
            message = pickle.dumps((answer, keeping.ignoring(), tuple(tasks)))
        except Exception:  # a loss with something in it that does not pickle stays here
            return
        if not tasks:
            return
        self._sent = frozenset(task.index for task in tasks)
        self._process = subprocess.Popen(
            # -P: Python itself adds no folder to the path.
            [sys.executable, "-P", "-c", "from sharpflow.verification.worker import main; main()"],
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
                self._tell(pickle.load(self._process.stdout))
        except Exception as end:  # whatever it is: whoever waits for an answer must hear of it
            self._tell(f"{type(end).__name__}: {end}")

    def _tell(self, answer: Any) -> None:
        self._come.put(answer)
        self._inbox.put(self)

    def takes(self, index: int, /) -> bool:
        """True where the process was asked for this task."""
        return index in self._sent

    def has(self, index: int, /) -> bool:
        """True where `answers` holds this task, or the process has ended without it."""
        self._take_all()
        if isinstance(error := self.answers.get(index), InputError):
            raise error
        return index in self.answers or bool(self.end)

    def _take_all(self) -> None:
        while not self._come.empty():
            answer = self._come.get()
            if isinstance(answer, str):
                assert self._process is not None
                self._process.kill()
                self.end = f"{answer}, exit status {self._process.wait()}"
            else:
                self.answers[answer[0]] = answer[1]

    def close(self) -> None:
        """End the process, whether it is done or not; `answers` then holds all that have come."""
        self._take_all()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _path() -> list[str]:
    """As here, but the working directory last: a file there may be named as one of Python's own or of a package's."""
    home, here = str(Path(__file__).parents[2]), os.getcwd()
    folders = [folder or here for folder in dict.fromkeys(sys.path)]
    first = [folder for folder in folders if folder != here or here == home]
    return list(dict.fromkeys([*first, *folders]))


def main() -> None:
    """Read the tasks, answer them in order, write each answer at once."""
    from sharpflow import claims

    # Whatever prints must not get between the answers.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answer, fresh, tasks = pickle.load(sys.stdin.buffer)
    cases: dict[Any, Case] = {}
    with keeping.ignored(fresh):
        for task in tasks:
            try:
                found = answer(claims.get(task.claim), lambda task=task: _case(cases, task))
            except InputError as error:
                found = error
            pickle.dump((task.index, found), results)
            results.flush()


def _case(cases: dict[Any, Case], task: Task) -> Case:
    """The case of a task, made once for all tasks that share it."""
    from sharpflow.naming.specs import resolve_rule

    key = (task.loss, task.rule)
    if key not in cases:
        rule = next((case.rule for (_, name), case in cases.items() if name == task.rule), None)
        cases[key] = Case(task.loss, rule or resolve_rule(task.rule), seed=task.seed)
    return cases[key]
