"""Mean square of the oscillation."""

from __future__ import annotations

from sharpflow.testing.check import AT_THE_EDGE, Check
from sharpflow.testing.trying import measured_by

check = Check(
    meaning="<x^2> = 2 rate/(4 + K^2), and rate tr Sigma with several eigenvalues at the edge",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    advice=(
        "`sharpflow compare SPEC --rate 1e-5 --time 2 --plot FILE` shows this run, with every eigenvalue that comes to "
        "the edge: whether effective_lr lambda_1 stays near 2 and the distance from the flow small. The same at --rate "
        "1e-6 shows what belongs to the rate: it falls with its square root."
    ),
    run=measured_by("mean-square-oscillation", smooth=True),
    supposes=AT_THE_EDGE,
    needs_minima=True,
    order=42,
)
