"""A training run from its start to its end, kept in a directory, and what it says of the edge.

`train_network` runs; `TrainingRun` holds the records of all seeds and reads from them when each seed entered the edge,
how much sharpness fell and test error with it from there on, and how a seed that diverged did so.
"""

from __future__ import annotations

import hashlib
import json
import math
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.models.task import Task
from sharpflow.numerics.training.full_batch import FullBatch
from sharpflow.numerics.training.recipe import VARIATIONS, Recipe
from sharpflow.numerics.training.store import TrainingFiles
from sharpflow.numerics.training.trainer import NUMERICS, Row, State, Trainer
from sharpflow.theory.errors import InputError

__all__ = ["Change", "TrainingRun", "read_training", "train_network"]

# effective_lr*lambda_1 swings about 2 by some intrinsic_lr for each eigenvalue that is there: on digits and MNIST-1D to
# 2.3, in single records to 2.7 (docs/experiments.md); at 3 every step doubles the distance along v_1.
BEYOND = 3.0
# Gradient descent counts as at rest where the loss has fallen to this part: lambda_1 changes by some per cent more.
REST = 1e-3


@dataclass(frozen=True)
class Change:
    """From edge entry to the end, S seeds; nan for a seed that did not enter, or diverged.

    Attributes:
        sharpness_ratio: (S,) lambda_1 at entry over lambda_1 at the end.
        test_error_fall: (S,) test error (test loss where there are no classes) at entry minus at the end.
        worst_train_error: (S,) largest training error of a record from the entry on.
    """

    sharpness_ratio: np.ndarray
    test_error_fall: np.ndarray
    worst_train_error: np.ndarray


@brief
@dataclass(frozen=True, eq=False)
class TrainingRun:
    """Records of S seeds at N iterations.

    Attributes:
        recipe: how it was run.
        names: of the networks with their data.
        columns: `sharpflow.numerics.training.trainer.Row` by field, each (N, S) or (N, S, k), and ``step`` (N,).
        state: after the last record.
        seconds, compile_seconds: of this call.
        complete: whether the last record is the recipe's.
        notes: sentences on files of the directory that were found damaged or missing.
    """

    recipe: Recipe
    names: tuple[str, ...]
    columns: Mapping[str, np.ndarray]
    state: State
    seconds: float
    compile_seconds: float
    complete: bool
    notes: tuple[str, ...] = ()

    @property
    def times(self) -> np.ndarray:
        """(N,) flow time; iterations where there is no weight decay."""
        step: np.ndarray = self.columns["step"]
        return step * self.recipe.rate if self.recipe.rate > 0 else step.astype(float)

    @property
    def sharpness(self) -> np.ndarray:
        """(N, S) lambda_1."""
        return self.columns["spectrum"][..., 0]

    @property
    def edge(self) -> np.ndarray:
        """(N, S) effective_lr*lambda_1."""
        return self.columns["effective_lr"] * self.sharpness

    @property
    def scale_invariant(self) -> bool:
        """True where effective_lr goes with |w|; without normalization it is eta, and sharpness the Hessian's at w."""
        return not np.allclose(self.columns["effective_lr"], self.recipe.learning_rate, rtol=1e-6, equal_nan=True)

    @property
    def test_error(self) -> np.ndarray:
        """(N, S) share of wrong answers to test examples, or their loss where there are no classes."""
        share = self.columns["test_error"]
        return self.columns["test_loss"] if np.isnan(share).all() else share

    @property
    def entry(self) -> np.ndarray:
        """(S,) index of the record at which the edge was entered, -1 for none; where it is damaged, the next."""
        step = self.columns["step"]
        return np.array([int(np.searchsorted(step, s)) if 0 <= s <= step[-1] else -1 for s in self.state.entry])

    @property
    def failed_at(self) -> np.ndarray:
        """(S,) first iteration that is not finite, -1 for none."""
        return np.where(self.state.alive < self.state.step, self.state.alive + 1, -1)

    def change(self) -> Change:
        """The changes from edge entry to the end."""
        out = np.full((3, len(self.names)), np.nan)
        for s, begin in enumerate(self.entry):
            if begin < 0 or self.failed_at[s] >= 0:
                continue
            out[0, s] = self.sharpness[begin, s] / self.sharpness[-1, s]
            out[1, s] = self.test_error[begin, s] - self.test_error[-1, s]
            out[2, s] = np.max(self.columns["train_error"][begin:, s])
        return Change(*out)

    def waiting(self) -> tuple[np.ndarray, np.ndarray]:
        """(S,) flow time of the edge as predicted from each run's descent, and as measured; nan where there is none.

        At rest effective_lr grows as (1 - rate)^(-2t): from the first record at `REST` of the first loss on it takes
        t* = log(2/(effective_lr lambda_1))/(-2 log(1 - rate)) iterations more, lambda_1 taken there. Measured: where
        effective_lr*lambda_1 first passes 2, interpolated between records. A seed that passes it before it is at rest
        has nothing to wait for, and no prediction.
        """
        predicted = np.full(len(self.names), np.nan)
        measured = predicted.copy()
        own = self.recipe.edge
        if self.recipe.rate == 0 or self.recipe.schedule != "constant":
            return predicted, measured
        for s in range(len(self.names)):
            edge, loss = self.edge[:, s], self.columns["train_loss"][:, s]
            right = np.flatnonzero((loss < REST * loss[0]) & (edge > 0) & (edge < own))
            passed = np.flatnonzero(edge >= own)
            waited = len(right) and (not len(passed) or passed[0] > right[0])
            if waited:
                wait = math.log(own / edge[right[0]]) / (-2 * math.log1p(-self.recipe.rate)) * self.recipe.rate
                predicted[s] = self.times[right[0]] + wait
            if len(passed) and (k := passed[0]) > 0 and edge[k - 1] > 0:
                low, high = np.log(edge[k - 1]), np.log(edge[k])
                measured[s] = np.interp(math.log(own), [low, high], self.times[k - 1 : k + 1])
        return predicted, measured

    @property
    def ended(self) -> bool:
        """True where there is nothing to go on with: the last record is made, or no seed is finite any more."""
        return self.complete or bool(np.all(self.failed_at >= 0))

    def failures(self) -> list[str]:
        """A sentence for each seed that diverged: when, and what the record before says of it."""
        said = []
        for s, at in enumerate(self.failed_at):
            if at < 0:
                continue
            k = int(np.searchsorted(self.columns["step"], at)) - 1
            edge = self.edge[max(k, 0), s]
            if edge > BEYOND:
                why = (
                    f"beyond the edge 2: lower the learning rate, whose effective value was "
                    f"{self.columns['effective_lr'][max(k, 0), s]:.3g} at sharpness {self.sharpness[max(k, 0), s]:.3g}"
                )
            else:
                where = "below the edge 2" if edge < 2 else "about the edge 2, where a run stays that goes well"
                why = (
                    f"{where}, so that it was no slow loss of stability: an output whose variance vanished, or a "
                    "number too large for the precision; try --dtype float64"
                )
            when = f" (time {at * self.recipe.rate:.4g})" if self.recipe.rate > 0 else ""
            said.append(
                f"seed {s} is not finite from iteration {at} on{when}; at the record before, iteration "
                f"{self.columns['step'][max(k, 0)]}, effective_lr*sharpness was {edge:.3g}, {why}."
            )
        return said

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `sharpflow.terminal.output.to_json` writes."""
        change, waiting = self.change(), self.waiting()
        return {
            "recipe": asdict(self.recipe), "rate": self.recipe.rate, "intrinsic_lr": self.recipe.intrinsic_lr,
            "networks": list(self.names), "times": self.times, "complete": self.complete,
            **{name: np.asarray(column) for name, column in self.columns.items()},
            "edge": self.edge, "entry_step": self.state.entry, "failed_at": self.failed_at,
            "waiting_predicted": waiting[0], "waiting_measured": waiting[1],
            "sharpness_ratio": change.sharpness_ratio, "test_error_fall": change.test_error_fall,
            "worst_train_error": change.worst_train_error, "failures": self.failures(), "notes": list(self.notes),
            "seconds": {"run": self.seconds, "compile": self.compile_seconds},
        }  # fmt: skip


def digest_of(tasks: Sequence[Task], recipe: Recipe, /) -> str:
    """A hash of everything that decides the run: data, start, network, loss, recipe, and the number of the numerics."""
    # A plain run has the hash that it had before there were variations.
    plain = {name: value for name, value in asdict(recipe).items() if name not in VARIATIONS}
    said_of_recipe = [NUMERICS, plain | recipe.variations]
    whole = hashlib.sha256(json.dumps(said_of_recipe, sort_keys=True).encode())
    for task in tasks:
        model = task.model
        said = [
            model.network.name, model.norm, model.head, model.groups, model.activation, model.layout, task.loss,
            task.smoothing, task.logit_scale, sorted(model.sizes.items()),
        ]  # fmt: skip
        whole.update(json.dumps(said, default=list).encode())
        arrays = (task.start, task.data.inputs, task.data.targets, task.data.test_inputs, task.data.test_targets)
        for array in arrays:
            whole.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


def train_network(
    tasks: Sequence[Task], recipe: Recipe, /, *, out: str | None = None, resume: bool = False,
    about: Mapping[str, Any] | None = None, report: Callable[[int, Row], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainingRun:  # fmt: skip
    """Run gradient descent with weight decay on every task, from its start to the recipe's end.

    Args:
        tasks: one for each seed, of one network.
        recipe: how.
        out: a directory to keep records and states in as the run goes; ``None`` keeps nothing.
        resume: go on with what is in ``out``; the result is that of a run that was never stopped, bit for bit, on the
            same machine and versions. Where ``about`` says that these differ, the manifest and the notes tell it.
        about: for the manifest: command, versions, git.
        report: called with the index of each record and the record.
        stop: asked after each record; true ends the run there.

    Returns:
        the records up to where it ended. A seed that diverged has nan from there on; `TrainingRun.failures` says why.

    Raises:
        InputError: tasks do not fit, or ``out`` holds something else.
        Stopped: the disk is full.

    Examples:
        >>> from sharpflow import Recipe, train_network
        >>> from sharpflow.numerics.data.mnist1d import mnist1d
        >>> from sharpflow.numerics.training.experiment import task
        >>> small = task("mlp", mnist1d(n=30, test=0), widths=(6,))
        >>> run = train_network([small], Recipe(0.05, 2e-3, steps=20, records=2, count=1))
        >>> run.complete, run.columns["train_loss"].shape
        (True, (3, 1))
    """
    if not tasks:
        raise InputError("there is nothing to train: no task was given.")
    for task in tasks:
        FullBatch(task, recipe.pieces)
    begun, digest = clock.perf_counter(), digest_of(tasks, recipe)
    manifest = {"command": [], **(about or {}), "recipe": asdict(recipe), "seeds": len(tasks),
                "networks": [t.name for t in tasks]}  # fmt: skip
    if out is None:
        return _run(tasks, recipe, None, begun, about, report, stop)
    files = TrainingFiles.open(out) if resume else TrainingFiles.create(out, digest, manifest)
    files.require(digest, manifest)
    with files.lock():
        return _run(tasks, recipe, files, begun, about, report, stop)


def _run(
    tasks: Sequence[Task], recipe: Recipe, files: TrainingFiles | None, begun: float, about: Mapping[str, Any] | None,
    report: Callable[[int, Row], None] | None, stop: Callable[[], bool],
) -> TrainingRun:  # fmt: skip
    trainer, steps = Trainer(tasks, recipe), recipe.record_steps
    rows: dict[int, Row] = {}
    state: State | None = None
    notes: list[str] = []
    if files is not None and (found := files.last()) is not None:
        index, state = found
        rows = {i: row for i, row in files.rows().items() if i <= index}
        # Where a record was damaged later its steps are gone over again, from the start.
        if missing := sorted(set(range(index + 1)) - set(rows)):
            notes.append(f"Record {missing[0]} was damaged or missing: the run was begun again from its start.")
            rows, state = {}, None
    if files is not None:
        notes[:0] = [f"{name} was damaged and is not used: {why}" for name, why in sorted(files.damaged.items())]
        if len(rows) < len(steps) and (state is None or np.any(state.alive == state.step)):
            files.goes_on(len(rows), about or {})
        notes += files.changes()
    if state is None:
        state, rows[0] = trainer.begin()
        if files is not None:
            files.keep(0, rows[0], state)
        if report is not None:
            report(0, rows[0])
    for index in range(len(rows), len(steps)):
        if stop() or not np.any(state.alive == state.step):
            break
        state, rows[index] = trainer.advance(state, steps[index])
        if files is not None:
            files.keep(index, rows[index], state)
        if report is not None:
            report(index, rows[index])
    ordered = [rows[i] for i in sorted(rows)]
    return TrainingRun(
        recipe, tuple(t.name for t in tasks), _columns(ordered), state,
        seconds=clock.perf_counter() - begun - trainer.compile_seconds, compile_seconds=trainer.compile_seconds,
        complete=len(rows) == len(steps), notes=tuple(notes),
    )  # fmt: skip


def _columns(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    return {name: np.stack([np.asarray(getattr(row, name)) for row in rows]) for name in Row._fields}


def read_training(path: str, /) -> TrainingRun:
    """Read the run that a directory holds, finished or not; nothing is run.

    Raises:
        InputError: it holds no run, or no record that is whole.
    """
    files = TrainingFiles.open(path)
    known = {field.name for field in fields(Recipe)}
    try:
        recipe = Recipe(**{k: v for k, v in files.manifest["recipe"].items() if k in known})
        names = tuple(files.manifest["networks"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: manifest.json is damaged ({error}).") from error
    # The state first: a run that is at work meanwhile writes each row before its state, and takes away old states only.
    last, rows = files.last(), files.rows()
    if not rows or last is None:
        raise InputError(f"{path} holds no finished record yet.")
    kept = [rows[i] for i in sorted(rows) if i <= last[0]]
    complete = len(kept) == len(recipe.record_steps)
    notes = [f"{name} is damaged: {why}" for name, why in sorted(files.damaged.items())]
    if len(kept) <= last[0]:
        notes.append(f"Of the first {last[0] + 1} records {len(kept)} are whole; --resume makes the others again.")
    notes += files.changes()
    return TrainingRun(recipe, names, _columns(kept), last[1], 0.0, 0.0, complete, tuple(notes))
