"""<x^2> = 2 eps/(4 + K^2)."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import beyond_horizon, joined, on_every_loss, reduces, unless_several
from sharpflow.theory.loss import HYPOTHESES
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.chart.routes import prove_mean_square

    if not reduces(case):
        return on_every_loss(case, "the leading oscillator")
    return prove_mean_square(case.subject, case.rule)


def measure(case: Case) -> Measurement:
    """|theta - retraction|^2 over the last whole period of the comparison, with K there by JAX.

    Where the flow has several eigenvalues at the edge, K of the largest changes with every exchange of the two, and
    what oscillates in several directions has no period: then the mean over a long stretch, against tr Sigma.
    """
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.spectrum.dense import log_sharpness_gradient

    run = case.comparison
    if (beyond := beyond_horizon(case)) is not None:
        return beyond
    if not run.result.ok:
        return weigh(float("nan"), 1.0, 0.0, run.message or run.result.advice)
    if (second := joined(case)) is not None:
        return _several(case, second)
    g = log_sharpness_gradient(case.subject, run.minima_points[-1])
    expected = float(law_of(case.rule).mean_square(float(g @ g)))
    weighed = weigh(
        run.gd.mean_square_oscillation / run.rate, expected, 10 * run.rate**0.5 * expected,
        f"mean |theta - retraction|^2/rate over the last whole period at rate {run.rate:g}, after flow time "
        f"{run.time:g}; tolerance: "
        "10 sqrt(rate) of it, the next order of the expansion",
    )  # fmt: skip
    return unless_several(weighed, case)


def _several(case: Case, second: int) -> Measurement:
    """The mean of |grad L|^2/lambda_1^2 against that of tr Sigma, from record ``second`` or half of the run on."""
    import numpy as np

    run = case.comparison
    edges = run.edges
    assert edges is not None  # `joined` looked at it
    begin = max(min(second, len(run.times) // 2), 1)
    lasted = np.diff(run.times)[begin - 1 :]
    stretch = float(lasted.sum())
    measured, expected = (
        float(values[begin:] @ lasted) / stretch / run.rate for values in (edges.mean_square, edges.flow_mean_square)
    )
    return weigh(
        measured, expected, 10 * run.rate**0.5 * expected / min(stretch, 1.0),
        f"mean |grad L|^2/(lambda_1^2 rate) at rate {run.rate:g} over the flow times {run.times[begin - 1]:.3g} to "
        f"{run.times[-1]:.3g}, as a second eigenvalue is at the edge from {run.times[second]:.3g} on; expected: "
        "tr Sigma of the flow with all of them, which is 2/(4 + K^2) while there is one. Tolerance: 10 sqrt(rate) of "
        "it over the flow time averaged: d log effective_lr/d tau = 2 - 4 <x^2>/rate, and effective_lr lambda_1 is off "
        "2 by a few sqrt(rate) at both ends",
    )  # fmt: skip


claim = Claim(
    title="mean square of the oscillation",
    statement=r"\langle x^2 \rangle = \frac{2 \varepsilon}{4 + K^2}",
    any_rule=True,
    section="flow",
    prove=prove,
    measure=measure,
    hypotheses=HYPOTHESES,
)
