"""Tabulate what every update rule does at the edge of stability, derived and measured."""

from __future__ import annotations

import argparse

from sharpflow.terminal.output import Output, add_json

FAMILIES = ("ridge", "conic", "surface")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which rules, and whether their iterates are measured."""
    parser.add_argument("spec", nargs="*", metavar="RULE", help="rules, named as --rule is; default: the built-in ones")
    parser.add_argument(
        "--measure",
        action="store_true",
        help=f"measure each on {', '.join(FAMILIES)} at three rates (a minute or two)",
    )
    parser.add_argument("--output", metavar="FILE", help="write the tables as Markdown to FILE")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where a number was measured that does not agree with what was derived."""
    output = Output(arguments.json, output=arguments.output)
    from sharpflow.naming.specs import resolve_rule
    from sharpflow.terminal.rule_table import markdown, rule_rows
    from sharpflow.theory import rules

    chosen = [resolve_rule(spec) for spec in arguments.spec or rules.names()]
    rows = rule_rows(chosen, families=FAMILIES if arguments.measure else (), say=output.say)
    text = markdown(rows)
    if arguments.output is None:
        output.say(text)
    output.write_text("output", f"{text}\n")
    output.write_json({"rules": [row.to_json() for row in rows]})
    return 1 if any(row.wrong for row in rows) else 0
