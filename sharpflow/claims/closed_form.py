"""A closed form or an invariant of the flow, where there is one."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import not_run
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.flow import prove_closed_form

    return prove_closed_form(case.flow)


def measure(case: Case) -> Measurement:
    """The flow by SciPy, put into what was found."""
    from sharpflow.numerics.measurements.closed_forms import closed_form_residual

    residual = closed_form_residual(case.flow, time=case.time)
    if residual is None:
        return not_run("no closed form, quadrature or conserved quantity was found")
    return weigh(
        residual, 0.0, 1e-6,
        f"largest residual of the closed form, the quadrature or the conserved quantity along the flow by SciPy "
        f"over time "
        f"{case.time:g}; tolerance: the integrator's 1e-9, amplified where the quadrature is steep",
    )  # fmt: skip


claim = Claim(
    title="closed form of the flow",
    statement=r"I(p(\tau)) = I(p_0) + \tau",
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
