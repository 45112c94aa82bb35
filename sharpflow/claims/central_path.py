"""Noise is the central path of the edge problem: the flow under label noise, and its limit without."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.noise.central_path import prove_central_path

    return prove_central_path(case.rule)


def measure(case: Case) -> Measurement:
    """Noisy iterates on three losses, many seeds, against the derived law."""
    import numpy as np

    from sharpflow.numerics.noise.central import noisy_averages
    from sharpflow.theory.noise.moments import noise_law

    rate, seeds = 1e-3, 200
    found = noisy_averages(noise_law(case.rule), rate=rate, noise=1.0, time=1.0, seeds=seeds, seed=case.seed)
    allowed = 5 * found.error + 10 * rate
    return weigh(
        float(np.max(np.abs(found.mean - found.law) / allowed)), 0.0, 1.0,
        f"largest difference between the mean displacement of {seeds} noisy runs and the law, of the point on Gamma "
        f"and of log effective_lr on three losses, at rate {rate:g}, over 5 standard errors and 10 rate for the next "
        "order; tolerance: 1, which chance alone exceeds with probability 1e-5",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="noise is the central path",
    statement=r"\frac{dy}{d\tau} = -\nabla_\Gamma \left( \frac{|y|^2}{2} - \frac{\nu}{2} \log\det(2 - H(y)) \right),"
    r"\quad y = \theta/\sqrt{\eta_{\mathrm{eff}}}",
    section="noise",
    prove=prove,
    measure=measure,
    about="generic",
    source="beyond the paper; label noise as in Blanc et al. 2020 and Damian, Ma, Lee 2021",
)
