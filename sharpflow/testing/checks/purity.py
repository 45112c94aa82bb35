"""No callback to the host, no side effect on files, processes or variables, no memory, no random state."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import failed, held, side_effect


def run(subject: Subject) -> Trial:
    """Two traces and two calls, under different global random states."""
    from sharpflow.numerics.inspection.purity import read_trace

    found = read_trace(subject.objective.function, subject.objective.start)
    if trial := side_effect("the function", subject.objective.function, found):
        return trial
    if found.impure:
        return failed(f"the function is not pure: {found.impure}", w=subject.objective.start)
    if found.callbacks:
        return failed(f"the function calls back to the host: {', '.join(found.callbacks)}")
    if found.prints:
        return failed(f"the function prints: {found.prints!r}")
    return held("two traces and two calls agree; no callback, nothing printed, written, drawn or remembered")


check = Check(
    meaning="the function is pure: no memory, no random state, no callback, no output, no side effect",
    source="JAX: pure functions",
    run=run,
    advice=(
        "Make everything the function uses an argument or a constant; take out print, counters, np.random "
        "and callbacks."
    ),
    order=1,
)
