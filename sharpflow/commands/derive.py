"""Derive the flow of a loss, step by checked step, as text, Markdown or LaTeX, or as proofs in Coq."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sharpflow.terminal.arguments import add_time_limit, number
from sharpflow.terminal.output import Output, add_json, replacing
from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import OF_PARTS

if TYPE_CHECKING:
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

STYLES = ("text", "markdown", "latex", "coq")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The loss, the rule, and how the derivation is written."""
    parser.add_argument(
        "spec", metavar="SPEC", help="generic, a built-in family, file.py:attribute, module:attribute, or text"
    )
    parser.add_argument("--rule", default="gd-wd", help="an update rule, named as SPEC is; default: %(default)s")
    parser.add_argument("--format", choices=STYLES, default="text", help="how to write it; default: %(default)s")
    parser.add_argument("--output", metavar="FILE", help="write the derivation to FILE and not to the terminal")
    parser.add_argument(
        "--time", default="1", type=number, metavar="TAU",
        help="flow time for which tracking is asked; default: %(default)s",
    )  # fmt: skip
    add_time_limit(parser, OF_PARTS, "each part, which is left undecided after that (of generic: for all of it)")
    parser.add_argument("--strict", action="store_true", help="an undecided step makes the exit status 1")
    parser.add_argument("--fresh", action="store_true", help="derive anew what was derived before and kept")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where a step was refuted that the loss does not declare to fail (with --strict also where one is undecided).

    With ``--format coq`` 1 where the kernel rejects a lemma.
    """
    output = Output(arguments.json, output=arguments.output)

    from sharpflow.naming.specs import resolve_loss, resolve_rule
    from sharpflow.terminal.derived import derived
    from sharpflow.theory import keeping
    from sharpflow.theory.errors import NoClosedForm
    from sharpflow.theory.limits import TimeLimitExceeded
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.proving.proof import Status

    loss = None if arguments.spec == "generic" else resolve_loss(arguments.spec)
    rule = resolve_rule(arguments.rule)
    if not isinstance(loss, Loss | None):
        raise InputError(f"{loss.name!r} is an Objective, a function: a derivation needs the formula of a Loss.")
    try:
        with keeping.ignored(arguments.fresh):
            if arguments.format == "coq":
                return _coq(loss, rule, output, arguments.output)
            content = derived(loss, rule, time=arguments.time, limit=arguments.time_limit)
    except NoClosedForm as reason:
        if loss is not None:
            raise
        raise InputError(f"rule {rule.name!r} on the generic loss: {reason}") from reason
    except TimeLimitExceeded as reason:
        raise InputError(
            f"rule {rule.name!r} on the generic loss: no law yet, {reason}; give a larger --time-limit."
        ) from None
    texts = content.pop("texts")
    if arguments.output is None:
        style = arguments.format
        style = "ascii" if style == "text" and not _shows_unicode(arguments.json) else style
        output.say(texts[style].rstrip("\n"))
    else:
        with replacing(arguments.output, "--output") as place:
            place.write_text(texts[arguments.format], encoding="utf-8")
        found = [step["status"] for step in content["steps"]]
        counts = ", ".join(f"{found.count(status)} {status}" for status in Status if status in found)
        output.say(f"{arguments.output}: {len(found)} steps, {counts}.", *content["remarks"])
    output.write_json(content)
    status = content["status"]
    return 1 if status == "refuted" or (arguments.strict and status == "undecided") else 0


def _coq(loss: Loss | None, rule: Rule, output: Output, place: str | None) -> int:
    """The derivation for Coq; 1 where its kernel rejects something."""
    from sharpflow.terminal.coq import deliver
    from sharpflow.theory.kernel.derivations import exported

    content = exported(loss, rule)
    verdict = deliver(content, output, place)
    output.write_json(content | {"kernel": None if verdict is None else verdict.to_json()})
    return 1 if verdict is not None and verdict.refused else 0


def _shows_unicode(json: str | None) -> bool:
    """True where the stream that the derivation is written to can show what equations are drawn with."""
    stream = sys.stderr if json == "-" else sys.stdout
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")
