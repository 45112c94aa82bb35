"""Points of gradient descent taken back to Gamma by Hessian products, one after the other.

First some steps z <- z - grad L(z)/lambda_1: they take the oscillation away, which is along eigenvalues of some
lambda_1, and need no Hessian. A Hessian an oscillation off Gamma has curvature of that size along Gamma, too, and
Newton's step there is not one back to it. From then on z is off Gamma by the square of the oscillation, and Newton's
steps are solved by conjugate gradients up to a hundredth of grad L, which leaves directions along Gamma alone, as the
gradient along them is of second order. The eigenpairs are those of block Lanczos begun at the ones of the record
before. Memory is some 60 vectors of length D besides the records themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled, buffer
from sharpflow.numerics.minima.krylov_normals import FLAT, KrylovNormals, Searched
from sharpflow.numerics.minima.landing import LANDED, landing
from sharpflow.numerics.minima.normals import SOLVED
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.spectrum.curvature import curvature_gradients
from sharpflow.numerics.spectrum.dense import fix_sign
from sharpflow.numerics.spectrum.eigenpairs import hessian_product

__all__ = ["MinimaRecords", "MinimaStart", "back_traced", "start_at_minima", "take_back"]

Array = jax.Array

# Eigenvalues found at each record: those that a comparison reports, where there is room for them.
COUNT = 8
# Steps of the first kind. What is left of an eigenvalue at 0.9 lambda_1 after three is a thousandth.
DESCENTS = 3
# Of grad L, at which conjugate gradients stop; Newton's steps are repeated, and mend what one leaves. And of lambda_1:
# a gradient below is rounding.
SOLUTION, ROUNDING = 1e-2, 1e-12
# Of lambda_1, too: where the gradient left is below this, what is off is along curvatures that count as none, or short.
TOLD = 1e-10
# A step of Newton's this short is the last: what it leaves is a hundredth of it, times lambda_1/lambda_min.
ARRIVED = 1e-8
# Steps of one record, some seven are usual; products of each; halvings of one that leads up.
ROUNDS, PRODUCTS, HALVINGS = 30, 1000, 10
# Taken back without a word.
ROWS = 32
# Residuals of eigenpairs over lambda_1: the eigenvalues, which are what is wanted here, are off by the square of it
# over the gap, 1e-7 where that is 1e-3.
# At the start v_1 is wanted as well.
EIGENPAIRS, FIRST_EIGENPAIRS = 1e-5, 1e-8


class MinimaStart(NamedTuple):
    """A point of Gamma: zeta (D,), lambda_1, v_1 (D,) with its sign fixed, g = grad_Gamma log lambda_1 (D,).

    ``message`` says what is wrong, if anything is.
    """

    point: np.ndarray
    sharpness: float
    top: np.ndarray
    log_gradient: np.ndarray
    message: str


class MinimaRecords(NamedTuple):
    """N points taken back.

    Attributes:
        points: (N, D) of Gamma.
        distance: (N,) |theta - point|.
        residual: (N,) |grad L(point)|/lambda_1.
        spectrum: (N, r) top eigenvalues there.
        arrived: (N,) whether the last step was a short one.
        message: what did not converge, and how far it came, if anything did not.
        compile_seconds: spent compiling what was used here, in all.
    """

    points: np.ndarray
    distance: np.ndarray
    residual: np.ndarray
    spectrum: np.ndarray
    arrived: np.ndarray
    message: str
    compile_seconds: float


def _count(objective: Objective) -> int:
    """As many eigenvalues as are reported, in less than half the dimension with their guards."""
    return max(1, min(COUNT, objective.dimension // 3))


def _size(objective: Objective) -> int:
    """Records of one program."""
    return min(buffer(objective.dimension), ROWS)


@lru_cache(maxsize=64)
def _along(objective: Objective) -> Compiled:
    """A state at a point of Gamma -> v_1 and g there, (D,) both, and what was not solved."""
    normals = KrylovNormals(objective, _count(objective))

    def along(here: Searched) -> tuple[Array, Array, Array]:
        rows, unsolved = normals.tangent(
            here.theta, here, curvature_gradients(objective, here.theta, here.vectors[:, :1])
        )
        return fix_sign(here.vectors[:, 0]), rows[0] / here.values[0], unsolved

    return Compiled(along)


def _begin(objective: Objective, zeta: np.ndarray, top: float) -> tuple[Searched, np.ndarray, bool]:
    """The state at a point of Gamma (D,) where lambda_1 is ``top`` or near it, by a search that knows nothing."""
    normals = KrylovNormals(objective, _count(objective))
    nothing = normals.guess(jnp.asarray(zeta))
    block = np.zeros((_size(objective), objective.dimension))
    block[0] = zeta
    near = nothing._replace(values=jnp.full(normals.k, top))
    here, rows = _records(objective)(block, np.int64(1), near, np.bool_(True), np.float64(FIRST_EIGENPAIRS))
    *_, arrived, unsolved = (np.asarray(a)[0] for a in rows)
    return here, unsolved, bool(arrived)


def start_at_minima(objective: Objective, point: Any, /) -> MinimaStart:
    """The point of Gamma next to a point (D,), and what a run from the edge there has to know."""
    zeta, residual, top = (np.asarray(a) for a in landing(objective, None)(point))
    nothing = np.full_like(zeta, np.nan)
    if not (float(residual) < LANDED and float(top) > 0):
        message = f"|grad L|/lambda_1 = {float(residual):.1e} after Newton's iteration from where gradient flow ended"
        return MinimaStart(zeta, float(top), nothing, nothing, message)
    here, unsolved, arrived = _begin(objective, zeta, float(top))
    if not arrived:
        return MinimaStart(zeta, float(top), nothing, nothing, _said(unsolved, "") or "the start is off the minima")
    first, log_gradient, off = (np.asarray(a) for a in _along(objective)(here))
    said = _said(np.array([unsolved[0], max(unsolved[1], off)]), "at the start ")
    return MinimaStart(np.asarray(here.theta), float(here.values[0]), first, log_gradient, said)


def _said(unsolved: np.ndarray, where: str) -> str:
    """Of the residuals (2,) of eigenpairs and of conjugate gradients, those that are too large; nothing if none is."""
    texts = [text.format(value) for text, value in zip(SOLVED[1:3], unsolved, strict=True) if not value <= 0]
    return where + "; ".join(texts) if texts else ""


def _step(objective: Objective, z: Array, top: Array, most: Array) -> tuple[Array, Array]:
    """Newton's step at z (D,), and the residual |H s + grad L|/|grad L| where it was not solved, else 0.

    Conjugate gradients end after ``most`` products, and at a direction that has no curvature to speak of, `FLAT`
    lambda_1: there it is along Gamma. Where there were none the step is -grad L/lambda_1.
    """
    gradient, product = jax.grad(objective.function)(z), hessian_product(objective, z)
    size = jnp.linalg.norm(gradient)
    floor = jnp.maximum(SOLUTION * size, ROUNDING * top)

    def going(carry: tuple[Array, ...]) -> Array:
        _, r, _, i, flat = carry
        return (jnp.linalg.norm(r) > floor) & (i < most) & ~flat

    def advance(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        s, r, p, i, _ = carry
        moved, square = product(p), r @ r
        curvature = p @ moved
        flat = ~(curvature > FLAT * top * (p @ p))
        length = jnp.where(flat, 0.0, square / jnp.where(flat, 1.0, curvature))
        new = r - length * moved
        return s + length * p, new, new + (new @ new / square) * p, i + ~flat, flat

    begin: tuple[Array, ...] = (jnp.zeros_like(z), -gradient, -gradient, jnp.zeros((), int), jnp.zeros((), bool))
    step, rest, _, count, _ = jax.lax.while_loop(going, advance, begin)
    left = jnp.linalg.norm(rest)
    solved = left <= jnp.maximum(floor, TOLD * top)
    return jnp.where(count == 0, -gradient / top, step), jnp.where(solved, 0.0, left / size)


def _lower(objective: Objective, z: Array, step: Array) -> Array:
    """The step, halved until L is no higher at its end than at z."""
    level = objective.function(z)
    level = level + 4 * jnp.finfo(z.dtype).eps * jnp.abs(level)

    def going(carry: tuple[Array, Array]) -> Array:
        s, i = carry
        return ~(objective.function(z + s) <= level) & (i < HALVINGS)

    out: Array = jax.lax.while_loop(going, lambda c: (c[0] / 2, c[1] + 1), (step, jnp.zeros((), int)))[0]
    return out


def back_traced(objective: Objective, theta: Array, top: Array, /) -> tuple[Array, Array, Array]:
    """The point of Gamma next to theta (D,), whether it was reached, and what was left of the last step's solution.

    ``top`` is lambda_1, or near it. To second order in the distance the point is the nearest. For tracing.
    """

    def going(carry: tuple[Array, ...]) -> Array:
        _, length, i, _ = carry
        return (length > ARRIVED) & (i < ROUNDS)

    def advance(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        z, _, i, _ = carry
        newton = i >= DESCENTS
        step, unsolved = _step(objective, z, top, jnp.where(newton, PRODUCTS, 0))
        new = objective.onto(z + _lower(objective, z, step))
        return new, jnp.where(newton, jnp.linalg.norm(step), jnp.inf), i + 1, unsolved

    inf, zero = jnp.full((), jnp.inf, theta.dtype), jnp.zeros((), theta.dtype)
    begin: tuple[Array, ...] = (objective.onto(theta), inf, jnp.zeros((), int), zero)
    z, length, _, unsolved = jax.lax.while_loop(going, advance, begin)
    return z, length <= ARRIVED, unsolved


@lru_cache(maxsize=64)
def _records(objective: Objective) -> Compiled:
    """(thetas (B, D), their number, what is known near the first, last or not, precision) -> what is known, rows."""

    def run(thetas: Array, count: Array, near: Searched, last: Array, eigenpairs: Array) -> tuple[Any, ...]:
        normals = KrylovNormals(objective, _count(objective), eigenpairs=eigenpairs)

        def row(theta: Array, near: Searched) -> tuple[Searched, tuple[Array, ...]]:
            z, arrived, off = back_traced(objective, theta, near.values[0])
            here = normals.at(z, near)
            unsolved = jnp.stack([normals.unsolved(here), off])
            residual = jnp.linalg.norm(jax.grad(objective.function)(z)) / jnp.abs(here.values[0])
            arrived = arrived & (residual < LANDED)
            out = (z, jnp.linalg.norm(theta - z), residual, here.values, arrived, unsolved)
            # From a point that was not reached no other is found.
            return jax.tree.map(lambda a, b: jnp.where(arrived, a, b), here, near), out

        def advance(i: Array, carry: tuple[Searched, Any]) -> tuple[Searched, Any]:
            near, rows = carry
            near, new = row(thetas[i], normals.searching(near, last & (i == count - 1)))
            return near, jax.tree.map(lambda kept, one: kept.at[i].set(one), rows, new)

        shapes = jax.eval_shape(lambda: row(thetas[0], near)[1])
        rows = jax.tree.map(lambda s: jnp.zeros((len(thetas), *s.shape), s.dtype), shapes)
        return jax.lax.fori_loop(0, count, advance, (near, rows))

    return Compiled(run)


def take_back(
    objective: Objective, start: tuple[np.ndarray, float], points: np.ndarray, steps: np.ndarray, /, *,
    done: Callable[[int], None] | None = None,
) -> MinimaRecords:  # fmt: skip
    """The points (N, D) of a run at iterations ``steps`` (N,), in any order, taken to Gamma.

    ``start`` is zeta (D,), from which it set off, and lambda_1 there; ``done`` is called with the number of points that
    are there now and then.
    """
    order = np.argsort(steps, kind="stable")
    program, size = _records(objective), _size(objective)
    near = _begin(objective, *start)[0]
    precision = np.float64(EIGENPAIRS)
    parts: list[tuple[np.ndarray, ...]] = []
    for first in range(0, len(points), size):
        chosen = order[first : first + size]
        block = np.zeros((size, objective.dimension))
        block[: len(chosen)] = points[chosen]
        near, rows = program(block, np.int64(len(chosen)), near, np.bool_(first + size >= len(points)), precision)
        parts.append(tuple(np.asarray(a)[: len(chosen)] for a in rows))
        if done is not None:
            done(first + len(chosen))
    back = np.argsort(order, kind="stable")
    found, distance, residual, spectrum, arrived, unsolved = (
        np.concatenate(column)[back] for column in zip(*parts, strict=True)
    )
    failed = ~(unsolved <= 0).all(axis=1)
    message = ""
    if failed.any():
        begun = int(steps[failed].min())
        message = _said(unsolved[failed].max(axis=0), f"on the way back to the minima, from iteration {begun} on, ")
    seconds = program.seconds + _along(objective).seconds + landing(objective, None).seconds
    return MinimaRecords(found, distance, residual, spectrum, arrived, message, seconds)
