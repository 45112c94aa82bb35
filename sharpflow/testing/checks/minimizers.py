"""Gamma is made of minimizers."""

from __future__ import annotations

from dataclasses import replace

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import failed, judge, with_proof


def run(subject: Subject) -> Trial:
    """Gradients and values on Gamma, and a search of the whole sphere for something lower."""
    import numpy as np

    from sharpflow.numerics.inspection.loss import slope_jump
    from sharpflow.numerics.inspection.lowest import lowest_point

    objective, points = subject.objective, subject.minima.points
    value = np.array([float(objective.value(z)) for z in points])
    gradient = np.array([float(np.linalg.norm(objective.gradient(z))) for z in points])
    hessians = [np.asarray(objective.hessian(z)) for z in points[:4]]
    if not np.isfinite(hessians).all():
        said = "the Hessian of L is not finite at a point of Gamma (see finite and smoothness)"
        return Trial(Outcome.NOT_APPLICABLE, said, blocked=True)
    size = max(1e-300, *(float(np.linalg.norm(h, 2)) for h in hessians))
    worst = int(gradient.argmax())
    # Points found by gradient flow are as good as it: where L is flat, it creeps.
    tolerance = (1e-8 if subject.minima.chart is not None else 1e-5) * size
    if not gradient[worst] <= tolerance:
        slope, gradient_there = gradient[worst], np.asarray(objective.gradient(points[worst]))
        if slope_jump(objective, points[worst], gradient_there / slope) > max(0.5 * slope, 1e-3 * size):
            # At a kink there is no gradient that could vanish; the check smoothness has told of it.
            said = f"L has no gradient at a point of Gamma: its slope jumps there by as much as it is, {slope:.3g}"
            return Trial(Outcome.NOT_APPLICABLE, f"{said} (see smoothness)", blocked=True)
        share = "1e-8" if subject.minima.chart is not None else "1e-5, as gradient flow found the point,"
        return Trial(
            Outcome.FAILED, f"|grad L| at a point of Gamma; tolerance: {share} times the size of the Hessian on Gamma",
            gradient[worst], 0.0, tolerance, {"zeta": points[worst], "gradient": gradient_there},
        )  # fmt: skip
    k = int(value.argmax())
    # Rounding of L goes with the largest numbers in it, which steep walls have; what gradient flow leaves over goes
    # with L itself, whatever its Hessian.
    rounding = 1e-13 * size + 1e-9 * float(abs(value).max())
    if subject.minima.chart is not None and np.ptp(value) > rounding:
        return failed("L is not the same all over Gamma", zeta=points[k], L=value[k], L_elsewhere=float(value.min()))
    found = lowest_point(objective, float(value.min()), known=subject.minima.elsewhere, seed=subject.seed)
    judged = judge(
        found, rounding + min(1e-9 * size, 1e-6 * subject.minima.fall),
        "how far L gets below its value on Gamma, at 4096 directions, and by descent from 64 of them; tolerance: "
        "rounding" + ("" if subject.minima.chart is not None else ", and what gradient flow leaves over"),
    )  # fmt: skip
    trial = replace(judged, bound="<=")
    if trial.outcome is Outcome.PASSED and subject.loss is not None and subject.loss.minima is not None:
        return with_proof(trial, "minimizers", subject)
    return trial


check = Check(
    meaning="grad L = 0 and L = min L on Gamma",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice=(
        "Correct the chart (Minima.point), or the loss: the theory is about the set of global minimizers; "
        "for an Objective, start in another basin."
    ),
    advice_without_chart=(
        "Start in the basin of the lowest minima: the theory is about the set of global minimizers. A gradient that "
        "does not vanish where gradient flow ends belongs to a loss that is flat, or has a kink, there."
    ),
    supposes=("homogeneity", "finite", "chart"),
    needs_minima=True,
    hypothesis="minimizers",
    order=21,
)
