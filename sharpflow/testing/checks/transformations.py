"""The same value under jit, vmap and grad."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge


def run(subject: Subject) -> Trial:
    """Plain calls against jit, vmap, forward mode and lax.map."""
    from sharpflow.numerics.inspection.differences import differing_transformation

    found = differing_transformation(subject.objective, seed=subject.seed)
    return judge(
        found, 1e-10,
        "largest relative difference between plain calls and transformed ones at 4 points; tolerance: rounding of "
        "sums in another order, and room for long ones",
    )  # fmt: skip


check = Check(
    meaning="L and grad L are the same under jit, vmap, forward mode and lax.map",
    source="JAX: composable transformations",
    run=run,
    advice=(
        "Write the loss in jax.numpy for one vector w (D,); no Python branches on values, no shapes taken from batches."
    ),
    supposes=("purity", "precision"),
    order=3,
)
