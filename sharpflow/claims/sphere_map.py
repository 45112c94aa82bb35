"""GD with weight decay is projected gradient descent on the sphere with a schedule of its own."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import objective
from theory.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from theory.sphere import prove_sphere_map

    return prove_sphere_map(case.reduction)


def measure(case: Case) -> Measurement:
    """Both runs from one random direction."""
    from numerics.probes import forms

    found = forms(objective(case), case.rule, rate=1e-3, seed=case.seed)
    value = found.sphere if found.finite else float("nan")
    return weigh(
        value, 0.0, 1e-12,
        f"largest difference of theta between the rule run on w and its sphere form over {found.steps} steps at rate "
        f"1e-3, below the edge; "
        "tolerance: 200 steps of rounding at 1.1e-16, not amplified below the edge, times an allowance of 50",
    )  # fmt: skip


claim = Claim(
    title="gradient descent with weight decay on the sphere",
    statement=r"\theta_+ = \frac{\theta - \eta_{\mathrm{eff}} G}{|\theta - \eta_{\mathrm{eff}} G|}, \quad "
    r"\eta_{\mathrm{eff}}^+ = \frac{\eta_{\mathrm{eff}}}{(1-\varepsilon)^2 (1 + \eta_{\mathrm{eff}}^2 |G|^2)}",
    section="reduction",
    prove=prove,
    measure=measure,
    about="both",
    hypotheses=("scale_invariance",),
    needs_minima=False,
)
