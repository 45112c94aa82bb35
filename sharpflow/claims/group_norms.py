"""Layers that are scale-invariant each share the norm as the top eigenvector does."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, weigh
from sharpflow.theory.proving.proof import Proof


def prove(case: Case) -> Proof:
    """From the exact wing."""
    from sharpflow.theory.edge.all_weights import prove_group_norms

    return prove_group_norms(case.reduction)


def measure(case: Case) -> Measurement:
    """Two layers along the flow: the share of one of them, and what the law gives for it."""
    from sharpflow.numerics.measurements.weights_checks import norm_shares

    found = norm_shares(1.0)
    return weigh(
        found.flow, found.law, 0.01 * abs(found.moved),
        f"share of the norm of the first of two layers after flow time 1, from the flow and from the law of group "
        "norms "
        f"(it moved by {found.moved:.3g}). Tolerance: a hundredth of that, for the sum over the steps of the flow",
    )  # fmt: skip


claim = Claim(
    title="layers share the norm as the top eigenvector does",
    statement=r"\frac{d f_i}{d\tau} = 4 \left(\mathrm{tr}(\Sigma V^\top P_i V) - f_i\,\mathrm{tr}\,\Sigma\right),\quad "
    r"f_i = \frac{|w_i|^2}{|w|^2}",
    section="flow",
    prove=prove,
    measure=measure,
    about="generic",
    source="beyond the paper",
)
