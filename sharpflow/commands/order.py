"""Fit the order of the tracking error in intrinsic_lr."""

from __future__ import annotations

import argparse

from sharpflow.terminal.arguments import add_plot, add_run, check_plot, number, numbers, read_start, save_plot
from sharpflow.terminal.output import Output, add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to run, and at which rates."""
    add_run(parser)
    parser.add_argument(
        "--rates",
        metavar="E1,E2,...",
        help="at least three rates over at least two decades; default: seven from 1e-6 to 1e-4",
    )
    parser.add_argument("--strict", action="store_true", help="an inconclusive fit makes the exit status 1")
    add_json(parser)
    add_plot(parser, "--plot", "the distances and the fitted power")


def run(arguments: argparse.Namespace) -> int:
    """1 where the fitted order contradicts order one."""
    plot = check_plot(arguments.plot)
    output = Output(arguments.json, plot=plot)
    time, amplitude = number(arguments.time, "--time"), number(arguments.amplitude, "--amplitude")
    start = read_start(arguments.start)
    rates = None if arguments.rates is None else numbers(arguments.rates, "--rates")

    from sharpflow.naming.specs import resolve_loss, resolve_rule

    loss, rule = resolve_loss(arguments.spec, needs_minima=True), resolve_rule(arguments.rule)

    from sharpflow.numerics.comparison.order import DEFAULT_RATES, order

    result = order(loss, rates=rates or DEFAULT_RATES, time=time, rule=rule, start=start, amplitude=amplitude)
    output.say(
        f"{result.loss}, {result.rule}: time {result.time:g}", f"  {'rate':<12} {'intrinsic_lr':<14} max distance"
    )
    for rate, small, distance in zip(result.rates, result.intrinsic_lrs, result.distances, strict=True):
        output.say(f"  {rate:<12.4g} {small:<14.4g} {distance:.6g}")
    output.say(f"{result.verdict}: {result.message}")
    output.write_json(result.to_json())
    if plot is not None:
        from sharpflow.figures import plots

        save_plot(plots.order(result), plot)
    failed = result.verdict == "inconsistent" or (arguments.strict and result.verdict != "consistent")
    return 1 if failed else 0
