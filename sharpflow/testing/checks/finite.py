"""No removable gaps."""

from __future__ import annotations

from dataclasses import replace

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import judge

CURE = (
    "JAX differentiates a square root at 0, or a branch of jnp.where that is nan, and the chain rule multiplies inf by "
    "0. Write jnp.sum(u**2) for jnp.linalg.norm(u)**2, s for sqrt(s)**2, and keep what is under any other root or norm "
    "from 0 before the root is taken: jnp.sqrt(jnp.where(s > 0, s, 1)), then jnp.where(s > 0, root, 0)."
)


def run(subject: Subject) -> Trial:
    """L and its derivatives where coordinates vanish or coincide, on Gamma, and where gradient flow leads."""
    from sharpflow.numerics.inspection.loss import removable_gaps

    trial = judge(
        removable_gaps(subject.objective, subject.minima.points, reached=subject.minima.broken, seed=subject.seed), 0.0,
        "places where L, its gradient or its Hessian is not finite although L tends to one number there from all "
        "sides, or gradient flow leads there; poles of the loss are not counted",
    )  # fmt: skip
    if trial.outcome is not Outcome.FAILED or trial.counterexample["not finite"] == "L":
        return trial
    return _unsmooth_to_jax(subject, trial)


def _unsmooth_to_jax(subject: Subject, trial: Trial) -> Trial:
    """The same with what to do where L has a derivative, by differences, and JAX gives none."""
    import numpy as np

    from sharpflow.numerics.inspection.differences import COARSE, extrapolated_derivatives
    from sharpflow.numerics.numbers import generator

    w = trial.counterexample["w"]
    u = generator(subject.seed).standard_normal(len(w))
    u /= np.linalg.norm(u)
    first, second = extrapolated_derivatives(lambda t: float(subject.objective.value(w + t * u)))
    if not (first.error <= COARSE and second.error <= COARSE * max(1.0, abs(second.value))):
        return trial
    said = (
        f"{trial.message}. L is smooth there: along u its differences give {first.value:.6g} and {second.value:.6g}; "
        f"only what JAX makes of {trial.counterexample['not finite']} is no number"
    )
    return replace(trial, message=said, counterexample={**trial.counterexample, "u": u}, advice=CURE)


check = Check(
    meaning="L and its derivatives are finite wherever L has a limit, and where gradient flow leads",
    source="jnp.where and sqrt at 0 give nan derivatives",
    run=run,
    advice=(
        "Rewrite the expression that is 0/0, or the branch that is nan, there: sqrt(x**2) as abs(x) is no cure, a safe "
        "argument inside jnp.where is."
    ),
    supposes=("homogeneity",),
    order=6,
)
