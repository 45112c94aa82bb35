"""Gradient descent follows the central flow where there is no manifold of minimizers."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.several_edges import prove_central_flow

    return prove_central_flow(case.reduction)


def measure(case: Case) -> Measurement:
    """The crossing loss with a slope, which takes theta where the flow along the minima would not."""
    from sharpflow.numerics.measurements.crossing_checks import down_a_slope

    rate, time = 1e-4, 3.0
    found = down_a_slope(case.rule, rate=rate, time=time)
    apart = min(found.without_slope, found.without_oscillation)
    return weigh(
        found.central if apart > 10 else float("nan"), 0.0, 3.0,
        f"largest distance to the central flow in units of intrinsic_lr at rate {rate:g} over flow time {time:g}, on a "
        f"loss without a manifold of minimizers ({found.without_slope:.0f} without the slope, "
        f"{found.without_oscillation:.0f} without the oscillation). Tolerance: 3; the distance is O(intrinsic_lr), "
        "and 1 of it is the oscillation itself",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="the central flow, away from the minima",
    statement=r"\frac{d\theta}{d\tau} = -\frac{\eta_{\mathrm{eff}}}{\varepsilon} P \nabla \left(L + "
    r"\frac{\varepsilon}{2} \langle \nabla^2 L, \Sigma \rangle\right)",
    section="flow",
    prove=prove,
    measure=measure,
    about="generic",
    source="Cohen, Damian, Talwalkar, Kolter, Lee 2024, arXiv:2410.24206",
)
