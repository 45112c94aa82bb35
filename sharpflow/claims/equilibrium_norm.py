"""|w|^2 = eta lambda_1/2 at the edge, to leading order."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.sphere.statements import prove_equilibrium_norm

    return prove_equilibrium_norm(case.reduction)


def measure(case: Case) -> Measurement:
    """<2 |w|^2/(eta lambda_1)> over a period of the rule run on w."""
    from sharpflow.numerics.descent.orbit import edge_orbit

    orbit = edge_orbit(case.subject, case.rule, rate=1e-6, amplitude=1.6)
    value = orbit.mean(2 * orbit.norm_squared / (orbit.learning_rate * orbit.sharpness))
    return weigh(
        value, 1.0, 10 * orbit.delta,
        "<2 |w|^2/(eta lambda_1)> over one period, |w| from the weights themselves, at rate 1e-6; tolerance: 10 "
        "sqrt(rate), the next "
        "order of the expansion",
    )  # fmt: skip


claim = Claim(
    title="norm of the weights at the edge",
    statement=r"|w|^2 = \frac{\eta \lambda_1}{2}",
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
