"""The complementarity problem of several eigenvalues at the edge: against closed forms and a conic solver."""

from __future__ import annotations

import cvxpy
import jax
import numpy as np
import pytest

from sharpflow.numerics.flows.complementarity import edge_covariance
from sharpflow.numerics.spectrum.symmetric import pairs, to_matrix, to_vector
from sharpflow.theory.errors import InputError


def random_problem(seed, k, dimension):
    """A (k, k, D) and Q: the first eigenvalue at the edge, the others somewhere below it."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((k, k, dimension)) * rng.choice([0.1, 1.0, 5.0])
    edge = np.append(1.0, rng.uniform(0.5, 1, k - 1))
    return (a + a.transpose(1, 0, 2)) / 2, 2 * np.eye(k) + np.diag(edge - 1) / rng.choice([0.001, 0.01, 0.1, 1.0])


def apply(a, sigma, trace=4.0):
    """M(Sigma), entry by entry from its definition."""
    k = len(a)
    gram = sum(np.tensordot(a, a[i, j], axes=([2], [0])) * sigma[i, j] for i in range(k) for j in range(k))
    return trace * np.trace(sigma) * np.eye(k) + gram


def kkt(a, q, found):
    """The largest violation of the conditions, relative to Q; nothing of it is taken from the solver."""
    slack = apply(a, found.sigma) - q
    low = min(np.linalg.eigvalsh(slack)[0], np.linalg.eigvalsh(found.sigma)[0], 0.0)
    return max(-low, abs(np.sum(slack * found.sigma))) / np.linalg.norm(q)


def conic(a, q, trace=4.0):
    """The same problem given to a general conic solver: its value at the optimum, and Sigma."""
    k = len(a)
    sigma = cvxpy.Variable((k, k), PSD=True)
    pushed = sum(a[i, j] * sigma[i, j] for i in range(k) for j in range(k))
    energy = cvxpy.sum_squares(pushed) / 2 + trace / 2 * cvxpy.square(cvxpy.trace(sigma)) - cvxpy.trace(q @ sigma)
    problem = cvxpy.Problem(cvxpy.Minimize(energy))
    problem.solve(solver="CLARABEL")
    return problem.value, sigma.value


def value(a, q, sigma):
    return np.sum(sigma * apply(a, sigma)) / 2 - np.sum(q * sigma)


@pytest.mark.parametrize("norm", [0.0, 0.3, 2.0, 40.0])
def test_one_eigenvalue_is_the_paper(norm):
    g = norm * np.array([0.6, 0.0, 0.8])
    found = edge_covariance(g[None, None])
    assert found.sigma[0, 0] == pytest.approx(2 / (4 + norm**2), rel=1e-12)


# A program for each k.
@pytest.mark.parametrize("k", [1, 2, 3, 16, *(pytest.param(k, marks=pytest.mark.deep) for k in (4, 8))])
@pytest.mark.parametrize("dimension", [2, 10, 200])
def test_conditions_hold(k, dimension):
    # dimension 2 makes M singular for k > 2: then Sigma is not unique, but M(Sigma) is.
    for seed in range(5):
        a, q = random_problem(seed, k, dimension)
        found = edge_covariance(a, q)
        assert found.residual < 1e-10
        assert kkt(a, q, found) < 1e-10
        assert found.steps < 40


@pytest.mark.parametrize("k", [2, 3, pytest.param(5, marks=pytest.mark.deep)])
def test_a_conic_solver_finds_the_same(k):
    for seed in range(4):
        a, q = random_problem(100 + seed, k, 30)
        found = edge_covariance(a, q)
        best, sigma = conic(a, q)
        # the conic solver stops at 1e-8 of the value; Sigma is off by its square root at worst
        assert value(a, q, found.sigma) <= best + 1e-7 * abs(best)
        np.testing.assert_allclose(found.sigma, sigma, atol=1e-4 * max(1.0, np.abs(sigma).max()))


def test_a_planted_three_is_caught():
    # M with 3 tr Sigma in place of 4: the solver's own conditions fail, and the conic solver disagrees.
    a, q = random_problem(7, 3, 30)
    a = a / np.linalg.norm(a[0, 0])
    found = edge_covariance(a, q)
    assert np.abs(apply(a, found.sigma, trace=3.0) - q - found.slack).max() > 0.01
    assert np.abs(conic(a, q, trace=3.0)[1] - found.sigma).max() > 0.01


def test_decoupled_eigenvalues_by_hand():
    # A_11 = p e, A_22 = q f, A_12 = 0 with e, f orthonormal: both at the edge need 2 = 4(s + t) + p^2 s, and
    # 2 = 4(s + t) + q^2 t.
    p, q = 3.0, 2.0
    a = np.zeros((2, 2, 2))
    a[0, 0], a[1, 1] = [p, 0], [0, q]
    s = 2 / (4 + p**2 + 4 * p**2 / q**2)
    np.testing.assert_allclose(edge_covariance(a).sigma, np.diag([s, s * p**2 / q**2]), atol=1e-11)
    # An eigenvalue far below the edge takes no part.
    far = edge_covariance(a, np.diag([2.0, 2.0 - 50.0]))
    np.testing.assert_allclose(far.sigma, np.diag([2 / (4 + p**2), 0]), atol=1e-11)


def test_a_turned_basis_turns_the_answer():
    a, q = random_problem(3, 4, 20)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    turned = np.einsum("pi,qj,ijd->pqd", turn, turn, a)
    found, other = edge_covariance(a, q), edge_covariance(turned, turn @ q @ turn.T)
    np.testing.assert_allclose(other.sigma, turn @ found.sigma @ turn.T, atol=1e-9)


def test_a_neighbouring_problem_is_quick():
    a, q = random_problem(5, 4, 50)
    first = edge_covariance(a, q)
    second = edge_covariance(1.01 * a, q + 0.01 * np.eye(4), seed=first.seed)
    assert second.steps <= 5
    assert kkt(1.01 * a, q + 0.01 * np.eye(4), second) < 1e-10


def test_vectors_keep_inner_products():
    rng = np.random.default_rng(0)
    a, b = (m + m.T for m in rng.standard_normal((2, 5, 5)))
    assert to_vector(a) @ to_vector(b) == pytest.approx(np.sum(a * b), rel=1e-13)
    np.testing.assert_allclose(to_matrix(to_vector(jax.numpy.asarray(a)), 5), a, rtol=1e-14)
    assert len(pairs(5)[0]) == 15


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.zeros((2, 3, 4)),), "shape"),
        ((np.zeros((17, 17, 4)),), "at most 16"),
        ((np.zeros((2, 2, 4)), np.eye(3)), "linear"),
        ((np.full((1, 1, 2), np.nan),), "finite"),
        ((np.array([[[0.0], [1.0]], [[2.0], [0.0]]]),), "symmetric"),
    ],
)
def test_bad_input_is_named(arguments, said):
    with pytest.raises(InputError, match=said):
        edge_covariance(*arguments)
