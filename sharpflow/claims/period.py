"""Small oscillations take pi/eta_in iterations, large ones the quadrature of the energy."""

from __future__ import annotations

import math

from sharpflow.claim import Case, Claim, Measurement, Numeric, weigh
from sharpflow.claims._shared import COARSE, FINE, not_run
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.averaging import prove_period

    return prove_period()


def measure(case: Case) -> Measurement:
    """Periods of a small and of a large orbit, each over its predicted one, the farther from 1."""
    if case.loss is None:
        return not_run("measured on each loss")
    from sharpflow.numerics.descent.orbit import period_ratios

    small, large, correction = period_ratios(case.subject, case.rule, coarse=COARSE, fine=FINE)
    if not (math.isfinite(small) and math.isfinite(large)):
        return _unseen(case, "small" if math.isfinite(large) else "large" if math.isfinite(small) else "either")
    worst = max((small, large), key=lambda ratio: abs(ratio - 1))
    return weigh(
        worst, 1.0, correction + 3e-3,
        f"measured/predicted period: {small:.5f} at amplitude 1.1 against pi/intrinsic_lr, {large:.5f} at amplitude "
        f"3 against the "
        "quadrature, extrapolated to rate 0. Tolerance: the correction made, and 0.3 % for amplitude 1.1 not being 1",
    )  # fmt: skip


def _unseen(case: Case, which: str) -> Measurement:
    """No whole period was seen: with what the energy does meanwhile, the usual cause."""
    import numpy as np

    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.predictions.horizon import predicted_coefficient

    law = law_of(case.rule)
    why = ""
    if law.exact.coefficient is not None:
        c = predicted_coefficient(case.subject, case.rule, case.objective.start)
        with np.errstate(over="ignore"):
            factors = [float(np.exp(c * rate * law.period(rate))) for rate in (COARSE, FINE)]
        why = ": by dE/d tau = c <U^2> with c = {:.4g} energies are multiplied by {:.2g} and {:.2g} within a period"
        why = why.format(c, *factors)
    return Measurement(
        Numeric.INCONCLUSIVE, None, 1.0, 3e-3,
        f"no whole period of {which} orbit was seen at rates {COARSE:g} and {FINE:g}{why}",
    )  # fmt: skip


claim = Claim(
    title="period of the oscillation",
    statement=r"t_{\mathrm{period}} = \frac{\pi}{\eta_{\mathrm{in}}} \text{ for small orbits}",
    about="both",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
