"""The law of a rule at the edge, derived on every loss: drift, mean square, period, energy, against its iterates."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement
from sharpflow.claims._shared import on_every_loss
from sharpflow.theory import rules
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    return on_every_loss(case)


def measure(case: Case) -> Measurement:
    """The ratio, measured over predicted, that is farthest from 1 in units of its tolerance."""
    import math

    from sharpflow.claim import Numeric, weigh
    from sharpflow.numerics.measurements.rule_check import check_rule_on
    from sharpflow.theory.edge.edge_law import edge_law

    law = edge_law(case.rule)
    if law.drift is None and not law.rests:
        return Measurement(Numeric.NOT_APPLICABLE, message=f"the rule has no drift at the edge: {law.tracking}")
    ratios = [ratio for ratio in check_rule_on(case.subject, case.rule).ratios if math.isfinite(ratio.value)]
    if not ratios:
        return weigh(math.nan, 1.0, 0.0, "no orbit gave a number")
    worst = max(ratios, key=lambda ratio: abs(ratio.value - 1) / ratio.tolerance)
    every = ", ".join(f"{ratio.name} {ratio.value:.4f} +- {ratio.tolerance:.4f}" for ratio in ratios)
    return weigh(
        worst.value, 1.0, worst.tolerance,
        f"measured over predicted, extrapolated to rate 0 from three rates down to 1e-7: {every}. Shown is the "
        f"{worst.name}. Tolerance: the correction made by the extrapolation, and 0.005 for the sampling of an orbit",
    )  # fmt: skip


claim = Claim(
    title="law of the rule at the edge",
    statement=r"X' = \alpha X U, \quad U' = a - b X^2, \quad \frac{d\zeta}{d\tau} = -D g",
    any_rule=True,
    needs_orbit=False,
    rules=("gd-wd", *(name for name in rules.names() if name != "gd-wd")),
    others_on=("ridge", "conic", "surface"),
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
    source="derived here",
)
