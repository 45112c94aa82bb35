"""L is C^4 in a neighbourhood of Gamma."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from theory.proof import Proof

STEP = 1e-5


def prove(case: Case) -> Proof:
    """From the exact wing: a composition of analytic functions, each inside its domain."""
    from theory.smoothness import prove_smoothness

    return prove_smoothness(case.subject)


def measure(case: Case) -> Measurement:
    """Whether derivatives by JAX agree on the two sides of Gamma."""
    from numerics.chart_checks import derivative_jump

    return weigh(
        derivative_jump(case.subject, step=STEP, seed=case.seed), 0.0, 0.05,
        f"largest change of the first four derivatives of L along lines through 24 points of Gamma, within {STEP:g} on "
        "both sides, over their largest value; tolerance: a jump is of order one, and the fifth derivative over the "
        f"fourth may reach some thousands before {STEP:g} of it is seen",
    )  # fmt: skip


claim = Claim(
    title="the loss is smooth near Gamma",
    statement=r"L \in C^4",
    section="minima",
    prove=prove,
    measure=measure,
    hypotheses=("scale_invariance",),
)
