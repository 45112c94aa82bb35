"""Fit the order of the tracking error in intrinsic_lr."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sharpflow.terminal.arguments import add_plot, add_run, numbers
from sharpflow.terminal.output import Output, add_json
from sharpflow.terminal.tables import aligned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sharpflow.numerics.comparison.order import Order


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and its rates."""
    add_run(parser)
    parser.add_argument(
        "--rates", type=numbers, metavar="E1,E2,...",
        help="at least three rates over at least two decades; default: seven from 1e-6 to 1e-4",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="an inconclusive fit makes the exit status 1")
    add_json(parser)
    add_plot(parser, "--plot", "the distances and the fitted power")


def run(arguments: argparse.Namespace) -> int:
    """1 where the fitted order contradicts order one."""
    output = Output(arguments.json, plot=arguments.plot)

    from sharpflow.naming.specs import resolve_loss, resolve_rule

    loss, rule = resolve_loss(arguments.spec, needs_minima=True), resolve_rule(arguments.rule)

    from sharpflow.numerics.comparison.order import DEFAULT_RATES, order

    result = order(
        loss, rates=arguments.rates or DEFAULT_RATES, time=arguments.time, rule=rule, start=arguments.start,
        amplitude=arguments.amplitude,
    )  # fmt: skip
    found = zip(result.rates, result.intrinsic_lrs, result.distances, strict=True)
    rows = [("rate", "intrinsic_lr", "max distance"), *((f"{a:.4g}", f"{b:.4g}", f"{c:.6g}") for a, b, c in found)]
    output.say(f"{result.loss}, {result.rule}: time {result.time:g}", *aligned(rows, indent="  "))
    output.say(f"{result.verdict}: {result.message}")
    output.write_json(result.to_json())
    output.draw("plot", lambda: _figure(result))
    failed = result.verdict == "inconsistent" or (arguments.strict and result.verdict != "consistent")
    return 1 if failed else 0


def _figure(result: Order) -> Figure:
    from sharpflow.figures import plots

    return plots.order(result)
