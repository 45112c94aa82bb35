"""Mini-batches at interpolation settle next to the mean-square edge, and not at that of the whole batch."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.noise.batches import prove_mean_square_edge

    return prove_mean_square_edge()


def measure(case: Case) -> Measurement:
    """Batches of two of eight examples at two rates, on a loss whose Hessian is the same all along Gamma."""
    from math import hypot

    from sharpflow.numerics.noise.batch_edges import settling

    (coarse, error), (fine, own) = settling((1e-3, 1e-4), seed=case.seed)
    low, high = -5 * own, min(0.5 + 5 * own, coarse + 5 * hypot(own, error))
    return weigh(
        fine, (low + high) / 2, (high - low) / 2,
        "mean effective_lr of 32 runs at rate 1e-4, on the way from the mean-square edge (0) to the Lyapunov edge (1); "
        f"tolerance: from 0 to half of the way, and no more than the {coarse:.3g} at rate 1e-3, each up to 5 standard "
        "errors (exceeded by chance with probability 2e-5: Student, 31 degrees of freedom)",
    )  # fmt: skip


claim = Claim(
    title="mini-batches settle next to the mean-square edge",
    statement=r"\rho\left(E\left[(1 - \eta_{\mathrm{eff}} H_B) \otimes (1 - \eta_{\mathrm{eff}} H_B)\right]\right) = 1",
    section="noise",
    prove=prove,
    measure=measure,
    about="generic",
    source="beyond the paper",
)
