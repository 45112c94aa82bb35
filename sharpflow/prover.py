"""The process that proves: symbolic proofs run here, on a core of their own, while the main process measures.

`main` reads one pickled list of `Task` from standard input and writes one pickled `Proved`
for each to
standard output as it is done. It is a process of its own, not a fork: a script that verifies needs no guard around
its main part.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sharpflow.claim import Case, StepView
from theory.errors import InputError, NoClosedForm
from theory.limits import TimeLimitExceeded, time_limit
from theory.proof import Proof, Step

if TYPE_CHECKING:
    from theory.loss import Loss
    from theory.rule import Rule

__all__ = ["LIMIT", "Proved", "Task", "prove", "view"]

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
    """The claim's proof for a case under a time limit; what goes wrong becomes an undecided verdict that says so."""
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
        return done("undecided", f"internal error in the proof: {type(error).__name__}: {error}")
    failed = proof.failed()
    message = "" if not failed else f"{failed[0].title}: {failed[0].status.value}{_witness(failed[0])}"
    return done(proof.status.value, message, steps)


def _witness(step: Step) -> str:
    if not step.witness:
        return f" ({step.method})" if step.method else ""
    return " at " + ", ".join(f"{name} = {value}" for name, value in step.witness.items())


def view(step: Step, /) -> StepView:
    """A step as text, LaTeX and MathML."""
    from theory.notation import mathml

    statement = step.statement
    if len(statement) > LONGEST:
        short = f"an equation of {len(statement)} characters"
        latex, math = rf"\text{{{short}}}", f"<mtext>{short}</mtext>"
        statement = statement[:LONGEST] + " ..."
    else:
        relation = {"=": "=", ">": "&gt;", ">=": "&#8805;", "<=": "&#8804;"}[step.relation]
        latex = step.latex
        math = f"<mrow>{mathml(step.lhs)}<mo>{relation}</mo>{mathml(step.rhs)}</mrow>"
    residual = "" if step.status == "proved" or step.residual is None else str(step.residual)[:LONGEST]
    return StepView(
        title=step.title, statement=statement, latex=latex, mathml=math, status=step.status.value, method=step.method,
        note=step.note, residual=residual, witness=tuple(step.witness.items()), seconds=step.seconds,
    )  # fmt: skip


def _case(cases: dict[Any, Case], rules: dict[str, Rule], task: Task) -> Case:
    from sharpflow.specs import resolve_rule

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
