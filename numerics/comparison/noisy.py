"""Noisy iterates beside the noise flow: means over blocks of iterations, over several seeds, with intervals.

Block means of theta and effective_lr are compared with the mean of the flow over the same block: what noise does within
a block averages out, what the flow does within it does not.
"""

from __future__ import annotations

import math
import time as clock
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.comparison.result import plain
from sharpflow.numerics.comparison.setting import default_rule
from sharpflow.numerics.descent.descent import parameters_of, prepare
from sharpflow.numerics.descent.noise import LabelNoise
from sharpflow.numerics.flows.noise_flow import noise_flow
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.numbers import (
    check_iterations,
    check_positive,
    check_rate,
    check_seed,
    check_time,
    check_whole,
)
from sharpflow.numerics.objective import Objective, as_objective, require_scale_invariant
from sharpflow.numerics.residuals import interpolating, zeros_nearby
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import top_eigenvalues
from sharpflow.numerics.weights.grouping import groups
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.noise.moments import noise_law
from sharpflow.theory.rule import Rule

__all__ = ["Interval", "NoisyComparison", "compare_noisy", "interval"]

CONFIDENCE = 0.95
# Blocks of a run; the flow over one of them by Gauss's rule with so many points, exact up to degree 7.
BLOCKS, NODES = 100, 4
# So near to the edge it is the barrier that takes many steps.
STEEP = 0.01


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and half of its interval at 95 % (nan of one seed)."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.4g}" + ("" if math.isnan(self.half) else f" +- {self.half:.2g}")


def interval(values: Any, /) -> Interval:
    """Student's interval of the mean.

    >>> str(interval([1.0, 2.0, 3.0]))
    '2 +- 2.5'
    """
    from scipy.stats import t as student

    known = np.asarray(values, dtype=float)
    if len(known) < 2:
        return Interval(float(known.mean()), math.nan)
    quantile = float(student.ppf((1 + CONFIDENCE) / 2, len(known) - 1))
    return Interval(float(known.mean()), quantile * float(known.std(ddof=1)) / math.sqrt(len(known)))


@brief
@dataclass(frozen=True, eq=False)
class NoisyComparison:
    """S noisy runs and the flow, at the middles of N blocks; none are beyond the end of a flow that failed.

    Attributes:
        loss, rule, rate, intrinsic_lr, time, start: what was compared; start (D,) on Gamma.
        noise, effective_lr: nu, and effective_lr at the start.
        edge_value: effective_lr*lambda_1 at the edge of this rule.
        steps: iterations of a run.
        times: (N,) flow time.
        distance: (S, N) |mean theta - mean of the flow| over each block.
        lr_ratio: (S, N) mean effective_lr over that of the flow.
        mean_square: (S, N) 2/lambda_1 times the mean of the loss without noise: of |theta - zeta|^2 along v_1 or less.
        sharpness, edge: (N,) lambda_1 next to the mean of all seeds, and the mean effective_lr times it.
        path: the flow.
        minima_points: (N, D) on Gamma next to the mean of all seeds.
        seconds: running time of gd (one seed) and of flow, compiled, and of compile.
        result, message: how it ended.
    """

    loss: str
    rule: str
    rate: float
    intrinsic_lr: float
    time: float
    start: np.ndarray
    noise: float
    effective_lr: float
    edge_value: float
    steps: int
    times: np.ndarray
    distance: np.ndarray
    lr_ratio: np.ndarray
    mean_square: np.ndarray
    sharpness: np.ndarray
    edge: np.ndarray
    path: Path
    minima_points: np.ndarray
    seconds: dict[str, float]
    result: RESULTS
    message: str = ""

    @property
    def max_distance(self) -> Interval:
        """The largest distance of a seed's block means."""
        return interval(self.distance.max(axis=1, initial=-math.inf if self.steps else math.nan))

    @property
    def lr_error(self) -> Interval:
        """The largest relative error of effective_lr of a seed's block means."""
        return interval(np.abs(self.lr_ratio - 1).max(axis=1, initial=-math.inf if self.steps else math.nan))

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json.dumps` writes."""
        path = self.path
        found: dict[str, Any] = plain({
            "loss": self.loss, "rule": self.rule, "rate": self.rate, "intrinsic_lr": self.intrinsic_lr,
            "time": self.time, "start": self.start, "label_noise": self.noise, "effective_lr": self.effective_lr,
            "seeds": len(self.distance),
            "gd": None if not self.steps else {
                "end": self.minima_points[-1], "steps": self.steps, "sharpness": self.sharpness[-1],
                "mean_edge": self.edge[-1], "mean_square_oscillation": self.mean_square[:, -1].mean(),
                "period": None},
            "flow": {"end": path.end, "sharpness": path.sharpness[-1], "edge_count": path.edge_count[-1],
                     "effective_lr": path.effective_lr[-1]},
            "max_distance": vars(self.max_distance), "effective_lr_error": vars(self.lr_error),
            "times": self.times, "distance": self.distance.mean(axis=0), "sharpness": self.sharpness,
            "edge": self.edge, "seconds": self.seconds, "result": self.result.value, "message": self.message,
        })  # fmt: skip
        return found


def compare_noisy(
    subject: Loss | Objective, /, *, label_noise: float, rate: float, time: float, rule: Rule | None = None,
    start: Any = None, effective_lr: float | None = None, seeds: int = 4, seed: int = 0,
) -> NoisyComparison:  # fmt: skip
    """Block means of noisy gradient descent against `noise_flow`, over ``seeds`` seeds from ``seed`` on.

    Args:
        subject: an objective with residuals that vanish where gradient flow from the start comes to rest.
        label_noise: nu; residuals are r + s xi with s^2 = nu*rate.
        rate, time: the small parameter, and flow time.
        rule: default gradient descent with weight decay.
        start: (D,), taken to Gamma by gradient flow.
        effective_lr: at the start; default half of what is at the edge.

    Examples:
        >>> import jax.numpy as jnp
        >>> r = lambda w: jnp.stack([w[2] / jnp.linalg.norm(w) * jnp.sqrt(2 + (w[0]**2 - w[1]**2) / (w @ w))])
        >>> ridge = Objective(lambda w: r(w) @ r(w) / 2, (0.94, 0.34, 0.0), r, name="ridge")
        >>> found = compare_noisy(ridge, label_noise=0.5, rate=1e-3, time=1.0, seeds=2)
        >>> found.result.value, found.max_distance.mean < 0.1
        ('successful', True)
    """
    rule = default_rule() if rule is None else rule
    check_iterations(check_time(time), check_rate(rate))
    check_positive("label_noise", label_noise)
    check_whole("seeds", seeds)
    check_seed(seed)
    objective = as_objective(subject)
    _require_one_sphere(subject)
    relaxed = relax(objective, start)
    if not relaxed.result.ok:
        raise InputError(f"{objective.name!r}: {relaxed.message or relaxed.result.advice}")
    zeta, objective = relaxed.point, interpolating(objective, relaxed.point)
    if objective.residuals is None:
        raise InputError(
            f"{objective.name!r} has no residuals that vanish on its minima, and label noise is noise of these: give "
            "Objective(..., residuals=...) with L = |residuals|^2/2. The built-in "
            "sharpflow.numerics.networks.two_layer:batch has them."
        )
    sharpness = float(top_eigenvalues(objective, zeta[None], rank=1, block=1)[0, 0])
    law = noise_law(rule).edge
    edge = float(law.subs({s: rule.constants[s.name] for s in law.free_symbols}))
    if effective_lr is None:
        effective_lr = edge / 2 / sharpness
    path = noise_flow(objective, zeta, noise=label_noise, effective_lr=effective_lr, time=time, rule=rule)
    every, blocks = _whole_blocks(time, path.time, rate)
    message = "" if path.result.ok else _stopped(path, label_noise, time, rule, edge)
    common: dict[str, Any] = {
        "loss": objective.name, "rule": rule.name, "rate": rate, "intrinsic_lr": float(rule.intrinsic_lr(rate)),
        "time": time, "start": zeta, "noise": label_noise, "effective_lr": effective_lr, "edge_value": edge,
        "path": path,
    }  # fmt: skip
    if not blocks:
        none, of_seeds = np.zeros(0), np.zeros((seeds, 0))
        return NoisyComparison(
            **common, steps=0, times=none, distance=of_seeds, lr_ratio=of_seeds, mean_square=of_seeds, sharpness=none,
            edge=none, minima_points=np.zeros((0, len(zeta))), result=path.result, message=message,
            seconds={"gd": 0.0, "flow": path.seconds, "compile": path.compile_seconds},
        )  # fmt: skip
    source = LabelNoise(label_noise * rate)
    descent = prepare(objective, rule, records=blocks, means=True, source=source)
    parameters = parameters_of(rule, rate, None)
    position, state = descent.begin(zeta, effective_lr, parameters)
    runs, started, compiling = [], clock.perf_counter(), descent.compile_seconds
    for number in range(seeds):
        runs.append(descent.run(position, state, parameters, every, seed=seed + number, strength=source.strength))
    seconds = (clock.perf_counter() - started - (descent.compile_seconds - compiling)) / seeds
    result = path.result
    if failed := next((run.result for run in runs if not run.result.ok), None):
        result, message = failed, failed.advice
    times = (np.arange(blocks) + 0.5) * every * rate
    flow_point, flow_lr = _over_blocks(path, times, every * rate)
    theta = np.stack([run.means["theta"] for run in runs])
    lr = np.stack([run.means["effective_lr"] for run in runs])
    loss = np.stack([run.means["loss"] for run in runs])
    there = np.isfinite(theta).all(axis=(0, 2))
    points = np.full(theta.shape[1:], np.nan)
    points[there] = zeros_nearby(objective, theta.mean(axis=0)[there])
    top = np.full(blocks, np.nan)
    top[there] = top_eigenvalues(objective, points[there], rank=1)[:, 0]
    return NoisyComparison(
        **common, steps=blocks * every, times=times, distance=np.linalg.norm(theta - flow_point, axis=2),
        lr_ratio=lr / flow_lr, mean_square=2 * loss / top, sharpness=top, edge=top * lr.mean(axis=0),
        minima_points=points, result=result, message=message,
        seconds={"gd": seconds, "flow": path.seconds, "compile": descent.compile_seconds + path.compile_seconds},
    )  # fmt: skip


def _whole_blocks(time: float, reached: float, rate: float) -> tuple[int, int]:
    """Iterations of a block, BLOCKS or fewer of which make up ``time``; whole blocks before the flow's own end."""
    # A quotient may be some units in the last place short of a whole number.
    count, reach = (int(t / rate * (1 + 1e-12)) for t in (time, reached))
    every = -(-count // BLOCKS)
    return every, reach // every


def _require_one_sphere(subject: Loss | Objective) -> None:
    """Raise `InputError` where weights see the learning rate itself, which the noise flow does not know of."""
    try:
        require_scale_invariant(subject)
    except InputError:
        if isinstance(subject, Loss) or subject.leaves is None:
            raise
        free = [leaf.path for leaf in groups(subject).leaves if leaf.kind not in ("invariant", "dead")]
        if not free:
            raise
        more = f" and {len(free) - 3} more" if len(free) > 3 else ""
        raise InputError(
            f"{subject.name!r}: label noise is for losses that are wholly scale-invariant, so far, and "
            f"{', '.join(free[:3])}{more} are not. Without it, learning_rate (--learning-rate ETA) compares gradient "
            "descent on all weights with their flow."
        ) from None


def _stopped(path: Path, noise: float, time: float, rule: Rule, edge: float) -> str:
    """Where the noise flow came to its end, why, and what to take in its place."""
    lr = float(path.effective_lr[-1])
    at = f"the noise flow stopped at time {path.time:.3g} of {time:g}, after {len(path) - 1} steps"
    load = lr * float(path.sharpness[-1])
    if load < (1 - STEEP) * edge:
        return f"{at}. {path.result.advice}"
    limit = ", or the limit nu -> 0, which is edge_flow (compare without --label-noise)"
    return (
        f"{at}: nu e = {noise * lr:.2g} there (e = effective_lr), {noise * float(path.effective_lr[0]):.2g} at the "
        f"start, keeps e lambda_1 within {max(1 - load / edge, 0.0):.1g} of the edge, a barrier steeper than its steps "
        f"resolve. Take a larger nu (nu e of 1e-5 at the start, or more){limit if rule is default_rule() else ''}."
    )


def _over_blocks(path: Path, middles: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """The means of zeta (N, D) and of effective_lr (N,) over blocks."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    parts = [path.at(np.minimum(middles + width / 2 * node, path.time)) for node in nodes]
    points = np.tensordot(weights / 2, np.stack([part.points for part in parts]), 1)
    lr: np.ndarray = np.tensordot(weights / 2, np.stack([part.effective_lr for part in parts]), 1)
    return points, lr
