"""dE/d tau = c <U^2>: how the energy of the oscillation changes over many periods."""

from __future__ import annotations

from dataclasses import replace

from sharpflow.claim import Case, Claim, Measurement
from sharpflow.claims._shared import on_every_loss
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof

# A coefficient that extrapolation changes by more than this part of it is none yet: the next order, sqrt(rate) relative
# to it, should be small.
SETTLED = 0.1


def prove(case: Case) -> Proof:
    """From the exact wing."""
    return on_every_loss(case, "the map on rational numbers", "the leading oscillator", "the energy law")


def measure(case: Case) -> Measurement:
    """c fitted to iterates over many periods, against the one from the jets of the loss."""
    from sharpflow.claim import Numeric, weigh
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.measurements.energy import energy_growth, unsettled

    if law_of(case.rule).exact.coefficient is None:
        return Measurement(Numeric.NOT_APPLICABLE, message="edge: none, nonsmooth; there is no smooth oscillator")
    found = energy_growth(case.subject, case.rule, coarse=1e-6, fine=1e-7)
    scale = max(abs(found.predicted), 1.0)
    weighed = weigh(
        found.measured, found.predicted, found.correction + 1e-2 * scale,
        f"c at the start, from E over the integral of U^2 along orbits of amplitude 1.5, extrapolated to rate 0 from "
        f"{found.at[0]:.5g} at rate 1e-6 and {found.at[1]:.5g} at 1e-7; expected from K, dK/ds, and third and fourth "
        f"derivatives by JAX. Tolerance: the correction made, {found.correction:.2g}, and 1 % (of 1 at least) for the "
        "ripple of E over a period",
    )  # fmt: skip
    if weighed.status is not Numeric.INCONSISTENT:
        return weighed
    moved = unsettled(case.subject, case.rule, found, coarser=1e-5)
    settled = found.correction <= SETTLED * max(abs(found.measured), 1.0)
    if settled and moved < abs(found.measured - found.predicted):
        return weighed
    # What is measured here is no limit yet, and says nothing of the loss.
    said = (
        f"the measured c has not settled as the rate falls: extrapolation changes {found.at[1]:.4g} at rate 1e-7 by "
        f"{found.correction:.3g}, and from rates 1e-5 and 1e-6 it would be {moved:.3g} off the one from 1e-6 and 1e-7: "
        f"these rates are not small for this loss; {weighed.message}"
    )
    return replace(weighed, status=Numeric.INCONCLUSIVE, message=said)


claim = Claim(
    title="law of the oscillation's energy",
    statement=r"\frac{dE}{d\tau} = c\, \langle U^2 \rangle, \quad c = \frac{2 (3 K^2 + 8)}{K^2 + 4} "
    r"- \frac{4 B}{(K^2 + 4)^2} + \frac{4 Q}{3 (K^2 + 4)}",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
    source="derived here",
)
