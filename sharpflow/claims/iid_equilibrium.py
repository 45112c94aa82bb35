"""The norm that AdamW and Muon come to with i.i.d. gradients."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.noise.equilibria import prove_iid_equilibrium

    return prove_iid_equilibrium()


def measure(case: Case) -> Measurement:
    """AdamW coordinate by coordinate, Muon on wide matrices."""
    from sharpflow.numerics.noise.equilibria import adamw_norm, muon_norm

    found = (adamw_norm(), muon_norm())
    return weigh(
        max(mean.off(0.02) for mean in found), 0.0, 1.0,
        "E|W|^2 over its formula, of AdamW at beta_2 = 0.999 and of Muon on matrices 4 x 128, over 5 standard errors "
        "and 2 % for 1 - beta_2 and for the shape (square matrices come to less: docs/noise.md); tolerance: 1, which "
        "chance alone exceeds with probability 1e-6",
        upper=True,
    )  # fmt: skip


claim = Claim(
    title="norm of AdamW and Muon with i.i.d. gradients",
    statement=r"|W| = \eta U \sqrt{\frac{1 + A \beta_1}{(1 - A^2)(1 - A \beta_1)}},\quad A = 1 - \eta\lambda",
    section="noise",
    prove=prove,
    measure=measure,
    about="generic",
    source="Kosson, Messmer, Jaggi 2023, arXiv:2305.17212, for AdamW",
)
