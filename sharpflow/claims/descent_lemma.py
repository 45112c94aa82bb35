"""L(theta+) <= L(theta) - e (1 - e S/2) |G|^2 with e = effective_lr."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import objective
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.sphere.entering import prove_descent_lemma

    return prove_descent_lemma(case.reduction)


def measure(case: Case) -> Measurement:
    """The bound at random points, with steps below and beyond the edge, S from Hessians along each segment."""
    from sharpflow.numerics.measurements.probes import descent_bound

    value = descent_bound(objective(case), seed=case.seed)
    return weigh(
        value, 0.0, 1e-3,
        "largest (L(theta+) - bound)/(effective_lr^2 S |G|^2) at 32 random points; at most 0. Tolerance: S is the "
        "largest of 33 "
        "Hessians on the segment, which misses the true one by the square of the spacing, 1/32",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="descent lemma",
    statement=r"L(\theta_+) \le L(\theta) - \eta_{\mathrm{eff}} (1 - \eta_{\mathrm{eff}} S / 2) |G|^2",
    section="edge",
    prove=prove,
    measure=measure,
    about="both",
    hypotheses=("scale_invariance",),
    needs_minima=False,
)
