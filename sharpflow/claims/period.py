"""Small oscillations take pi/eta_in iterations, large ones the quadrature of the energy."""

from __future__ import annotations

from sharpflow.claim import AT_THE_EDGE, Case, Claim, Measurement, weigh
from sharpflow.claims._shared import COARSE, FINE, not_run
from theory.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from theory.averaging import prove_period

    return prove_period()


def measure(case: Case) -> Measurement:
    """Periods of a small and of a large orbit, each over its predicted one, the farther from 1."""
    if case.loss is None:
        return not_run("measured on each loss")
    from numerics.orbit import period_ratios

    small, large, correction = period_ratios(case.subject, case.rule, coarse=COARSE, fine=FINE)
    worst = max((small, large), key=lambda ratio: abs(ratio - 1))
    return weigh(
        worst, 1.0, correction + 3e-3,
        f"measured/predicted period: {small:.5f} at amplitude 1.1 against pi/intrinsic_lr, {large:.5f} at amplitude "
        f"3 against the "
        "quadrature, extrapolated to rate 0. Tolerance: the correction made, and 0.3 % for amplitude 1.1 not being 1",
    )  # fmt: skip


claim = Claim(
    title="period of the oscillation",
    statement=r"t_{\mathrm{period}} = \frac{\pi}{\eta_{\mathrm{in}}} \text{ for small orbits}",
    about="both",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=AT_THE_EDGE,
)
