"""<U> = 0 and <X^2> = 2/(4 + K^2) over any closed orbit."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement
from sharpflow.claims._shared import COARSE, FINE, extrapolated, not_run
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.averaging import prove_averages

    return prove_averages()


def measure(case: Case) -> Measurement:
    """<X^2> over one period of a large orbit."""
    if case.loss is None:
        return not_run("measured on each loss")
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.descent.orbit import edge_orbit

    coarse, fine = (edge_orbit(case.subject, case.rule, rate=rate, amplitude=2.5) for rate in (COARSE, FINE))
    expected = law_of(case.rule).mean_square(float(fine.log_gradient_squared[0]))
    return extrapolated(
        coarse.mean(coarse.x**2), fine.mean(fine.x**2), float(expected),
        "<X^2> over one period of an orbit of amplitude 2.5",
        floor=2e-3,
    )  # fmt: skip


claim = Claim(
    title="averages over an orbit of any size",
    statement=r"\langle U \rangle = 0, \quad \langle X^2 \rangle = \frac{2}{4 + K^2}",
    about="both",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
