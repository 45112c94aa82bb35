"""Verdicts on statements kept on disk by content: a statement asked again is answered at once.

The question is the statement as it was read, with the assumptions on its symbols, the loss and the rule. Only what was
settled is kept, and what was left open without any limit running out; and only what took time.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import sympy as sp

from sharpflow.theory import keeping
from sharpflow.theory.fingerprint import exact_fingerprint
from sharpflow.theory.limits import OF_STATEMENTS, ran_out
from sharpflow.theory.proving.proof import Status, Step
from sharpflow.theory.statements.check import check
from sharpflow.theory.statements.names import Names
from sharpflow.theory.statements.statement import Checked, Statement
from sharpflow.theory.writing.nodes import NotWritten, from_nodes, to_nodes

__all__ = ["checked"]

# What takes less of the processor is as soon found as read.
SECONDS = 0.1
SHOWN = ("title", "relation", "status", "method", "seconds", "note", "second")


def checked(statement: Statement, names: Names, /, *, limit: float = OF_STATEMENTS) -> Checked:
    """The verdict of `check`, kept from before or kept for later."""
    question = [f"{sp.srepr(r.lhs)} {r.symbol} {sp.srepr(r.rhs)}" for r in (*statement.given, *statement.links)]
    prints = [exact_fingerprint(subject) for subject in (names.loss, names.rule) if subject is not None]
    entry = keeping.entry("statement", *prints, str(len(statement.given)), *question)
    kept = entry.read()
    if kept is not None:
        return _read(kept)
    before, begin = ran_out(), time.process_time()
    found = check(statement, names, limit=limit)
    settled = found.proof in (Status.PROVED, Status.REFUTED) or ran_out() == before
    if settled and time.process_time() - begin > SECONDS:
        with contextlib.suppress(NotWritten):
            entry.write(_written(found))
    return found


def _written(found: Checked) -> dict[str, Any]:
    steps = [_told(step) for step in found.steps]
    sides = None if found.sides is None else to_nodes(found.sides)
    return {**{k: v for k, v in vars(found).items() if k not in ("steps", "sides")}, "witness": dict(found.witness),
            "steps": steps, "sides": sides}  # fmt: skip


def _told(step: Step) -> dict[str, Any]:
    """The parts of a step that are shown, its sides as text."""
    lhs, rhs = (side if isinstance(side, str) else sp.sstr(side) for side in (step.lhs, step.rhs))
    return {name: getattr(step, name) for name in SHOWN} | {"lhs": lhs, "rhs": rhs, "witness": dict(step.witness)}


def _read(kept: dict[str, Any]) -> Checked:
    steps = tuple(Step(**{**step, "status": Status(step["status"])}) for step in kept["steps"])
    sides = None if kept["sides"] is None else from_nodes(kept["sides"])
    return Checked(**{**kept, "proof": Status(kept["proof"]), "steps": steps, "sides": sides})
