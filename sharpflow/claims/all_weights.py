"""Gradient descent on all weights of a network follows its flow, whether they are scale-invariant or not."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.all_weights import prove_all_weights

    return prove_all_weights(case.reduction)


def measure(case: Case) -> Measurement:
    """A small loss of six weights, of which three lie on a sphere."""
    from sharpflow.numerics.measurements.weights_checks import all_weights

    rate, time = 1e-4, 1.0
    run = all_weights(rate, time)
    ok = run.result.ok and run.flow.edge_count > 0
    return weigh(
        run.max_distance / run.intrinsic_lr if ok else float("nan"), 0.0, 3.0,
        f"largest distance to the flow in units of intrinsic_lr at rate {rate:g} over flow time {time:g}, three of six "
        "weights on a sphere. Tolerance: 3; the distance is O(intrinsic_lr), and 1 of it is the oscillation itself",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="the flow of all weights, scale-invariant or not",
    statement=r"\frac{dy}{d\tau} = -P S^{-1}(0, u) - \sum_{ij} \Sigma_{ij} A_{ij},\quad "
    r"\frac{d \log \eta_{\mathrm{eff}}}{d\tau} = 2 - 4 \eta_{\mathrm{eff}}\, \mathrm{tr}(B \Sigma)",
    section="flow",
    prove=prove,
    measure=measure,
    about="generic",
    source="beyond the paper",
)
