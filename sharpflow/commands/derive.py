"""Derive the flow of a loss, step by checked step, as text, Markdown or LaTeX."""

from __future__ import annotations

import argparse

from sharpflow.output import Output, add_json, replacing
from theory.errors import InputError

STYLES = ("text", "markdown", "latex")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to derive, and how to write it."""
    parser.add_argument("spec", metavar="SPEC", help="a built-in family, file.py:attribute, module:attribute, or text")
    parser.add_argument("--rule", default="gd-wd", help="an update rule, named as SPEC is; default: %(default)s")
    parser.add_argument("--format", choices=STYLES, default="text", help="default: %(default)s")
    parser.add_argument("--output", metavar="FILE", help="write the derivation to FILE and not to the terminal")
    parser.add_argument("--strict", action="store_true", help="an undecided step makes the exit status 1")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where a step was refuted (with --strict also where one was left undecided)."""
    output = Output(arguments.json, output=arguments.output)

    from sharpflow.specs import resolve_loss, resolve_rule
    from theory.derivation import derive
    from theory.loss import Loss

    loss, rule = resolve_loss(arguments.spec), resolve_rule(arguments.rule)
    if not isinstance(loss, Loss):
        raise InputError(f"{arguments.spec!r} is an Objective, a function: a derivation needs the formula of a Loss.")
    result = derive(loss, rule)
    text = result.render(arguments.format)
    if arguments.output is None:
        output.say(text.rstrip("\n"))
    else:
        with replacing(arguments.output, "--output") as place:
            place.write_text(text, encoding="utf-8")
    if arguments.format == "text" or arguments.output is not None:
        counts = {
            status: sum(step.status == status for step in result.steps) for status in ("proved", "undecided", "refuted")
        }
        seconds = sum(step.seconds for step in result.steps)
        output.say(
            f"{len(result.steps)} steps: " + ", ".join(f"{n} {s}" for s, n in counts.items()) + f"; {seconds:.1f} s"
        )
    output.write_json(result.to_json())
    failed = result.status == "refuted" or (arguments.strict and result.status != "proved")
    return 1 if failed else 0
