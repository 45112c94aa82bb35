"""The sharpness-reduction flow in a chart: dp/d tau = field(p), by the method of Dormand and Prince of order eight.

The field comes from the exact wing as an expression of a few coordinates; SciPy integrates it, in milliseconds and
without a program to compile, until the time asked for or until the flow ends: where lambda_1 meets lambda_2, or at the
end of the chart. The same functions are traced where many flows are integrated at once (`sharpflow.numerics.sweeps`).
"""

from __future__ import annotations

import contextlib
import math
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from scipy.integrate import DOP853, OdeSolution

from sharpflow.numerics.brief import brief
from sharpflow.numerics.config import configure
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.formulas import formula
from sharpflow.numerics.numbers import check_time
from sharpflow.numerics.results import RESULTS
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.identity import Identity
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.loss import Loss

if TYPE_CHECKING:
    from sharpflow.theory.chart.flow import SharpnessFlow

__all__ = ["ChartFlow", "ChartPath", "compiled_flow", "derived_flow", "integrate"]

configure()

Array = Any  # of NumPy, or traced by JAX

# Integration error << intrinsic_lr at the smallest rate (1.4e-3 at 1e-6): errors add up over some hundred steps at
# most.
RTOL = 1e-9
ATOL = 1e-10
# lambda_1 - lambda_2 under this part of lambda_1 counts as closed: v_1 then turns within a flow time of the same
# size.
GAP = 1e-3
# A flow in a handful of dimensions takes some 30 steps per unit of time; this allows a hundred units.
MAX_STEPS = 4096
# (a, b, c) of the drift -a/(b + c K^2) g; this one is gradient descent with weight decay.
Coefficient = tuple[float, float, float]
DESCENT: Coefficient = (2.0, 4.0, 1.0)
# Ten times what deriving the flow of a built-in family takes; beyond, the one on the implicit manifold needs none.
DERIVATION_SECONDS = 30.0
# A first guess at the step, which the solver corrects.
FIRST = 1e-3
# Points at which the dense output is looked at between two times.
BLOCK = 400


class ChartFlow:
    """A `SharpnessFlow` as functions of numbers, made once.

    Args:
        flow: the exact wing's flow; the attributes loss, chart, field, point, sharpness, gap, domain and, for another
            rule, log_gradient_squared are read.

    Another rule's flow is -a/(b + c K^2) g where that of gradient descent is -2/(4 + K^2) g: a, b and c are arguments
    of the field. A drift -D(K^2, lambda_1) g of another form is given as a function ``drift``.

    Attributes, each for p of NumPy (m,) or (m, N), or of JAX (m,), which is traced:
        vector_field: (time, p, coefficient (3,)) -> dp/d tau, of p's shape.
        look: p -> (p, zeta (D, ...), lambda_1, gap/lambda_1).
        inside: p -> distance to the end of the chart, positive inside.
        ended: p -> whether the flow has ended there.
    """

    def __init__(self, flow: SharpnessFlow, drift: Callable[[Any, Any], Any] | None = None) -> None:
        started = clock.perf_counter()
        self.flow, self.drift = flow, drift
        chart = tuple(flow.chart)
        field = formula(chart, list(flow.field))
        squared = formula(chart, flow.log_gradient_squared)
        point = formula(chart, list(flow.point))
        sharpness = formula(chart, flow.sharpness)
        # Apart: NumPy takes no minimum of an array and a number.
        gaps = None if flow.gap is None else formula(chart, list(sp.Min.make_args(sp.sympify(flow.gap))))
        self._bounds = np.array([(float(low), float(high)) for low, high in flow.domain])

        def relative_gap(p: Array) -> Array:
            # One normal direction only: lambda_2 = 0, and the gap is lambda_1 itself.
            if gaps is None:
                return _real(1.0, p)
            return _library(p).stack([_real(gap, p) for gap in gaps(*p)]).min(axis=0) / _real(sharpness(*p), p)

        def inside(p: Array) -> Array:
            """Distance to the end of the chart, positive inside; capped, so that it is finite on the whole line."""
            ends = [s for x, (low, high) in zip(p, self._bounds, strict=True) for s in (x - low, high - x)]
            return _library(p).stack([*ends, _real(1.0, p)]).min(axis=0)

        def vector_field(_: Any, p: Array, coefficient: Any) -> Array:
            velocity = _library(p).stack([_real(v, p) for v in field(*p)])
            a, b, c = coefficient
            k2 = _real(squared(*p), p)
            strength = a / (b + c * k2) if drift is None else drift(k2, _real(sharpness(*p), p))
            return velocity * strength / (2 / (4 + k2))

        def look(p: Array) -> tuple[Array, Array, Array, Array]:
            zeta = _library(p).stack([_real(v, p) for v in point(*p)])
            return p, zeta / (zeta**2).sum(axis=0) ** 0.5, _real(sharpness(*p), p), relative_gap(p)

        self.vector_field, self.look, self.inside = vector_field, look, inside
        self.ended: Callable[[Array], Array] = lambda p: (relative_gap(p) < GAP) | (inside(p) <= 0)
        self.compile_seconds = clock.perf_counter() - started

    def integrate(self, start: Sequence[float], time: float, coefficient: Coefficient = DESCENT) -> ChartPath:
        """From chart coordinates ``start`` (m,) over flow time ``time``."""
        started = clock.perf_counter()
        with np.errstate(all="ignore"):  # where the field is not defined, the steps shrink to nothing
            result, interpolation = self._solve(np.array(start, dtype=float), time, coefficient)
        low, high = 0.0, float(interpolation.t_max)
        stop = high
        # The solver stops one step late. Each round narrows the first bad time down by a factor of BLOCK.
        for _ in range(4):
            times = np.linspace(low, high, BLOCK)
            chart, _, _, gap = self._look(interpolation, times)
            outside = np.any((chart <= self._bounds[:, 0]) | (chart >= self._bounds[:, 1]), axis=1)
            # A gap that touches zero without changing sign shows here, even where no step ended near it.
            bad = np.flatnonzero(outside | (gap < GAP))
            if not len(bad):
                break
            first = int(bad[0])
            result = RESULTS.LEFT_CHART if outside[first] else RESULTS.GAP_CLOSED
            low, high = float(times[max(first - 1, 0)]), float(times[first])
            stop = low
        if result is RESULTS.STEPSIZE_UNDERFLOW and np.min(np.abs(chart[-1][:, None] - self._bounds)) < GAP:
            result = RESULTS.LEFT_CHART  # the field ends where the chart does
        # Of another rule the edge may be another one, and is not told here.
        edge = 2.0 if self.drift is None and tuple(coefficient) == DESCENT else math.nan

        def dense(times: np.ndarray) -> ChartPath:
            chart, points, sharpness, gap = self._look(interpolation, times)
            return ChartPath(
                times, points, edge / sharpness, sharpness[:, None], None, result, name=self.flow.loss.name,
                seconds=clock.perf_counter() - started,
                compile_seconds=self.compile_seconds, smooth=True, chart=chart, gap=gap, _dense=dense,
            )  # fmt: skip

        return dense(np.linspace(0.0, stop, BLOCK))

    def _solve(self, start: np.ndarray, time: float, coefficient: Coefficient) -> tuple[RESULTS, OdeSolution]:
        """Steps up to the first that ends beyond the flow's end, with dense output."""
        solver = DOP853(
            lambda t, p: self.vector_field(t, p, coefficient), 0.0, start, time, rtol=RTOL, atol=ATOL,
            first_step=min(time, FIRST),
        )  # fmt: skip
        times, pieces = [0.0], []
        result = RESULTS.SUCCESSFUL
        while solver.status == "running" and result is RESULTS.SUCCESSFUL:
            solver.step()
            if solver.status == "failed":
                result = RESULTS.STEPSIZE_UNDERFLOW
                break
            times.append(solver.t)
            pieces.append(solver.dense_output())
            if self.ended(solver.y):
                result = RESULTS.LEFT_CHART  # or the gap closed: whoever asks looks which
            elif len(pieces) == MAX_STEPS:
                result = RESULTS.MAX_STEPS
        if not pieces:  # not one step was possible
            return result, _Constant(start)
        return result, OdeSolution(times, pieces)

    def _look(self, interpolation: Any, times: np.ndarray) -> tuple[np.ndarray, ...]:
        """The dense output at flow times (N,): what `look` gives, N first."""
        with np.errstate(all="ignore"):
            chart, points, sharpness, gap = (np.asarray(a) for a in self.look(interpolation(times)))
        return chart.T, points.T, sharpness, gap


class _Constant:
    """The dense output of a flow that does not get away from its start."""

    t_max = 0.0

    def __init__(self, start: np.ndarray) -> None:
        self.start = start

    def __call__(self, times: np.ndarray) -> np.ndarray:
        return np.repeat(self.start[:, None], len(times), axis=1)


def _library(p: Array) -> Any:
    return jnp if isinstance(p, jax.Array) else np


def _real(value: Any, p: Array) -> Array:
    """A number of the formula as an array of float64, one for each point of p (m, ...)."""
    return _library(p).zeros(p.shape[1:]) + value


@brief
@dataclass(frozen=True, eq=False, kw_only=True)
class ChartPath(Path):
    """A `Path` in a chart: successful, gap_closed, left_chart, or what the integrator complained of.

    Attributes:
        chart: (N, m) chart coordinates.
        gap: (N,) (lambda_1 - lambda_2)/lambda_1.
    """

    chart: np.ndarray
    gap: np.ndarray
    _dense: Callable[[np.ndarray], ChartPath] = field(repr=False)

    def at(self, times: Any, /) -> ChartPath:
        """The path at flow times (M,), by the integrator's own polynomials; nan beyond its end."""
        wanted = np.atleast_1d(np.asarray(times, dtype=float))
        inside = (wanted >= 0) & (wanted <= self.time * (1 + 1e-12))
        found, mask = self._dense(np.clip(wanted, 0, self.time)), np.where(inside, 1.0, np.nan)
        return replace(
            found, times=wanted, points=found.points * mask[:, None], effective_lr=found.effective_lr * mask,
            spectrum=found.spectrum * mask[:, None], chart=found.chart * mask[:, None], gap=found.gap * mask,
            seconds=self.seconds,
        )  # fmt: skip


@lru_cache(maxsize=64)
def _compiled(key: Identity[Any], drift: Callable[[Any, Any], Any] | None) -> ChartFlow:
    return ChartFlow(key.value, drift)


def compiled_flow(flow: SharpnessFlow, /, drift: Callable[[Any, Any], Any] | None = None) -> ChartFlow:
    """The flow as functions of numbers, made once for each flow object (and drift)."""
    return _compiled(Identity(flow), drift)


# Losses whose flow was asked for, with what came of it.
_DERIVED: dict[Loss, SharpnessFlow | None] = {}
REMEMBERED = 64


def derived_flow(loss: Loss, /, *, seconds: float = DERIVATION_SECONDS) -> SharpnessFlow | None:
    """The derived flow of gradient descent with weight decay in the chart; ``None`` where there is none in time.

    Remembered, so that the first call decides how long the exact wing may take.
    """
    from sharpflow.theory.chart.flow import sharpness_flow

    if loss not in _DERIVED:
        found = None
        with contextlib.suppress(NoClosedForm, TimeLimitExceeded), time_limit(seconds):
            found = sharpness_flow(loss)
        if len(_DERIVED) >= REMEMBERED:
            _DERIVED.pop(next(iter(_DERIVED)))
        _DERIVED[loss] = found
    return _DERIVED[loss]


def integrate(
    flow: SharpnessFlow, /, *, start: Sequence[float] | None = None, time: float,
    coefficient: Coefficient | None = DESCENT, drift: Callable[[Any, Any], Any] | None = None,
) -> ChartPath:  # fmt: skip
    """p(tau), 0 <= tau <= time (flow time), from chart coordinates ``start`` (default: the loss's own).

    ``coefficient`` (a, b, c) puts a/(b + c K^2) for 2/(4 + K^2); where it is ``None``, ``drift`` does, of K^2
    and lambda_1. A flow that ends early (``result`` says why) is no error; its path covers the time up to there.

    Raises:
        InputError: start is off the chart, or time is not positive and finite.

    Examples:
        >>> from sharpflow import integrate, resolve_loss, sharpness_flow
        >>> path = integrate(sharpness_flow(resolve_loss("ridge")), time=1.0)
        >>> path.result.value, path.chart[-1].round(3), path.sharpness[[0, -1]].round(3)
        ('successful', array([0.638]), array([2.765, 2.291]))
    """
    check_time(time)
    minima = flow.loss.minima
    if minima is None:
        raise InputError(f"loss {flow.loss.name!r} has no minima; the flow needs their chart.")
    chosen = minima.start if start is None else start
    assert chosen is not None  # Minima fills its default in
    compiled = compiled_flow(flow, drift if coefficient is None else None)
    return compiled.integrate(minima.start_at(chosen), time, DESCENT if coefficient is None else coefficient)
