"""Spectrum, retraction, relaxation: against dense references and finite differences."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from sharpflow.numerics.minima import krylov_normals
from sharpflow.numerics.minima import retraction as manifold
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.minima.retraction import CHORDS, analyse, retract, retract_traced
from sharpflow.numerics.objective import Objective, minima_point, objective_of
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum import dense as spectrum
from sharpflow.numerics.spectrum.dense import eigenvalues, frame, log_sharpness_gradient, normal_rank, sharpness
from sharpflow.theory import families

CHARTED = ("ridge", "conic", "surface", "two-layer", "bn-regression")


@pytest.mark.parametrize("name", CHARTED)
def test_eigenvalues_against_a_symbolic_hessian(name):
    loss = families.get(name).default()
    theta = minima_point(loss, loss.minima.start)
    theta = theta + 0.05 * np.cos(np.arange(len(theta)))
    theta /= np.linalg.norm(theta)
    hessian = np.array(sp.lambdify(loss.variables, loss.hessian, cse=True)(*theta), dtype=float)
    basis = np.linalg.svd(theta[None])[2][1:]  # of the tangent space
    exact = np.linalg.eigvalsh(basis @ hessian @ basis.T)[::-1]
    # rounding of a D x D symmetric eigenproblem: D machine epsilons of its norm, and 1e3 in reserve
    np.testing.assert_allclose(eigenvalues(loss, theta), exact, atol=1e-12 * np.abs(exact).max())


@pytest.mark.parametrize("name", CHARTED)
def test_log_sharpness_gradient_by_finite_differences(name):
    loss = families.get(name).default()
    start = np.array(loss.minima.start)
    gradient = log_sharpness_gradient(loss, minima_point(loss, tuple(start)))
    h = 1e-4
    for i in range(len(start)):
        ahead, behind = (minima_point(loss, tuple(start + s * h * np.eye(len(start))[i])) for s in (1, -1))
        slope = np.log(sharpness(loss, ahead) / sharpness(loss, behind))
        # central differences: h^2 times a third derivative of order 10, plus rounding 1e-15/h
        assert gradient @ (ahead - behind) == pytest.approx(slope, abs=2 * h * 1e-6)
    assert abs(gradient @ minima_point(loss, tuple(start))) < 1e-12


@pytest.mark.parametrize("name", CHARTED)
def test_retraction_lands_on_gamma(name):
    loss = families.get(name).default()
    zeta = minima_point(loss, loss.minima.start)
    normal = analyse(objective_of(loss), zeta[None], rank=normal_rank(objective_of(loss), zeta))
    for x in (0.03, -0.03):
        back = retract(loss, zeta + x * normal.top[0])
        assert back.residual < 1e-12  # quadratic convergence ends at rounding
        # the nearest point, to second order in the distance; curvature of Gamma and of the sphere is under 10
        assert np.linalg.norm(back.point - zeta) < 10 * x**2
        again = retract(loss, back.point)
        np.testing.assert_allclose(again.point, back.point, atol=1e-13)


def test_as_many_chords_are_taken_as_are_asked_for():
    """After Newton's step one more with the same normal directions, and no third, which would be no rounding."""
    loss = families.get("conic").default()
    objective = objective_of(loss)
    theta = minima_point(loss, loss.minima.start) + np.array([0.05, -0.02, 0.04])
    point = theta = theta / np.linalg.norm(theta)
    normal = frame(objective, theta, 1)
    lengths = []
    for _ in range(3):
        end = point
        step = normal.vectors @ (normal.vectors.T @ jax.grad(objective.function)(end) / normal.values)
        lengths.append(np.linalg.norm(step))
        point = (end - step) / np.linalg.norm(end - step)
    assert lengths[2] > 1e-9
    back, _ = retract_traced(objective, theta, rank=1, steps=1, chords=1)
    np.testing.assert_allclose(back.point, end, atol=1e-14)


def test_gradient_of_sharpness_with_residuals_equals_without():
    data = np.random.default_rng(1).standard_normal((4, 7))
    data -= data.mean(axis=0)
    target = np.array([1.0, -2, 0.5, 0.5])

    def residuals(w):
        out = data @ w
        return out / jnp.linalg.norm(out) - target / np.linalg.norm(target)

    def function(w):
        return residuals(w) @ residuals(w) / 2

    point = np.linalg.pinv(data) @ target + (np.eye(7) - np.linalg.pinv(data) @ data) @ np.arange(7.0) * 0.2
    with_residuals, without = Objective(function, point, residuals), Objective(function, point)
    assert normal_rank(with_residuals, point) == normal_rank(without, point) == 2
    np.testing.assert_allclose(
        log_sharpness_gradient(with_residuals, point), log_sharpness_gradient(without, point), atol=1e-10
    )
    moved = point + 0.02 * np.sin(np.arange(7))
    ends = [retract(o, moved).point for o in (with_residuals, without)]
    # both iterations end on Gamma, at points that differ by the square of the distance
    np.testing.assert_allclose(ends[0], ends[1], atol=10 * 0.05**2)


def test_relaxation_reaches_gamma_and_leaves_it_alone():
    loss = families.get("conic").default()
    theta = np.array([0.5, 0.4, 0.9])
    relaxed = relax(objective_of(loss), theta)
    assert relaxed.result is RESULTS.SUCCESSFUL
    assert relaxed.rank == 1
    x, y, z = relaxed.point
    assert x * z - y**2 == pytest.approx(0, abs=1e-14)
    still = relax(objective_of(loss), relaxed.point)
    np.testing.assert_allclose(still.point, relaxed.point, atol=1e-14)
    # a gradient flow never climbs
    assert float(objective_of(loss).value(relaxed.point)) <= float(objective_of(loss).value(theta))


@pytest.mark.parametrize("name", ["conic", "surface"])
def test_chords_lead_where_newton_leads(monkeypatch, name):
    """Chords keep to the normal directions of where they begin, Newton turns with them: d^3 apart at a distance d."""
    loss = families.get(name).default()
    objective, zeta = objective_of(loss), minima_point(loss, loss.minima.start)
    rank = normal_rank(objective_of(loss), zeta)
    top = analyse(objective, zeta[None], rank=rank).top[0]
    program = jax.jit(lambda theta, chords: retract_traced(objective, theta, rank, chords=chords)[0], static_argnums=1)
    apart = []
    for distance in (0.02, 0.1):
        chords, newton = (program(zeta + distance * top, n) for n in (CHORDS, 0))
        assert max(chords.residual, newton.residual) < 1e-12
        apart.append(np.linalg.norm(chords.point - newton.point) / distance**3)
    assert max(apart) < 10  # the curvature of Gamma and of the sphere, as above
    # Where a chord does not shrink, it is not taken.
    monkeypatch.setattr(manifold, "SHRINKS", 0.0)
    refused = jax.jit(partial(retract_traced, objective, rank=rank))(zeta + 0.1 * top)[0]
    np.testing.assert_allclose(refused.point, newton.point, atol=1e-14)


def test_normal_directions_are_taken_few_times(monkeypatch):
    """One round for a point of Gamma, two for one close by: six chords leave rounding, one leaves the cube."""
    loss = families.get("conic").default()
    objective, zeta = objective_of(loss), minima_point(loss, (0.3,))
    rounds = []

    def counted(objective, theta, rank):
        jax.debug.callback(lambda: rounds.append(1))
        return spectrum.frame(objective, theta, rank)

    monkeypatch.setattr(manifold, "frame", counted)
    for offset, chords, expected in ((0.0, CHORDS, 1), (3e-3, CHORDS, 2), (3e-3, 1, 3)):
        rounds.clear()
        program = jax.jit(partial(retract_traced, objective, rank=1, chords=chords))
        jax.block_until_ready(program(zeta + offset * np.array([1.0, -0.4, 0.7])))
        jax.effects_barrier()
        assert len(rounds) == expected


def test_no_minima_is_a_result():
    def quartic(w):
        u = w / jnp.linalg.norm(w)
        return u[2] ** 4

    assert relax(Objective(quartic, [1.0, 0.5, 0.3]), max_steps=500).result is RESULTS.NOT_AT_MINIMA


@pytest.mark.deep
def test_analysis_is_independent_of_blocks(monkeypatch):
    loss = families.get("ridge").default()
    points = minima_point(loss, (0.3,)) + 0.01 * np.random.default_rng(0).standard_normal((7, 3))
    objective = objective_of(loss)
    whole, parts = (analyse(objective, points, rank=1, block=b) for b in (7, 3))
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-13)
    # 400 Jacobians of 64 residuals in 5000 weights take a gigabyte each time a program copies them.
    many = Objective(lambda w: jnp.sum(w[:64] ** 2) / 2, np.ones(5000), lambda w: w[:64])
    assert spectrum.fitting(many, 400) == 50
    assert spectrum.fitting(objective, 400) == 400
    monkeypatch.setattr(spectrum, "MOST_NUMBERS", 3 * 3)
    assert {len(leaf) for leaf in jax.tree.leaves(analyse(objective, points, rank=1, block=400))} == {7}


@pytest.mark.deep
def test_residuals_that_gradient_flow_leaves_along_a_soft_direction(monkeypatch):
    """lambda_1 is 1e4 times lambda_2: gradient flow rests while the second residual is far from rounding yet."""

    def residuals(w):
        x, y, z, _, _ = w / jnp.linalg.norm(w)
        return jnp.stack([100 * x * (2 + y), z])

    def function(w):
        return jnp.sum(residuals(w) ** 2) / 2

    start = np.array([0.1, 0.3, 0.4, 0.7, 0.5])
    with monkeypatch.context() as patch:
        # By its residuals: D x D eigenproblems are for losses without.
        patch.setattr("sharpflow.numerics.spectrum.dense.eigenvalues", lambda *_: pytest.fail("a dense eigenproblem"))
        found = relax(Objective(function, start, residuals, "stiff"))
    assert found.result is RESULTS.SUCCESSFUL, found.message
    assert found.rank == 2
    assert np.linalg.norm(residuals(found.point)) < 1e-12
    # Without residuals, the same place by Newton's iteration on the Hessian.
    plain = relax(Objective(function, start, None, "stiff, plain"))
    assert plain.rank == 2
    np.testing.assert_allclose(found.point, plain.point, atol=1e-5)


def test_a_loss_without_zeros_of_its_residuals_takes_no_dense_hessian_where_that_is_too_large(monkeypatch):
    monkeypatch.setattr(krylov_normals, "DENSE", 3)

    def residuals(w):
        x, y, _, _ = w / jnp.linalg.norm(w)
        return jnp.stack([x, y + x**2, 0 * x + 1])  # the last is 1 wherever it is asked for

    objective = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, np.array([0.1, 0.2, 0.7, 0.5]), residuals, "lifted")
    monkeypatch.setattr("sharpflow.numerics.minima.relax.normal_rank", lambda *_: pytest.fail("a dense eigenproblem"))
    found = relax(objective)
    assert found.result is RESULTS.SUCCESSFUL, found.message
    assert found.rank == 0
