"""Mean square of the oscillation."""

from __future__ import annotations

from sharpflow.testing.check import AT_THE_EDGE, Check
from sharpflow.testing.trying import measured_by

check = Check(
    meaning="<x^2> = 2 rate/(4 + K^2)",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    advice="See the checks period and tracking; `sharpflow compare SPEC --plot FILE` shows the run.",
    run=measured_by("mean-square-oscillation", smooth=True),
    supposes=AT_THE_EDGE,
    needs_minima=True,
    order=42,
)
