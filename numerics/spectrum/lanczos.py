"""The top k eigenpairs of a symmetric operator, one vector after another, and a probe for copies that were missed.

Lanczos's method: q <- H q made orthonormal to the basis V, Ritz pairs (V y, theta) of V^T H V, residuals beta |y_last|;
a full basis is cut back to its best vectors (thick restart). From one vector an eigenvalue of any multiplicity is seen
once: all else in its eigenspace is orthogonal to that vector, and to what H makes of it. So when the k pairs have
converged a probe begins: the same from a fresh random vector v, on what is orthogonal to the k. Let theta_j be the Ritz
values that it adds, and beta_j the lengths. An eigenvector u off the k, of an eigenvalue x or more, has

    |u . v| <= prod_j beta_j/(x - theta_j)        (all theta_j < x),

as the right side is 1/q(x), q the last orthonormal polynomial of the probe, and q(H) v is of length 1. With x a
little above lambda_k:

- a theta_j above x is proof of a missed pair: no Ritz value is above all eigenvalues. The search goes on, that vector
  in its basis, and another probe follows when it has converged.
- the right side below `CHANCE`/sqrt(D) ends the probe. Either nothing was missed, or u . v is as small as that, which
  it is for a random v with a chance of at most 0.82 `CHANCE` (Ball 1986: no central section of a cube is larger than
  sqrt(2)). How many products that takes depends on how far the other eigenvalues are below lambda_k.

The k are off by their residuals, for which x leaves room. So what is promised is: no other pair, be it a copy of
whatever multiplicity, that would raise lambda_k by more than the tolerance. A tie of lambda_k with the next eigenvalue
takes a probe as long as a search, as x is next to it. Only the k are kept, although the vectors below them would
shorten a probe: these are no eigenvectors, and what H made of them would be lost to a search that goes on.

Source: Wu and Simon 2000 (thick restart); the bound is the Christoffel function's (Szego 1939, chapter 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sharpflow.numerics.config import configure

__all__ = ["Eigenpairs", "lanczos_eigenpairs"]

configure()

Array = jax.Array

# Vectors that the basis holds, in units of k, and at least. At D = 100 000 and k = 4 one product of 60 was saved by 25,
# and each took longer; with 12, or fewer of them kept by a restart, six eigenvalues a millionth apart stayed apart from
# the basis for thousands of products.
SIZE = 4
LEAST = 20
# In units of rounding: what is left of a vector of this size, outside of the basis, is rounding.
DEPENDENT = 32
# Where less than this is left of a vector outside of the basis, rounding has grown by 1/this, and it is done twice.
CANCELLED = 0.5
# Of a probe that ends although a pair was missed. A tenth of it took four products more at D = 100 000.
CHANCE = 1e-3


class Eigenpairs(NamedTuple):
    """Top eigenpairs, and those that guard them, if any.

    Attributes:
        values: (k,) falling.
        vectors: (D, k) orthonormal, orthogonal to theta.
        residuals: (k,) |P H P v - lambda v|; each value is off by its square over the gap, at most by itself.
        gap: lambda_k minus the next Ritz value, an upper bound of the gap below the k, never negative; 0 where none is
            known.
        products: Hessian products spent, on probes too.
        converged: whether every residual is below the tolerance times lambda_1, and the last probe, if any, ended.
    """

    values: Any
    vectors: Any
    residuals: Any
    gap: Any
    products: Any
    converged: Any


class _State(NamedTuple):
    """Attributes, with m the size of the basis.

    basis: (m + 1, D) rows; the first is theta, those above ``filled`` are of no meaning.
    small: (m + 1, m + 1) of H in the basis.
    filled: rows besides theta; ``cut`` those that were left of them by the last restart.
    vector: (D,) that comes next, of length ``beta`` before; ``fresh`` where a random one is to take its place.
    values, turn, norms: Ritz values (m + 1,), falling, their vectors in the basis, and their residuals.
    probing: whether a probe is under way.
    level: x of the probe; ``above`` the number of Ritz values above it that were known before, ``below`` the largest
        one below the k of those before, -inf where none is known.
    bound: log of prod beta_j, less log(x - theta_j) of those that restarts have dropped.
    found: k pairs have converged, or the probe has ended.
    done: so that nothing is left to do.
    """

    basis: Array
    small: Array
    filled: Array
    cut: Array
    vector: Array
    beta: Array
    fresh: Array
    values: Array
    turn: Array
    norms: Array
    probing: Array
    level: Array
    above: Array
    below: Array
    bound: Array
    found: Array
    done: Array
    products: Array


def lanczos_eigenpairs(
    product: Callable[[Array], Array], theta: Array, key: Array, tolerance: Array, probe: Array, /, *,
    count: int, max_products: int,
) -> Eigenpairs:  # fmt: skip
    """The top ``count`` <= (D - 1)/2 eigenpairs of a symmetric ``product`` that keeps to the space orthogonal to theta.

    Args:
        product: (D,) -> (D,).
        theta: (D,) of length 1.
        key: of the random vectors.
        tolerance: of the residuals, relative to lambda_1.
        probe: whether to look for copies of multiple eigenvalues; without, each is seen once.
        count: k.
        max_products: products at most, but for the k of the residuals in the end.
    """
    d, k, kind = theta.shape[0], count, theta.dtype
    eps = jnp.finfo(kind).eps
    size = min(max(SIZE * k, LEAST), d - 1)
    kept = min(k + max(1, 2 * (size - k) // 3), size - 1)
    rows = jnp.arange(size + 1)
    enough = jnp.log(jnp.asarray(CHANCE / d**0.5, kind))

    def outside(basis: Array, filled: Array, vector: Array) -> Array:
        return vector - jnp.where(rows <= filled, basis @ vector, 0.0) @ basis

    def random(basis: Array, filled: Array, products: Array) -> Array:
        vector = jax.random.uniform(jax.random.fold_in(key, products), (d,), kind, -1.0, 1.0)
        vector = outside(basis, filled, outside(basis, filled, vector))
        return vector / jnp.linalg.norm(vector)

    def logs(s: _State, first: Any) -> Array:
        """The sum of log(x - theta_j) over the Ritz values from the ``first`` on."""
        within = (rows >= first) & (rows < s.filled)
        return jnp.sum(
            jnp.where(
                within, jnp.log(jnp.where(within, jnp.maximum(s.level - s.values, jnp.finfo(kind).tiny), 1.0)), 0.0
            )
        )

    def following(s: _State) -> Array:
        return jnp.where(s.filled > k, s.values[k], -jnp.inf)

    def grow(s: _State) -> _State:
        vector = jax.lax.cond(s.fresh, random, lambda *_: s.vector, s.basis, s.filled, s.products)
        filled = s.filled + 1
        basis = jax.lax.dynamic_update_slice(s.basis, vector[None], (filled, 0))
        new = product(vector)
        # What is known to be there is taken off first, so that once is enough for the rest, which is rounding.
        ahead, behind = vector @ new, jnp.where(s.fresh | (s.filled == s.cut), 0.0, s.beta)
        new = new - ahead * vector - behind * basis[s.filled]
        column = jnp.where(rows <= filled, basis @ new, 0.0)
        left = new - column @ basis
        column = column.at[0].set(0.0).at[filled].add(ahead).at[s.filled].add(behind)  # theta is no direction of H
        small = jax.lax.dynamic_update_slice(s.small, column[None], (filled, 0))
        small = jax.lax.dynamic_update_slice(small, column[:, None], (0, filled))
        cancelled = jnp.linalg.norm(left) <= CANCELLED * jnp.linalg.norm(new)
        left = jax.lax.cond(cancelled, outside, lambda *a: a[-1], basis, filled, left)
        beta, scale = jnp.linalg.norm(left), jnp.linalg.norm(small)
        exhausted = beta <= DEPENDENT * eps * scale
        beta = jnp.where(exhausted, 0.0, beta)
        # Rows that are not there, moved far down, take no part.
        low = 1 + 2 * scale
        values, turn = jnp.linalg.eigh(small - low * jnp.diag(((rows == 0) | (rows > filled)).astype(kind)))
        values, turn = values[::-1], turn[:, ::-1]
        norms = beta * jnp.abs(jax.lax.dynamic_index_in_dim(turn, filled, keepdims=False))
        s = s._replace(
            basis=basis, small=small, filled=filled, vector=left / jnp.where(exhausted, 1.0, beta), beta=beta,
            fresh=exhausted, values=values, turn=turn, norms=norms, bound=s.bound + jnp.log(beta),
            products=s.products + 1,
        )  # fmt: skip
        missed = s.probing & (jnp.sum(values > s.level) > s.above)
        quiet = s.probing & ~missed & (s.bound - logs(s, k) <= enough)
        # A quarter of what is asked for: what a probe leaves out adds to it, and the residuals are computed anew.
        good = ~s.probing & (filled >= k) & (norms[:k] <= tolerance / 4 * jnp.abs(values[0])).all()
        return s._replace(probing=s.probing & ~missed, found=good | quiet, done=quiet | (good & ~probe))

    def going(s: _State) -> Array:
        return ~s.done & (s.products < max_products) & jnp.isfinite(s.values[0])

    def filling(s: _State) -> Array:
        return going(s) & ~s.found & (s.filled < size)

    def fill(s: _State) -> _State:
        """Until the basis is full or something is found; then it is cut back to its best vectors."""
        s = jax.lax.while_loop(filling, grow, s)
        best = s.turn[:, :kept].T @ s.basis
        begins = s.found & ~s.done
        left = jnp.where(begins, k, jnp.minimum(kept, s.filled))
        # Above lambda_k by more than both may be off, which the residuals of all k, taken together, bound.
        level = s.values[k - 1] + tolerance * jnp.abs(s.values[0]) + 2 * jnp.linalg.norm(s.norms[:k])
        s = s._replace(
            above=jnp.where(begins, jnp.sum(s.values > level), s.above), below=jnp.maximum(s.below, following(s)),
            bound=jnp.where(begins, 0.0, s.bound - logs(s, left)), level=jnp.where(begins, level, s.level),
            probing=s.probing | begins,
        )  # fmt: skip
        return s._replace(
            basis=jax.lax.dynamic_update_slice(s.basis, best, (1, 0)), filled=left, cut=left, fresh=s.fresh | begins,
            small=jnp.diag(jnp.roll(jnp.where(rows < left, s.values, 0.0), 1)), found=jnp.zeros((), bool),
        )  # fmt: skip

    zero, no, nothing = jnp.zeros((), int), jnp.zeros((), bool), jnp.zeros((), kind)
    begin = _State(
        basis=jnp.zeros((size + 1, d), kind).at[0].set(theta), small=jnp.zeros((size + 1, size + 1), kind), filled=zero,
        cut=zero, vector=theta, beta=nothing, fresh=~no, values=jnp.zeros(size + 1, kind),
        turn=jnp.eye(size + 1, dtype=kind), norms=jnp.full(size + 1, jnp.inf, kind), probing=no, level=nothing,
        above=zero, below=nothing - jnp.inf, bound=nothing, found=no, done=no, products=zero,
    )  # fmt: skip
    s = jax.lax.while_loop(going, fill, begin)
    vectors, values = s.basis[1 : k + 1], s.values[:k]
    residuals = jnp.linalg.norm(jax.vmap(product)(vectors) - values[:, None] * vectors, axis=1)
    good = s.done & (jnp.max(residuals) <= tolerance * jnp.abs(values[0]))
    # A copy below the k that a probe has found may come out the larger one, by less than the tolerance: for what is
    # larger by more the search goes on.
    gap = jnp.where(jnp.isfinite(s.below), jnp.maximum(values[-1] - s.below, 0.0), 0.0)
    return Eigenpairs(values, vectors.T, residuals, gap, s.products + k, good)
