"""GD with weight decay is projected gradient descent on the sphere with a schedule of its own."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement
from sharpflow.claims._shared import STEPS_REASON, two_runs
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.sphere.statements import prove_sphere_map

    return prove_sphere_map(case.reduction)


def measure(case: Case) -> Measurement:
    """The rule on w, and its form on the sphere."""
    described = "largest difference of theta between the rule run on w and its sphere form"
    return two_runs(case, "sphere", described, STEPS_REASON)


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
