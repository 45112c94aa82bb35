"""An eigenvalue that a symmetry hides passes the edge, and is noticed late: the entry-exit time."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh


def measure(case: Case) -> Measurement:
    """The symmetric crossing loss, at a rate at which the hidden amplitude survives."""
    from sharpflow.numerics.measurements.crossing_checks import hidden_exit

    rate = 2e-3
    found = hidden_exit(case.rule, rate=rate)
    return weigh(
        found.measured, found.predicted, 8 * rate,
        f"flow time at rate {rate:g} at which |u| is back at its first size; it becomes unstable at "
        f"{found.entry:.4g} already, and effective_lr lambda_2 is {found.overshoot:.3g} at the exit. Tolerance: eight "
        "steps, some 1/log 1.4 for each unit that log|u| is off by",
    )  # fmt: skip


claim = Claim(
    title="a hidden eigenvalue passes the edge and is noticed late",
    statement=r"\int_0^{t_{\mathrm{exit}}} \log|1 - \eta_{\mathrm{eff}} \lambda_2|\,dt = 0",
    section="edge",
    measure=measure,
    about="generic",
    source="beyond the paper",
    why_no_proof="log|u_t| is a sum over the steps by the linearised map (claim edge-multiplier); that the nonlinear "
    "terms do not matter is measured, not proved",
)
