"""Gradient descent against the sharpness-reduction flow: |theta_t - zeta(rate t)| for 0 <= t <= time/rate.

Both set off at zeta_0 on Gamma, gradient descent with A times the equilibrium oscillation and
effective_lr*lambda_1 = 2. The distance is O(intrinsic_lr); `numerics.order` fits the power.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from numerics.central_run import central_comparison, may_compare
from numerics.comparison import (
    Comparison,
    DescentSummary,
    EdgeSeries,
    FlowSummary,
    OnsetSummary,
    OscillationSeries,
)
from numerics.edge_flow import TOLERANCE
from numerics.edge_run import EdgeRun, EdgeStart, edge_start, run_from_edge
from numerics.equilibrium import Law, law_of
from numerics.flow import DESCENT
from numerics.flow_run import FlowRun, derived_flow, run_chart_flow, run_edge_flow, run_manifold_flow
from numerics.krylov_normals import frames_fit
from numerics.objective import (
    Objective,
    as_objective,
    interpolating,
    minima_point,
    require_scale_invariant,
    without_residuals,
)
from numerics.onset import Onset, onset
from numerics.oscillation import oscillation, window_mean
from numerics.relax import relax
from numerics.resolved import resolved_flow
from numerics.results import RESULTS, worst
from numerics.spectrum import normal_rank, top_eigenvalues
from theory.errors import InputError
from theory.loss import Loss
from theory.rule import Rule

if TYPE_CHECKING:
    from theory.flow import SharpnessFlow

__all__ = ["compare"]

# Two and a half periods hold one whole period wherever the crossings fall; large orbits take longer than small ones.
TAIL_PERIODS = 2.5
# A run of 1e10 steps takes minutes on three variables; beyond, a rate was probably mistyped.
MAX_ITERATIONS = 10_000_000_000
# What every direction of an Objective has to begin with, in units of intrinsic_lr: eigenvalues that come to the edge
# later find something to amplify, and the distance between two runs changes by a hundredth of itself.
SEED = 0.01
# Eigenvalues that are reported.
SPECTRUM = 8


def compare(
    subject: Loss | Objective, /, *, rule: Rule | None = None, rate: float, time: float,
    start: Sequence[float] | np.ndarray | None = None, amplitude: float = 1.2, flow: SharpnessFlow | None = None,
    law: Law | None = None, perturbation: float | None = None, seed: int = 0, tolerance: float | None = None,
    resolve: bool = False, progress: Callable[[str], None] | None = None,
) -> Comparison:  # fmt: skip
    """max |theta_t - zeta(rate t)| over the recorded even steps, and what gradient descent did at the edge.

    Where normal directions do not fit into a frame (above 400 weights without residuals), Hessian products take its
    place for gradient descent with weight decay (`numerics.krylov_records`); what did not converge is in the result.
    An objective whose gradient flow comes to rest at no manifold of minimizers is compared with the central flow, from
    its start (`numerics.central_run`).

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
        tolerance: of a step of the flow without a chart (`numerics.edge_flow`); default one that leaves the flow within
            some hundredths of intrinsic_lr.
        resolve: also predict the oscillation of the last periods (`numerics.resolved`).
        progress: called with the name of each part as it begins.

    Returns:
        a `Comparison`; where a run failed its ``result`` says how, and its series end there.

    Raises:
        InputError: a number is out of range, the loss is not scale-invariant, the start does not fit, or another rule
            or ``resolve`` would take all normal directions where they do not fit.
    """
    rule = default_rule() if rule is None else rule
    begins = (lambda part: None) if progress is None else progress
    if perturbation is None:
        perturbation = 0.0 if isinstance(subject, Loss) else SEED * float(rule.intrinsic_lr(rate))
    _check_numbers(rate, time, amplitude, perturbation)
    law = law_of(rule) if law is None else law
    objective = as_objective(subject)
    rank: int | None
    begins("is the loss scale-invariant")
    require_scale_invariant(subject)
    if isinstance(subject, Loss):
        if subject.minima is None:
            raise InputError(f"loss {subject.name!r} has no minima; give them a chart, or make it an Objective.")
        chart = subject.minima.start_at(subject.minima.start if start is None else start)  # type: ignore[arg-type]
        zeta, rank = minima_point(subject, chart), normal_rank(subject, objective.start)
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
            return _nothing(objective, rule, rate, time, shown, amplitude, relaxed.result, relaxed.message)
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
    joined = _join(
        objective, rule, law, rate, time, shown, amplitude, run, path, nominal, small, foretell=rank is not None
    )
    return replace(
        joined, perturbation=float(perturbation), edges=_edges(objective, run, path, rank, rate),
        oscillation=_resolved(objective, rule, begun.zeta, run, rate, amplitude) if resolve else None,
        # Without momentum x is multiplied by 1 - effective_lr*lambda_1, which at rest grows as in gradient descent.
        onset=_onset(begun, run, joined.distance, rate, amplitude)
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
    from theory import rules

    return rules.get("gd-wd")


def _rising(times: np.ndarray) -> np.ndarray:
    """A run that failed in its first steps leaves one time, 0; a flow needs somewhere to go."""
    return times if times[-1] > 0 else np.append(times, 1e-6)


def _check_numbers(rate: float, time: float, amplitude: float, perturbation: float) -> None:
    for name, value in (("rate", rate), ("time", time), ("amplitude", amplitude), ("perturbation", perturbation)):
        if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
            raise InputError(f"{name} = {value!r} must be a number.")
    if not 0 < rate <= 0.1:
        raise InputError(
            f"rate = {rate:g} must lie in (0, 0.1]: the theory is about small rates; 1e-4 is a good one to begin with."
        )
    if not (math.isfinite(time) and time > 0):
        raise InputError(f"time = {time:g} must be positive and finite; it is flow time, rate times iterations.")
    if not math.isfinite(amplitude) or amplitude == 0:
        raise InputError(
            f"amplitude = {amplitude:g} must be finite and not zero: from x = 0 nothing would ever oscillate; try 1.2."
        )
    if not (math.isfinite(perturbation) and perturbation >= 0):
        raise InputError(f"perturbation = {perturbation:g} must be finite and not negative.")
    if time / rate > MAX_ITERATIONS:
        raise InputError(f"time/rate = {time / rate:g} iterations are too many; raise the rate or shorten the time.")
    if time / rate < 2:
        raise InputError(f"time/rate = {time / rate:g} iterations are too few; lower the rate or lengthen the time.")


def _join(
    objective: Objective, rule: Rule, law: Law, rate: float, time: float, start: tuple[float, ...], amplitude: float,
    run: EdgeRun, path: FlowRun, nominal: float, small: float, foretell: bool = True,
) -> Comparison:  # fmt: skip
    count = len(run.steps)
    flow_points, flow_sharpness = path.points[:count], path.sharpness[:count]
    distance = np.linalg.norm(run.points - flow_points, axis=1)
    on_minima = np.linalg.norm(run.normal.retraction.point - flow_points, axis=1)
    edge = run.effective_lr * run.normal.sharpness
    tail_edge = run.tail_effective_lr * run.tail_normal.sharpness if rule.has_effective_lr else None
    last = oscillation(run.tail_steps, tail_edge if law.smooth else None, nominal=nominal, intrinsic_lr=small)

    def mean(values: np.ndarray) -> float:
        return window_mean(run.tail_steps, values, last.first, last.last)

    mean_edge = None if tail_edge is None else mean(tail_edge)
    result = worst(run.result, path.result)
    # The mean over a period is the edge + O(intrinsic_lr^2), with a constant that grows with lambda_1 (some 1e3 on
    # real data). What left the edge, or never oscillated on it, is at 3/2 or half of it soon.
    if result.ok and law.smooth and mean_edge is not None and abs(mean_edge - law.edge) > 0.25 * law.edge:
        result = RESULTS.OFF_EDGE
    message = f"not finite from iteration {run.failed_at} on" if run.failed_at >= 0 else run.message
    if result is RESULTS.OFF_EDGE and foretell:
        message = _foretold(objective, rule, (run.steps * rate, flow_points), amplitude, time)
    if not path.result.ok:
        message = "; ".join(filter(None, [message, f"the flow ended at time {path.time:.6g}"]))
    return Comparison(
        loss=objective.name, rule=rule.name, rate=float(rate), intrinsic_lr=small, time=float(time), start=start,
        amplitude=float(amplitude),
        gd=DescentSummary(
            end=run.points[-1], steps=int(run.steps[-1]),
            mean_square_oscillation=mean(run.tail_normal.retraction.distance**2), mean_edge=mean_edge,
            period=last.period, sharpness=mean(run.tail_normal.sharpness),
        ),
        flow=FlowSummary(end=path.end, sharpness=path.end_sharpness, edge_count=path.edge_count),
        times=run.steps * rate, distance=distance, distance_on_minima=on_minima, sharpness=run.normal.sharpness,
        edge=edge, flow_sharpness=flow_sharpness, points=run.points, minima_points=run.normal.retraction.point,
        flow_points=flow_points, effective_lr=run.effective_lr, gd_loss=run.loss,
        seconds={"gd": run.seconds, "flow": path.seconds, "compile": run.compile_seconds + path.compile_seconds},
        result=result, message=message, edge_value=law.edge,
    )  # fmt: skip


def _edges(objective: Objective, run: EdgeRun, path: FlowRun, rank: int | None, rate: float) -> EdgeSeries | None:
    """The series of several eigenvalues, where the flow has them."""
    if path.spectrum is None or path.effective_lr is None or path.mean_square is None:
        return None
    count = len(run.steps)
    spectrum, mean_square = path.spectrum[:count, :SPECTRUM], path.mean_square[:count]
    minimum = float(objective.value(path.points[0]))
    known = run.spectrum
    if known is None:
        assert rank is not None  # without one the spectrum was found on the way
        known = top_eigenvalues(objective, run.normal.retraction.point, rank=rank)
    return EdgeSeries(
        spectrum=known[:, :SPECTRUM],
        flow_spectrum=spectrum, flow_effective_lr=path.effective_lr[:count],
        mean_square=run.mean_gradient_squared / np.asarray(run.normal.sharpness) ** 2,
        flow_mean_square=rate * mean_square, excess_loss=run.mean_loss - minimum,
        flow_excess_loss=rate * spectrum[:, 0] * mean_square / 2,
    )  # fmt: skip


def _onset(begun: EdgeStart, run: EdgeRun, distance: np.ndarray, rate: float, amplitude: float) -> OnsetSummary:
    """When x has grown from what it is at the start to its equilibrium, predicted and measured."""
    displacement, size = abs(float((begun.point - begun.zeta) @ begun.top)), abs(begun.x / amplitude)
    if displacement > 0:
        foretold = onset(edge=2.0, rate=rate, displacement=displacement, size=size)
    else:  # below the rounding of zeta: nothing that could grow
        foretold = Onset(math.nan, math.nan, -math.inf)
    there = np.flatnonzero(np.asarray(run.normal.retraction.distance) >= size)
    first = int(there[0]) if len(there) else len(run.steps)
    measured = float(run.steps[first] * rate) if len(there) else math.nan
    before, after = (float(np.nanmax(part, initial=0.0)) for part in (distance[: first + 1], distance[first:]))
    after = after if len(there) else math.nan
    largest = float(np.nanmax(run.effective_lr * np.asarray(run.normal.sharpness)))
    return OnsetSummary(size, displacement, foretold.time, measured, foretold.edge, largest, before, after)


def _resolved(
    objective: Objective, rule: Rule, zeta: np.ndarray, run: EdgeRun, rate: float, amplitude: float
) -> OscillationSeries:
    """The tail of a run, and what the resolved oscillator says of it."""
    steps = run.tail_steps
    found = resolved_flow(
        objective, zeta, rule=rule, rate=rate, time=max(float(steps[-1]), 2.0) * rate, amplitude=amplitude, steps=steps
    )
    missing = len(steps) - len(found.steps)
    x, edge = (np.append(values, np.full(missing, np.nan)) for values in (np.abs(found.x), found.edge))
    measured = run.tail_effective_lr * np.asarray(run.tail_normal.sharpness)
    return OscillationSeries(steps, np.asarray(run.tail_normal.retraction.distance), x, measured, edge)


def _foretold(
    objective: Objective, rule: Rule, flow: tuple[np.ndarray, np.ndarray], amplitude: float, time: float
) -> str:
    """What the energy law says of a run that left the edge; nothing where it does not foretell it."""
    from numerics.energy_law import tracking_horizon

    found = tracking_horizon(objective, rule, path=flow, amplitude=amplitude)
    if not found.time < time:
        return ""
    return (
        f"the energy law foretells it: c = {found.coefficient:.3g} at the start, and along the flow the oscillation "
        f"grows to ten times its equilibrium within flow time {found.time:.2g}"
    )


def _nothing(
    objective: Objective, rule: Rule, rate: float, time: float, start: tuple[float, ...], amplitude: float,
    result: RESULTS, message: str,
) -> Comparison:  # fmt: skip
    """A comparison that never began."""
    d = objective.dimension
    none, vector, table = np.zeros(0), np.full(d, np.nan), np.zeros((0, d))
    return Comparison(
        loss=objective.name, rule=rule.name, rate=float(rate), intrinsic_lr=float(rule.intrinsic_lr(rate)),
        time=float(time), start=start, amplitude=float(amplitude),
        gd=DescentSummary(vector, 0, math.nan, None, None, math.nan), flow=FlowSummary(vector, math.nan, 0),
        times=none, distance=none, distance_on_minima=none, sharpness=none, edge=none, flow_sharpness=none,
        points=table, minima_points=table, flow_points=table, effective_lr=none, gd_loss=none,
        seconds={"gd": 0.0, "flow": 0.0, "compile": 0.0}, result=result, message=message,
    )  # fmt: skip
