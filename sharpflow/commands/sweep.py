"""Sweep gradient descent against the flow over losses, rates and starts."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from sharpflow.terminal.arguments import add_plot, add_seed, number, numbers, whole
from sharpflow.terminal.output import Output, add_json
from sharpflow.terminal.progress import sweep_line
from sharpflow.terminal.stopping import stopping
from sharpflow.terminal.tables import aligned
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sharpflow.numerics.sweeps.sweep import Sweep

# A status older than this belongs to a process that is no longer at work, or to a very long block.
STALE = 600.0
# Spellings of earlier versions.
RENAMED = {"--rules": "--rule"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The grid, where it is kept, and who works on it."""
    parser.add_argument("spec", nargs="*", metavar="SPEC", help="losses with minima; default: every built-in family")
    parser.add_argument("--out", metavar="DIR", help="the directory of the sweep; new or empty, unless --resume")
    parser.add_argument(
        "--rates", default="1e-3:1e-6:7", type=rates, metavar="FIRST:LAST:COUNT",
        help="rates, evenly spaced in their logarithm, or a list E1,E2,...; default: %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--starts", default="256", type=whole, metavar="N", help="starts of each loss; default: %(default)s"
    )
    parser.add_argument("--rule", default="gd-wd", metavar="RULE,...", help="update rules; default: %(default)s")
    add_seed(parser, "the starts")
    parser.add_argument(
        "--time", default="1", type=number, metavar="TAU", help="flow time of every run; default: %(default)s"
    )
    parser.add_argument(
        "--amplitude", default="1.2", type=number, metavar="A",
        help="of the oscillation at the start; default: %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--block", type=whole, metavar="B", help="starts that run together; default: 256 for each device"
    )
    parser.add_argument(
        "--devices", default="1", type=whole, metavar="K", help="devices that a block is split over; on a CPU, cores"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what is in DIR")
    parser.add_argument(
        "--shard", default="0/1", type=shard, metavar="I/N",
        help="only every N-th block, from the I-th on (from 0); others run the rest",
    )  # fmt: skip
    parser.add_argument(
        "--distributed", nargs="?", const="", metavar="ADDRESS,N,I",
        help="share the blocks with N processes, of which this is number I (from 0), through jax.distributed; without "
        "a value JAX reads them from Slurm or MPI",
    )  # fmt: skip
    parser.add_argument("--status", metavar="DIR", help="say how far the sweep in DIR is, and do nothing else")
    parser.add_argument("--csv", metavar="FILE", help="write one line for each cell as CSV")
    add_plot(parser, "--plot", "where in the chart and at which rate tracking fails, and the distance")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 when every block of the call is done, 1 when it was stopped before, whatever the cells measured."""
    output = Output(arguments.json, csv=arguments.csv, plot=arguments.plot)
    if arguments.status is not None:
        return _status(arguments, output)
    if arguments.out is None:
        raise InputError("--out DIR is missing: a sweep keeps its results in a directory.")
    _prepare_jax(arguments.devices, arguments.distributed)

    from sharpflow.naming.specs import resolve_loss, resolve_rule
    from sharpflow.provenance import provenance
    from sharpflow.theory import families
    from sharpflow.theory.loss import Loss

    losses: list[Loss] = []
    for spec in arguments.spec or families.names():
        loss = resolve_loss(spec, needs_minima=True)
        if not isinstance(loss, Loss):
            raise InputError(f"{loss.name!r} is an Objective; a sweep draws its starts from the chart of a Loss.")
        losses.append(loss)
    rules = [resolve_rule(name.strip()) for name in arguments.rule.split(",")]

    from sharpflow.numerics.ledger import Stopped
    from sharpflow.numerics.sweeps.hosts import share
    from sharpflow.numerics.sweeps.sweep import sweep

    begun = time.perf_counter()
    options: dict[str, Any] = dict(
        rates=arguments.rates, starts=arguments.starts, out=arguments.out, rules=rules, seed=arguments.seed,
        time=arguments.time, amplitude=arguments.amplitude, block=arguments.block, devices=arguments.devices,
        shard=arguments.shard, resume=arguments.resume, about=provenance(),
    )  # fmt: skip
    try:
        with stopping("block") as stop, sweep_line() as report:
            run_blocks = sweep if arguments.distributed is None else share
            result = run_blocks(losses, report=report, stop=stop.asked, **options)
    except Stopped as error:
        print(f"sharpflow: {error}", file=sys.stderr)
        return 1
    output.say(*_summary(result), f"{time.perf_counter() - begun:.0f} s.")
    _write(result, output)
    if stop.asked() and result.missing:
        output.say(f"stopped: {len(result.missing)} blocks are left; go on with --resume.")
        return 1
    return 0


def rates(text: str, /) -> tuple[float, ...]:
    """``FIRST:LAST:COUNT`` as rates evenly spaced in their logarithm, or a comma-separated list.

    >>> rates("1e-3:1e-5:3")
    (0.001, 0.0001, 1e-05)
    """
    if ":" not in text:
        return numbers(text)
    parts = text.split(":")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:LAST:COUNT, as in 1e-3:1e-6:7")
    first, last, count = number(parts[0]), number(parts[1]), whole(parts[2])
    if first <= 0 or last <= 0 or count < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: the rates must be positive, and their number at least 1")
    # Sixteen digits of a power leave 1e-5 as 1.0000000000000006e-05.
    return tuple(float(f"{first * (last / first) ** (i / max(count - 1, 1)):.12g}") for i in range(count))


def shard(text: str, /) -> tuple[int, int]:
    """``I/N`` as (I, N).

    >>> shard("1/4")
    (1, 4)
    """
    part, _, total = text.partition("/")
    index, count = whole(part), whole(total)
    if not 0 <= index < count:
        raise argparse.ArgumentTypeError(f"{text!r}: I/N needs 0 <= I < N; shards are numbered from 0")
    return index, count


def _prepare_jax(devices: int, distributed: str | None) -> None:
    """Set JAX up before it is first used: how many devices a CPU is, and whom it speaks to."""
    import jax

    if devices > 1:
        jax.config.update("jax_num_cpu_devices", devices)
    if distributed is None:
        return
    if not distributed:
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"--distributed: JAX finds no cluster ({error}); give ADDRESS,N,I.") from None
        return
    parts = distributed.split(",")
    if len(parts) != 3:
        raise InputError(f"--distributed: {distributed!r} is not ADDRESS,N,I, as in 127.0.0.1:9876,2,0.")
    try:
        count, index = whole(parts[1]), whole(parts[2])
    except argparse.ArgumentTypeError as error:
        raise InputError(f"--distributed: {error}.") from None
    if not 0 <= index < count:
        raise InputError(f"--distributed: process {index} of {count}: processes are numbered from 0.")
    try:
        jax.distributed.initialize(parts[0], num_processes=count, process_id=index)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"--distributed: process {index} of {count} did not meet the others: {error}") from None


def _summary(result: Sweep) -> list[str]:
    import numpy as np

    from sharpflow.numerics.sweeps.sweep import orders

    lines = [
        f"{len(result.rows)} of {result.plan.cells} cells: " + ", ".join(f"{n} {k}" for k, n in result.counts().items())
    ]
    lines += [f"  damaged: {name}: {why}" for name, why in result.damaged.items()]
    lines += [f"  {note}" for note in result.notes]
    fitted = orders(result.rows)
    table = [("loss", "rule", "track", "largest distance", "order, median")]
    for loss, rule in sorted(set(zip(fitted["loss"].tolist(), fitted["rule"].tolist(), strict=True))):
        own = fitted[(fitted["loss"] == loss) & (fitted["rule"] == rule) & (fitted["rates"] >= 3)]
        rows = result.rows[(result.rows["loss"] == loss) & (result.rows["rule"] == rule)]
        good = rows[rows["result"] == "successful"]
        worst = float(np.max(good["max_distance"] / good["intrinsic_lr"])) if len(good) else float("nan")
        middle = np.median(own["order"]) if len(own) else float("nan")
        order = f"{middle:.3f} over {len(own)} starts"
        table.append((loss, rule, f"{len(good)} of {len(rows)}", f"{worst:.3g} intrinsic_lr", order))
    return [*lines, *aligned(table, indent="  ")]


def _write(result: Sweep, output: Output) -> None:
    output.write_json(result.to_json())
    output.write("csv", result.to_csv)
    output.draw("plot", lambda: _figure(result))


def _figure(result: Sweep) -> Figure:
    from sharpflow.figures.sweep import failure_map

    return failure_map(result)


def _status(arguments: argparse.Namespace, output: Output) -> int:
    from sharpflow.numerics.sweeps.store import SweepFiles
    from sharpflow.numerics.sweeps.sweep import read_sweep

    result = read_sweep(arguments.status)
    blocks = sum(1 for _ in result.plan.blocks())
    output.say(f"{arguments.status}: {blocks - len(result.missing)} of {blocks} blocks", *_summary(result))
    for shard, said in SweepFiles.open(arguments.status).statuses().items():
        age = time.time() - float(said.get("written", 0))
        at_work = "" if age < STALE else ", long silent"
        output.say(
            f"  shard {shard}: {said.get('done')}/{said.get('total')} blocks in {said.get('seconds', 0):.0f} s, "
            f"process {said.get('pid')} on {said.get('host')}, {age:.0f} s ago{at_work}"
        )
    _write(result, output)
    return 0
