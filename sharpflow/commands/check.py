"""Check a loss or an update rule of your own: every check, with a counterexample where one fails."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sharpflow.terminal.arguments import add_seed, add_time_limit
from sharpflow.terminal.output import BUG, Output, add_json, make_folder, replacing, shortened, to_json
from sharpflow.terminal.progress import progress_line
from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import OF_CHECKS

if TYPE_CHECKING:
    from sharpflow.testing.result import CheckResult, Report

WRONG_INPUT, INTERRUPTED = 2, 130
# What every child imports, unless it is there already.
NEEDED = ("sharpflow.testing.running", "sharpflow.naming.specs", "sharpflow.numerics.objective")
# The beginning of a line that says that a picture failed.
UNDRAWN = "picture: a mistake of sharpflow itself in that of"
# Spellings of earlier versions.
RENAMED = {"--pictures": "--out"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subjects of the checks, and the places to write to."""
    parser.add_argument("spec", metavar="SPEC", nargs="*", help="losses: built-in, file.py:attribute, or text")
    parser.add_argument("--rule", metavar="RULE", action="append", default=[], help="an update rule (repeat for more)")
    parser.add_argument(
        "--check", metavar="NAME", action="append", help="this check only (repeat for more); --list names them"
    )
    parser.add_argument("--list", action="store_true", help="list the checks with their meaning, and end")
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="run every check on losses and rules that are wrong on purpose, and on right ones (some minutes)",
    )
    parser.add_argument("--output", metavar="FILE", help="with --self-test: write its table as Markdown to FILE")
    add_seed(parser, "random points")
    add_time_limit(parser, OF_CHECKS, "each check, which is inconclusive after that")
    parser.add_argument("--strict", action="store_true", help="an inconclusive check makes the exit status 1")
    parser.add_argument("--out", metavar="DIR", help="draw each counterexample to a file in DIR")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where a check failed; 2 where an input could not be read, after all others were checked; 70 at a bug."""
    output = Output(arguments.json, output=arguments.output)
    if arguments.list:
        return _list(output)
    if arguments.self_test:
        return _self_test(arguments.output, output)
    if arguments.output is not None:
        raise InputError("--output goes with --self-test; --json FILE writes the results of a check.")
    if not arguments.spec and not arguments.rule:
        raise InputError("name a loss (SPEC) or an update rule (--rule RULE) to check; --list names the checks.")
    if arguments.out is not None:
        make_folder(arguments.out, "--out")
    from sharpflow.naming.isolated import may_fork, preload

    reports: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    drawn: list[str] = []
    todo = [*(("loss", s) for s in arguments.spec), *(("rule", s) for s in arguments.rule)]
    check = _apart if may_fork() else _check
    if may_fork() and len(todo) > 1:
        preload(*NEEDED)
    interrupted = undrawn = False
    for about, spec in todo:
        with progress_line(spec) as progress:
            try:
                found = check(about, spec, arguments, drawn, lambda message: progress(message[1]))
            except InputError as error:
                # The rest of the run goes on: the others are no worse for it.
                print("sharpflow: error:", shortened(f"{spec}: {error}", [spec]), file=sys.stderr)
                errors.append({"spec": spec, "error": str(error)})
                continue
            except KeyboardInterrupt:
                interrupted = True
                break
        reports.append({"spec": spec, **found["report"]})
        output.say(*found["lines"])
        drawn += found["drawn"]
        undrawn |= any(line.startswith(UNDRAWN) for line in found["lines"])
        if interrupted := found["interrupted"]:
            break
    output.write_json({"reports": reports, "errors": errors})
    if interrupted:
        print("sharpflow: interrupted", file=sys.stderr)
        return INTERRUPTED
    if errors:
        return WRONG_INPUT
    wrong = any(not report["ok"] for report in reports)
    if undrawn or any(result["outcome"] == "error" for report in reports for result in report["checks"]):
        return BUG
    left = any(result["outcome"] == "inconclusive" for report in reports for result in report["checks"])
    return 1 if wrong or (arguments.strict and left) else 0


def _check(
    about: str, spec: str, arguments: argparse.Namespace, drawn: list[str], send: Callable[[Any], None]
) -> dict[str, Any]:
    """Everything that is done for one subject: its report and what to print, as plain data."""
    from sharpflow.testing.running import check_loss, check_rule

    def each(result: CheckResult) -> None:
        send(("result", result.check, pickle.dumps(_plain(result))))

    options: dict[str, Any] = {
        "checks": _chosen(arguments.check, about), "seed": arguments.seed, "each": each,
        "limit": arguments.time_limit,
        "progress": lambda name: send(("begins", name)),
    }  # fmt: skip
    report = check_loss(spec, **options) if about == "loss" else check_rule(spec, **options)
    lines = [*_variables(about, spec), str(report), ""]
    name = _name(report.subject, drawn)
    if arguments.out is not None:
        lines += _draw(report, spec, arguments.out, name)
    return {"report": json.loads(to_json(report.to_json())), "lines": lines, "drawn": [name], "interrupted": False}


def _apart(
    about: str, spec: str, arguments: argparse.Namespace, drawn: list[str], heard: Callable[[Any], None]
) -> dict[str, Any]:
    """The same in a process of its own; where that ends early, what it had done, and what became of the rest."""
    from sharpflow.naming.isolated import Ended, in_child

    begun: list[str] = []
    results: list[bytes] = []

    def hear(message: Any) -> None:
        if message[0] == "result":
            results.append(message[2])
        else:
            begun.append(message[1])
            heard(message)

    try:
        return in_child(lambda send: _check(about, spec, arguments, drawn, send), hear)
    except (Ended, KeyboardInterrupt) as end:
        if not begun:
            raise InputError(str(end)) if isinstance(end, Ended) else end from None
        from sharpflow.testing.check import Outcome, Trial
        from sharpflow.testing.result import Report

        left = Trial(Outcome.INCONCLUSIVE, str(end) or "interrupted")
        done = [pickle.loads(result) for result in results]
        subject = done[0].subject if done else spec
        for name in _chosen(arguments.check, about):
            if name not in [result.check for result in done]:
                trial = left
                if isinstance(end, Ended) and not end.hung and name == begun[-1]:
                    trial = replace(
                        left, outcome=Outcome.FAILED, advice="Let it raise an error where something is wrong."
                    )
                done.append(_unfinished(name, subject, trial))
        report = Report(subject, tuple(done))
        found = {"report": json.loads(to_json(report.to_json())), "lines": [str(report), ""], "drawn": []}
        return {**found, "interrupted": isinstance(end, KeyboardInterrupt)}


def _unfinished(name: str, subject: str, trial: Any) -> CheckResult:
    from sharpflow.testing import checks
    from sharpflow.testing.result import CheckResult

    check = checks.get(name)
    return CheckResult(name, subject, check.meaning, check.source, trial.advice or check.advice, trial, trial.outcome)


def _plain(result: CheckResult) -> CheckResult:
    """The same with arrays of NumPy and text, which any process can read."""
    import numpy as np

    def read(value: Any) -> Any:
        array = np.asarray(value)
        return array if array.dtype.kind in "biuf" else str(value)

    places = {name: read(value) for name, value in result.trial.counterexample.items()}
    return replace(result, trial=replace(result.trial, counterexample=places))


def _variables(about: str, spec: str) -> list[str]:
    """Of a loss that is text: a misspelt one is a variable more, and nothing else would tell."""
    from sharpflow.naming.specs import is_text, resolve_loss

    if about != "loss" or not is_text(spec):
        return []
    return [f"variables: {', '.join(str(v) for v in resolve_loss(spec).variables)}"]  # type: ignore[union-attr]


def _chosen(names: list[str] | None, about: str) -> list[str]:
    """The checks of this kind; the other kind's are left to the others."""
    from sharpflow.testing.running import chosen_checks

    return list(chosen_checks(names, about, mixed=True))


def _list(output: Output) -> int:
    from sharpflow.testing import checks

    rows = []
    for about in ("loss", "rule"):
        output.say(f"checks of a {about}:")
        for name in checks.names(about):
            check = checks.get(name)
            rows.append({"name": name, "about": about, "meaning": check.meaning, "advice": check.advice})
            output.say(f"  {name:<20} {check.meaning}")
    output.write_json({"checks": rows})
    return 0


def _self_test(file: str | None, output: Output) -> int:
    from sharpflow.testing.mutants.self_test import markdown, self_test

    rows = self_test(lambda name: print(name, file=sys.stderr, flush=True))
    text = markdown(rows)
    if file is None:
        output.say(text)
    else:
        with replacing(file, "--output") as place:
            place.write_text(text + "\n", encoding="utf-8")
        output.say(*text.splitlines()[-1:])
    output.write_json({"rows": [{"name": row.name, "good": row.good, **row.report.to_json()} for row in rows]})
    return 0 if all(row.good for row in rows) else 1


def _name(subject: str, drawn: list[str]) -> str:
    """The name of the pictures of a report: the second of two losses of one name is name-2."""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in subject)[:60]
    names = (plain, *(f"{plain}-{k}" for k in range(2, len(drawn) + 2)))
    # Where file names have no case, Bad and bad are one.
    return next(name for name in names if name.lower() not in {other.lower() for other in drawn})


def _draw(report: Report, spec: str, folder: str, name: str) -> list[str]:
    from sharpflow.naming.specs import resolve_loss
    from sharpflow.testing.pictures import picture

    lines = []
    for result in report:
        if result.trial.counterexample and result.subject == report.subject:
            try:
                figure = picture(result, resolve_loss(spec))
                if figure is not None:
                    path = os.path.join(folder, f"{name}-{result.check}.png")
                    figure.savefig(path, dpi=200)
                    lines.append(f"picture: {path}")
            except InputError:
                continue
            except Exception as error:  # the results are worth more than a picture of them
                lines.append(f"{UNDRAWN} {result.check}: {type(error).__name__}: {error}")
    return lines
