"""The angle to the minimum-norm interpolant on real data."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh


def measure(case: Case) -> Measurement:
    """Gradient descent on eight patients of scikit-learn's breast-cancer set, thirty features."""
    import math

    from sharpflow.numerics.measurements.regression_checks import real_angle

    found = real_angle(case.rule, rate=1e-6, time=2.0, seed=case.seed)
    return weigh(
        found.ratio, math.exp(-2.0), 5 * found.intrinsic_lr,
        f"tan(alpha)/tan(alpha_0) on scikit-learn's breast-cancer set, {found.examples} patients and "
        f"{found.features} features, after flow "
        "time 2 at rate 1e-6; tolerance: 5 intrinsic_lr. Gradient descent approaches the minimum-norm interpolant",
    )  # fmt: skip


claim = Claim(
    title="regression on real data reaches the minimum-norm interpolant",
    statement=r"\tan \alpha(\tau) = \tan \alpha_0\, e^{-\tau}",
    measure=measure,
    why_no_proof="real data: the symbolic proof is that of regression-angle",
    section="regression",
    losses=("bn-regression",),
)
