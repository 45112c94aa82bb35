"""Gradient descent tracks the flow to order one."""

from __future__ import annotations

from sharpflow.testing.check import AT_THE_EDGE, Check
from sharpflow.testing.trying import measured_by

check = Check(
    meaning="max |theta_t - zeta(rate t)| = O(intrinsic_lr)",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    advice=(
        "`sharpflow order SPEC --plot FILE` shows the fit; a second eigenvalue near the first, or a long "
        "time, are usual causes."
    ),
    run=measured_by("tracking"),
    supposes=AT_THE_EDGE,
    needs_minima=True,
    order=45,
)
