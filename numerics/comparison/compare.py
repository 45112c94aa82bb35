"""Gradient descent against the sharpness-reduction flow: |theta_t - zeta(rate t)| for 0 <= t <= time/rate.

Both set off at zeta_0 on Gamma, gradient descent with A times the equilibrium oscillation and
effective_lr*lambda_1 = 2. The distance is O(intrinsic_lr); `sharpflow.numerics.comparison.order` fits the power.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpflow.numerics.comparison.central import central_comparison, may_compare
from sharpflow.numerics.comparison.diagnosis import no_second_derivative, tie
from sharpflow.numerics.comparison.measured import measure, nothing
from sharpflow.numerics.comparison.result import Comparison
from sharpflow.numerics.comparison.setting import Setting, default_rule
from sharpflow.numerics.comparison.weights import weights_comparison
from sharpflow.numerics.descent.edge_run import RECORDS, EdgeRun, EdgeStart, edge_start, run_from_edge
from sharpflow.numerics.descent.law import Law
from sharpflow.numerics.flows.chart_flow import DESCENT, derived_flow, integrate
from sharpflow.numerics.flows.edge_flow import TOLERANCE, edge_flow
from sharpflow.numerics.flows.manifold_flow import manifold_flow
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.minima.krylov_normals import frames_fit
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.numbers import check_rate
from sharpflow.numerics.objective import Objective, as_objective, minima_point, require_scale_invariant
from sharpflow.numerics.residuals import interpolating, without_residuals
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import normal_rank
from sharpflow.numerics.weights.coordinates import OfPath, coordinates
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

if TYPE_CHECKING:
    from sharpflow.theory.chart.flow import SharpnessFlow

__all__ = ["Beginning", "choose_flow", "compare", "run_descent"]

# What every direction of an Objective has to begin with, in units of intrinsic_lr: eigenvalues that come to the edge
# later find something to amplify, and the distance between two runs changes by a hundredth of itself.
SEED = 0.01


def compare(
    subject: Loss | Objective, /, *, rule: Rule | None = None, rate: float, time: float,
    start: Sequence[float] | np.ndarray | None = None, amplitude: float = 1.2, flow: SharpnessFlow | None = None,
    law: Law | None = None, perturbation: float | None = None, seed: int = 0, tolerance: float | None = None,
    resolve: bool = False, records: int = RECORDS, progress: Callable[[str], None] | None = None,
    learning_rate: OfPath | None = None, weight_decay: OfPath | None = None, no_decay: str | None = None,
) -> Comparison:  # fmt: skip
    """max |theta_t - zeta(rate t)| over the recorded even steps, and what gradient descent did at the edge.

    Where normal directions do not fit into a frame (above 400 weights without residuals), Hessian products take its
    place for gradient descent with weight decay (`sharpflow.numerics.minima.records`); what did not converge is in the
    result. An objective whose gradient flow comes to rest at no manifold of minimizers is compared with the central
    flow, from its start or, where that flow does not leave it, from that rest
    (`sharpflow.numerics.comparison.central`). Where the loss has no second derivative at its minima, or where lambda_1
    is not simple at the start of a flow of one eigenvalue, nothing is run, and the message says why.

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
            leaves the flow within some hundredths of intrinsic_lr.
        resolve: also predict the oscillation of the last periods (`sharpflow.numerics.predictions.resolved`).
        records: of gradient descent, from 20 to 400: as many are taken back to Gamma and compared, and at most twice as
            many of the last steps. Where there are many weights that takes minutes, and fewer take less.
        progress: called with the name of each part as it begins, and with how far it is.
        learning_rate, weight_decay, no_decay: of a network with weights that are not scale-invariant; see
            `sharpflow.numerics.flows.edge_flow.edge_flow`. The rate is that of the first group of weights that decay.

    Returns:
        a `Comparison`; where a run failed its ``result`` says how, and its series end there.

    Raises:
        InputError: a number is out of range, the loss is not scale-invariant, the start does not fit, or another rule
            or ``resolve`` would take all normal directions where they do not fit.

    Examples:
        >>> from sharpflow import compare, resolve_loss
        >>> found = compare(resolve_loss("ridge"), rate=1e-3, time=0.1)
        >>> found.result.value, found.max_distance < 2 * found.intrinsic_lr
        ('successful', True)
    """
    rule = default_rule() if rule is None else rule
    begins = (lambda part: None) if progress is None else progress
    if perturbation is None:
        check_rate(rate)
        perturbation = 0.0 if isinstance(subject, Loss) else SEED * float(rule.intrinsic_lr(rate))
    setting = Setting(
        rule=rule, rate=rate, time=time, own_law=law, amplitude=amplitude, perturbation=perturbation, seed=seed,
        tolerance=tolerance, resolve=resolve, records=records,
    )  # fmt: skip
    _ = setting.law  # a rule without one is refused before anything runs
    begins("is the loss scale-invariant")
    own = coordinates(as_objective(subject), learning_rate, weight_decay, no_decay)
    if own is not None:
        _require_plain(rule, setting)
        return weights_comparison(own, start, setting, begins)
    try:
        require_scale_invariant(subject)
    except InputError as error:
        if isinstance(subject, Loss):
            raise
        raise InputError(
            f"{error} Of weights that are meant to see the learning rate, give it (learning_rate)."
        ) from None
    begun = _on_gamma(subject, start, setting, begins)
    if isinstance(begun, Comparison):
        return begun
    if begun.rank is not None and begun.rank > 1 and not _several(begun, setting):
        begins("is lambda_1 simple")
        if tied := tie(begun.objective, begun.zeta, begun.rank):
            return nothing(begun.objective, setting, begun.shown, RESULTS.GAP_CLOSED, tied)
    begins(f"gradient descent, {setting.iterations} iterations, and the way back to the minima")
    set_off, run = run_descent(begun, setting, begins)
    begins("the flow")
    path, at = choose_flow(begun, setting, flow)(set_off.zeta, run.steps * setting.rate)
    begins("what both say of sharpness and oscillation")
    return measure(begun.objective, setting, set_off, run, path, at, shown=begun.shown, rank=begun.rank)


def _require_plain(rule: Rule, setting: Setting) -> None:
    """Raise `InputError` where weights that are not scale-invariant are to move by another rule, or be resolved."""
    if rule is not default_rule() or setting.resolve:
        what = "the oscillation resolved" if setting.resolve else f"rule {rule.name!r}"
        raise InputError(
            f"{what}: not known where weights are not scale-invariant; compare gradient descent with weight decay "
            "(gd-wd), without resolve."
        )


@dataclass(frozen=True)
class Beginning:
    """A point of Gamma to set off from.

    Attributes:
        objective: as it may be used there: without residuals where they do not vanish.
        zeta: (D,) the point.
        rank: number of normal directions; ``None`` where there are too many of them to be held at once.
        loss, chart: the loss it came from and the chart coordinates of zeta; ``None`` and empty of a native objective.
        shown: the start as it is reported.
    """

    objective: Objective
    zeta: np.ndarray
    rank: int | None
    loss: Loss | None
    chart: tuple[float, ...]
    shown: tuple[float, ...]


def _on_gamma(
    subject: Loss | Objective, start: Any, setting: Setting, begins: Callable[[str], None]
) -> Beginning | Comparison:
    """Where to set off; where there are no minima, the comparison that can be made without them."""
    objective = as_objective(subject)
    if isinstance(subject, Loss):
        if subject.minima is None:
            raise InputError(f"loss {subject.name!r} has no minima; give them a chart, or make it an Objective.")
        chosen = subject.minima.start if start is None else start
        chart = subject.minima.start_at(chosen)  # type: ignore[arg-type]
        zeta = minima_point(subject, chart)
        if broken := no_second_derivative(subject, objective, zeta):
            return nothing(objective, setting, chart, RESULTS.NOT_AT_MINIMA, broken)
        return Beginning(objective, zeta, normal_rank(objective, zeta), subject, chart, chart)
    if not frames_fit(objective):
        # Whether so many residuals vanish would take their whole Jacobian to see; Hessian products do not ask.
        objective = without_residuals(objective)
    begins("gradient flow to the minima")
    relaxed = relax(objective, start)
    shown = tuple(float(v) for v in relaxed.point)
    if relaxed.result is not RESULTS.DIVERGED:
        begins("is the loss smooth there")
        if broken := no_second_derivative(subject, objective, relaxed.point):
            return nothing(objective, setting, shown, RESULTS.NOT_AT_MINIMA, broken)
    no_minima = relaxed.result is RESULTS.NOT_AT_MINIMA
    if (
        no_minima
        and setting.law.coefficient == DESCENT
        and (may_compare(objective, start) or may_compare(objective, relaxed.point))
    ):
        begins("no minima there: gradient descent and the central flow")
        return central_comparison(objective, start, setting, message=relaxed.message, rest=relaxed.point)
    if not relaxed.result.ok:
        return nothing(objective, setting, shown, relaxed.result, relaxed.message)
    if relaxed.rank == 0:
        _require_products(objective, setting)
    objective = interpolating(objective, relaxed.point)
    return Beginning(objective, relaxed.point, relaxed.rank or None, None, (), shown)


def _require_products(objective: Objective, setting: Setting) -> None:
    """Raise `InputError` where Hessian products alone do not do for what was asked for."""
    if setting.law.coefficient == DESCENT and not setting.resolve:
        return
    what = "the oscillation resolved" if setting.resolve else f"the flow of rule {setting.rule.name!r}"
    raise InputError(
        f"{objective.name!r} has {objective.dimension} weights and no residuals that could be used: {what} takes all "
        "directions normal to the minima at once. Give residuals, at most 1000; or compare gradient descent with "
        "weight decay, without resolve, which Hessian products do for."
    )


def _several(begun: Beginning, setting: Setting) -> bool:
    """True where the flow takes any number of eigenvalues to the edge: gradient descent on a native objective."""
    return begun.loss is None and setting.law.coefficient == DESCENT


def run_descent(
    begun: Beginning, setting: Setting, progress: Callable[[str], None] | None = None, /
) -> tuple[EdgeStart, EdgeRun]:
    """Gradient descent from the edge next to a point of Gamma, and the way back to Gamma from its records."""
    common: dict[str, Any] = {"rank": begun.rank, "rate": setting.rate}
    set_off = edge_start(
        begun.objective, setting.rule, setting.law, zeta=begun.zeta, amplitude=setting.amplitude,
        perturbation=setting.perturbation, seed=setting.seed, **common,
    )  # fmt: skip
    return set_off, run_from_edge(
        begun.objective, setting.rule, setting.law, set_off, total=setting.iterations, tail=setting.tail,
        means=_several(begun, setting), records=setting.records, progress=progress, **common,
    )  # fmt: skip


def choose_flow(
    begun: Beginning, setting: Setting, own: SharpnessFlow | None = None, /
) -> Callable[[np.ndarray, np.ndarray], tuple[Path, Path]]:
    """The flow that fits: in the chart where there is one, of several eigenvalues for gradient descent, or of one.

    ``own`` is the flow of the rule in the chart, in place of the derived one.

    Returns:
        (zeta (D,), flow times (N,) from 0 on) -> its path, and the path at these times.
    """
    law, rank = setting.law, begun.rank
    chart = None if begun.loss is None else derived_flow(begun.loss) if own is None else own

    def flow(zeta: np.ndarray, times: np.ndarray) -> tuple[Path, Path]:
        # A run that failed in its first steps leaves one time, 0; a flow needs somewhere to go.
        wanted = times if times[-1] > 0 else np.append(times, 1e-6)
        if _several(begun, setting):
            # The errors of some hundred steps stay within some hundredths of intrinsic_lr.
            tolerance = setting.tolerance or min(TOLERANCE / 10, setting.intrinsic_lr / 1000)
            path = edge_flow(begun.objective, zeta, time=float(wanted[-1]), rank=rank, tolerance=tolerance)
            return path, path.at(times)
        clock = law.clock(wanted)
        time = float(clock[-1])
        if chart is not None:
            coefficient = law.coefficient if own is None else DESCENT
            path = integrate(chart, start=begun.chart, time=time, coefficient=coefficient, drift=law.drift)
        else:
            assert rank is not None  # `_require_products` has seen to that
            path = manifold_flow(begun.objective, zeta, time=time, drift=law.drift, rank=rank)
        return path, path.at(clock[: len(times)])

    return flow
