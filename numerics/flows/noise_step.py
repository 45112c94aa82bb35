"""One step of the flow under label noise: the field on Gamma, and a stiff Rosenbrock step whose matrix is of low rank.

    d zeta/d tau = -nu sum_i f(h_i) grad_Gamma h_i,    d log e/d tau = growth - nu sum_i s(h_i)

with f = push/h and s = shrink of `sharpflow.theory.noise.moments`, and h_i the eigenvalues of the n x n Gram matrix
J J^T of the residuals. Near the edge f has a pole; what is stiff there is -nu sum_ij (f(h_i) - f(h_j))/(h_i - h_j)
A_ij A_ij^T, A_ij = grad_Gamma u_i^T (J J^T) u_j of the top eigenvectors, and the coupling of these to log e. The step
takes this part of the Jacobian implicitly, which a W-method may do without loss of order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.config import configure
from sharpflow.numerics.formulas import lambdify
from sharpflow.numerics.spectrum.symmetric import pairs
from sharpflow.theory.errors import InputError
from sharpflow.theory.noise.moments import CURVATURE, LR, NoiseLaw

__all__ = ["Coefficients", "Field", "NoiseState", "advance", "coefficients_of"]

configure()

Array = jax.Array

# ROS34PW2 of Rang and Angermann 2005 (BIT 45): order 3 with any matrix, stiffly accurate, embedded order 2.
GAMMA = 0.43586652150845900
ALPHA = np.array([
    [0.0, 0.0, 0.0, 0.0],
    [0.87173304301691801, 0.0, 0.0, 0.0],
    [0.84457060015369423, -0.11299064236484185, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
])  # fmt: skip
BACK = np.array([
    [0.0, 0.0, 0.0, 0.0],
    [-0.87173304301691801, 0.0, 0.0, 0.0],
    [-0.90338057013044082, 0.054180672388095326, 0.0, 0.0],
    [0.24212380706095346, -1.2232505839045147, 0.54526025533510214, 0.0],
])  # fmt: skip
WEIGHTS = np.array([0.24212380706095346, -1.2232505839045147, 1.5452602553351020, GAMMA])
EMBEDDED = np.array([0.37810903145819369, -0.096042292212423178, 0.5, 0.21793326075422950])

# Of the largest eigenvalue of J J^T: below, a combination of residuals does not depend on the weights.
FLAT = 1e-10
LARGEST_STEP = 0.25
# Weight of a relative error of edge - e h_1: a hundredth of it at tolerance 1e-4.
NEAR = 0.01


class Coefficients(NamedTuple):
    """f(e, h) = push/h, s(e, h) = shrink and the growth of a rule, and e h at its edge."""

    pull: Callable[[Array, Array], Array]
    shrink: Callable[[Array, Array], Array]
    growth: float
    edge: float


def coefficients_of(law: NoiseLaw, /) -> Coefficients:
    """The law of a rule as functions of e and h that JAX traces, at the rule's own constants."""
    import sympy as sp

    symbols = {s for e in (law.push, law.shrink, law.growth, sp.sympify(law.edge)) for s in e.free_symbols}
    numbers = {s: law.rule.constants[s.name] for s in symbols if s.name in law.rule.constants}
    if left := sorted(s.name for s in symbols - set(numbers) - {LR, CURVATURE}):
        raise InputError(f"rule {law.rule.name!r} changes {', '.join(left)} on the way: no noise flow follows it.")
    pull, shrink = (lambdify((LR, CURVATURE), sp.factor(e).subs(numbers)) for e in (law.push / CURVATURE, law.shrink))
    return Coefficients(pull, shrink, float(law.growth.subs(numbers)), float(sp.sympify(law.edge).subs(numbers)))


class NoiseState(NamedTuple):
    """The state that the next step needs.

    Attributes:
        time, step: flow time, and the step to try.
        point: (D,) on Gamma.
        log_lr: log effective_lr.
        rejected: tries given up so far.
    """

    time: Array
    step: Array
    point: Array
    log_lr: Array
    rejected: Array


class _Here(NamedTuple):
    """J (n, D), eigenvalues (n,) of J J^T, rising, and eigenvectors (n, n), with 1/h where a row moves at all."""

    jacobian: Array
    values: Array
    vectors: Array
    inverse: Array


class Field:
    """The field of one objective and one rule, for tracing; ``k`` top eigenvalues are taken implicitly."""

    def __init__(self, residuals: Callable[[Array], Array], law: Coefficients, k: int, count: int) -> None:
        self.residuals, self.law, self.k, self.count = residuals, law, k, count
        self._first, self._second, self._weight = pairs(k)

    def look(self, z: Array) -> _Here:
        """All that is known at z (D,)."""
        jacobian = jax.jacrev(self.residuals)(z)
        values, vectors = jnp.linalg.eigh(jacobian @ jacobian.T)
        inverse = jnp.where(values > FLAT * values[-1], 1 / values, 0.0)
        return _Here(jacobian, jnp.maximum(values, 0.0), vectors, inverse)

    def back(self, z: Array, here: _Here) -> Array:
        """z - J^+ r on the sphere: a step towards Gamma, with J of a point close by."""
        turned = here.vectors.T @ self.residuals(z)
        moved = z - here.jacobian.T @ (here.vectors @ (here.inverse * turned))
        return moved / jnp.linalg.norm(moved)

    def tangent(self, z: Array, here: _Here, rows: Array) -> Array:
        """Rows (m, D) without their parts normal to Gamma and along z."""
        normal = (rows @ here.jacobian.T) @ here.vectors
        rows = rows - (normal * here.inverse) @ here.vectors.T @ here.jacobian
        return rows - jnp.outer(rows @ z, z) / (z @ z)

    def _bend(self, z: Array, left: Array, right: Array) -> Array:
        """(m, D): the Hessian of u^T r times c for rows u of ``left`` (m, n) and c of ``right`` (m, D)."""

        def one(u: Array, c: Array) -> Array:
            gradient = lambda y: jax.vjp(self.residuals, y)[1](u)[0]  # noqa: E731
            return jax.jvp(gradient, (z,), (c,))[1]

        return jax.vmap(one)(left, right)

    def at(self, z: Array, log_lr: Array, noise: Array) -> tuple[Array, Array]:
        """(d zeta/d tau, d log e/d tau) and e h_1."""
        here = self.look(z)
        e = jnp.exp(log_lr)
        pull = jnp.where(here.inverse > 0, self.law.pull(e, here.values), 0.0)
        # grad of sum_i f_i |J^T u_i|^2 with f and u held fixed
        rows = here.vectors.T @ here.jacobian
        sides = self._bend(z, here.vectors.T, pull[:, None] * rows)
        drift = self.tangent(z, here, -2 * noise * jnp.sum(sides, axis=0)[None])[0]
        change = self.law.growth - noise * jnp.sum(self.law.shrink(e, here.values))
        return jnp.append(drift, change), e * here.values[-1]

    def stiff(self, z: Array, here: _Here, log_lr: Array, noise: Array) -> tuple[Array, Array]:
        """(R, C): the stiff part of the Jacobian is R^T C R, of rows R (m + 1, D + 1), the last that of log e."""
        k, law, e = self.k, self.law, jnp.exp(log_lr)
        values, vectors = here.values[::-1][:k], here.vectors[:, ::-1][:, :k]
        rows = vectors.T @ here.jacobian
        i, j = np.meshgrid(range(k), range(k), indexing="ij")
        bends = self._bend(z, vectors.T[i.ravel()], rows[j.ravel()]).reshape(k, k, -1)
        first, second = self._first, self._second
        a = self.tangent(z, here, bends[first, second] + bends[second, first])
        pull = law.pull(e, values)
        slope = jax.vmap(jax.grad(law.pull, argnums=1), (None, 0))(e, values)
        apart = values[first] - values[second]
        close = jnp.abs(apart) < 1e-6 * values[0]
        ratio = jnp.where(
            close, (slope[first] + slope[second]) / 2, (pull[first] - pull[second]) / jnp.where(close, 1.0, apart)
        )
        m = len(first)
        diagonal = np.flatnonzero(first == second)
        by_lr = e * jax.vmap(jax.grad(law.pull), (None, 0))(e, values)
        inner = jnp.zeros((m + 1, m + 1)).at[jnp.arange(m), jnp.arange(m)].set(-noise * ratio * self._weight**2)
        inner = inner.at[diagonal, m].set(-noise * by_lr)
        inner = inner.at[m, diagonal].set(-noise * jax.vmap(jax.grad(law.shrink, argnums=1), (None, 0))(e, values))
        all_lr = jax.vmap(jax.grad(law.shrink), (None, 0))(e, here.values)
        inner = inner.at[m, m].set(-noise * e * jnp.sum(all_lr))
        outer = jnp.zeros((m + 1, len(z) + 1)).at[:m, :-1].set(a).at[m, -1].set(1.0)
        return outer, inner


def advance(field: Field, s: NoiseState, noise: Array, end: Array, tolerance: Array) -> tuple[NoiseState, Array]:
    """The state after one try, and whether it was accepted."""
    h = jnp.minimum(s.step, end - s.time)
    here = field.look(s.point)
    outer, inner = field.stiff(s.point, here, s.log_lr, noise)
    gram = outer @ outer.T
    # (1 - h gamma R^T C R)^-1 = 1 + h gamma R^T (1 - h gamma C R R^T)^-1 C R
    solve = jnp.linalg.inv(jnp.eye(len(gram)) - h * GAMMA * inner @ gram) @ inner
    y = jnp.append(s.point, s.log_lr)
    alpha, back, weights = jnp.asarray(ALPHA), jnp.asarray(BACK), jnp.asarray(jnp.stack([WEIGHTS, EMBEDDED]))

    def stage(carry: tuple[Array, Array], number: Array) -> tuple[tuple[Array, Array], None]:
        ks, top = carry
        at = y + alpha[number] @ ks
        field_there, edge = field.at(field.back(at[:-1], here), at[-1], noise)
        right = h * field_there + h * outer.T @ (inner @ (outer @ (back[number] @ ks)))
        k = right + h * GAMMA * outer.T @ (solve @ (outer @ right))
        return (ks.at[number].set(k), jnp.maximum(top, edge)), None

    # A scan over the stages: the field is compiled once.
    begin = (jnp.zeros((4, len(y))), jnp.zeros(()))
    (ks, top), _ = jax.lax.scan(stage, begin, jnp.arange(4))
    moved, other = (y + weight @ ks for weight in weights)
    point = field.back(moved[:-1], here)
    there = field.look(point)
    point = field.back(point, there)
    # The distance to the edge is to be known in proportion, too: it sets how much noise there is.
    row, e = outer[0], jnp.exp(moved[-1])
    after = field.law.edge - e * there.values[-1]
    miss = e * (row @ (moved - other)) + e * there.values[-1] * (moved - other)[-1]
    error = jnp.linalg.norm(moved - other) + NEAR * jnp.abs(miss / after)
    # A stage or an end beyond the pole of the noise says nothing.
    error = jnp.where(jnp.isfinite(error) & (top < field.law.edge) & (after > 0), error, jnp.inf)
    accept = error <= tolerance
    factor = jnp.clip(0.9 * jnp.maximum(error / tolerance, 1e-6) ** (-1 / 3), 0.2, 3.0)
    step = jnp.minimum(h * factor, LARGEST_STEP)
    taken = NoiseState(s.time + h, step, point, moved[-1], s.rejected)
    tried = s._replace(step=step, rejected=s.rejected + 1)
    return jax.tree.map(lambda a, b: jnp.where(accept, a, b), taken, tried), accept
