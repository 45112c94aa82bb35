"""The top k eigenpairs of the spherical Hessian without the D x D matrix: block Lanczos on Hessian products.

A basis grows by some vectors at a time, Q <- H Q made orthonormal to all before; Ritz pairs (y, lambda) of the small
matrix V^T H V have residuals |R y_last|, R what H Q had outside of the basis. When the basis is full it is cut back to
its best vectors (thick restart). It starts from any vectors: from those of a point nearby a few products suffice, and
a random one among them sees what they do not. In the end the residuals are computed once more from their definition,
and an unconverged pair says so. Without a guess one vector at a time is quicker
(`sharpflow.numerics.spectrum.lanczos`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.numbers import check_positive, check_whole, generator
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.spectrum.dense import require_sphere, unit_vector
from sharpflow.numerics.spectrum.lanczos import Eigenpairs, lanczos_eigenpairs
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["Eigenpairs", "block_eigenpairs", "hessian_product", "top_eigenpairs"]

configure()

Array = jax.Array

# Residuals of the k Ritz vectors, relative to lambda_1; float32 reaches some 1e-6.
TOLERANCE = 1e-8
# Vectors that the basis holds, in units of k.
SIZE = 5
MAX_PRODUCTS = 3000
# In units of rounding: what is left of a row of this size, outside of the basis, is rounding.
DEPENDENT = 32
# A guess is searched around by a vector of the block's own, so many products deep.
LEAST = 3
# Of the pair below the wanted ones, relative to lambda_1: enough to know whether it is about to join them.
ROUGH = 0.02


def hessian_product(objective: Objective, theta: Array, /) -> Callable[[Array], Array]:
    """v (D,) -> P H v at the unit vector theta (D,), P off theta; the forward pass is done once, here.

    With residuals H = J^T J, which it is on Gamma.
    """
    if objective.residuals is not None:
        _, forward = jax.linearize(objective.residuals, theta)
        backward = jax.linear_transpose(forward, theta)

        def product(v: Array) -> Array:
            return backward(forward(v))[0]
    else:
        _, product = jax.linearize(jax.grad(objective.function), theta)

    radial = objective.radial(theta)

    def projected(v: Array) -> Array:
        out = product(v)
        return out - radial * (radial @ out)

    return projected


def _products(basis: Array, block: Array) -> Array:
    """basis block^T, (m, b), in this order: left to itself XLA takes the transpose, twenty times as slow."""
    out: Array = jax.lax.optimization_barrier(basis @ block.T)
    return out


def _whitened(block: Array) -> tuple[Array, Array, Array]:
    """Rows (b, D) made orthonormal by their Gram matrix: rows, R (b, b) with block = R rows, the Gram eigenvalues.

    The Gram matrix knows singular values down to sqrt(eps) of the largest; a row of less stays shorter than 1.
    """
    values, turn = jnp.linalg.eigh(block @ block.T)
    kind = jnp.finfo(block.dtype)
    root = jnp.sqrt(jnp.maximum(jnp.maximum(values, kind.eps * values[-1]), kind.tiny))
    return (turn / root).T @ block, turn * root, values


def _orthonormal(
    block: Array, basis: Array, theta: Array, key: Array | None = None, inside: Array | None = None
) -> tuple[Array, Array, Array]:
    """Rows (b, D) made orthonormal, and orthogonal to the rows of ``basis`` and to theta.

    ``inside`` is basis block^T where that is known already.

    With them R (b, b), block = R rows + what was in the basis, and which rows there are: where the Krylov space is
    exhausted a row is nothing but rounding, and a random one takes its place, by ``key``; where the whole space
    is, or there is no key, none is left, and the row is 0.
    """
    eps = jnp.finfo(block.dtype).eps

    def outside(rows: Array, inside: Array | None = None) -> Array:
        inside = _products(basis, rows) if inside is None else inside
        return rows - inside.T @ basis - jnp.outer(rows @ theta, theta)

    scale = jnp.linalg.norm(block)
    block, whole, _ = _whitened(outside(block, inside))
    length = jnp.linalg.norm(block, axis=1)
    rounding = length * jnp.linalg.norm(whole, axis=0) <= DEPENDENT * eps * scale

    def random(key: Array) -> Array:
        rows = jax.random.uniform(key, block.shape, block.dtype, -1.0, 1.0)
        return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)

    others = jnp.zeros_like(block) if key is None else jax.lax.cond(jnp.any(rounding), random, lambda _: block, key)
    block = jnp.where(rounding[:, None], others, block)
    whole = whole * jnp.where(rounding, length, 1.0)  # what was there, be it rounding
    # Twice, as what is left of a row after the first time may be small, and its error not.
    block, more, values = _whitened(outside(block))
    # A row that passed is longer than DEPENDENT sqrt(eps) here, and one for which there is no room is rounding.
    block, whole = jnp.where((values > DEPENDENT * eps * values[-1])[:, None], block, 0.0), whole @ more
    block, more, values = _whitened(block)
    there = values > 0.5
    return jnp.where(there[:, None], block, 0.0), whole @ more, there


def block_eigenpairs(
    product: Callable[[Array], Array], theta: Array, guess: Array, tolerance: Array, /, *, count: int,
    max_products: int, guard: int = 0, least: int = 1, at_once: bool = True,
) -> Eigenpairs:  # fmt: skip
    """`top_eigenpairs` for tracing: of any symmetric ``product`` that keeps to the space orthogonal to theta.

    ``guess`` is (D, b), the block, 2 b < D: any vectors. Besides the ``count`` pairs ``guard`` more come with them, the
    first of these with a residual of some `ROUGH` lambda_1, the others as they are. Each vector of the guess is
    multiplied ``least`` times at least: in a space that H maps to itself everything has converged at once, and what is
    outside is not seen but by what the guess has of it. The products of a block are computed together; one after
    another, in the memory of one, where not ``at_once``.
    """
    (d, b), k = guess.shape, count
    size = min(max(SIZE * k, k + 4 * b), d - 1)
    size -= size % b
    kept = min(k + max(b, k // 2), size - b)
    kept += (size - kept) % b
    many = jax.vmap(product) if at_once else partial(jax.lax.map, product)
    source = jax.random.key(0)
    near = min(guard, 1)
    wanted = jnp.where(jnp.arange(k + near) < k, tolerance / 2, ROUGH).astype(guess.dtype)

    def grow(state: Any) -> Any:
        basis, there, small, count, (block, new_there), _, products = state
        basis = jax.lax.dynamic_update_slice(basis, block, (count, 0))  # rows, (size, D)
        there = jax.lax.dynamic_update_slice(there, new_there, (count,))
        new = many(block)
        columns = _products(basis, new)
        small = jax.lax.dynamic_update_slice(small, columns, (0, count))
        small = jax.lax.dynamic_update_slice(small, columns.T, (count, 0))
        block, outside, new_there = _orthonormal(new, basis, theta, jax.random.fold_in(source, products), columns)
        count = count + b
        # Rows that are not there are zero; moved far down they take no part.
        low = 1 + 2 * jnp.linalg.norm(small)
        values, turn = jnp.linalg.eigh(small - low * jnp.diag((~there).astype(small.dtype)))
        values, turn = values[::-1], turn[:, ::-1]
        last = jax.lax.dynamic_slice(turn, (count - b, 0), (b, size))
        norms = jnp.linalg.norm(outside.T @ last[:, : k + near], axis=0)
        return basis, there, small, count, (block, new_there), (values, norms, turn), products + b

    def cut(state: Any) -> Any:
        basis, _, _, filled, block, (values, norms, turn), products = state
        left = jnp.where(filled > 0, kept, 0)  # nothing, the first time
        best = turn.at[:, kept:].set(0.0)
        small = jnp.diag(values.at[kept:].set(0.0))
        return best.T @ basis, jnp.arange(size) < left, small, left, block, (values, norms, turn), products

    def going(state: Any) -> Array:
        *_, filled, _, (values, norms, _), products = state
        # Half of what is asked for, as the residuals are computed anew in the end.
        good = (norms <= wanted * jnp.abs(values[0])).all()
        seen = (filled >= k) & (products >= least * b)
        return ~(good & seen) & (products < max_products) & jnp.isfinite(values[0])

    def filling(state: Any) -> Array:
        return going(state) & (state[3] + b <= size)

    def restart(state: Any) -> Any:
        return jax.lax.while_loop(filling, grow, cut(state))

    kind = guess.dtype
    first, _, there = _orthonormal(guess.T, jnp.zeros((1, d), kind), theta)
    zero = jnp.zeros((), int)
    nothing = (jnp.zeros(size, kind), jnp.full(k + near, jnp.inf, kind), jnp.eye(size, dtype=kind))
    # Two loops in place of a choice inside of one: XLA would copy the basis to choose. All goes through one `grow`,
    # which is most of the program.
    basis, small = jnp.zeros((size, d), kind), jnp.zeros((size, size), kind)
    state = (basis, jnp.zeros(size, bool), small, zero, (first, there), nothing, zero)
    basis, there, _, _, _, (values, _, turn), products = jax.lax.while_loop(going, restart, state)
    vectors = turn[:, : k + guard].T @ basis
    residuals = jnp.linalg.norm(many(vectors) - values[: k + guard, None] * vectors, axis=1)
    good = jnp.max(residuals[:k]) <= tolerance * jnp.abs(values[0])
    gap = jnp.where(jnp.sum(there) > k, values[k - 1] - values[k], 0.0)
    return Eigenpairs(values[: k + guard], vectors.T, residuals, gap, products + k + guard, good)


def _whole_product(objective: Objective, w: Array) -> tuple[Callable[[Array], Array], Array]:
    """v -> Hess L(w) v in a space of one dimension more, and the unit vector e along it, to which it is orthogonal.

    So what is made for the tangent space of a sphere at theta serves R^D, with e in the place of theta.
    """
    _, product = jax.linearize(jax.grad(objective.function), w[:-1])
    return lambda v: jnp.append(product(v[:-1]), 0.0), jnp.zeros_like(w).at[-1].set(1.0)


def _space(objective: Objective, w: Array, spherical: bool) -> tuple[Callable[[Array], Array], Array]:
    """The product that the spectrum is asked of, and the direction that it leaves out."""
    return (hessian_product(objective, w), objective.radial(w)) if spherical else _whole_product(objective, w)


@lru_cache(maxsize=64)
def _single(objective: Objective, count: int, max_products: int, spherical: bool) -> Compiled:
    def run(w: Array, seed: Array, tolerance: Array, probe: Array) -> Eigenpairs:
        (product, theta), key = _space(objective, w, spherical), jax.random.key(seed)
        return lanczos_eigenpairs(product, theta, key, tolerance, probe, count=count, max_products=max_products)

    return Compiled(run)


@lru_cache(maxsize=64)
def _compiled(objective: Objective, count: int, max_products: int, least: int, spherical: bool) -> Compiled:
    def run(w: Array, guess: Array, tolerance: Array) -> Eigenpairs:
        product, theta = _space(objective, w, spherical)
        return block_eigenpairs(
            product, theta, guess, tolerance, count=count, max_products=max_products, least=least
        )  # fmt: skip

    return Compiled(run)


def top_eigenpairs(
    subject: Loss | Objective, point: Any, /, *, count: int = 4, guess: Any = None, tolerance: float = TOLERANCE,
    seed: int = 0, block: int | None = None, max_products: int = MAX_PRODUCTS, spherical: bool = True,
) -> Eigenpairs:  # fmt: skip
    """The top ``count`` eigenpairs of P Hess L(theta) P at theta = w/|w|, P off theta, w = ``point``.

    Args:
        subject: the loss; with residuals the spherical Hessian is taken as J^T J, which it is on Gamma.
        point: (D,).
        count: k, at most (D - 1)/2.
        guess: (D, k), vectors near the wanted ones; default random, by ``seed``. One random vector is added to them, so
            that an eigenvalue they know nothing of is found, if it stands out by some tenths of lambda_k or more.
        tolerance: of the residuals, relative to lambda_1.
        seed: of the random vectors.
        block: without a guess, how eigenvalues of multiplicity above one are told apart. Default: vector by vector, and
            when the k pairs have converged probes from fresh random vectors, until one finds no more: any multiplicity,
            missed with a chance of 1e-3 a probe at most (`sharpflow.numerics.spectrum.lanczos`). 1: no probe; each
            multiple eigenvalue is seen once, and the gap below the k may hide a copy. 2 or more: a start of so many
            vectors, which tells eigenvalues of this multiplicity apart for certain, in more products.
        max_products: Hessian products at most; what has not converged by then says so, and so does a probe that has not
            ended, whose pairs have small residuals.
        spherical: False for the whole Hessian Hess L(w), at w itself and of any loss, scale-invariant or not; residuals
            are not used then.

    Raises:
        InputError: the shapes do not fit, a number is out of range, or the loss is not scale-invariant and the
            spherical Hessian is asked for.

    Examples:
        >>> from sharpflow import resolve_loss, top_eigenpairs
        >>> found = top_eigenpairs(resolve_loss("ridge"), (1.0, 0.0, 0.0), count=1)
        >>> found.values.round(9), abs(found.vectors[:, 0]).round(9)
        (array([3.]), array([0., 0., 1.]))
    """
    objective = as_objective(subject)
    if spherical:
        require_sphere(objective)
        theta = unit_vector(objective, point)
    else:
        theta = np.append(objective.vector(point, "point"), 0.0)
    d = len(theta)
    all_of_them = "(D - 1)" if spherical else "D"
    check_whole("count", count, most=(d - 1) // 2, hint=f", {all_of_them}/2; for more use eigenvalues()")
    if block is not None:
        check_whole("block", block, most=count, hint=", the count")
    check_positive("tolerance", tolerance)
    random = generator(seed)
    if guess is None and block in (None, 1):
        arguments = theta, random.integers(2**31), np.float64(tolerance), np.bool_(block is None)
        single: Eigenpairs = jax.tree.map(np.asarray, _single(objective, count, max_products, spherical)(*arguments))
        return _given(single, objective)
    if guess is None:
        vectors = random.standard_normal((d, block or 1))
    else:
        # From a neighbour's vectors each is refined at once.
        vectors = np.asarray(guess, dtype=float)
        if vectors.shape != (objective.dimension, count) or not np.all(np.isfinite(vectors)):
            wanted = (objective.dimension, count)
            raise InputError(f"guess must be finite and of the shape {wanted}, not {vectors.shape}.")
        vectors = np.concatenate([vectors, np.zeros((d - objective.dimension, count))])
        if 2 * (count + 1) < d:
            vectors = np.column_stack([vectors, random.standard_normal(d)])
    run = _compiled(objective, count, max_products, 1 if guess is None else LEAST, spherical)
    found: Eigenpairs = jax.tree.map(np.asarray, run(theta, vectors, np.float64(tolerance)))
    return _given(found, objective)


def _given(found: Eigenpairs, objective: Objective) -> Eigenpairs:
    """The same without the dimension that `_whole_product` adds."""
    return found._replace(vectors=found.vectors[: objective.dimension])
