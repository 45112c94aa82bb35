"""Double precision inside."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import failed, held


def run(subject: Subject) -> Trial:
    """Types of every operation in the trace at a float64 point."""
    from sharpflow.numerics.inspection.purity import read_trace

    found = read_trace(subject.objective.function, subject.objective.start)
    if found.low_precision:
        return failed(f"operations give less than float64 though w is float64: {', '.join(found.low_precision[:6])}")
    return held("every operation on float64 weights gives float64")


check = Check(
    meaning="float64 weights give float64 everywhere inside",
    source="oscillations of size 1e-5 and their derivatives need sixteen digits",
    run=run,
    advice="Take out astype(float32) and dtype=jnp.float32, and load data as float64.",
    order=2,
)
