"""Block Lanczos and the flow on Hessian products: against dense references."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numerics.compare import compare
from numerics.edge_flow import edge_flow
from numerics.eigenpairs import block_eigenpairs, top_eigenpairs
from numerics.krylov_normals import KrylovNormals, frames_fit
from numerics.normals import FrameNormals
from numerics.objective import Objective
from numerics.relax import relax
from numerics.spectrum import spherical_hessian
from theory.errors import InputError


def quadratic(values, seed=0, residuals=False):
    """L = sum a_i (q_i . w)^2/(2 |w|^2) with orthonormal q_i: Gamma is the sphere off them; H has the eigenvalues a_i.

    The curvatures vary along Gamma by a factor 1 + (p . w)^2/|w|^2.
    """
    rng = np.random.default_rng(seed)
    d, n = 40, len(values)
    q = np.linalg.qr(rng.standard_normal((d, n + 1)))[0]
    a, normal, p = np.sqrt(np.array(values)), q[:, :n], q[:, n]

    def parts(w):
        t = w / jnp.linalg.norm(w)
        return jnp.asarray(a, t.dtype) * (jnp.asarray(normal.T, t.dtype) @ t) * (1 + (jnp.asarray(p, t.dtype) @ t) ** 2)

    start = rng.standard_normal(d)
    start = start - normal @ (normal.T @ start)
    start = start / np.linalg.norm(start) + 0.7 * p
    return Objective(
        lambda w: jnp.sum(parts(w) ** 2) / 2, start / np.linalg.norm(start), parts if residuals else None, "quadratic"
    )


@pytest.mark.parametrize("residuals", [False, True])
@pytest.mark.parametrize("values", [(9, 7, 4, 2, 1, 0.5), (5, 5, 3, 3, 1), (6, 1e-3)])
def test_eigenpairs_against_a_dense_reference(values, residuals):
    objective = quadratic(values, residuals=residuals)
    theta = objective.start
    exact, vectors = np.linalg.eigh(np.asarray(spherical_hessian(objective, jnp.asarray(theta))))
    found = top_eigenpairs(objective, theta, count=4)
    assert found.converged
    np.testing.assert_allclose(found.values, exact[::-1][:4], atol=1e-7 * exact[-1])
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(4), atol=1e-10)
    assert np.abs(found.vectors.T @ theta).max() < 1e-10
    # the residuals are what they say, by the dense matrix
    matrix = vectors @ np.diag(exact) @ vectors.T
    true = np.linalg.norm(matrix @ found.vectors - found.vectors * found.values, axis=0)
    np.testing.assert_allclose(found.residuals, true, atol=1e-11)
    assert true.max() <= 1e-8 * exact[-1]


def test_a_neighbour_is_found_with_few_products():
    objective = quadratic(np.linspace(10, 1, 30))
    first = top_eigenpairs(objective, objective.start)
    near = objective.start + 1e-4 * np.cos(np.arange(40))
    second = top_eigenpairs(objective, near, guess=first.vectors, tolerance=1e-5)
    assert second.converged
    assert second.products < 0.6 * top_eigenpairs(objective, near, tolerance=1e-5).products


def test_what_has_not_converged_says_so():
    found = top_eigenpairs(quadratic(np.linspace(10, 9.9, 30)), quadratic([1]).start, max_products=6)
    assert not found.converged
    assert found.residuals.max() > 1e-8 * found.values[0]


def test_products_are_counted():
    """From the eigenvectors themselves: a block of four, and four more for the residuals in the end."""
    diagonal = jnp.concatenate([jnp.zeros(10), jnp.linspace(1, 10, 30)])
    theta, guess = jnp.zeros(40).at[0].set(1.0), jnp.eye(40)[:, :-5:-1]
    found = block_eigenpairs(lambda v: diagonal * v, theta, guess, jnp.float64(1e-6), count=4, max_products=200)
    assert found.converged
    assert int(found.products) == 8


def test_single_precision_reaches_its_rounding():
    objective = quadratic((9, 7, 4, 2, 1))
    theta = jnp.asarray(objective.start, jnp.float32)
    matrix = jnp.asarray(spherical_hessian(objective, jnp.asarray(objective.start)), jnp.float32)
    guess = jax.random.normal(jax.random.key(0), (40, 2), jnp.float32)
    found = block_eigenpairs(lambda v: matrix @ v, theta, guess, jnp.float32(3e-6), count=4, max_products=200)
    assert found.values.dtype == jnp.float32
    assert found.converged
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(np.asarray(matrix, float))[::-1][:4], rtol=1e-5)


def test_precision_is_relative_to_the_largest_eigenvalue():
    """A matrix and 2^24 times it: the same vectors, found with as many products."""
    diagonal = jnp.concatenate([jnp.zeros(10), jnp.linspace(1, 10, 30)])
    theta, guess = jnp.zeros(40).at[0].set(1.0), jax.random.normal(jax.random.key(0), (40, 2)).at[0].set(0.0)

    @jax.jit
    def pairs(scale):
        return block_eigenpairs(
            lambda v: scale * diagonal * v, theta, guess, jnp.float64(1e-6), count=2, max_products=200
        )

    one, large = pairs(1.0), pairs(2.0**24)
    assert one.converged
    assert (bool(large.converged), int(large.products)) == (True, int(one.products))
    np.testing.assert_allclose(large.values / 2.0**24, one.values)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"count": 0}, "between 1"), ({"count": 20}, "between 1"), ({"tolerance": 0.0}, "positive"),
     ({"guess": np.ones((3, 4))}, "shape")],
)  # fmt: skip
def test_bad_input_is_named(options, said):
    with pytest.raises(InputError, match=said):
        top_eigenpairs(quadratic((2, 1)), quadratic((2, 1)).start, **options)


def test_projection_and_newton_agree_with_the_frame():
    objective = quadratic((9, 7, 4, 2, 1, 0.05))
    theta = jnp.asarray(objective.start)
    frame, krylov = FrameNormals(objective, 6, 3), KrylovNormals(objective, 3)
    here, same = frame.at(theta, None), krylov.at(theta, krylov.guess(theta))
    rows = jnp.asarray(np.random.default_rng(0).standard_normal((4, 40)))
    # (mu/lambda)^2 = (1e-5 * 9/0.05)^2 = 3e-6, and 1e-7/5e-3 of conjugate gradients
    np.testing.assert_allclose(krylov.tangent(theta, same, rows), frame.tangent(theta, here, rows), atol=1e-4)
    off = theta + 1e-3 * rows[0]
    ends = [np.asarray(n.newton(off / jnp.linalg.norm(off), h)) for n, h in ((frame, here), (krylov, same))]
    np.testing.assert_allclose(*ends, atol=1e-6)


@pytest.mark.deep  # compiles for half a minute
def test_the_flow_on_products_agrees_with_that_of_the_frame(monkeypatch):
    objective = quadratic((9, 8.5, 4, 2, 1))
    one = edge_flow(objective, time=1.0, tolerance=1e-5)
    # the module, not the function of its name that the package exports
    monkeypatch.setattr(sys.modules["numerics.edge_flow"], "frames_fit", lambda _: False)
    other = edge_flow(objective, time=1.0, tolerance=1e-5)
    assert other.result.ok
    assert other.spectrum.shape[1] == 4  # not all five: no frame was made
    np.testing.assert_allclose(other.points[-1], one.points[-1], atol=1e-4)
    np.testing.assert_allclose(other.spectrum[-1], one.spectrum[-1, :4], rtol=1e-3)


def test_large_problems_have_no_frame():
    big = Objective(lambda w: jnp.sum((w / jnp.linalg.norm(w))[:3] ** 2), np.ones(1000))
    assert not frames_fit(big)
    assert frames_fit(Objective(big.function, big.start, lambda w: jnp.sqrt(2.0) * (w / jnp.linalg.norm(w))[:3]))


@pytest.mark.deep
def test_a_thousand_weights_without_residuals():
    def function(w):
        t = w / jnp.linalg.norm(w)
        return (2 + t[0] ** 2 - t[1] ** 2) * (t[2] ** 2 + 0.9 * t[3] ** 2 + 0.3 * t[4] ** 2) / 2

    start = np.zeros(1000)
    start[:5] = 0.9, 0.3, 0.1, 0.05, 0.02
    objective = Objective(function, start, name="thousand")
    relaxed = relax(objective)
    assert relaxed.result.ok
    assert relaxed.rank == 0
    flow = edge_flow(objective, relaxed.point, time=0.5)
    assert flow.result.ok
    # the same loss in five weights
    small = Objective(lambda w: function(w), relaxed.point[:5], name="five")
    np.testing.assert_allclose(edge_flow(small, time=0.5).points[-1], flow.points[-1][:5], atol=1e-3)
    assert np.abs(flow.points[-1][5:]).max() < 1e-9
    with pytest.raises(InputError, match="residuals"):
        compare(objective, rate=1e-3, time=0.1)
