"""<x^2> = 2 eps/(4 + K^2)."""

from __future__ import annotations

from sharpflow.claim import AT_THE_EDGE, Case, Claim, Measurement, weigh
from sharpflow.claims._shared import beyond_horizon, on_every_loss, reduces
from theory.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from theory.routes import prove_mean_square

    if not reduces(case):
        return on_every_loss(case, "the leading oscillator")
    return prove_mean_square(case.subject, case.rule)


def measure(case: Case) -> Measurement:
    """|theta - retraction|^2 over the last whole period of the comparison, with K there by JAX."""
    from numerics.equilibrium import law_of
    from numerics.spectrum import log_sharpness_gradient

    run = case.comparison
    if (beyond := beyond_horizon(case)) is not None:
        return beyond
    if not run.result.ok:
        return weigh(float("nan"), 1.0, 0.0, run.message or run.result.advice)
    g = log_sharpness_gradient(case.subject, run.minima_points[-1])
    expected = float(law_of(case.rule).mean_square(float(g @ g)))
    return weigh(
        run.gd.mean_square_oscillation / run.rate, expected, 10 * run.rate**0.5 * expected,
        f"mean |theta - retraction|^2/rate over the last whole period at rate {run.rate:g}, after flow time "
        f"{run.time:g}; tolerance: "
        "10 sqrt(rate) of it, the next order of the expansion",
    )  # fmt: skip


claim = Claim(
    title="mean square of the oscillation",
    statement=r"\langle x^2 \rangle = \frac{2 \varepsilon}{4 + K^2}",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=AT_THE_EDGE,
)
