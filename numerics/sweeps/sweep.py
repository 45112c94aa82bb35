"""Sweeps: gradient descent against the flow over losses, rules, rates and starts; they can be resumed after a crash.

Every cell is one run of `sharpflow.numerics.comparison.compare`, reduced to numbers: where its flow ends early, or its
iterates diverge, the row says so. Blocks of cells are worked off one after another; each is on disk before it is
counted.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.minima.chart import chart_points
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.sweeps.plan import Block, Plan, make_plan
from sharpflow.numerics.sweeps.store import SweepFiles
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["COLUMNS", "Progress", "Sweep", "orders", "read_sweep", "sweep"]

# Columns of the result, their units, and what they are; the documentation prints this.
COLUMNS: Mapping[str, str] = {
    "loss": "name of the loss",
    "rule": "name of the rule",
    "rate": "the small parameter eps",
    "intrinsic_lr": "scale of the oscillation at that rate",
    "start_index": "number of the start, 0 the loss's own",
    "start": "its chart coordinates; nan beyond the dimension of the chart",
    "steps": "iterations of gradient descent",
    "failed_at": "the first of them that is not finite; -1 for none",
    "flow_time": "flow time that the flow reached",
    "max_distance": "largest chordal distance between theta_t and zeta(rate t), while there is a flow",
    "end_distance": "the same at the last record that the flow reached",
    "end_distance_on_minima": "with theta_t retracted to Gamma, at the end; nan where the flow ended before",
    "mean_edge": "effective_lr*lambda_1, mean over the last quarter of the run",
    "mean_square": "mean of |G|^2/lambda_1^2 over the rate in the last quarter: the squared displacement along v_1",
    "energy_start": "energy of the oscillation above its least value, at the start",
    "energy_end": "the same, mean over the last quarter",
    "sharpness_start": "lambda_1 at the start",
    "sharpness_end": "lambda_1 on Gamma next to the last iterate",
    "gap": "smallest (lambda_1 - lambda_2)/lambda_1 along the flow",
    "result": "how the cell ended: successful, or what went wrong",
}
_TEXT = {"loss", "rule", "result"}
_WHOLE = {"start_index", "steps", "failed_at"}


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Attributes:
        done, total: blocks, of those this process works on.
        steps: iterations run so far in this call, over all cells.
        seconds: since the call began.
        left: seconds that the rest will take at this speed, by iterations; nan before the first block.
        failures: cells so far that did not end successfully.
        cells: cells so far.
    """

    done: int
    total: int
    steps: int
    seconds: float
    left: float
    failures: int
    cells: int


@brief
@dataclass(frozen=True, eq=False)
class Sweep:
    """The content of a sweep directory.

    Attributes:
        rows: a structured array, one row for each finished cell, in the order of the plan; `COLUMNS` names its fields.
        plan: the grid.
        missing: indices of blocks that are not finished.
        damaged: block files that are not whole, with the reason.
        notes: where the sweep went on with other versions or on another machine.
    """

    rows: np.ndarray
    plan: Plan
    missing: tuple[int, ...]
    damaged: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def columns(self) -> dict[str, np.ndarray]:
        """The same as a dict of arrays."""
        return {name: self.rows[name] for name in self.rows.dtype.names or ()}

    def counts(self) -> dict[str, int]:
        """How many cells ended in which way."""
        names, numbers = np.unique(self.rows["result"], return_counts=True)
        return {str(name): int(n) for name, n in zip(names, numbers, strict=True)}

    def to_csv(self, path: str | Path) -> None:
        """Write one line for each cell; the coordinates of the start are columns start_1, start_2, ..."""
        import csv

        width = self.rows["start"].shape[1] if len(self.rows) else 1
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            names = [f"start_{i + 1}" for i in range(width)]
            writer.writerow([n for name in COLUMNS for n in (names if name == "start" else [name])])
            for row in self.rows:
                writer.writerow(
                    [v for name in COLUMNS for v in (row[name].tolist() if name == "start" else [row[name]])]
                )

    def to_json(self) -> dict[str, Any]:
        """A summary; the rows stay in the directory."""
        return {
            "plan": self.plan.to_json(), "cells": self.plan.cells, "rows": len(self.rows),
            "missing": list(self.missing), "damaged": dict(self.damaged), "results": self.counts(),
            "orders": [
                {name: (row[name].item() if row[name].ndim == 0 else row[name].tolist()) for name in row.dtype.names}
                for row in orders(self.rows)
            ],
        }  # fmt: skip


def sweep(
    losses: Sequence[Loss], /, *, rates: Sequence[float], starts: int, out: str | Path,
    rules: Sequence[Rule] | None = None, seed: int = 0, time: float = 1.0, amplitude: float = 1.2,
    block: int | None = None, devices: Sequence[Any] | int = 1, resume: bool = False, shard: tuple[int, int] = (0, 1),
    about: Mapping[str, Any] | None = None, report: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Sweep:  # fmt: skip
    """Run a grid, or what is left of it, and return what the directory holds afterwards.

    Args:
        losses: with minima in a chart and lambda_1 in closed form.
        rates: each a block of its own; ``time``/rate iterations.
        starts: how many of each loss, drawn from its chart with ``seed``; the first is the loss's own.
        out: the directory; new or empty, unless ``resume``.
        rules: default: gradient descent with weight decay.
        time, amplitude: flow time of each run; oscillation at the start in units of its equilibrium.
        block: starts that run together; default: 256 for each device.
        devices: JAX devices that the starts of a block are split over, or how many of those there are.
        resume: go on with what is in ``out``; the grid must be the same.
        shard: (i, n): every n-th block, from the i-th on.
        about: more for the manifest (the command, versions).
        report: called after each block, and with nothing done yet.
        stop: asked after each block; the sweep ends where it says so.

    Raises:
        InputError: a number or the directory is not as it should be.
        Stopped: the disk is full, or the directory has gone; what was reported done is there.

    Examples:
        >>> import tempfile
        >>> from sharpflow import read_sweep, resolve_loss, sweep
        >>> with tempfile.TemporaryDirectory() as place:
        ...     out = f"{place}/ridge"
        ...     sweep([resolve_loss("ridge")], rates=(1e-2, 1e-3), starts=2, out=out, time=0.1).counts()
        ...     read_sweep(out).rows["rate"]
        {'successful': 4}
        array([0.01 , 0.01 , 0.001, 0.001])
    """
    from sharpflow.theory import rules as built_in

    chosen_rules = [built_in.get("gd-wd")] if rules is None else list(rules)
    chosen = _devices(devices)
    index, count = shard
    if not (count >= 1 and 0 <= index < count):
        raise InputError(f"shard {index}/{count}: i must be one of 0 .. n-1.")
    plan = make_plan(
        losses, chosen_rules, rates=rates, starts=starts, seed=seed, time=time, amplitude=amplitude, block=block,
        devices=len(chosen),
    )  # fmt: skip
    if resume:
        files = SweepFiles.open(out)
        if block is None:  # a directory keeps its blocks, whatever the machine it is resumed on
            plan = Plan(**{**vars(plan), "block": files.plan.block})
        if plan.digest != files.plan.digest:
            raise InputError(f"{out} holds another sweep ({files.plan.difference(plan)}); name another folder.")
    else:
        files = SweepFiles.begin(out, plan, about or {})
    name = f"{index}-of-{count}"
    with files.lock(name):
        finished = set(files.blocks())
        mine = [b for b in plan.blocks() if b.index % count == index]
        left = [b for b in mine if b.index not in finished]
        if left:
            files.goes_on(left[0].index, about or {})
        _work(files, left, losses, chosen_rules, chosen, name, report, stop)
        files.seal()
    return read_sweep(out)


def _devices(devices: Sequence[Any] | int) -> list[Any]:
    import jax

    if not isinstance(devices, int):
        return list(devices)
    there = jax.local_devices()
    if devices < 1 or devices > len(there):
        raise InputError(
            f"devices = {devices}, but this process has {len(there)}. The cores of a CPU count as one device unless "
            "jax.config.update('jax_num_cpu_devices', n) says otherwise before JAX is first used."
        )
    return there[:devices]


def _work(
    files: SweepFiles, blocks: Sequence[Block], losses: Sequence[Loss], rules: Sequence[Rule], devices: list[Any],
    shard: str, report: Callable[[Progress], None] | None, stop: Callable[[], bool],
) -> None:  # fmt: skip
    from sharpflow.numerics.sweeps.block import block_program

    plan = files.plan
    by_name, rule_by_name = {loss.name: loss for loss in losses}, {rule.name: rule for rule in rules}
    points = {name: chart_points(loss, plan.starts, seed=plan.seed) for name, loss in by_name.items()}
    ahead = sum(b.count * plan.time / b.rate for b in blocks)
    begun, steps, failures, cells = clock.perf_counter(), 0, 0, 0

    def tell(done: int) -> None:
        seconds = clock.perf_counter() - begun
        left = seconds * (ahead - steps) / steps if steps else float("nan")
        progress = Progress(done, len(blocks), steps, seconds, max(left, 0.0), failures, cells)
        files.write_status(shard, vars(progress))
        if report is not None:
            report(progress)

    tell(0)
    for done, b in enumerate(blocks, start=1):
        program = block_program(by_name[b.loss], rule_by_name[b.rule], devices)
        starts = points[b.loss][b.first : b.first + b.count]
        # A last block of fewer starts runs at the size of the others: one size, one program.
        full = np.concatenate([starts, np.repeat(starts[-1:], min(plan.block, plan.starts) - len(starts), axis=0)])
        found = program.run(full, rate=b.rate, time=plan.time, amplitude=plan.amplitude)
        arrays = {name: values[: b.count] for name, values in vars(found).items()}
        small = np.full(b.count, float(rule_by_name[b.rule].intrinsic_lr(b.rate)))
        files.keep(b, {"start": starts, "intrinsic_lr": small, **arrays}, shard)
        steps += int(arrays["steps"].sum())
        failures += int(np.sum(arrays["result"] != RESULTS.SUCCESSFUL.value))
        cells += b.count
        tell(done)
        if stop():
            return


def read_sweep(path: str | Path, /) -> Sweep:
    """Read the directory of a sweep, finished or not.

    See `sweep` for an example.

    Raises:
        InputError: it is not the directory of a sweep.
    """
    files = SweepFiles.open(path)
    tables, blocks = files.blocks(), list(files.plan.blocks())
    width = max((t["start"].shape[1] for t in tables.values()), default=1)
    parts = [_rows(b, tables[b.index], width) for b in blocks if b.index in tables]
    rows = np.concatenate(parts) if parts else np.zeros(0, dtype=_dtype(width))
    missing = tuple(b.index for b in blocks if b.index not in tables)
    damaged = {name.rpartition("/")[2]: why for name, why in files.damaged.items()}
    return Sweep(rows, files.plan, missing, damaged, tuple(files.changes()))


def _dtype(width: int) -> np.dtype[Any]:
    kinds: dict[str, Any] = {name: "U64" if name in _TEXT else int if name in _WHOLE else float for name in COLUMNS}
    return np.dtype([(name, kind, (width,)) if name == "start" else (name, kind) for name, kind in kinds.items()])


def _rows(block: Block, table: Mapping[str, np.ndarray], width: int) -> np.ndarray:
    rows = np.zeros(block.count, dtype=_dtype(width))
    rows["loss"], rows["rule"], rows["rate"] = block.loss, block.rule, block.rate
    rows["start_index"] = np.arange(block.first, block.first + block.count)
    rows["start"] = np.nan
    rows["start"][:, : table["start"].shape[1]] = table["start"]
    for name, values in table.items():
        if name != "start":
            rows[name] = values
    return rows


def orders(rows: np.ndarray, /) -> np.ndarray:
    """The power of intrinsic_lr in the distance, fitted for each start over the rates at which its cell was successful.

    Returns:
        structured: loss, rule, start_index, rates (how many); order and error (its standard error, nan with fewer than
        3 rates) of max_distance, which is close to 1 by the size of the oscillation alone; order_on_minima and
        error_on_minima of end_distance_on_minima, which is not.
    """
    names = ("order", "error", "order_on_minima", "error_on_minima")
    kinds: Any = [("loss", "U64"), ("rule", "U64"), ("start_index", int), ("rates", int), *((n, float) for n in names)]
    good = rows[rows["result"] == RESULTS.SUCCESSFUL.value]
    found = []
    for loss, rule in sorted(set(zip(rows["loss"].tolist(), rows["rule"].tolist(), strict=True))):
        part = good[(good["loss"] == loss) & (good["rule"] == rule)]
        for start in np.unique(rows["start_index"][(rows["loss"] == loss) & (rows["rule"] == rule)]):
            own = part[part["start_index"] == start]
            fits = [_fit(own["intrinsic_lr"], own[name]) for name in ("max_distance", "end_distance_on_minima")]
            found.append((loss, rule, start, len(own), *fits[0], *fits[1]))
    return np.array(found, dtype=kinds)


def _fit(scale: np.ndarray, distance: np.ndarray) -> tuple[float, float]:
    """The slope of log(distance) in log(scale), and its standard error."""
    from scipy.stats import linregress

    good = distance > 0  # on a flow that stands still it may be 0
    if good.sum() < 2:
        return float("nan"), float("nan")
    found = linregress(np.log(scale[good]), np.log(distance[good]))
    # Two points lie on a line whatever they are.
    return float(found.slope), float(found.stderr) if good.sum() > 2 else float("nan")
