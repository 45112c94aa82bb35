"""Gradient and Hessian by JAX against differences."""

from __future__ import annotations

from sharpflow.testing.check import Check, Subject, Trial
from sharpflow.testing.trying import judge


def run(subject: Subject) -> Trial:
    """Directional derivatives against differences: of 40 digits where there is a formula, else of sixteen."""
    from numerics.inspection import derivative_residual

    exact, tolerance, digits = None, 1e-5, "in double precision; tolerance: their own error, with room"
    if subject.loss is not None:
        from numerics.many_digits import derivatives_by_differences

        exact, tolerance = derivatives_by_differences(subject.loss), 1e-9
        digits = "in 40 digits of the formula; tolerance: rounding of second derivatives by JAX"
    found = derivative_residual(subject.objective, subject.minima.points, exact, seed=subject.seed)
    return judge(
        found, tolerance, f"largest relative difference of D L[u] and D^2 L[u, u] by JAX and by differences {digits}"
    )


check = Check(
    meaning="gradient and Hessian by JAX are those of the function",
    source="definition of the derivative",
    run=run,
    advice=(
        "The derivative that JAX is told is not that of the value: look for stop_gradient, custom_jvp, custom_vjp, "
        "where with nan in the branch not taken, and float32 inside."
    ),
    supposes=("precision",),
    order=7,
)
