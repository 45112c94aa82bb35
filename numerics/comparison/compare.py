"""Gradient descent against the sharpness-reduction flow: |theta_t - zeta(rate t)| for 0 <= t <= time/rate.

Both set off at zeta_0 on Gamma, gradient descent with A times the equilibrium oscillation and
effective_lr*lambda_1 = 2. The distance is O(intrinsic_lr); `sharpflow.numerics.comparison.order` fits the power.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sharpflow.numerics.comparison.central import central_comparison, may_compare
from sharpflow.numerics.comparison.measured import edges, join, nothing, onset_summary, resolved
from sharpflow.numerics.comparison.result import Comparison
from sharpflow.numerics.descent.edge_run import edge_start, run_from_edge
from sharpflow.numerics.descent.law import Law, law_of
from sharpflow.numerics.flows.at_times import derived_flow, run_chart_flow, run_edge_flow, run_manifold_flow
from sharpflow.numerics.flows.chart_flow import DESCENT
from sharpflow.numerics.flows.edge_flow import TOLERANCE
from sharpflow.numerics.minima.krylov_normals import frames_fit
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.numbers import (
    check_amplitude,
    check_iterations,
    check_not_negative,
    check_rate,
    check_seed,
    check_time,
)
from sharpflow.numerics.objective import Objective, as_objective, minima_point, require_scale_invariant
from sharpflow.numerics.residuals import interpolating, without_residuals
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import normal_rank
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

if TYPE_CHECKING:
    from sharpflow.theory.chart.flow import SharpnessFlow

__all__ = ["compare"]


# Two and a half periods hold one whole period wherever the crossings fall; large orbits take longer than small ones.
TAIL_PERIODS = 2.5
# What every direction of an Objective has to begin with, in units of intrinsic_lr: eigenvalues that come to the edge
# later find something to amplify, and the distance between two runs changes by a hundredth of itself.
SEED = 0.01


def compare(
    subject: Loss | Objective, /, *, rule: Rule | None = None, rate: float, time: float,
    start: Sequence[float] | np.ndarray | None = None, amplitude: float = 1.2, flow: SharpnessFlow | None = None,
    law: Law | None = None, perturbation: float | None = None, seed: int = 0, tolerance: float | None = None,
    resolve: bool = False, progress: Callable[[str], None] | None = None,
) -> Comparison:  # fmt: skip
    """max |theta_t - zeta(rate t)| over the recorded even steps, and what gradient descent did at the edge.

    Where normal directions do not fit into a frame (above 400 weights without residuals), Hessian products take its
    place for gradient descent with weight decay (`sharpflow.numerics.minima.records`); what did not converge is in the
    result. An objective whose gradient flow comes to rest at no manifold of minimizers is compared with the central
    flow, from its start (`sharpflow.numerics.comparison.central`).

    Args:
        subject: a loss with minima, or an objective.
        rule: default gradient descent with weight decay.
        rate: the small parameter, in (0, 0.1]; time/rate iterations are run, made even.
        time: flow time.
        start: zeta_0: chart coordinates of a `Loss`, a vector of an `Objective` (taken to Gamma by gradient flow).
        amplitude: A, in units of the equilibrium oscillation; not 0, as then nothing would ever oscillate.
        flow: the flow of this rule in the chart; default what the exact wing derives.
        law: of the rule at the edge; default what the exact wing derives.
        perturbation, seed: length and seed of a random step added to the start, so that every direction has something
            to oscillate with; default 0 for a `Loss`, intrinsic_lr/100 for an `Objective`.
        tolerance: of a step of the flow without a chart (`sharpflow.numerics.flows.edge_flow`); default one that
        leaves the flow within
            some hundredths of intrinsic_lr.
        resolve: also predict the oscillation of the last periods (`sharpflow.numerics.predictions.resolved`).
        progress: called with the name of each part as it begins.

    Returns:
        a `Comparison`; where a run failed its ``result`` says how, and its series end there.

    Raises:
        InputError: a number is out of range, the loss is not scale-invariant, the start does not fit, or another rule
            or ``resolve`` would take all normal directions where they do not fit.
    """
    rule = default_rule() if rule is None else rule
    begins = (lambda part: None) if progress is None else progress
    check_iterations(check_time(time), check_rate(rate))
    check_amplitude(amplitude)
    check_seed(seed)
    if perturbation is None:
        perturbation = 0.0 if isinstance(subject, Loss) else SEED * float(rule.intrinsic_lr(rate))
    check_not_negative("perturbation", perturbation)
    law = law_of(rule) if law is None else law
    objective = as_objective(subject)
    rank: int | None
    begins("is the loss scale-invariant")
    require_scale_invariant(subject)
    if isinstance(subject, Loss):
        if subject.minima is None:
            raise InputError(f"loss {subject.name!r} has no minima; give them a chart, or make it an Objective.")
        chart = subject.minima.start_at(subject.minima.start if start is None else start)  # type: ignore[arg-type]
        zeta, rank = minima_point(subject, chart), normal_rank(objective, objective.start)
        shown: tuple[float, ...] = chart
    else:
        if not frames_fit(objective):
            # Whether so many residuals vanish would take their whole Jacobian to see; Hessian products do not ask.
            objective = without_residuals(objective)
        begins("gradient flow to the minima")
        relaxed = relax(objective, start)
        zeta, chart, rank = relaxed.point, (), relaxed.rank
        shown = tuple(float(v) for v in zeta)
        no_minima = relaxed.result is RESULTS.NOT_AT_MINIMA
        if no_minima and law.coefficient == DESCENT and may_compare(objective, start):
            begins("no minima there: gradient descent and the central flow")
            return central_comparison(
                objective, start, rule, rate=rate, time=time, amplitude=amplitude, perturbation=perturbation, seed=seed,
                message=relaxed.message,
            )  # fmt: skip
        if not relaxed.result.ok:
            return nothing(objective, rule, rate, time, shown, amplitude, relaxed.result, relaxed.message)
        if rank == 0:
            _require_products(objective, rule, law, resolve)
            rank = None
        objective = interpolating(objective, zeta)
    total = max(2, 2 * round(time / rate / 2))
    small = float(rule.intrinsic_lr(rate))
    nominal = law.period(rate)
    begun = edge_start(
        objective, rule, law, zeta=zeta, rank=rank, rate=rate, amplitude=amplitude, perturbation=perturbation, seed=seed
    )
    # Large orbits (log X^2 far from its rest) take longer: twice the small period at A = 5 or so.
    tail = math.ceil(nominal * TAIL_PERIODS * (1 + abs(math.log(abs(amplitude))) / 1.5))
    several = isinstance(subject, Objective) and law.coefficient == DESCENT
    begins(f"gradient descent, {total} iterations, and the way back to the minima")
    run = run_from_edge(objective, rule, law, begun, rank=rank, rate=rate, total=total, tail=tail, means=several)
    times = run.steps * rate
    begins("the flow")
    if isinstance(subject, Loss) and (own := flow if flow is not None else derived_flow(subject)) is not None:
        rescale = DESCENT if flow is not None else law.coefficient
        path = run_chart_flow(own, chart, law.clock(_rising(times)), coefficient=rescale, drift=law.drift)
    elif several:
        # The errors of some hundred steps stay within some hundredths of intrinsic_lr.
        tolerance = min(TOLERANCE / 10, small / 1000) if tolerance is None else tolerance
        path = run_edge_flow(objective, begun.zeta, _rising(times), rank=rank, tolerance=tolerance)
    else:
        assert rank is not None  # `_require_products` has seen to that
        path = run_manifold_flow(objective, begun.zeta, law.clock(_rising(times)), rank=rank, drift=law.drift)
    begins("what both say of sharpness and oscillation")
    joined = join(
        objective, rule, law, rate, time, shown, amplitude, run, path, nominal, small, foretell=rank is not None
    )
    return replace(
        joined, perturbation=float(perturbation), edges=edges(objective, run, path, rank, rate),
        oscillation=resolved(objective, rule, begun.zeta, run, rate, amplitude) if resolve else None,
        # Without momentum x is multiplied by 1 - effective_lr*lambda_1, which at rest grows as in gradient descent.
        onset=onset_summary(begun, run, joined.distance, rate, amplitude)
        if not rule.state and law.edge == 2 and law.coefficient == DESCENT else None,
    )  # fmt: skip


def _require_products(objective: Objective, rule: Rule, law: Law, resolve: bool) -> None:
    """Raise `InputError` where Hessian products alone do not do for what was asked for."""
    if law.coefficient == DESCENT and not resolve:
        return
    what = "the oscillation resolved" if resolve else f"the flow of rule {rule.name!r}"
    raise InputError(
        f"{objective.name!r} has {objective.dimension} weights and no residuals that could be used: {what} takes all "
        "directions normal to the minima at once. Give residuals, at most 1000; or compare gradient descent with "
        "weight decay, without resolve, which Hessian products do for."
    )


def default_rule() -> Rule:
    """Gradient descent with weight decay."""
    from sharpflow.theory import rules

    return rules.get("gd-wd")


def _rising(times: np.ndarray) -> np.ndarray:
    """A run that failed in its first steps leaves one time, 0; a flow needs somewhere to go."""
    return times if times[-1] > 0 else np.append(times, 1e-6)
