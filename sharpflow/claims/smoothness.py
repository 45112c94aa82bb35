"""L is C^4 in a neighbourhood of Gamma."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof

STEP = 1e-5


def prove(case: Case) -> Proof:
    """From the exact wing: a composition of analytic functions, each inside its domain."""
    from sharpflow.theory.chart.smoothness import prove_smoothness

    return prove_smoothness(case.subject)


def measure(case: Case) -> Measurement:
    """Compare derivatives by JAX on the two sides of Gamma."""
    from sharpflow.numerics.inspection.kinks import derivative_jump

    return weigh(
        derivative_jump(case.subject, step=STEP, seed=case.seed), 0.0, 0.01,
        f"largest jump of the first four derivatives of L along lines of {STEP:g} on both sides of 24 points of Gamma, "
        "and along Gamma through its chart, over their largest value; tolerance: a jump is of order one, and what has "
        "a limit changes by less on intervals cut 50 000 times",
    )  # fmt: skip


claim = Claim(
    title="the loss is smooth near Gamma",
    statement=r"L \in C^4",
    section="minima",
    prove=prove,
    measure=measure,
    hypotheses=("scale_invariance",),
    settles="smoothness",
)
