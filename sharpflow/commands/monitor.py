"""Look at a training loop that a Monitor keeps records of."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from sharpflow.terminal.arguments import add_plot
from sharpflow.terminal.output import Output, add_json
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder of the records, and places to write to."""
    parser.add_argument("--status", metavar="DIR", required=True, help="the folder that Monitor(out=DIR) writes to")
    add_plot(parser, "--plot", "eigenvalues over the edge, the loss, and how layers share the norm")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """0; the run may be still going on."""
    output = Output(arguments.json, plot=arguments.plot)

    from sharpflow.numerics.training.monitor import read_monitor, said

    name, records = read_monitor(arguments.status)
    if not records:
        raise InputError(f"{arguments.status} holds no record yet.")
    output.say(f"{name}: {len(records)} records", said(records[-1]))
    output.write_json({"name": name, "records": records})
    if arguments.plot:
        output.draw("plot", partial(_figure, name, records))
    return 0


def _figure(name: str, records: list[dict[str, float]]) -> Figure:
    from sharpflow.figures.monitor import monitored

    return monitored(name, records)
