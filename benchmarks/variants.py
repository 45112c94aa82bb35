"""Variants of an experiment, each with what the theory says of it, and how that is judged.

Gradient descent with weight decay on a scale-invariant loss goes to effective_lr*lambda_1 = 2 and stays there while
sharpness falls, at a pace that flow time alone decides. Each variant takes one premise away, or changes what the theory
says does not matter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sharpflow.numerics.training.experiment import Choices, Experiment
from sharpflow.numerics.training.recipe import Recipe
from sharpflow.numerics.training.run import TrainingRun, train_network
from sharpflow.numerics.training.statistics import spread

__all__ = ["VARIANTS", "Outcome", "Variant", "at_the_end", "held", "problem_of", "run_variants"]

# Tolerances, of a first look at one seed or two, before the runs of five seeds that they judge. Means of
# effective_lr*lambda_1 over single iterates are within HELD of 2 at the edge: above it, since the largest of several
# eigenvalues that swing by some sqrt(rate) each is seen (0.06 to 0.2 at rate 1e-4, 0.03 at 2.5e-5).
HELD = 0.3
# log sharpness that changes by less over three quarters of a run is at rest; at the edge it falls by 3 or more.
SAME = 0.1
# Largest difference of log sharpness between two runs that should be one: each is off the flow by some intrinsic_lr
# (0.014 at rate 1e-4) for each unit of flow time, and began in a phase of its own. Sharpness that falls all along may
# rise by no more from one record to another.
COLLAPSED = 0.3
# |w|^2 is taken in float32: 1e-7 of it is rounding.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Outcome:
    """What came of a prediction.

    Attributes:
        came_out: whether it did.
        measured: the numbers it was judged by, in words.
    """

    came_out: bool
    measured: str


@dataclass(frozen=True)
class Variant:
    """One change of an experiment.

    Attributes:
        name: for tables and folders.
        change: what is different, in words.
        predicted: what the theory says, in words, written before the runs of five seeds.
        choices: changed choices of the problem.
        rates: (learning_rate, weight_decay) -> the variant's.
        judge: (run, baseline) -> `Outcome`.
    """

    name: str
    change: str
    predicted: str
    judge: Callable[[TrainingRun, TrainingRun], Outcome]
    choices: Mapping[str, Any] | None = None
    rates: Callable[[float, float], tuple[float, float]] = lambda learning, decay: (learning, decay)


def problem_of(experiment: Experiment, variant: Variant, base: Recipe, choices: Choices, /) -> tuple[Choices, Recipe]:
    """The problem and the recipe of a variant of ``base``: the same flow time, or without one as many iterations."""
    learning, decay = variant.rates(base.learning_rate, base.weight_decay)
    assert base.steps is not None
    time = base.rate * base.steps if base.time is None else base.time
    recipe = replace(base, learning_rate=learning, weight_decay=decay, time=time, steps=None if decay else base.steps)
    return replace(choices, **(variant.choices or {})), recipe


def at_the_end(run: TrainingRun, values: np.ndarray, /) -> np.ndarray:
    """(S,) mean of values (N, S) over the records of the last quarter of the run."""
    late = run.columns["step"] >= 0.75 * run.columns["step"][-1]
    mean: np.ndarray = np.mean(values[late], axis=0)
    return mean


def _edge(run: TrainingRun) -> np.ndarray:
    return at_the_end(run, run.edge)


def held(run: TrainingRun, /) -> bool:
    """Whether every seed entered the edge and stayed: means from the entry on, and over the last quarter, at 2."""
    if not np.all(run.entry >= 0):
        return False
    since = [np.mean(run.edge[begin:, s]) for s, begin in enumerate(run.entry)]
    return bool(np.all(np.abs(np.array([*since, *_edge(run)]) - 2) < HELD))


def _rise(run: TrainingRun) -> float:
    """The largest rise of log sharpness above an earlier record, of any seed, from the entry on."""
    logs = [np.log(run.sharpness[begin:, s]) for s, begin in enumerate(run.entry) if begin >= 0]
    return max((float(np.max(log - np.minimum.accumulate(log))) for log in logs), default=math.inf)


def _falls_at_the_edge(run: TrainingRun, _: TrainingRun) -> Outcome:
    fall = run.change().sharpness_ratio
    rise = _rise(run)
    good = held(run) and bool(np.all(fall > 2)) and rise < COLLAPSED
    least = "rises" if math.exp(rise) < 1.001 else f"rises by more than {100 * math.expm1(rise):.2g} %"
    return Outcome(good, f"edge {spread(_edge(run))}, sharpness falls by {spread(fall)}, never {least}")


def _sharper(run: TrainingRun, base: TrainingRun) -> Outcome:
    """The same on another Gamma, where sharpness is larger at the entry in every seed."""
    outcome = _falls_at_the_edge(run, base)
    if np.any(run.entry < 0) or np.any(base.entry < 0):
        return Outcome(False, outcome.measured)
    seeds = np.arange(len(run.names))
    ratio = run.sharpness[run.entry, seeds] / base.sharpness[base.entry, seeds]
    text = f"{outcome.measured}; at edge entry {spread(ratio)} times as sharp as the baseline"
    return Outcome(outcome.came_out and bool(np.all(ratio > 1)), text)


def _rests(run: TrainingRun, base: TrainingRun) -> Outcome:
    late = run.columns["step"] >= 0.25 * run.columns["step"][-1]
    change = np.ptp(np.log(run.sharpness[late]), axis=0)
    norm = run.columns["norm_squared"]
    kept = bool(np.all(norm[1:] >= (1 - ROUNDING) * norm[:-1]))
    text = (
        f"edge at most {np.max(run.edge[late]):.3g}; |w|^2 {'never falls' if kept else 'falls'}; log sharpness changes "
        f"by {spread(change)} after a quarter"
    )
    return Outcome(bool(kept and np.all(run.edge[late] < 2) and np.all(change < SAME)), text)


def _no_edge(run: TrainingRun, base: TrainingRun) -> Outcome:
    if run.failures():
        return Outcome(False, f"diverges: {run.failures()[0]}")
    below = bool(np.all(_edge(run) < 2 - HELD))
    return Outcome(below, f"edge {spread(_edge(run))}, |w|^2 {spread(run.columns['norm_squared'][-1])}")


def _same_curve(run: TrainingRun, base: TrainingRun) -> Outcome:
    """Sharpness over the flow time since the entry, where both have it, against the baseline's."""
    worst, last = [], []
    for s, (own, other) in enumerate(zip(run.entry, base.entry, strict=True)):
        if own < 0 or other < 0:
            return Outcome(False, "a seed did not enter the edge")
        since, reference = run.times[own:] - run.times[own], base.times[other:] - base.times[other]
        common = since[(since > 0) & (since <= reference[-1])]
        mine = np.interp(common, since, np.log(run.sharpness[own:, s]))
        theirs = np.interp(common, reference, np.log(base.sharpness[other:, s]))
        if not len(common):
            return Outcome(False, "a seed entered the edge at the end only")
        apart = np.abs(mine - theirs)
        worst.append(float(np.max(apart)))
        last.append(float(apart[-1]))
    text = (
        f"edge {spread(_edge(run))}; largest difference of log sharpness at equal flow time {spread(np.array(worst))}, "
        f"at the end {spread(np.array(last))}"
    )
    return Outcome(held(run) and max(worst) < COLLAPSED, text)


VARIANTS: tuple[Variant, ...] = (
    Variant("baseline", "nothing", "the edge is held at 2 and sharpness falls all along it", _falls_at_the_edge),
    Variant(
        "no weight decay", "weight decay 0, as many iterations",
        "|w| never falls, so effective_lr never grows: gradient descent comes to rest below the edge, and "
        "sharpness with it",
        _rests, rates=lambda learning, decay: (learning, 0.0),
    ),
    Variant(
        "no normalization", "every normalization left out",
        "the loss is not scale-invariant: weight decay changes the function, and drives nothing to the edge "
        "learning rate times lambda_1(w) = 2",
        _no_edge, choices={"norm": "none"},
    ),
    Variant(
        "rate / 4", "weight decay divided by 4, as much flow time",
        "at equal flow time since the edge the same sharpness: the rate is in the pace only", _same_curve,
        rates=lambda learning, decay: (learning, decay / 4),
    ),
    Variant(
        "learning rate x 4, weight decay / 4", "the same rate, split otherwise",
        "the same: only the product matters, once the edge is reached", _same_curve,
        rates=lambda learning, decay: (4 * learning, decay / 4),
    ),
    Variant(
        "wrong labels", "a fifth of the training labels are wrong",
        "another Gamma, a sharper one, and the same law on it: edge held, sharpness falls; of the test error the "
        "theory says nothing",
        _sharper, choices={"wrong_labels": 0.2},
    ),
    *(
        Variant(
            f"{norm} norm", f"{norm} normalization",
            "the theory knows of no norm but that the loss is scale-invariant: edge held, sharpness falls",
            _falls_at_the_edge, choices={"norm": norm},
        )
        for norm in ("layer", "group", "weight")
    ),
    Variant(
        "cross-entropy", "label-smoothed cross-entropy in place of squared loss",
        "minima exist where smoothing keeps the logits finite, but residuals do not vanish there: edge held, sharpness "
        "falls",
        _falls_at_the_edge, choices={"loss": "cross-entropy"},
    ),
)  # fmt: skip


def run_variants(
    experiment: Experiment, base: Recipe, choices: Choices, seeds: int, /, *, out: str | None = None,
    variants: Sequence[Variant] = VARIANTS, about: Mapping[str, Any] | None = None,
    report: Callable[[str, TrainingRun], None] | None = None,
) -> dict[str, tuple[TrainingRun, Outcome]]:  # fmt: skip
    """Every variant, the baseline first, and what came of its prediction.

    With ``out`` each is kept in a folder there, and one that is there already is gone on with; ``about`` is for the
    manifests, as in `train_network`.
    """
    runs: dict[str, tuple[TrainingRun, Outcome]] = {}
    for variant in variants:
        own, recipe = problem_of(experiment, variant, base, choices)
        place = None if out is None else Path(out).expanduser() / re.sub(r"[^a-z0-9]+", "-", variant.name)
        resume = place is not None and (place / "manifest.json").exists()
        run = train_network(
            experiment.tasks(seeds, own), recipe, out=None if place is None else str(place), resume=resume,
            about={**(about or {}), "experiment": experiment.name, "variant": variant.name},
        )  # fmt: skip
        baseline = next(iter(runs.values()))[0] if runs else run
        runs[variant.name] = run, variant.judge(run, baseline)
        if report is not None:
            report(variant.name, run)
    return runs
