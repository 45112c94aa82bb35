"""Verify every claim of the theory on losses: proofs, measurements, a table and a report."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from sharpflow.terminal.output import BUG, Output, add_json
from sharpflow.theory.errors import InputError
from sharpflow.verification.text import head, line, remarks, summary

if TYPE_CHECKING:
    from sharpflow.claim import Verdict
    from sharpflow.verification.verification import Verification

__all__ = []


INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to verify, and what to write."""
    parser.add_argument(
        "spec",
        metavar="SPEC",
        nargs="*",
        help="losses: built-in families, file.py:attribute, module:attribute, or text; default: every family",
    )
    parser.add_argument("--rule", help="another update rule, named as SPEC is, for the claims that hold for any")
    parser.add_argument(
        "--claim",
        metavar="NAME",
        action="append",
        help="this claim only (repeat for more); see `sharpflow list claims`",
    )
    parser.add_argument("--seed", type=int, default=0, help="of random points; default: %(default)s")
    parser.add_argument("--strict", action="store_true", help="undecided or inconclusive makes the exit status 1")
    parser.add_argument("--fresh", action="store_true", help="prove anew what was proved before and kept")
    parser.add_argument("--report", metavar="DIR", help="write DIR/index.html, a page that needs nothing else")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where something was refuted or inconsistent (with --strict also where something was left open), 70 at a bug."""
    output = Output(arguments.json)
    folder = None if arguments.report is None else _folder(arguments.report)

    from sharpflow.naming.specs import resolve_loss, resolve_rule
    from sharpflow.theory.loss import Loss
    from sharpflow.verification.verification import verify

    losses = None
    if arguments.spec:
        losses = [resolve_loss(spec) for spec in arguments.spec]
        native = [loss.name for loss in losses if not isinstance(loss, Loss)]
        if native:
            raise InputError(f"{native[0]!r} is an Objective: verify proves, so it needs the formula of a Loss.")
    if arguments.rule is not None:
        resolve_rule(arguments.rule)
    rows = _Rows(output)
    result = verify(
        losses,  # type: ignore[arg-type]
        rule=arguments.rule, claims=arguments.claim, progress=rows.progress, judged=rows.judged, seed=arguments.seed,
        fresh=arguments.fresh,
    )  # fmt: skip
    rows.end(result)
    output.say(*remarks(result))
    bare = [loss.name for loss in losses or () if isinstance(loss, Loss) and loss.minima is None]
    if bare:
        output.say("", f"without minima, so that nothing is claimed of them, the flow and the edge: {', '.join(bare)}")
    output.write_json(result.to_json())
    if folder is not None:
        from sharpflow.verification.report import write_report

        output.say(f"report: {write_report(result, folder, pictures=_pictures(result))}")
    output.say(summary(result))
    if result.interrupted:
        return INTERRUPTED
    if result.errors:
        return BUG
    return 1 if result.wrong or (arguments.strict and result.open) else 0


def _pictures(result: Verification) -> Any:
    """Pictures for the report, where the module that draws them is there."""
    if importlib.util.find_spec("sharpflow.verification.pictures") is None:
        return ()
    from sharpflow.verification.pictures import pictures_for

    return pictures_for(result)


def _folder(path: str) -> str:
    """``path`` as a folder that can be written to, made if it is not there."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"--report: {path!r} cannot be made a folder: {error.strerror}. Give another.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"--report: the folder {path!r} cannot be written to; give another.")
    return path


class _Rows:
    """The table: each row is printed as it is judged; below it, on a terminal, a line that says what is tried."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._terminal = sys.stderr.isatty()
        self._printed = 0
        output.say(head())

    def progress(self, done: int, total: int, what: str) -> None:
        if self._terminal:
            print(f"\r\033[K{done:4d}/{total} {what}"[:110], end="", file=sys.stderr, flush=True)

    def judged(self, verdict: Verdict, several: bool) -> None:
        self._clear()
        self._printed += 1
        self._output.say(line(verdict, several))

    def end(self, result: Verification) -> None:
        """The rows that an interruption left behind one that was not judged."""
        self._clear()
        left = result.verdicts[self._printed :]
        self._output.say(*(line(v, len({o.rule for o in left if o.id == v.id}) > 1) for v in left))

    def _clear(self) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
