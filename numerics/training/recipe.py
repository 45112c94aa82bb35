"""The input of a training run: rates, times, seeds and records, checked before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sharpflow.numerics.numbers import check_not_negative, check_number, check_positive, check_time, check_whole
from sharpflow.theory.errors import InputError

__all__ = ["Recipe"]

# Residuals of eigenpairs, relative to lambda_1; eigenvalues are then off by the square of it over the gap, at most by
# itself. float32 reaches 1e-6.
EIGENPAIRS = {"float32": 1e-4, "float64": 1e-6}
MAX_STEPS = 10**9
VARIATIONS: dict[str, object] = {"batch": None, "momentum": 0.0, "label_noise": 0.0, "schedule": "constant"}
SCHEDULES = ("constant", "cosine", "step", "wsd")
# The factor 1 - rate must be right to a hundredth of the rate; float32 has 6e-8.
RESOLUTION = 0.01


@dataclass(frozen=True)
class Recipe:
    """How gradient descent is run.

    Attributes:
        learning_rate, weight_decay: eta and lambda; their product is the rate.
        time: flow time, rate times iterations; without weight decay give ``steps``.
        steps: iterations, even; default time/rate.
        records: how many after the first; record k is at step steps (k/records)^2, made even: early ones are dense.
        batch: examples in a step, drawn without replacement; ``None``: all.
        momentum: beta of heavy ball; 0: none.
        label_noise: standard deviation of the noise that targets have in each step (squared loss).
        schedule: of the learning rate: constant, cosine, step or wsd (`sharpflow.numerics.training.variations`); weight
            decay follows it, as it multiplies the learning rate, and times stay those of the highest rate.
        record_times: of the records, in place of that: flow times, iterations where there is no weight decay. The start
            and the end are recorded besides.
        count: eigenvalues recorded.
        dtype: float32 or float64.
        pieces: of the examples that gradients are summed over (`sharpflow.numerics.training.full_batch`).

    Raises:
        InputError: a number is out of range, or the rate is too small for the precision.
    """

    learning_rate: float
    weight_decay: float
    time: float | None = None
    steps: int | None = None
    records: int = 60
    count: int = 4
    dtype: str = "float32"
    pieces: int = 1
    record_times: tuple[float, ...] | None = None
    batch: int | None = None
    momentum: float = 0.0
    label_noise: float = 0.0
    schedule: str = "constant"

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_not_negative("weight_decay", self.weight_decay)
        if self.dtype not in EIGENPAIRS:
            raise InputError(f"dtype = {self.dtype!r} must be float32 or float64.")
        if not self.rate < 0.1:
            raise InputError(f"learning_rate*weight_decay = {self.rate:g} must be below 0.1.")
        kept = float(np.dtype(self.dtype).type(1 - self.rate))
        if self.rate > 0 and abs((1 - kept) / self.rate - 1) > RESOLUTION:
            raise InputError(
                f"in {self.dtype} the factor 1 - {self.rate:g} is 1 - {1 - kept:.3g}; take --dtype float64, or a "
                "larger rate."
            )
        check_not_negative("label_noise", self.label_noise)
        if not 0 <= check_number("momentum", self.momentum) < 1:
            raise InputError(f"momentum = {self.momentum} must be at least 0 and below 1.")
        if self.batch is not None:
            # Statistics over fewer examples have no variance, or only signs.
            check_whole("batch", self.batch, least=3)
            if self.pieces != 1:
                raise InputError("a batch is one piece: give batch or pieces.")
        if self.schedule not in SCHEDULES:
            raise InputError(f"schedule = {self.schedule!r} must be one of {', '.join(SCHEDULES)}.")
        check_whole("records", self.records)
        check_whole("count", self.count)
        if self.steps is None:
            if self.rate == 0:
                raise InputError("without weight decay there is no flow time: give the number of steps.")
            time = check_time(self.time)
            if time / self.rate > MAX_STEPS:
                raise InputError(f"time/rate = {time / self.rate:g} steps are too many; a rate was mistyped?")
            object.__setattr__(self, "steps", 2 * max(1, round(time / self.rate / 2)))
        elif not (isinstance(self.steps, int) and 2 <= self.steps <= MAX_STEPS and self.steps % 2 == 0):
            raise InputError(f"steps = {self.steps!r} must be even, and from 2 to {MAX_STEPS}.")
        if self.record_times is not None and self.steps is not None:
            object.__setattr__(self, "record_times", tuple(float(t) for t in self.record_times))
            end = self.steps * self._unit
            for t in self.record_times:
                if not 0 <= t <= end * (1 + 1e-9):
                    what = "flow time" if self.rate > 0 else "iterations"
                    raise InputError(f"record_times: {t:g} is not between 0 and the end of the run, {end:g} ({what}).")

    @property
    def rate(self) -> float:
        """eta lambda."""
        return self.learning_rate * self.weight_decay

    @property
    def variations(self) -> dict[str, object]:
        """The entries beside full-batch gradient descent at one learning rate, by name; empty for that."""
        return {name: getattr(self, name) for name, plain in VARIATIONS.items() if getattr(self, name) != plain}

    @property
    def edge(self) -> float:
        """effective_lr*lambda_1 at the edge of the whole batch, 2 (1 + momentum)."""
        return 2 * (1 + self.momentum)

    @property
    def intrinsic_lr(self) -> float:
        """sqrt(2 eta lambda)."""
        return math.sqrt(2 * self.rate)

    @property
    def _unit(self) -> float:
        """An iteration in units of record times."""
        return self.rate if self.rate > 0 else 1.0

    @cached_property
    def record_steps(self) -> tuple[int, ...]:
        """Rising even iteration numbers, from 0 to ``steps``."""
        assert self.steps is not None
        if self.record_times is not None:
            chosen = (min(2 * round(t / self._unit / 2), self.steps) for t in self.record_times)
            return tuple(sorted({0, self.steps, *chosen}))
        wanted = (2 * round(self.steps / 2 * (k / self.records) ** 2) for k in range(self.records + 1))
        return tuple(sorted(set(wanted)))
