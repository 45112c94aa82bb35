"""Gradient and Hessian by JAX against differences."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge


def run(subject: Subject) -> Trial:
    """Directional derivatives against differences: of 40 digits where there is a formula, else extrapolated ones."""
    from sharpflow.numerics.inspection.differences import derivative_residual

    exact, digits = (
        None,
        "extrapolated from 14 steps; tolerance: ten times their own estimate of their error, and",
    )
    if subject.loss is not None:
        from sharpflow.numerics.inspection.many_digits import derivatives_by_differences

        exact, digits = derivatives_by_differences(subject.loss), "in 40 digits of the formula; tolerance:"
    found = derivative_residual(subject.objective, subject.minima.points, exact, seed=subject.seed)
    return judge(
        found.finding, found.tolerance,
        f"largest relative difference of D L[u] and D^2 L[u, u] by JAX and by differences {digits} rounding of second "
        "derivatives by JAX",
    )  # fmt: skip


check = Check(
    meaning="gradient and Hessian by JAX are those of the function",
    source="definition of the derivative",
    run=run,
    advice=(
        "The derivative that JAX is told is not that of the value: look for stop_gradient, custom_jvp, custom_vjp, "
        "where with nan in the branch not taken, and float32 inside."
    ),
    supposes=("purity", "precision", "finite"),
    order=7,
)
