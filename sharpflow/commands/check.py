"""Check a loss or an update rule of your own: every check, with a counterexample where one fails."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from sharpflow.naming import anew
from sharpflow.terminal.output import BUG, Output, add_json, replacing, shown_progress
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from sharpflow.testing.result import Report

WRONG_INPUT = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to check, and what to write."""
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
    parser.add_argument("--seed", type=int, default=0, help="of random points; default: %(default)s")
    parser.add_argument("--strict", action="store_true", help="an inconclusive check makes the exit status 1")
    parser.add_argument("--pictures", metavar="DIR", help="draw each counterexample to a file in DIR")
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
    if arguments.pictures is not None:
        _make_folder(arguments.pictures)
    # What an earlier beginning of this command had done, until something hung.
    reports: list[dict[str, Any]] = list(anew.kept("reports", []))
    errors: list[dict[str, str]] = list(anew.kept("errors", []))
    drawn: list[str] = list(anew.kept("drawn", []))
    todo = [*(("loss", s) for s in arguments.spec), *(("rule", s) for s in arguments.rule)]
    for place, (about, spec) in enumerate(todo):
        if place < anew.kept("place", 0):
            continue
        for name, value in (("reports", reports), ("errors", errors), ("drawn", drawn), ("place", place)):
            anew.keep(name, value)
        try:
            report = _check(about, spec, arguments)
        except InputError as error:
            # The rest of the run goes on: the others are no worse for it.
            print(f"sharpflow: error: {spec}: {error}", file=sys.stderr)
            errors.append({"spec": spec, "error": str(error)})
            continue
        reports.append({"spec": spec, **report.to_json()})
        output.say(*_variables(about, spec), report, "")
        if arguments.pictures is not None:
            drawn.append(_name(report.subject, drawn))
            _draw(report, spec, arguments.pictures, drawn[-1], output)
    output.write_json({"reports": reports, "errors": errors})
    if errors:
        return WRONG_INPUT
    wrong = any(not report["ok"] for report in reports)
    if any(result["outcome"] == "error" for report in reports for result in report["checks"]):
        return BUG
    left = any(result["outcome"] == "inconclusive" for report in reports for result in report["checks"])
    return 1 if wrong or (arguments.strict and left) else 0


def _check(about: str, spec: str, arguments: argparse.Namespace) -> Report:
    from sharpflow.testing.running import check_loss, check_rule

    with shown_progress(spec) as progress:
        options: dict[str, Any] = {
            "checks": _chosen(arguments.check, about), "seed": arguments.seed, "progress": progress,
        }  # fmt: skip
        return check_loss(spec, **options) if about == "loss" else check_rule(spec, **options)


def _variables(about: str, spec: str) -> list[str]:
    """Of a loss that is text: a misspelt one is a variable more, and nothing else would tell."""
    from sharpflow.naming.specs import is_text, resolve_loss

    if about != "loss" or not is_text(spec):
        return []
    return [f"variables: {', '.join(str(v) for v in resolve_loss(spec).variables)}"]  # type: ignore[union-attr]


def _chosen(names: list[str] | None, about: str) -> list[str] | None:
    """The checks of this kind; the other kind's are left to the others."""
    if names is None:
        return None
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


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"--pictures: {path!r} cannot be made a folder: {error.strerror}. Give another.") from None


def _name(subject: str, drawn: list[str]) -> str:
    """What the pictures of a report are called: the second of two losses of one name is name-2."""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in subject)[:60]
    names = (plain, *(f"{plain}-{k}" for k in range(2, len(drawn) + 2)))
    # Where file names have no case, Bad and bad are one.
    return next(name for name in names if name.lower() not in {other.lower() for other in drawn})


def _draw(report: Report, spec: str, folder: str, name: str, output: Output) -> None:
    from sharpflow.naming.specs import resolve_loss
    from sharpflow.testing.pictures import picture

    for result in report:
        if result.trial.counterexample and result.subject == report.subject:
            try:
                figure = picture(result, resolve_loss(spec))
            except InputError:
                continue
            if figure is not None:
                path = os.path.join(folder, f"{name}-{result.check}.png")
                figure.savefig(path, dpi=200)
                output.say(f"picture: {path}")
