"""The law of the oscillation's energy."""

from __future__ import annotations

from sharpflow.testing.check import AT_THE_EDGE, Check
from sharpflow.testing.trying import measured_by

check = Check(
    meaning="dE/d tau = c <U^2> with c from the jets of the loss",
    source="derived here (docs/derivation.md)",
    advice="Third and fourth derivatives of the loss enter: see the checks smoothness and euler_identities.",
    run=measured_by("energy-law", smooth=True),
    supposes=AT_THE_EDGE,
    needs_minima=True,
    order=46,
)
