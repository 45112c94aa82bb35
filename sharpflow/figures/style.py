"""The style of all figures, and a figure that a notebook shows, without pyplot and its global state."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import resources
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.figure
import matplotlib.style

if TYPE_CHECKING:
    from sharpflow.numerics.comparison.noisy import NoisyComparison
    from sharpflow.numerics.comparison.result import Comparison

__all__ = ["Figure", "styled"]


COLUMN, PAGE = 3.4, 7.0
DESCENT, FLOW, GAMMA, EDGE = "#D55E00", "#0072B2", "#6f6f6f", "#000000"


@contextmanager
def _style() -> Iterator[None]:
    """The project's style and nothing of the user's matplotlibrc: ``text.usetex`` there needs a LaTeX."""
    with resources.as_file(resources.files("sharpflow").joinpath("sharpflow.mplstyle")) as path, mpl.rc_context():
        matplotlib.style.use(["default", path])
        yield


class Figure(matplotlib.figure.Figure):
    """`matplotlib.figure.Figure` with a PNG of itself for IPython, which shows figures of pyplot only.

    It is written in the style that it is drawn in: some settings are read only then.
    """

    def savefig(self, *arguments: Any, **options: Any) -> None:
        """Write the figure, as matplotlib does."""
        with _style():
            super().savefig(*arguments, **options)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi="figure")  # larger ones would be scaled down again
        return buffer.getvalue()


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """``draw`` under the project's style sheet."""

    @wraps(draw)
    def wrapped(*arguments: Any, **options: Any) -> Figure:
        with _style():
            return draw(*arguments, **options)

    return wrapped


def ended(run: Comparison | NoisyComparison) -> str:
    """The end of a title, for a run that failed."""
    return "" if run.result.ok else f" ({run.result.value.replace('_', ' ')})"


def power(value: float) -> str:
    """A rate as a power of ten, where it is one."""
    exponent = round(math.log10(value))
    return f"$10^{{{exponent}}}$" if math.isclose(value, 10.0**exponent, rel_tol=1e-6) else f"{value:.3g}"
