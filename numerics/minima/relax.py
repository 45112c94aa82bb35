"""From anywhere to Gamma: gradient flow d theta/ds = -grad L(theta) on the sphere, then Newton.

grad L(theta) is tangent to the sphere by Euler's identity, so the flow stays on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.minima.krylov_normals import frames_fit
from sharpflow.numerics.minima.rest import DENSE, ON_MINIMA, curved, left_over, rests, stiff_flow
from sharpflow.numerics.minima.retraction import retract
from sharpflow.numerics.objective import Objective, as_objective, once_for_each_loss
from sharpflow.numerics.residuals import settle
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import normal_rank, unit_vector
from sharpflow.numerics.weights.coordinates import coordinates
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["Relaxed", "on_the_way", "relax"]

configure()

Array = jax.Array

# Newton then covers a distance of |grad L|/lambda_min; its own sideways error is the square of that.
GRADIENT = 1e-7
# The top eigenvalue to some per cent, whatever the gap.
POWER_STEPS = 20
# Times of points on the way, in units of 1/lambda_1 at the start: loss and curvature change slowly in their logarithm.
SNAPSHOTS = np.geomspace(1e-2, 1e9, 111)
# Of the curvature at the start: what is left of (z/|w|)^6 at z = 1e-4.
FLAT = 1e-12
# Of L: rounding.
RISE = 1e-12
# Entries of a place in a message.
SHOWN = 8


@brief
@dataclass(frozen=True)
class Relaxed:
    """Where gradient flow came to rest.

    Attributes:
        point: (D,) unit vector on Gamma, or weights of their own length; the last of gradient flow where it found none.
        rank: number of directions normal to Gamma there; 0 where that is not clear, or (for more than 400 weights
            without residuals) was not looked for.
        moved: |point - start|.
        result: successful, not_at_minima, or diverged: L or grad L is no number at the start or where
            gradient flow ended.
        message: what is wrong, if anything is.
    """

    point: np.ndarray
    rank: int
    moved: float
    result: RESULTS
    message: str = ""


def _scale(objective: Objective, theta: Array) -> Array:
    """Curvature at theta, which sets the scale of grad L: some steps of power iteration, with no D x D matrix."""
    gradient, product = jax.linearize(jax.grad(objective.function), theta)

    def advance(_: Any, v: Array) -> Array:
        new = product(v)
        return new / jnp.maximum(jnp.linalg.norm(new), jnp.finfo(new.dtype).tiny)

    first = jax.random.normal(jax.random.key(0), theta.shape, theta.dtype)
    v = jax.lax.fori_loop(0, POWER_STEPS, advance, first / jnp.linalg.norm(first))
    return jnp.linalg.norm(product(v)) + jnp.linalg.norm(gradient)


@once_for_each_loss
def _program(objective: Objective) -> Compiled:
    """Of a unit vector: L, whether grad L is finite, |grad L| and the scale of it."""

    def look(theta: Array) -> tuple[Array, Array, Array, Array]:
        value, gradient = jax.value_and_grad(objective.function)(theta)
        return value, jnp.isfinite(gradient).all(), jnp.linalg.norm(gradient), _scale(objective, theta)

    return Compiled(look)


@dataclass(frozen=True)
class _Look:
    """All that is asked of a unit vector: L, whether grad L is finite, |grad L|, and the scale of grad L."""

    theta: np.ndarray
    value: np.ndarray
    smooth: np.ndarray
    slope: np.ndarray
    scale: np.ndarray

    @property
    def distance(self) -> float:
        """|grad L|/lambda_1 or so."""
        with np.errstate(all="ignore"):
            return float(self.slope / self.scale)

    def flat(self, begin: _Look) -> str:
        """A sentence where gradient and Hessian vanish beside the start's, whatever lies around; else nothing."""
        # A small Hessian alone is a matter of units; exactly 0 it is where every relu is off.
        if self.scale > FLAT * begin.scale:
            return ""
        return "the Hessian vanishes where gradient flow ended: a flat minimum, at which no learning rate is at an edge"

    @property
    def broken(self) -> str:
        """A phrase where L or grad L is not finite; else nothing.

        The value is asked for, too: where jnp.where chooses nan, the gradient is 0.
        """
        if np.isfinite(self.value) and self.smooth:
            return ""
        return "grad L is not finite" if np.isfinite(self.value) else f"L = {float(self.value):g}"

    @property
    def place(self) -> str:
        """The first entries."""
        entries = [f"{v:.4g}" for v in self.theta[:SHOWN]]
        return f"w = ({', '.join([*entries, '...'] if len(self.theta) > SHOWN else entries)})"


def _look(objective: Objective, theta: np.ndarray) -> _Look:
    return _Look(theta, *(np.asarray(a) for a in _program(objective)(theta)))


def _gradient_flow(
    objective: Objective, theta: Array, scale: Array, end: float, times: np.ndarray | None, *, rtol: float,
    atol: float, max_steps: int,
) -> Array:  # fmt: skip
    """(N, D) unit vectors of gradient flow from theta (D,): its end, or at ``times`` (N,), inf after it came to rest.

    ``end`` and ``times`` are in units of 1/``scale``, that of grad L at theta.
    """
    import diffrax  # a second of imports, for what few runs ask for

    gradient = jax.grad(objective.function)

    def at_rest(t: Any, y: Any, args: Any, **_: Any) -> Array:
        return jnp.linalg.norm(gradient(y)) <= GRADIENT * scale

    out = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: -gradient(y)),
        diffrax.Tsit5(),
        t0=0.0,
        t1=end / scale,
        dt0=None,
        y0=theta,
        saveat=diffrax.SaveAt(t1=True) if times is None else diffrax.SaveAt(ts=jnp.asarray(times) / scale),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        event=diffrax.Event(at_rest),
        max_steps=max_steps,
        adjoint=diffrax.ForwardMode(),  # no checkpoints: nothing is differentiated
        throw=False,
    )
    assert out.ys is not None
    points: Array = jax.vmap(objective.onto)(out.ys)
    return points


@once_for_each_loss
def _compiled(objective: Objective, max_steps: int) -> Compiled:
    # The place of rest depends on the path: errors of 1e-8 leave it where it is for every purpose here.
    return Compiled(
        lambda theta, scale: _gradient_flow(
            objective, theta, scale, 1e12, None, rtol=1e-8, atol=1e-10, max_steps=max_steps
        )[-1]
    )


@once_for_each_loss
def _on_the_way(objective: Objective, max_steps: int) -> Compiled:
    """(N, D) points of gradient flow at `SNAPSHOTS` times up to its rest, inf after that; to be looked at only."""
    return Compiled(
        lambda theta, scale: _gradient_flow(
            objective, theta, scale, SNAPSHOTS[-1], SNAPSHOTS, rtol=1e-6, atol=1e-8, max_steps=max_steps
        )
    )


def on_the_way(objective: Objective, theta: np.ndarray, /, *, max_steps: int = 100_000) -> np.ndarray:
    """Points (N, D) of the gradient flow from a unit vector (D,) to its rest, the start first."""
    points = np.asarray(_on_the_way(objective, max_steps)(theta, _look(objective, theta).scale))
    return np.concatenate([theta[None], points[np.isfinite(points).all(axis=1)]])


def relax(subject: Loss | Objective, start: Any = None, /, *, max_steps: int = 100_000) -> Relaxed:
    """The point of Gamma that gradient flow reaches from ``start`` (D,); a start on Gamma stays (up to rounding).

    Rest is judged by the loss that is left over (`sharpflow.numerics.minima.rest`); valleys too steep for the explicit
    steps of the flow are followed by implicit ones, up to 400 weights. Of a network with weights that are not
    scale-invariant all weights move, and the point (D,) has its length. Failing to get there is a result
    (not_at_minima, diverged), no error, and the point is then the last of the flow.

    Examples:
        >>> from sharpflow import relax, resolve_loss
        >>> found = relax(resolve_loss("ridge"), (0.9, 0.3, 0.2))
        >>> found.result.value, found.rank, abs(found.point.round(3))
        ('successful', 1, array([0.947, 0.321, 0.   ]))
    """
    objective = as_objective(subject)
    # Of a network of which a part only is scale-invariant all weights flow, in units of their length.
    own = None if objective.leaves is None else coordinates(objective, 1.0)
    if own is None:
        return _relax(objective, start, max_steps)
    y = own.from_weights(objective.vector(objective.start if start is None else start, "start"))
    found = _relax(own.scaled, y, max_steps)
    point = own.to_weights(found.point)
    return replace(found, point=point, moved=float(np.linalg.norm(point - own.to_weights(y))))


def _relax(objective: Objective, start: Any, max_steps: int) -> Relaxed:
    """`relax` on the sphere, or in R^D in the coordinates of `sharpflow.numerics.weights.coordinates`."""
    theta = unit_vector(objective, objective.start if start is None else start, "start")
    # Looked at first: the program of the gradient flow need not be compiled for a start on Gamma.
    begin = last = _look(objective, theta)
    if begin.broken:
        message = f"{begin.broken} at the start, at {begin.place}; give another start"
        return Relaxed(theta, 0, 0.0, RESULTS.DIVERGED, message)
    end, stiff = theta, False
    if not (begin.distance <= ON_MINIMA and _at_rest(objective, begin, begin)):
        end = np.asarray(_compiled(objective, max_steps)(theta, begin.scale))
        last = _look(objective, end)
        if not (last.broken or last.flat(begin) or _at_rest(objective, last, begin)) and objective.dimension <= DENSE:
            stiff = True
            end = np.asarray(stiff_flow(objective)(end, last.scale))
            last = _look(objective, end)
    moved = float(np.linalg.norm(end - theta))
    if last.broken:
        return Relaxed(end, 0, moved, RESULTS.DIVERGED, f"{last.broken} where gradient flow ended, at {last.place}")
    if last.flat(begin):
        return Relaxed(end, 0, moved, RESULTS.NOT_AT_MINIMA, last.flat(begin))
    flow_end = last
    given = objective
    if frames_fit(objective):
        # Along soft directions gradient flow rests while residuals are left: whether they vanish is seen at their zero.
        objective, end = settle(objective, end)
    if not frames_fit(objective):
        # A rank would take all eigenvalues; what goes on from here by Hessian products needs none.
        arrived = last.distance <= 10 * GRADIENT and _at_rest(objective, last, begin)
        message = "" if arrived else _unrested(objective, last)
        return Relaxed(end, 0, moved, RESULTS.SUCCESSFUL if arrived else RESULTS.NOT_AT_MINIMA, message)
    try:
        rank = normal_rank(objective, end)
        if stiff and objective.rank is None:
            # The widest gap is that between walls and floor; implicit steps leave the kernel clean enough to count.
            rank = max(rank, curved(objective, end))
    except InputError as error:
        return Relaxed(flow_end.theta, 0, moved, RESULTS.NOT_AT_MINIMA, str(error))
    back = retract(objective, end, rank=rank)
    point = np.asarray(back.point)
    # Newton that worked leaves rounding; 1e-6 is far above it and far below any oscillation.
    if bool(np.isfinite(back.residual)) and float(back.residual) < 1e-6 and float(back.distance) < 0.1:
        # Newton's iteration goes to saddles as well, and stands still on a floor that is flat beside its walls.
        found = _look(given, point)
        fall = max(float(begin.value - flow_end.value), 0.0)
        if found.value <= flow_end.value + RISE * (abs(flow_end.value) + fall) and _at_rest(given, found, begin):
            return Relaxed(point, rank, float(np.linalg.norm(point - theta)), RESULTS.SUCCESSFUL)
    message = _unrested(given, flow_end)
    if not np.isfinite(back.residual):
        message = "where gradient flow ended, Newton's iteration towards Gamma gives no finite point"
        message = (_look(given, point).flat(begin) if np.isfinite(point).all() else "") or message
    return Relaxed(flow_end.theta, rank, moved, RESULTS.NOT_AT_MINIMA, message)


def _at_rest(objective: Objective, here: _Look, begin: _Look) -> bool:
    left = left_over(objective, here.theta, here.scale)
    return rests(left, float(here.scale), float(begin.value - here.value))


def _unrested(objective: Objective, last: _Look) -> str:
    left = left_over(objective, last.theta, last.scale)
    return (
        f"|grad L| = {float(last.slope):.2g} and L = {float(last.value):.6g} where gradient flow ended, with about "
        f"{left:.2g} of L left over (|grad L|/lambda_1 = {last.distance:.1e})"
    )
