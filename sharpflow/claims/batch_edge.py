"""Mini-batches at interpolation settle next to the mean-square edge, and not at that of the whole batch."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.noise.batches import prove_mean_square_edge

    return prove_mean_square_edge()


def measure(case: Case) -> Measurement:
    """Batches of one of four examples, on a loss whose Hessian is the same all along Gamma."""
    from sharpflow.numerics.noise.batch_edges import lyapunov_edge, mean_square_edge, run_batches

    rate = 1e-3
    run = run_batches(rate=rate, seeds=32, seed=3)
    edge = mean_square_edge(run.jacobian, size=1)
    other, _ = lyapunov_edge(run.jacobian, size=1, steps=1000)
    error = float(run.effective_lr.std(ddof=1) / len(run.effective_lr) ** 0.5) / edge
    return weigh(
        float(run.effective_lr.mean()) / edge, 1.0, 5 * error + other / edge - 1 + rate**0.5,
        f"mean effective_lr over that of the mean-square edge, 32 runs at rate {rate:g}; tolerance: 5 standard errors "
        f"(exceeded by chance once in 2e6), the way to the Lyapunov edge at {other / edge:.4g} of it, below which no "
        "oscillation lasts, and sqrt(rate). The edge of the whole batch is at "
        f"{2 / _top(run.jacobian) / edge:.3g} of it",
    )  # fmt: skip


def _top(jacobian):  # type: ignore[no-untyped-def]
    import numpy as np

    return float(np.linalg.norm(jacobian, 2) ** 2)


claim = Claim(
    title="mini-batches settle next to the mean-square edge",
    statement=r"\rho\left(E\left[(1 - \eta_{\mathrm{eff}} H_B) \otimes (1 - \eta_{\mathrm{eff}} H_B)\right]\right) = 1",
    section="noise",
    prove=prove,
    measure=measure,
    about="generic",
    source="beyond the paper",
)
