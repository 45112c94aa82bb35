"""Prove or refute statements and derivations of your own, each line with its verdict and a witness."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sharpflow.terminal.arguments import add_time_limit
from sharpflow.terminal.output import Output, add_json, make_folder
from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import OF_STATEMENTS

if TYPE_CHECKING:
    from sharpflow.statements.prove import StatementResult
    from sharpflow.theory.statements.names import Names

EXAMPLE = 'sharpflow prove ridge --that "sharpness = 2 + cos(2*p)"'

# Spellings of earlier versions.
RENAMED = {"--report": "--out"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The statements, and the loss and rule that they are about."""
    parser.add_argument(
        "spec", metavar="SPEC|FILE",
        help="a loss (generic, a built-in family, file.py:attribute, module:attribute, text), with --that; or a "
        "derivation, FILE.md or FILE.tex",
    )  # fmt: skip
    parser.add_argument(
        "--that", metavar="TEXT", action="append", default=[],
        help="a statement, with = <= < >= >, chains, and 'given => what follows' (repeat for more)",
    )  # fmt: skip
    parser.add_argument("--rule", help="an update rule, named as SPEC is; default: gd-wd")
    parser.add_argument(
        "--symbols", metavar="NAME:KIND,...", default="", help="names of your own, as a:positive,n:integer"
    )
    parser.add_argument(
        "--names", action="store_true", help="list the names that statements may use, and what they mean"
    )
    parser.add_argument("--measure", action="store_true", help="give what gradient descent gives beside the formulas")
    parser.add_argument("--steps", action="store_true", help="show the checked steps of every proof")
    parser.add_argument("--strict", action="store_true", help="anything undecided makes the exit status 1")
    parser.add_argument("--fresh", action="store_true", help="prove anew what was proved before and kept")
    add_time_limit(parser, OF_STATEMENTS, "each statement, which is left undecided after that")
    parser.add_argument(
        "--format", choices=("text", "coq"), default="text",
        help="coq: what is proved as lemmas of Coq, checked where there is a coqc; default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--output", metavar="FILE", help="write these lemmas to FILE and not to the terminal")
    parser.add_argument("--out", metavar="DIR", help="write DIR/index.html: your equations, a mark beside each")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where a statement was refuted or Coq's kernel rejects a proof (with --strict also where one is undecided).

    2 where nothing is refuted and a line of a file is not understood.
    """
    from sharpflow.theory import keeping

    # What is kept of a proof is text, which the kernel cannot check.
    with keeping.ignored(arguments.fresh or arguments.format == "coq"):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    output = Output(arguments.json, output=arguments.output)
    if arguments.output is not None and arguments.format != "coq":
        raise InputError("--output is for --format coq; --out DIR writes a page.")
    if arguments.out is not None:
        make_folder(arguments.out, "--out")

    from sharpflow.statements.prove import names_for

    if arguments.spec.endswith((".md", ".tex")):
        return _file(arguments, output)
    names = names_for(arguments.spec, arguments.rule, symbols=_symbols(arguments.symbols))
    if arguments.names:
        output.say(*_listed(names))
        output.write_json({"names": _names_json(names)})
        return 0
    if not arguments.that:
        raise InputError(f"nothing to prove: give --that TEXT, as in {EXAMPLE}, or a file .md or .tex.")
    from sharpflow.statements.prove import told
    from sharpflow.statements.reader import read_statement

    read = []
    for text in arguments.that:
        try:
            read.append((text, read_statement(text, names)))
        except InputError as error:
            raise InputError(f"--that: {error}") from None
    results = []
    for text, statement in read:
        results.append(told(text, statement, names, measure=arguments.measure, limit=arguments.time_limit))
        output.say(*_lines(results[-1], arguments.steps))
    return _end(results, arguments, output)


def _file(arguments: argparse.Namespace, output: Output) -> int:
    """A derivation in a file, each equation told as it is done."""
    from sharpflow.statements.derivation_file import prove_file

    if arguments.that or arguments.rule or arguments.symbols:
        raise InputError("--that, --rule and --symbols are for a SPEC; a file says these in its head.")
    read, results = prove_file(
        arguments.spec,
        measure=arguments.measure,
        limit=arguments.time_limit,
        progress=lambda r: output.say(*_lines(r, arguments.steps)),
    )
    if not results:
        raise InputError(
            f"{arguments.spec} has no displayed equation: $$...$$, \\[...\\], ```math, equation, align, gather."
        )
    output.say(*read.said)
    return _end(list(results), arguments, output)


def _end(results: list[StatementResult], arguments: argparse.Namespace, output: Output) -> int:
    rejected = False
    kernel: dict[str, Any] = {}
    if arguments.format == "coq":
        rejected, kernel = _coq(results, arguments, output)
    output.write_json({"statements": [result.to_json() for result in results]} | kernel)
    found = [result.proof for result in results]
    if arguments.out is not None:
        from sharpflow.statements.page import write_page

        output.say(f"report: {write_page(results, arguments.out, title=arguments.spec)}")
    counts = ", ".join(f"{found.count(kind)} {kind}" for kind in ("proved", "refuted", "undecided") if kind in found)
    unread = sum(result.statement is None for result in results)
    said = f"; {unread} not understood" if unread else ""
    output.say(f"{len(results)} statement{'s' * (len(results) != 1)}: {counts or 'nothing claimed'}{said}.")
    if rejected or "refuted" in found:
        return 1
    if unread:
        return 2
    return 1 if arguments.strict and "undecided" in found else 0


def _coq(results: list[StatementResult], arguments: argparse.Namespace, output: Output) -> tuple[bool, dict[str, Any]]:
    """The proofs, with the steps that they rest on, for Coq: whether its kernel rejects some of it, and JSON."""
    from sharpflow.terminal.coq import deliver
    from sharpflow.theory.kernel.export import export
    from sharpflow.theory.proving.proof import Proof

    proofs = [Proof(result.text, result.steps) for result in results if result.proof == "proved"]
    verdict = deliver(export(f"Statements on {arguments.spec}", proofs).to_json(), output, arguments.output)
    return verdict is not None and verdict.refused, {"kernel": None if verdict is None else verdict.to_json()}


def _lines(result: StatementResult, steps: bool) -> list[str]:
    mark = {"proved": "proved   ", "refuted": "REFUTED  ", "undecided": "undecided", "none": "given    "}[result.proof]
    number = f" ({result.number})" if result.number else ""
    where = "" if result.line is None else f"{result.file}:{result.line}{number}: "
    lines = [f"{mark}  {where}{result.text}", f"           {result.sentence}"]
    if steps:
        lines += [
            f"             - {step.title or 'the two sides'}: {step.status.value}, {step.method}"
            for step in result.steps
        ]
    return lines


def _symbols(text: str) -> dict[str, str]:
    found = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, colon, kind = part.partition(":")
        if not colon:
            raise InputError(f"--symbols: write name:kind, as in a:positive, not {part!r}.")
        found[name.strip()] = kind.strip()
    return found


def _names_json(names: Names) -> list[dict[str, Any]]:
    import sympy as sp

    from sharpflow.theory.errors import NoClosedForm

    found = []
    for name, meaning in names.table.items():
        try:
            value = None if meaning.value is None else sp.sstr(names.value(meaning.symbol))
        except NoClosedForm as reason:
            value = str(reason)
        found.append({"name": name, "meaning": meaning.words, "derived": value})
    return found


def _listed(names: Names) -> list[str]:
    from sharpflow.statements.reader import functions_of

    rows = _names_json(names)
    width = max((len(row["name"]) for row in rows), default=0)
    lines = [f"{row['name']:{width}}  {row['meaning']}{_value(row['derived'])}" for row in rows]
    known = functions_of(names)
    moving = {"along": "along(e) = de/d tau", "fast": "fast(e) = de/dT"}
    functions = [*(said for name, said in moving.items() if name in known), "diff(e, x)", "O(e)"]
    lines += ["", f"functions: {', '.join(functions)}{_loss_functions(names)}"]
    return lines


def _value(text: str | None) -> str:
    if text is None:
        return ""
    return f"\n      = {text if len(text) <= 150 else text[:146] + ' ...'}"


def _loss_functions(names: Names) -> str:
    if names.loss is None:
        return ""
    point = ", ".join(v.name for v in names.loss.variables)
    first = names.loss.variables[0].name
    return f"; L({point}), its derivatives L_{first}({point}), L_{first}{first}({point}), ..."
