"""A matplotlib figure that a notebook shows, without pyplot and its global state."""

from __future__ import annotations

import io

import matplotlib.figure

__all__ = ["Figure"]


class Figure(matplotlib.figure.Figure):
    """`matplotlib.figure.Figure` with a PNG of itself for IPython, which shows figures of pyplot only."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()
