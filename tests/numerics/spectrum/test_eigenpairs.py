"""Block Lanczos and the flow on Hessian products: against dense references."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.minima.krylov_normals import KrylovNormals, frames_fit
from sharpflow.numerics.minima.normals import FrameNormals
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import spherical_hessian
from sharpflow.numerics.spectrum.eigenpairs import _single, block_eigenpairs, top_eigenpairs
from sharpflow.theory.errors import InputError


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


@pytest.mark.parametrize("residuals", [pytest.param(False, marks=pytest.mark.deep), True])
@pytest.mark.parametrize(
    "values", [(9, 7, 4, 2, 1, 0.5), (5, 5, 5, 3, 3, 1), pytest.param((6, 1e-3), marks=pytest.mark.deep)]
)
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
    if exact[-1] - exact[-3] < 1e-6:
        # The same program, without a probe and with another seed, sees each of them once.
        single = top_eigenpairs(objective, theta, count=4, block=1, seed=1)
        assert single.converged
        np.testing.assert_allclose(single.values[:3], exact[[-1, -4, -6]], atol=1e-7 * exact[-1])
        assert 0 <= found.gap < 1e-6 * exact[-1]
        assert _single(objective, 4, 3000, True).compilations == 1


@pytest.mark.deep
def test_blocks_of_two_tell_pairs_apart():
    objective = quadratic((5, 5, 3, 3, 1))
    exact = np.linalg.eigvalsh(np.asarray(spherical_hessian(objective, jnp.asarray(objective.start))))[::-1]
    found = top_eigenpairs(objective, objective.start, block=2)
    assert found.converged
    np.testing.assert_allclose(found.values, exact[:4], atol=1e-7 * exact[0])


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


@pytest.mark.deep
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


def diagonal_pairs(dimension, **options):
    """`block_eigenpairs` of a diagonal matrix, theta the first unit vector: one program for all diagonals."""
    theta = jnp.zeros(dimension).at[0].set(1.0)
    options = {"count": 4, "max_products": 400} | options
    return jax.jit(
        lambda diagonal, guess: block_eigenpairs(lambda v: diagonal * v, theta, guess, jnp.float64(1e-8), **options)
    )


@pytest.mark.parametrize("block", [pytest.param(1, marks=pytest.mark.deep), 4])
def test_a_krylov_space_may_be_exhausted(block):
    """H of rank r has Krylov spaces of r + b dimensions; the k pairs may be more than that."""
    pairs = diagonal_pairs(1000)
    for rank in range(1, 13):
        exact = np.zeros(1000)
        exact[1 : 1 + rank] = np.linspace(9, 3, rank)
        for seed in range(5):
            found = pairs(exact, np.random.default_rng(seed).standard_normal((1000, block)))
            assert found.converged, (rank, seed)
            np.testing.assert_allclose(found.values, np.sort(exact)[::-1][:4], atol=1e-7)
            np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(4), atol=1e-10)


@pytest.mark.parametrize(("dimension", "count", "block"), [(7, 3, 3), pytest.param(12, 4, 2, marks=pytest.mark.deep)])
def test_the_whole_space_may_be_exhausted(dimension, count, block):
    """Nothing is left for a basis to grow by; also where all eigenvalues are negative, and 0 is none of them."""
    pairs = diagonal_pairs(dimension, count=count)
    for values in (np.linspace(3, -2, dimension), np.linspace(-1, -4, dimension), np.eye(dimension)[2]):
        found = pairs(values, np.random.default_rng(9).standard_normal((dimension, block)))
        assert found.converged
        np.testing.assert_allclose(found.values, np.sort(values[1:])[::-1][:count], atol=1e-7)
        np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(count), atol=1e-10)


@pytest.mark.deep
def test_a_guess_may_be_rank_deficient():
    exact = np.concatenate([[0.0], np.linspace(9, 1, 30), np.zeros(69)])
    found = diagonal_pairs(100)(exact, np.ones((100, 4)))
    assert found.converged
    np.testing.assert_allclose(found.values, np.linspace(9, 1, 30)[:4], atol=1e-7)


def test_a_guess_does_not_hide_what_it_knows_nothing_of():
    """Eigenvectors 1, 2, 3 and 5 of 6: H maps their span to itself."""
    objective = quadratic((9, 7, 4, 2, 1, 0.5))
    theta = objective.start
    exact, vectors = np.linalg.eigh(np.asarray(spherical_hessian(objective, jnp.asarray(theta))))
    found = top_eigenpairs(objective, theta, guess=vectors[:, [-1, -2, -3, -5]])
    assert found.converged
    np.testing.assert_allclose(found.values, exact[::-1][:4], atol=1e-7 * exact[-1])


@pytest.mark.parametrize("least", [1, pytest.param(2, marks=pytest.mark.deep)])
def test_the_gap_is_known_or_0(least):
    """From the exact vectors: with one product each the basis holds these alone, with more the next one, too."""
    exact = np.concatenate([[0.0], [9, 7, 4, 2, 1, 0.5], np.zeros(14)])
    found = diagonal_pairs(21, least=least)(exact, np.eye(21)[:, [1, 2, 3, 4]])
    np.testing.assert_allclose(found.values, [9, 7, 4, 2], atol=1e-10)
    # the second block is random: the next Ritz value is at most 1
    assert found.gap == 0 if least == 1 else 1 <= found.gap <= 2


@pytest.mark.deep
def test_guards_come_as_they_are():
    """The pair below the k is known as well as its residual says, which is roughly."""
    exact = np.concatenate([[0.0], np.linspace(9, 1, 30), np.zeros(69)])
    guess = np.random.default_rng(0).standard_normal((100, 5))
    found = diagonal_pairs(100, guard=1)(exact, guess)
    assert found.converged
    assert found.values.shape == found.residuals.shape == (5,)
    assert found.vectors.shape == (100, 5)
    assert found.residuals[:4].max() <= 1e-8 * 9
    assert found.values[4] == pytest.approx(np.linspace(9, 1, 30)[4], abs=float(found.residuals[4]))
    assert found.residuals[4] <= 2 * 0.02 * 9
    assert found.gap == found.values[3] - found.values[4]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"count": 0}, "from 1 to"), ({"count": 20}, "from 1 to"), ({"count": 2.5}, "whole number"),
     ({"tolerance": 0.0}, "positive"),
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
    (tangent, unsolved), (wanted, _) = krylov.tangent(theta, same, rows), frame.tangent(theta, here, rows)
    np.testing.assert_allclose(tangent, wanted, atol=1e-4)
    assert unsolved == 0
    off = theta + 1e-3 * rows[0]
    ends = [np.asarray(n.newton(off / jnp.linalg.norm(off), h)[0]) for n, h in ((frame, here), (krylov, same))]
    np.testing.assert_allclose(*ends, atol=1e-6)


@pytest.mark.parametrize(
    ("d", "k", "guard", "fresh"), [(40, 3, 2, 1), (16, 4, 2, 1), (15, 4, 2, 1), (13, 4, 1, 1), (9, 4, 0, 0)]
)
def test_guards_and_random_vectors_are_as_many_as_there_is_room_for(d, k, guard, fresh):
    normals = KrylovNormals(Objective(lambda w: w[0] ** 2 / (w @ w), np.ones(d)), k)
    assert (normals.guard, normals.fresh) == (guard, fresh)
    assert 2 * (k + guard + fresh) < d


@pytest.mark.deep
def test_a_search_from_a_neighbour_sees_what_rises():
    """Step by step, a fifth eigenvalue rises past four that nothing couples to it; the guess has nothing of it."""
    exact = np.concatenate([[0.0], [3, 1.2, 1.1, 1.0], np.zeros(1), np.linspace(0.8, 0, 594)])

    def function(w):
        t = w / jnp.linalg.norm(w)
        return (jnp.asarray(exact) @ t**2 + (0.9 + 8 * t[0] ** 2) * t[5] ** 2) / 2

    normals = KrylovNormals(Objective(function, np.eye(600)[0]), 4)
    at = jax.jit(normals.at)
    # theta turns from e_599, of curvature 0, to e_0
    turned = [jnp.asarray(np.cos(a) * np.eye(600)[599] + np.sin(a) * np.eye(600)[0]) for a in np.linspace(0, 0.7, 15)]
    here = at(turned[0], normals.guess(turned[0]))
    # even from the eigenvectors alone
    here = here._replace(vectors=here.vectors.at[5].set(0.0), guard=0 * here.guard)
    for theta in turned[1:]:
        here = at(theta, here)
        level = np.sort(np.append([3, 1.2, 1.1, 1.0], 0.9 + 8 * float(theta[0]) ** 2))[::-1][:4]
        assert here.unsolved == 0
        np.testing.assert_allclose(here.values, level, atol=1e-6)


@pytest.mark.longest  # compiles for half a minute
def test_an_eigenvalue_that_rises_from_below_reaches_the_edge():
    def function(w):
        t = w / jnp.linalg.norm(w)
        level = jnp.array([2 + t[0] ** 2 - t[1] ** 2, 1.2, 1.1, 1.0, 0.9 + 3 * t[1] ** 2])
        return level @ t[2:7] ** 2 / 2

    for dimension in (7, 1000):
        start = np.append([np.cos(0.35), np.sin(0.35)], np.zeros(dimension - 2))
        flow = edge_flow(Objective(function, start), time=2.0)
        assert flow.result.ok
        assert flow.edge_count[-1] == 2
        np.testing.assert_allclose(flow.points[-1][:2], [0.7615773, 0.6480741], atol=1e-4)  # 2 + x^2 - y^2 = .9 + 3 y^2


@pytest.mark.longest  # compiles for half a minute
def test_the_flow_on_products_agrees_with_that_of_the_frame(monkeypatch):
    objective = quadratic((9, 8.5, 4, 2, 1))
    one = edge_flow(objective, time=1.0, tolerance=1e-5)
    # the module, not the function of its name that the package exports
    monkeypatch.setattr(sys.modules["sharpflow.numerics.flows.edge_flow"], "frames_fit", lambda _: False)
    other = edge_flow(objective, time=1.0, tolerance=1e-5)
    assert other.result.ok
    assert other.spectrum.shape[1] == 4  # not all five: no frame was made
    np.testing.assert_allclose(other.points[-1], one.points[-1], atol=1e-4)
    np.testing.assert_allclose(other.spectrum[-1], one.spectrum[-1, :4], rtol=1e-3)


def thousand(name):
    def function(w):
        t = w / jnp.linalg.norm(w)
        return (2 + t[0] ** 2 - t[1] ** 2) * (jnp.array([1, 0.9, 0.7, 0.5, 0.3]) @ t[2:7] ** 2) / 2

    return Objective(function, np.append([np.cos(0.35), np.sin(0.35)], np.zeros(998)), name=name)


@pytest.mark.longest
def test_a_solver_that_stops_short_says_so(monkeypatch):
    """Two steps of conjugate gradients are too few for the three directions that are left to them, or two products."""
    normals = KrylovNormals(thousand("short"), 2)
    theta = jnp.asarray(normals.objective.start)
    here = jax.jit(normals.at)(theta, normals.guess(theta))
    row = jnp.ones((1, 1000))
    assert here.unsolved == 0
    assert jax.jit(lambda: normals.tangent(theta, here, row))()[1] == 0
    monkeypatch.setattr("sharpflow.numerics.minima.krylov_normals.MAX_STEPS", 2)
    assert jax.jit(lambda: normals.tangent(theta, here, row))()[1] > 1e-6
    monkeypatch.setattr("sharpflow.numerics.minima.krylov_normals.MAX_PRODUCTS", 2)
    assert jax.jit(normals.at)(theta, normals.guess(theta)).unsolved > 1e-8


@pytest.mark.longest  # compiles for half a minute, twice
@pytest.mark.parametrize(
    ("limit", "said"), [("MAX_STEPS", "conjugate gradients did not"), ("MAX_PRODUCTS", "eigenpairs did not")]
)
def test_a_flow_whose_solver_stops_short_is_named(monkeypatch, limit, said):
    monkeypatch.setattr(f"sharpflow.numerics.minima.krylov_normals.{limit}", 2)
    flow = edge_flow(thousand(f"flow, {limit}"), time=1.0, effective_lr=0.5, count=2)
    assert flow.result is RESULTS.UNCONVERGED
    assert said in flow.message


@pytest.mark.longest  # compiles for half a minute
def test_the_flow_of_a_loss_of_low_rank():
    """Five normal directions of 1000: the Krylov spaces are exhausted at once."""
    large = thousand("low rank")
    small = Objective(lambda w: large.function(jnp.append(w, jnp.zeros(993))), large.start[:7], name="seven")
    flows = [edge_flow(objective, time=1.0) for objective in (large, small)]
    assert [flow.result for flow in flows] == [RESULTS.SUCCESSFUL] * 2
    np.testing.assert_allclose(flows[0].points[-1][:7], flows[1].points[-1], atol=1e-6)
    assert flows[0].residual <= 1e-10


def test_large_problems_have_no_frame():
    big = Objective(lambda w: jnp.sum((w / jnp.linalg.norm(w))[:3] ** 2), np.ones(1000))
    assert not frames_fit(big)
    assert frames_fit(Objective(big.function, big.start, lambda w: jnp.sqrt(2.0) * (w / jnp.linalg.norm(w))[:3]))


@pytest.mark.longest
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
    run = compare(objective, rate=1e-3, time=0.1)
    assert run.result.ok
    assert run.max_distance < 3 * run.intrinsic_lr
    assert np.abs(run.minima_points[:, 2:5]).max() < 1e-8
