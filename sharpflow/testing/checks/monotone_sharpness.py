"""Sharpness never rises along the flow."""

from __future__ import annotations

from sharpflow.testing.check import AT_THE_EDGE, Check
from sharpflow.testing.trying import measured_by

check = Check(
    meaning="d log lambda_1/d tau = -2 K^2/(4 + K^2) <= 0",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    advice="The flow left the chart or a gap closed: see the checks simple_sharpness and tracking.",
    run=measured_by("monotone-sharpness"),
    supposes=AT_THE_EDGE,
    needs_minima=True,
    order=43,
)
