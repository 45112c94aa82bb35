"""A flow in steps that choose their own size, run in compiled stretches: what two kinds of step have in common.

A stepper carries k eigenvalues and has `advance(state, end, tolerance)`, one try, and `finite`, `crowded` (the next
eigenvalue may be at the edge, too) and `lost` (it cannot go on), all for tracing; its states have time, point, log_lr,
here.values, sigma and unsolved (residuals of the kinds `SOLVED`, 0 where there is nothing to say).
"""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.minima.normals import SOLVED
from sharpflow.numerics.results import RESULTS

__all__ = ["Program", "Stretches", "trace"]


Array = jax.Array


def trace(stepper: Any, buffer: int) -> Any:
    """Up to ``buffer`` steps, with a row for each: for `Compiled`."""

    def run(s: Any, end: Array, tolerance: Array) -> tuple[Any, ...]:
        def row(s: Any, residual: Array) -> tuple[Array, ...]:
            return s.time, s.point, s.log_lr, s.here.values, s.sigma, residual

        rows = jax.tree.map(
            lambda a: jnp.zeros((buffer, *jnp.shape(a)), jnp.result_type(a)), row(s, jnp.zeros(()))
        )  # fmt: skip

        def going(carry: tuple[Any, ...]) -> Array:
            s, count, tries, _ = carry
            well = stepper.finite(s) & ~stepper.crowded(s) & ~stepper.lost(s) & ~jnp.any(s.unsolved > 0)
            return (s.time < end) & (count < buffer) & (tries < 8 * buffer) & well

        def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            s, count, tries, rows = carry
            s, accept, residual = stepper.advance(s, end, tolerance)
            # A rejected try writes where the next one will write again.
            rows = jax.tree.map(lambda kept, new: kept.at[count].set(new), rows, row(s, residual))
            return s, count + accept, tries + 1, rows

        zero = jnp.zeros((), int)
        s, count, tries, rows = jax.lax.while_loop(going, advance, (s, zero, zero, rows))
        return s, count, tries, rows, (stepper.finite(s), stepper.crowded(s), stepper.lost(s))

    return run


@dataclass(frozen=True)
class Program:
    """The two programs of a flow: its begin, and a stretch of it."""

    begin: Compiled
    run: Compiled

    @property
    def seconds(self) -> float:
        """Spent compiling."""
        return self.begin.seconds + self.run.seconds


class Stretches:
    """Stretch after stretch, with more eigenvalues where they are needed.

    Args:
        name: of the objective.
        programs: from the number of eigenvalues carried.
        most: eigenvalues that may be carried at most.
        lost: the result where a stepper says ``lost``, and what to say of the spectrum (r,) there.
        extra: what `Program.begin` takes besides.
    """

    def __init__(
        self, name: str, programs: Callable[[int], Program], /, *, most: int,
        lost: tuple[RESULTS, Callable[[np.ndarray], str]], time: float, tolerance: float, max_steps: int,
        extra: tuple[np.float64, ...] = (),
    ) -> None:  # fmt: skip
        self.name, self.programs, self.most, self.lost, self.extra = name, programs, most, lost, extra
        self.time, self.tolerance = np.float64(time), np.float64(tolerance)
        self.rows: list[tuple[np.ndarray, ...]] = []
        self.seconds = self.compile_seconds = 0.0
        self.rejected = self.tries = 0
        self.max_steps = max_steps

    def run(self, point: np.ndarray, effective_lr: float, first: float, count: int) -> Path:
        """From a point (D,) with a first step, ``count`` eigenvalues carried."""
        log_lr, begun, first_step = math.log(effective_lr), np.float64(0.0), np.float64(first)
        k = min(count, self.most)
        while True:
            s, flags = self._stretches((point, np.float64(log_lr), begun, first_step, *self.extra), k)
            finite, crowded, lost = (bool(f) for f in flags)
            reached = float(s.time) >= self.time
            if crowded and finite and not lost and not reached and k < self.most:
                k = min(2 * k, self.most)
                point, log_lr, begun = np.asarray(s.point), float(s.log_lr), np.float64(s.time)
                continue
            return self._result(s, finite, lost, crowded and not reached, k)

    def _stretches(self, arguments: tuple[Any, ...], k: int) -> tuple[Any, Any]:
        program = self.programs(k)
        before = program.seconds
        program.begin.prepare(*arguments)
        started = clock.perf_counter()
        s = program.begin(*arguments)
        jax.block_until_ready(s)
        self.seconds += clock.perf_counter() - started
        program.run.prepare(s, self.time, self.tolerance)
        self.compile_seconds += program.seconds - before
        if not self.rows:
            self.rows.append(
                jax.tree.map(lambda a: np.asarray(a)[None], (s.time, s.point, s.log_lr, s.here.values, s.sigma))
            )
        while True:
            started = clock.perf_counter()
            s, count, tries, rows, flags = program.run(s, self.time, self.tolerance)
            self.rows.append(tuple(np.asarray(a)[: int(count)] for a in rows))
            self.seconds += clock.perf_counter() - started
            self.tries += int(tries)
            finite, crowded, lost = (bool(f) for f in flags)
            over = float(s.time) >= self.time or int(count) == 0 or self.tries >= self.max_steps
            if over or np.any(np.asarray(s.unsolved) > 0) or not finite or crowded or lost:
                break
        self.rejected += int(s.rejected)
        return s, flags

    def _result(self, s: Any, finite: bool, lost: bool, crowded: bool, k: int) -> Path:
        if len(self.rows) > 1 and len(self.rows[1][0]) and self.rows[1][4].shape == (len(self.rows[1][0]), k, k):
            # At the start itself Sigma is that of the first (short) step.
            self.rows[0] = (*self.rows[0][:4], self.rows[1][4][:1])
        times, points, log_lr = (np.concatenate([row[i] for row in self.rows]) for i in range(3))
        widest = max(row[3].shape[1] for row in self.rows)
        spectrum = np.concatenate([
            np.pad(row[3], ((0, 0), (0, widest - row[3].shape[1])), constant_values=np.nan) for row in self.rows
        ])  # fmt: skip
        sigma = np.zeros((len(times), k, k))
        first = 0
        for row in self.rows:
            size = row[4].shape[1]
            sigma[first : first + len(row[4]), :size, :size] = row[4]
            first += len(row[4])
        residual = max((float(row[5].max()) for row in self.rows if len(row) > 5 and len(row[5])), default=0.0)
        good = np.isfinite(log_lr) & np.all(np.isfinite(points), axis=1)
        keep = np.cumprod(good).astype(bool)
        result, message = RESULTS.SUCCESSFUL, ""
        left = np.asarray(s.unsolved)
        at = f"at flow time {times[keep][-1]:.4g}"
        if not finite or not keep.all():
            result, message = RESULTS.DIVERGED, f"not finite after flow time {times[keep][-1]:.4g}"
        elif np.any(left > 0):
            said = [text.format(value) for text, value in zip(SOLVED, left, strict=False) if value > 0]
            result, message = RESULTS.UNCONVERGED, f"{at} {'; '.join(said)}"
        elif lost:
            result, message = self.lost[0], f"{at} {self.lost[1](spectrum[-1])}"
        elif crowded:
            result, message = RESULTS.EDGES_EXHAUSTED, f"{at} {k} eigenvalues are at the edge"
        elif float(s.time) < self.time:
            result, message = RESULTS.MAX_STEPS, f"{at}, after {self.tries} tries"
        return Path(
            times[keep], points[keep], np.exp(log_lr[keep]), spectrum[keep], sigma[keep], result, message, self.name,
            self.seconds, self.compile_seconds, residual=residual, rejected=self.rejected,
        )  # fmt: skip
