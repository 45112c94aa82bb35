"""The multipliers at Gamma are 1 - effective_lr mu_i; the first to leave the unit circle does so at -1."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import not_run
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.sphere.entering import prove_edge_multiplier

    return prove_edge_multiplier(case.reduction)


def measure(case: Case) -> Measurement:
    """The derivative of one step at zeta by automatic differentiation, at effective_lr = 2/lambda_1."""
    if case.loss is None:
        return not_run("measured on each loss with minima")
    from sharpflow.numerics.measurements.probes import multipliers
    from sharpflow.numerics.spectrum.dense import sharpness

    zeta = case.objective.start
    found = multipliers(case.objective, case.rule, zeta, 2 / sharpness(case.objective, zeta), rate=1e-3)
    inside = float(abs(found[1:]).max()) <= 1 + 1e-9
    return weigh(
        float(found[0]) if inside else float(found[-1]), -1.0, 1e-9,
        "smallest multiplier of one step at effective_lr lambda_1 = 2, all others in [-1, 1]; tolerance: rounding of "
        "an eigenproblem",
    )  # fmt: skip


claim = Claim(
    title="the first multiplier leaves the unit circle at -1",
    statement=r"x_+ = (1 - \eta_{\mathrm{eff}} \mu)\, x + O(x^2), \quad \eta_{\mathrm{eff}} \lambda_1 = 2",
    section="edge",
    prove=prove,
    measure=measure,
    about="both",
    hypotheses=("scale_invariance", "smoothness", "minimizers"),
)
