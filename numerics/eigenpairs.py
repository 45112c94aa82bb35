"""The top k eigenpairs of the spherical Hessian without the D x D matrix: block Lanczos on Hessian products.

A basis grows by some vectors at a time, Q <- H Q made orthonormal to all before; Ritz pairs (y, lambda) of the small
matrix V^T H V have residuals |R y_last|, R what H Q had outside of the basis. When the basis is full it is cut back to
its best vectors (thick restart). It starts from any vectors: from those of a point nearby a few products suffice. In
the end the residuals are computed once more from their definition, and an unconverged pair says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from numerics.compiled import Compiled
from numerics.config import configure
from numerics.objective import Objective, as_objective
from numerics.spectrum import unit_vector
from theory.errors import InputError
from theory.loss import Loss

__all__ = ["Eigenpairs", "block_eigenpairs", "hessian_product", "top_eigenpairs"]

configure()

Array = jax.Array

# Residuals of the k Ritz vectors, relative to lambda_1; float32 reaches some 1e-6.
TOLERANCE = 1e-8
# Vectors that the basis holds, in units of k.
SIZE = 5
MAX_PRODUCTS = 3000


class Eigenpairs(NamedTuple):
    """Top eigenpairs.

    Attributes:
        values: (k,) falling.
        vectors: (D, k) orthonormal, orthogonal to theta.
        residuals: (k,) |P H P v - lambda v|; each value is off by its square over the gap, at most by itself.
        gap: lambda_k minus the next Ritz value, an upper bound of the gap below the k; 0 where none is known.
        products: Hessian products spent.
        converged: whether every residual is below the tolerance times lambda_1.
    """

    values: Any
    vectors: Any
    residuals: Any
    gap: Any
    products: Any
    converged: Any


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

    def projected(v: Array) -> Array:
        out = product(v)
        return out - theta * (theta @ out)

    return projected


def _products(basis: Array, block: Array) -> Array:
    """basis block^T, (m, b), in this order: left to itself XLA takes the transpose, twenty times as slow."""
    out: Array = jax.lax.optimization_barrier(basis @ block.T)
    return out


def _orthonormal(block: Array, basis: Array) -> tuple[Array, Array]:
    """Rows (b, D) made orthonormal and orthogonal to the rows of ``basis``; R (b, b) with block = R rows + basis part.

    By the Gram matrix, twice. A dependent row comes out as rounding made orthonormal: a random direction, which is as
    good a one as any.
    """
    whole = jnp.eye(block.shape[0], dtype=block.dtype)
    for _ in range(2):
        block = block - _products(basis, block).T @ basis
        values, turn = jnp.linalg.eigh(block @ block.T)
        # A row that is nothing but rounding is divided by its own length, not by less.
        root = jnp.sqrt(jnp.maximum(values, jnp.finfo(block.dtype).tiny))
        block, whole = (turn / root).T @ block, whole @ (turn * root)
    return block, whole


def block_eigenpairs(
    product: Callable[[Array], Array], theta: Array, guess: Array, tolerance: Array, /, *, count: int,
    max_products: int, at_once: bool = True,
) -> Eigenpairs:  # fmt: skip
    """`top_eigenpairs` for tracing: of any symmetric ``product`` that keeps to the space orthogonal to theta.

    ``guess`` is (D, b), 1 <= b <= count: the block. It may be rough, but not rank deficient. The products of a block
    are computed together; one after another, in the memory of one, where not ``at_once``.
    """
    (d, b), k = guess.shape, count
    size = min(max(SIZE * k, k + 4 * b), d - 1)
    size -= size % b
    kept = min(k + max(b, k // 2), size - b)
    kept += (size - kept) % b
    many = jax.vmap(product) if at_once else partial(jax.lax.map, product)

    def grow(state: Any) -> Any:
        basis, small, count, block, _, products = state
        basis = jax.lax.dynamic_update_slice(basis, block, (count, 0))  # rows, (size, D)
        new = many(block)
        columns = _products(basis, new)
        small = jax.lax.dynamic_update_slice(small, columns, (0, count))
        small = jax.lax.dynamic_update_slice(small, columns.T, (count, 0))
        block, outside = _orthonormal(new - jnp.outer(new @ theta, theta), basis)
        count = count + b
        # Columns not filled yet are zero; moved far down they take no part.
        low = 1 + 2 * jnp.linalg.norm(small)
        values, turn = jnp.linalg.eigh(small - low * jnp.diag((jnp.arange(size) >= count).astype(small.dtype)))
        values, turn = values[::-1], turn[:, ::-1]
        last = jax.lax.dynamic_slice(turn, (count - b, 0), (b, size))
        norms = jnp.linalg.norm(outside.T @ last[:, :k], axis=0)

        return basis, small, count, block, (values, norms, turn), products + b

    def cut(state: Any) -> Any:
        basis, _, _, block, (values, norms, turn), products = state
        best = turn.at[:, kept:].set(0.0)
        small = jnp.diag(values.at[kept:].set(0.0))
        return best.T @ basis, small, jnp.asarray(kept), block, (values, norms, turn), products

    def going(state: Any) -> Array:
        _, _, filled, _, (values, norms, _), products = state
        # Half of what is asked for, as the residuals are computed anew in the end.
        good = jnp.max(norms) <= tolerance / 2 * jnp.abs(values[0])
        return (~good | (filled < k)) & (products < max_products) & jnp.isfinite(values[0])

    def filling(state: Any) -> Array:
        return going(state) & (state[2] + b <= size)

    def restart(state: Any) -> Any:
        return jax.lax.while_loop(filling, grow, cut(state))

    kind = guess.dtype
    first, _ = _orthonormal(guess.T, theta[None])
    zero = jnp.zeros((), int)
    nothing = (jnp.zeros(size, kind), jnp.zeros(k, kind), jnp.eye(size, dtype=kind))
    state = grow((jnp.zeros((size, d), kind), jnp.zeros((size, size), kind), zero, first, nothing, zero))
    # Two loops in place of a choice inside of one: XLA would copy the basis to choose.
    state = jax.lax.while_loop(going, restart, jax.lax.while_loop(filling, grow, state))
    basis, _, _, _, (values, _, turn), products = state
    vectors = turn[:, :k].T @ basis
    residuals = jnp.linalg.norm(many(vectors) - values[:k, None] * vectors, axis=1)
    good = jnp.max(residuals) <= tolerance * jnp.abs(values[0])
    return Eigenpairs(values[:k], vectors.T, residuals, values[k - 1] - values[k], products + k, good)


@lru_cache(maxsize=64)
def _compiled(objective: Objective, count: int, max_products: int) -> Compiled:
    def run(theta: Array, guess: Array, tolerance: Array) -> Eigenpairs:
        return block_eigenpairs(
            hessian_product(objective, theta), theta, guess, tolerance, count=count, max_products=max_products
        )

    return Compiled(run)


def top_eigenpairs(
    subject: Loss | Objective, point: Any, /, *, count: int = 4, guess: Any = None, tolerance: float = TOLERANCE,
    seed: int = 0, block: int | None = None, max_products: int = MAX_PRODUCTS,
) -> Eigenpairs:  # fmt: skip
    """The top ``count`` eigenpairs of P Hess L(theta) P at theta = point/|point|.

    Args:
        subject: the loss; with residuals the Hessian is taken as J^T J, which it is on Gamma.
        point: (D,).
        count: k, at most (D - 1)/2.
        guess: (D, k), vectors near the wanted ones; default random, by ``seed``.
        tolerance: of the residuals, relative to lambda_1.
        seed: of the random start.
        block: vectors of the random start, default 2: eigenvalues of this multiplicity are told apart for certain. 1
            is Lanczos's method, the quickest, which sees each multiple eigenvalue once.
        max_products: Hessian products at most; what has not converged by then says so.

    Raises:
        InputError: the shapes do not fit, or a number is out of range.
    """
    objective = as_objective(subject)
    theta = unit_vector(objective, point)
    d = len(theta)
    if not 1 <= count <= (d - 1) // 2:
        raise InputError(f"count = {count} must be between 1 and (D - 1)/2 = {(d - 1) // 2}; else use eigenvalues().")
    block = min(2, count) if block is None else block
    if not 1 <= block <= count:
        raise InputError(f"block = {block} must be between 1 and count = {count}.")
    if not tolerance > 0:
        raise InputError(f"tolerance = {tolerance} must be positive.")
    # From a neighbour's vectors each is refined at once.
    shape = (d, block if guess is None else count)
    vectors = np.random.default_rng(seed).standard_normal(shape) if guess is None else np.asarray(guess, dtype=float)
    if vectors.shape != shape or not np.all(np.isfinite(vectors)):
        raise InputError(f"guess must be finite and of the shape {shape}, not {vectors.shape}.")
    run = _compiled(objective, count, max_products)
    found: Eigenpairs = jax.tree.map(np.asarray, run(theta, vectors, np.float64(tolerance)))
    return found
