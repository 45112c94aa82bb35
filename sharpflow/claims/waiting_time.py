"""t* = log(2/(lambda_1 effective_lr_0))/(-2 log(1 - eps)) steps at rest until the edge."""

from __future__ import annotations

import math

from sharpflow.claim import Case, Claim, Measurement, Numeric, weigh
from sharpflow.claims._shared import not_run
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.sphere.entering import prove_waiting_time

    return prove_waiting_time(case.reduction)


def _growth(case: Case, rate: float) -> float | None:
    """Of effective_lr in a step at rest, (1 - eps)^-2 for gradient descent with weight decay."""
    from sharpflow.theory.errors import InputError
    from sharpflow.theory.sphere.reduction import growth_at_rest

    try:
        return growth_at_rest(case.reduction, rate)
    except InputError:
        return None


def measure(case: Case) -> Measurement:
    """The rule run on w at rest on Gamma, until effective_lr lambda_1 passes 2."""
    if case.loss is None:
        return not_run("measured on each loss with minima")
    from sharpflow.numerics.measurements.probes import steps_to_edge
    from sharpflow.numerics.spectrum.dense import sharpness

    rate = 1e-3
    growth = _growth(case, rate)
    if growth is None or growth <= 1:
        return Measurement(
            Numeric.NOT_APPLICABLE, message=f"no edge is reached by resting: the rule {case.rule.name} has no "
            "effective_lr of its own that grows by the same factor in every step at rest",
        )  # fmt: skip
    zeta = case.objective.start
    steps = steps_to_edge(case.objective, case.rule, zeta, sharpness(case.objective, zeta), rate=rate)
    expected = math.log(4) / math.log(growth)
    return weigh(
        steps, expected, 1.0,
        f"iterations from effective_lr lambda_1 = 1/2 to 2 at rate {rate:g}, on w, between records 5 steps apart; "
        f"tolerance: one step",
    )  # fmt: skip


claim = Claim(
    title="waiting time before the edge",
    statement=r"t^* = \frac{\log(2 / (\lambda_1 \eta_{\mathrm{eff},0}))}{-2 \log(1 - \varepsilon)}",
    section="edge",
    prove=prove,
    measure=measure,
    about="both",
    hypotheses=("scale_invariance", "smoothness", "minimizers"),
)
