"""Period of the oscillation at the edge."""

from __future__ import annotations

from sharpflow.testing.check import AT_THE_EDGE, Check
from sharpflow.testing.trying import measured_by

check = Check(
    meaning="small oscillations take pi/intrinsic_lr iterations, large ones the quadrature",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    advice=(
        "Look for an eigenvalue close to the first, or a loss so curved that 1e-6 is no small rate: try "
        "`sharpflow compare`."
    ),
    run=measured_by("period", smooth=True),
    supposes=AT_THE_EDGE,
    needs_minima=True,
    order=41,
)
