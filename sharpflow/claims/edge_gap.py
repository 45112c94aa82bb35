"""Noise along v_1 holds effective_lr*lambda_1 below the edge, by an amount that two moments give."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.noise.equilibria import prove_edge_gap

    return prove_edge_gap(case.rule)


def measure(case: Case) -> Measurement:
    """Gradient descent with weight decay and noise along v_1, where K = 1."""
    from sharpflow.numerics.noise.equilibria import edge_gap

    rate = 1e-3
    found = edge_gap(case.rule, rate=rate, seed=case.seed)
    return weigh(
        found.off(2 * rate**0.5), 0.0, 1.0,
        f"2 - <effective_lr lambda_1> of 200 runs at rate {rate:g}, its relative difference from the formula over 5 "
        "standard errors and 2 sqrt(rate) for the next order; tolerance: 1, which chance alone exceeds with "
        "probability 1e-6",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="gap to the edge under noise",
    statement=r"2 - \langle \eta_{\mathrm{eff}} \lambda_1 \rangle = \frac{\eta_{\mathrm{eff}}^2 s^2 (4 + K^2)}{4 "
    r"\varepsilon}",
    section="noise",
    prove=prove,
    measure=measure,
    about="generic",
    source="beyond the paper",
)
