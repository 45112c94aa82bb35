"""Verify every claim of the theory on losses: proofs, measurements, a table and a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sharpflow.terminal.arguments import add_seed, add_time_limit
from sharpflow.terminal.output import BUG, Output, add_json, make_folder
from sharpflow.terminal.progress import Line
from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import OF_PROOFS
from sharpflow.verification.kernel import share
from sharpflow.verification.text import head, line, remarks, summary

if TYPE_CHECKING:
    from sharpflow.claim import Verdict
    from sharpflow.verification.verification import Verification

__all__ = []


INTERRUPTED = 130
# Spellings of earlier versions.
RENAMED = {"--report": "--out"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The losses and claims, and the places to write to."""
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
    add_seed(parser, "random points")
    parser.add_argument(
        "--claims", metavar="FILE:NAME", action="append", default=[],
        help="a Claim of your own, file.py:attribute or module:attribute, beside the built-in ones (repeat for more)",
    )  # fmt: skip
    add_time_limit(parser, OF_PROOFS, "each proof, which is left undecided after that")
    parser.add_argument(
        "--kernel", action="store_true",
        help="hand each proved step to the kernel of Coq (needs coqc); its verdict is a column of its own",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="undecided or inconclusive makes the exit status 1")
    parser.add_argument("--fresh", action="store_true", help="prove anew what was proved before and kept")
    parser.add_argument("--out", metavar="DIR", help="write DIR/index.html, a page that needs nothing else")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where something was refuted, inconsistent or rejected by the kernel, 70 at a bug.

    With --strict 1 also where something was left open.
    """
    output = Output(arguments.json)
    folder = None if arguments.out is None else make_folder(arguments.out, "--out")

    from sharpflow.naming.specs import resolve_loss, resolve_rule
    from sharpflow.theory.loss import Loss
    from sharpflow.verification.own_claims import resolve_claim
    from sharpflow.verification.verification import verify

    losses = None
    if arguments.spec:
        losses = [resolve_loss(spec) for spec in arguments.spec]
        native = [loss.name for loss in losses if not isinstance(loss, Loss)]
        if native:
            raise InputError(f"{native[0]!r} is an Objective: verify proves, so it needs the formula of a Loss.")
    if arguments.rule is not None:
        resolve_rule(arguments.rule)
    rows = _Rows(output, arguments.kernel)
    result = verify(
        losses,  # type: ignore[arg-type]
        rule=arguments.rule, claims=arguments.claim, own=dict(map(resolve_claim, arguments.claims)),
        progress=rows.progress, judged=rows.judged, seed=arguments.seed,
        fresh=arguments.fresh, limit=arguments.time_limit, kernel=arguments.kernel,
    )  # fmt: skip
    rows.end(result)
    output.say(*remarks(result), *share(result.verdicts))
    bare = [loss.name for loss in losses or () if isinstance(loss, Loss) and loss.minima is None]
    if bare:
        output.say("", f"without minima, so that nothing is claimed of them, the flow and the edge: {', '.join(bare)}")
    output.write_json(result.to_json())
    try:
        if folder is not None:
            output.say(f"report: {_report(result, folder)}")
    finally:
        output.say(summary(result))
    if result.interrupted:
        return INTERRUPTED
    if result.errors:
        return BUG
    return 1 if result.wrong or (arguments.strict and result.open) else 0


def _report(result: Verification, folder: str) -> Path:
    """The page; without pictures where one of them cannot be drawn, which is told then."""
    from sharpflow.verification.pictures import pictures_for
    from sharpflow.verification.report import write_report

    try:
        pictures = pictures_for(result)
    except Exception:
        write_report(result, folder)
        raise
    return write_report(result, folder, pictures=pictures)


class _Rows:
    """The table: each row is printed as it is judged; below it, on a terminal, a line that says what is tried."""

    def __init__(self, output: Output, kernel: bool) -> None:
        self._output, self._line, self._printed, self._kernel = output, Line(), 0, kernel
        output.say(head(kernel))

    def progress(self, done: int, total: int, what: str) -> None:
        self._line.show(f"{done:4d}/{total} {what}")

    def judged(self, verdict: Verdict, several: bool) -> None:
        self._line.clear()
        self._printed += 1
        self._output.say(line(verdict, several, self._kernel))

    def end(self, result: Verification) -> None:
        """The rows that an interruption left behind one that was not judged."""
        self._line.clear()
        left = result.verdicts[self._printed :]
        self._output.say(*(line(v, len({o.rule for o in left if o.id == v.id}) > 1, self._kernel) for v in left))
