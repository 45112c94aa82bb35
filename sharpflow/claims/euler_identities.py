"""D^{k+1} L(w)[w] = -k D^k L(w), k = 0, 1, 2, for a generic loss and for each concrete one."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.claims._shared import objective
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """Free of dimension for a generic loss, entry by entry for a concrete one."""
    from sharpflow.theory.sphere.invariance import prove_euler, prove_euler_generic

    return prove_euler_generic() if case.loss is None else prove_euler(case.loss)


def measure(case: Case) -> Measurement:
    """Derivatives to third order by automatic differentiation."""
    from sharpflow.numerics.measurements.probes import euler_residuals

    residuals = euler_residuals(objective(case), seed=case.seed)
    return weigh(
        max(residuals), 0.0, 1e-11,
        "largest relative residual of the three identities and of grad L(c w) = grad L(w)/c at 32 random points, "
        "derivatives by "
        "JAX; tolerance: third derivatives lose some three digits of the sixteen to cancellation",
    )  # fmt: skip


claim = Claim(
    title="Euler identities to third order",
    statement=r"D^{k+1} L(w)[w] = -k\, D^k L(w), \quad k = 0, 1, 2",
    section="scale invariance",
    prove=prove,
    measure=measure,
    about="both",
    hypotheses=("scale_invariance",),
    needs_minima=False,
)
