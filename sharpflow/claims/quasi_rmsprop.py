"""v = eta_in^2/effective_lr^2 follows scalar RMSprop up to higher order."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement
from sharpflow.claims._shared import two_runs
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.sphere.statements import prove_quasi_rmsprop

    return prove_quasi_rmsprop(case.reduction)


def measure(case: Case) -> Measurement:
    """The recursion of v, step by step."""
    described = "largest relative residual of the recursion of v, effective_lr from the norm of w and G by JAX,"
    return two_runs(case, "schedule", described, "rounding of one step each")


claim = Claim(
    title="quasi-RMSprop identity",
    statement=r"v_+ = \beta v + 2 \beta \eta_{\mathrm{in}}^2 |G|^2 + \beta "
    r"\eta_{\mathrm{in}}^2 \eta_{\mathrm{eff}}^2 |G|^4, \quad \beta = (1-\varepsilon)^4",
    section="reduction",
    prove=prove,
    measure=measure,
    about="both",
    hypotheses=("scale_invariance",),
    needs_minima=False,
)
