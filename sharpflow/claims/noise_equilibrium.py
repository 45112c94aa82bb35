"""|w|^4 = eta E|G|^2/(lambda (2 - eta lambda)) under noise that does not vanish, and the rotation of a step."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.noise.equilibria import prove_noise_equilibrium

    return prove_noise_equilibrium(case.reduction)


def measure(case: Case) -> Measurement:
    """Pure noise on the sphere, many seeds."""
    from sharpflow.numerics.noise.equilibria import norm_under_noise

    rate = 1e-2
    found = norm_under_noise(case.rule, rate=rate, seed=case.seed)
    return weigh(
        max(mean.off(rate) for mean in found), 0.0, 1.0,
        f"|w|^4 and the mean square angle of a step of 200 runs on isotropic noise at rate {rate:g}, their relative "
        "difference from the formulas over 5 standard errors and the rate (fluctuations of |G|^2); tolerance: 1, which "
        "chance alone exceeds with probability 1e-6",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="equilibrium of the norm under noise",
    statement=r"|w|^4 = \frac{\eta\, E|G|^2}{\lambda (2 - \eta\lambda)},\quad \angle = \arccos(1 - \eta\lambda)",
    section="noise",
    prove=prove,
    measure=measure,
    about="generic",
    source="Li, Lyu, Arora 2020, arXiv:2010.02916",
)
