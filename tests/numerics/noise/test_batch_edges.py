"""The edges of mini-batches by other routes, and where iterates settle."""

from itertools import combinations, product

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import Objective
from sharpflow.claim import Case, Numeric
from sharpflow.claims.batch_edge import measure
from sharpflow.numerics.noise import batch_edges as edges
from sharpflow.theory import rules
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


def test_runs_come_down_towards_the_mean_square_edge_as_the_rate_falls():
    (coarse, error), (fine, own) = edges.settling((1e-2, 1e-3), seed=4)
    # 5 standard errors each: a false alarm with probability 2e-5 (Student, 31 degrees of freedom).
    assert 5 * own < fine < coarse - 5 * np.hypot(own, error)


@pytest.mark.parametrize(("share", "status"), [(0.25, "CONSISTENT"), (1.0, "INCONSISTENT"), (-0.5, "INCONSISTENT")])
def test_runs_that_settle_at_the_lyapunov_edge_are_refused(share, status, monkeypatch):
    a, seen = edges.run_batches(rate=0.1, size=2, examples=8, dimension=12, seeds=2, seed=4).jacobian, []
    low, high = edges.mean_square_edge(a, size=2), edges.lyapunov_edge(a, size=2, steps=1000, seed=4)[0]
    runs = low + share * (high - low) + (high - low) / 20 * np.linspace(-1, 1, 32)
    monkeypatch.setattr(edges, "run_batches", lambda **more: seen.append(more["seed"]) or edges.BatchRun(runs, a, a))
    assert measure(Case(None, rules.get("gd-wd"), seed=4)).status is Numeric[status]
    assert seen == [4, 4]


def test_hill_finds_the_exponent_of_a_power_law():
    tail = np.random.default_rng(0).pareto(2.0, 100_000) + 1
    # The relative error of Hill's estimate from k values is 1/sqrt(k), here 3 %.
    assert edges.hill(tail) == pytest.approx(2, rel=5 / 1000**0.5)
