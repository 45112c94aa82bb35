"""The edges of mini-batches by other routes, and where iterates settle."""

from itertools import combinations, product

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import Objective
from sharpflow.numerics.noise import batch_edges as edges
from sharpflow.theory.errors import InputError

J = np.random.default_rng(2).standard_normal((5, 7))


def enumerated(e, size, replacement):
    """rho of the mean of (1 - e H_B) kron (1 - e H_B) over all batches."""
    batches = list(product(range(5), repeat=size) if replacement else combinations(range(5), size))
    total = 0
    for batch in batches:
        step = np.eye(7) - e * sum(5 / size * np.outer(J[i], J[i]) for i in batch)
        total = total + np.kron(step, step) / len(batches)
    normal = np.linalg.svd(J)[2][:5]
    both = np.kron(normal, normal)
    return np.max(np.abs(np.linalg.eigvals(both @ total @ both.T)))


@pytest.mark.parametrize(("size", "replacement"), [(1, False), (3, False), (2, True)])
def test_the_radius_is_that_of_all_batches_dense_and_by_power_iteration(size, replacement, monkeypatch):
    e = edges.mean_square_edge(J, size=size, replacement=replacement)
    assert enumerated(e, size, replacement) == pytest.approx(1, abs=1e-9)
    dense = edges.mean_square_radius(J, 1.3 * e, size=size, replacement=replacement)
    assert dense == pytest.approx(enumerated(1.3 * e, size, replacement))
    monkeypatch.setattr(edges, "DENSE", 0)
    assert edges.mean_square_radius(J, 1.3 * e, size=size, replacement=replacement) == pytest.approx(dense, rel=1e-7)


def test_the_whole_batch_has_the_edge_of_gradient_descent():
    whole = 2 / np.linalg.norm(J, 2) ** 2
    assert edges.mean_square_edge(J, size=5) == pytest.approx(whole)
    objective = Objective(
        lambda w: jnp.sum((J @ w) ** 2) / 2 / (w @ w), np.ones(7), lambda w: J @ w / jnp.linalg.norm(w)
    )
    point = np.linalg.svd(J)[2][-1]
    mean_square, lyapunov, full = edges.batch_edges(objective, point, size=2)
    assert full == pytest.approx(whole)
    assert mean_square < lyapunov < full
    with pytest.raises(InputError, match="has no residuals"):
        edges.batch_edges(Objective(objective.function, point), point, size=2)


def test_the_lyapunov_edge_of_one_direction_is_a_geometric_mean():
    # One normal direction, |a_1|^2 = 1 and |a_2|^2 = 1/4, batches of one: |1 - 2 e| |1 - e/2| = 1.
    wanted = 2.5  # 1 - 2.5 e + e^2 = 1
    found, error = edges.lyapunov_edge(np.array([[1.0, 0.0], [0.5, 0.0]]), size=1, steps=1500)
    assert abs(found - wanted) < 5 * error + 0.01  # 5 standard errors: a false alarm once in 2e6


def test_runs_settle_between_the_two_edges_and_far_from_the_whole_batch():
    for rate in (1e-2, 1e-3):
        run = edges.run_batches(rate=rate, seeds=32, seed=3)
        edge = edges.mean_square_edge(run.jacobian, size=1)
        ratio = run.effective_lr / edge
        error = ratio.std(ddof=1) / 32**0.5
        other = edges.lyapunov_edge(run.jacobian, size=1, steps=500)[0] / edge
        # 5 standard errors, and the next order.
        assert 1 - 5 * error - rate**0.5 < ratio.mean() < other + 5 * error + rate**0.5
        assert 2 / np.linalg.norm(run.jacobian, 2) ** 2 / edge > 2


def test_hill_finds_the_exponent_of_a_power_law():
    tail = np.random.default_rng(0).pareto(2.0, 100_000) + 1
    # The relative error of Hill's estimate from k values is 1/sqrt(k), here 3 %.
    assert edges.hill(tail) == pytest.approx(2, rel=5 / 1000**0.5)
