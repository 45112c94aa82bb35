"""L(c w) = L(w) for every c > 0."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import ROUNDING, ROUNDING_REASON
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.sphere.invariance import prove_homogeneity

    return prove_homogeneity(case.subject)


def measure(case: Case) -> Measurement:
    """The loss under JAX at random w and c w."""
    from sharpflow.numerics.measurements.probes import scaling_residual

    residual = scaling_residual(case.objective, seed=case.seed)
    return weigh(residual, 0.0, ROUNDING, f"largest relative |L(c w) - L(w)| at 32 random w and c; {ROUNDING_REASON}")


claim = Claim(
    title="the loss is scale-invariant",
    statement=r"L(c w) = L(w), \quad c > 0",
    section="scale invariance",
    settles="scale_invariance",
    prove=prove,
    measure=measure,
    needs_minima=False,
)
