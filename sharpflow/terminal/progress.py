"""Progress: one line of standard error that is written over on a terminal, cut to its width.

Elsewhere nothing, but of long parts a line now and then.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharpflow.numerics.sweeps.sweep import Progress as SweepProgress
    from sharpflow.numerics.training.recipe import Recipe
    from sharpflow.numerics.training.trainer import Row

__all__ = ["Line", "TrainingLine", "progress_line", "sweep_line"]

# Seconds without a line that say nothing of a run; where standard error is a file or a pipe, one follows.
QUIET = 10.0
# Signs of the bar of progress, at most and at least.
BAR, LEAST = 24, 4


class Line:
    """One line of standard error; where that is no terminal, nothing is shown."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self._open = False

    @property
    def width(self) -> int:
        """Columns; in the last one the cursor stands."""
        return shutil.get_terminal_size().columns - 1

    def show(self, text: str, /) -> None:
        """Write over what stands there."""
        if self.terminal:
            # A line beyond the width would break, and scroll each time.
            print(f"\r{text[: self.width]:<{self.width}}", end="", file=sys.stderr, flush=True)
            self._open = True

    def clear(self) -> None:
        """Leave nothing of the line."""
        if self._open:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self._open = False

    def close(self) -> None:
        """Leave the line where it stands: what is said next stands below it."""
        if self._open:
            print(file=sys.stderr, flush=True)
        self._open = False


@contextmanager
def progress_line(about: str, /) -> Iterator[Callable[[str], None]]:
    """A function that says what begins; the line is gone in the end. Where there is no terminal, one each `QUIET`."""
    line, last = Line(), time.monotonic()

    def show(part: str) -> None:
        nonlocal last
        if not line.terminal and time.monotonic() - last > QUIET:
            print(f"{about[:30]}: {part} ...", file=sys.stderr, flush=True)
            last = time.monotonic()
        line.show(f"{about[:30]}: {part} ...")

    try:
        yield show
    finally:
        line.clear()


@contextmanager
def sweep_line() -> Iterator[Callable[[SweepProgress], None]]:
    """A function that shows how far a sweep is; the last line stays."""
    line = Line()

    def show(p: SweepProgress) -> None:
        speed = p.steps / p.seconds if p.seconds > 0 else 0.0
        left = "" if p.left != p.left else f", {p.left:.0f} s left"
        line.show(f"  {p.done}/{p.total} blocks, {speed:.3g} steps/s, {p.failures} of {p.cells} cells failed{left}")

    try:
        yield show
    finally:
        line.close()


class TrainingLine(Line):
    """A bar, and the means of a record over the seeds that are finite."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._recipe, self._begun = recipe, time.perf_counter()

    def __call__(self, index: int, row: Row) -> None:
        """Show a record."""
        import numpy as np

        if not self.terminal:
            return

        def mean(values: Any) -> float:
            known = np.isfinite(values)
            return float(np.mean(values[known])) if known.any() else float("nan")

        recipe, sharpness = self._recipe, row.spectrum[:, 0]
        done = f"time {row.step * recipe.rate:.3f}" if recipe.rate > 0 else f"iteration {row.step}"
        wrong, test_wrong, test = mean(row.train_error), mean(row.test_error), mean(row.test_loss)
        tested = f", test {1 - test_wrong:.3f}" if test_wrong == test_wrong else ""
        answers = f"accuracy {1 - wrong:.3f}" if wrong == wrong else f"test loss {test:.3g}" if test == test else ""
        end = f"sharpness {mean(sharpness):.4g}  edge {mean(row.effective_lr * sharpness):.2f}/2"
        seconds = f"  {time.perf_counter() - self._begun:.0f} s"
        head = f"{done}  loss {mean(row.train_loss):.2e}  {answers}"
        # What matters least goes first where the line is too long.
        whole = (f"{head}{tested}  {end}{seconds}", f"{head}{tested}  {end}", f"{head}  {end}")
        text = next((text for text in whole if len(text) + LEAST + 3 <= self.width), whole[-1][: self.width])
        bar = min(BAR, self.width - len(text) - 3)
        if bar >= LEAST:
            filled = round(bar * row.step / recipe.record_steps[-1])
            text = f"[{'#' * filled}{'.' * (bar - filled)}] {text}"
        self.show(text)
        if index == len(recipe.record_steps) - 1:
            self.close()
