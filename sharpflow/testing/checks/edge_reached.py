"""The edge is reached in the predicted time."""

from __future__ import annotations

from sharpflow.testing.check import AT_THE_EDGE, Check
from sharpflow.testing.trying import measured_by

check = Check(
    meaning="from effective_lr lambda_1 = 1/2 the edge at 2 is reached after log(4)/(2 rate) steps",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    advice="Gamma is not where gradient descent rests: see the checks minimizers and minimal_kernel.",
    run=measured_by("waiting-time", orbit=False),
    supposes=AT_THE_EDGE,
    needs_minima=True,
    order=40,
)
