"""The catapult of a two-layer linear network is an exact map of the plane."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.noise.identities import prove_catapult

    return prove_catapult()


def measure(case: Case) -> Measurement:
    """The vectors, and the map, from above 2/k."""
    from sharpflow.numerics.noise.equilibria import catapult_difference

    difference, begin = catapult_difference(seed=case.seed)
    return weigh(
        difference, 0.0, 1e-9,
        f"largest relative difference of f and k over 60 steps from eta k = {begin:.3g}, width 50; tolerance: "
        "rounding, amplified while f grows",
    )  # fmt: skip


claim = Claim(
    title="the catapult is a planar map",
    statement=r"f^+ = f\left(1 - \eta k + \frac{\eta^2 f^2}{n}\right),\quad k^+ = k + \frac{\eta f^2}{n}(\eta k - 4)",
    section="schedules",
    prove=prove,
    measure=measure,
    about="generic",
    source="Lewkowycz et al. 2020, arXiv:2003.02218",
)
