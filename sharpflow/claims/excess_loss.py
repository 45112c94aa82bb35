"""<L - min L> = lambda_1 eps/(4 + K^2)."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement
from sharpflow.claims._shared import COARSE, FINE, extrapolated, on_every_loss, reduces
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.routes import prove_excess_loss

    if not reduces(case):
        return on_every_loss(case, "the leading oscillator")
    return prove_excess_loss(case.subject, case.rule)


def measure(case: Case) -> Measurement:
    """The loss itself over one period."""
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.descent.orbit import edge_orbit

    coarse, fine = (edge_orbit(case.subject, case.rule, rate=rate, amplitude=1.6) for rate in (COARSE, FINE))
    mean_square = float(law_of(case.rule).mean_square(float(fine.log_gradient_squared[0])))
    return extrapolated(
        coarse.mean(coarse.excess / coarse.sharpness) / coarse.rate,
        fine.mean(fine.excess / fine.sharpness) / fine.rate,
        mean_square / 2,
        "<(L - min L)/lambda_1>/rate over one period of amplitude 1.6",
        floor=2e-3,
    )  # fmt: skip


claim = Claim(
    title="mean excess loss at the edge",
    statement=r"\langle L - \min L \rangle = \frac{\lambda_1 \varepsilon}{4 + K^2}",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
