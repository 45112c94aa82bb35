"""The noise flow: its field by another route, its order, its limit without noise, noisy runs beside it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import Objective, descend, noise_flow
from sharpflow.numerics.comparison.noisy import _whole_blocks, compare_noisy
from sharpflow.numerics.descent.descent import parameters_of, prepare
from sharpflow.numerics.descent.noise import Batches, Covariance, LabelNoise
from sharpflow.numerics.flows.noise_step import ALPHA, BACK, EMBEDDED, GAMMA, WEIGHTS, Field, coefficients_of
from sharpflow.theory import rules
from sharpflow.theory.errors import InputError
from sharpflow.theory.noise.moments import noise_law

GD = rules.get("gd-wd")


def residuals(w):
    """Two residuals in R^4 whose eigenvalues meet along the way."""
    u = w / jnp.linalg.norm(w)
    return jnp.stack([u[2] * (1.5 + u[0] + 0.3 * u[1] * u[0]), u[3] * (1.4 - 0.8 * u[1]) + 0.4 * u[2] * u[1]])


CROSSING = Objective(lambda w: residuals(w) @ residuals(w) / 2, (0.6, 0.8, 0.0, 0.0), residuals, name="crossing")
TOP = float(np.linalg.norm(jax.jacrev(residuals)(CROSSING.start), 2) ** 2)


def test_the_field_is_the_gradient_of_the_log_barrier():
    z, log_lr, nu = jnp.asarray(CROSSING.start), jnp.log(1.2 / TOP), 0.3
    field = Field(residuals, coefficients_of(noise_law(GD)), 2, 2)
    found, edge = jax.jit(field.at)(z, log_lr, nu)
    assert float(edge) == pytest.approx(1.2)

    # In y = theta/sqrt(e), whole: |y|^2/2 - (nu/2) log det(2 - H(y)), on the tangent space of Gamma there.
    def potential(y):
        j = jax.jacrev(residuals)(y)
        return y @ y / 2 - nu / 2 * jnp.linalg.slogdet(2 * jnp.eye(2) - j @ j.T)[1]

    y = z * jnp.exp(-log_lr / 2)
    j = jax.jacrev(residuals)(y)
    down = -jax.grad(potential)(y)
    down = down - j.T @ jnp.linalg.solve(j @ j.T, j @ down)
    length = jnp.linalg.norm(y)
    np.testing.assert_allclose(found[:-1], (down - z * (z @ down)) / length, atol=1e-12)
    np.testing.assert_allclose(found[-1], -2 * (z @ down) / length, rtol=1e-12)


def test_the_stiff_part_is_the_jacobian_near_the_edge():
    field = Field(residuals, coefficients_of(noise_law(GD)), 2, 2)
    z, nu, log_lr = jnp.asarray(CROSSING.start), 1e-3, jnp.log(1.999 / TOP)
    # Along Gamma and log e; the part that is left out has no pole.
    (outer, inner), along, whole = jax.jit(
        lambda y: (
            field.stiff(y[:-1], field.look(y[:-1]), y[-1], nu),
            field.tangent(y[:-1], field.look(y[:-1]), jnp.eye(4)[:1])[0],
            jax.jacfwd(lambda y: field.at(y[:-1], y[-1], nu)[0])(y),
        )
    )(jnp.append(z, log_lr))
    along = jnp.append(along, 0.0)
    basis = jnp.stack([along / jnp.linalg.norm(along), jnp.eye(5)[-1]])
    np.testing.assert_allclose(basis @ outer.T @ inner @ outer @ basis.T, basis @ whole @ basis.T, rtol=0.02, atol=2.0)


def test_the_coefficients_are_of_order_three_with_any_matrix():
    # Rang and Angermann 2005: order conditions of W-methods, beta = alpha + gamma with the diagonal.
    ones = np.ones(4)
    back = BACK + GAMMA * np.eye(4)
    a, g = ALPHA @ ones, back @ ones
    for weights, order in ((WEIGHTS, 3), (EMBEDDED, 2)):
        assert weights.sum() == pytest.approx(1)
        assert [weights @ a, weights @ g] == pytest.approx([1 / 2, 0], abs=1e-12)
        if order == 3:
            assert [weights @ a**2, weights @ ALPHA @ a] == pytest.approx([1 / 3, 1 / 6], abs=1e-12)
            assert [weights @ m for m in (ALPHA @ g, back @ a, back @ g)] == pytest.approx([0, 0, 0], abs=1e-12)


def test_tolerance_and_the_limit_without_noise():
    fine = noise_flow(CROSSING, noise=0.05, effective_lr=1 / TOP, time=2.0, tolerance=1e-8)
    errors = []
    for tolerance in (1e-3, 1e-5):
        path = noise_flow(CROSSING, noise=0.05, effective_lr=1 / TOP, time=2.0, tolerance=tolerance)
        errors.append(np.linalg.norm(path.end - fine.end) + abs(np.log(path.effective_lr[-1] / fine.effective_lr[-1])))
        assert path.off_minima < 1e-12
        assert errors[-1] < 20 * tolerance
    assert errors[1] < errors[0] / 10
    # The gap to the edge is nu e/Sigma: ten times less noise, a gap ten times smaller.
    edges = [
        2 - float((p.effective_lr * p.sharpness)[-1])
        for p in (noise_flow(CROSSING, noise=nu, effective_lr=1 / TOP, time=2.0) for nu in (1e-3, 1e-4))
    ]
    assert edges[0] / edges[1] == pytest.approx(10, rel=0.05)


def test_noisy_runs_follow_the_flow_and_resume_bit_for_bit():
    source = LabelNoise(0.3 * 1e-3)
    descent = prepare(CROSSING, GD, records=10, means=True, source=source)
    parameters = parameters_of(GD, 1e-3, None)
    position, state = descent.begin(CROSSING.start, 1 / TOP, parameters)
    whole = descent.run(position, state, parameters, 20, seed=3, strength=source.strength)
    half = descent.run(position, state, parameters, 10, seed=3, strength=source.strength)
    rest = descent.run(half.position, half.state, parameters, 10, first=100, seed=3, strength=source.strength)
    np.testing.assert_array_equal(whole.position, rest.position)
    other = descent.run_seeds(
        jnp.stack([position] * 2), jax.tree.map(lambda s: jnp.stack([s] * 2), state), parameters, 20,
        seeds=[3, 4], strength=source.strength,
    )  # fmt: skip
    np.testing.assert_allclose(other.position[0], whole.position, rtol=1e-12)
    assert not np.allclose(other.position[1], whole.position)
    found = compare_noisy(CROSSING, label_noise=0.3, rate=1e-3, time=1.0, seeds=2)
    # Block means at rate 1e-3 are some 0.01 off in standard deviation; 0.1 is the flow's whole way.
    assert found.max_distance.mean < 0.1 < np.linalg.norm(found.path.end - found.start)
    assert found.to_json()["seeds"] == 2
    # A barrier too steep: measured up to where the flow went, or not at all, and the message says what to take.
    for load, measured in ((1.8, True), (1.99, False)):
        stopped = compare_noisy(CROSSING, label_noise=1e-16, rate=1e-3, time=1.0, seeds=2, effective_lr=load / TOP)
        assert not stopped.result.ok
        assert "nu e = " in stopped.message
        assert "edge_flow" in stopped.message
        assert bool(stopped.steps) == measured
        assert stopped.steps * 1e-3 <= stopped.path.time < 1
        assert json.dumps(stopped.to_json(), allow_nan=False)
    mixed = Objective(lambda p: (p["g"][0] * p["w"][0] / jnp.linalg.norm(p["w"]) - 1) ** 2,
                      {"w": jnp.ones(2), "g": jnp.ones(1)})  # fmt: skip
    with pytest.raises(InputError, match=r"wholly scale-invariant, so far, and .*g.* are not"):
        compare_noisy(mixed, label_noise=0.3, rate=1e-3, time=1.0)


def test_a_noisy_run_goes_no_further_than_its_flow():
    for time, reached, wanted in ((0.15, 0.15, 150), (0.15, 0.1, 100), (0.0037, 0.0037, 3), (1.0, 1.0, 1000)):
        every, blocks = _whole_blocks(time, reached, 1e-3)
        assert every * blocks == wanted
        assert blocks <= 100


def test_batches_are_drawn_as_they_say():
    keys = jax.vmap(jax.random.key)(jnp.arange(4000))
    without, with_replacement = (jax.vmap(lambda k, b=b: b.draw(k, 5))(keys) for b in (Batches(2), Batches(2, True)))
    # Each example is in n/b times the share of batches; a pair is twice the same with probability 1/n, or never.
    for drawn in (without, with_replacement):
        # 5 standard errors of 4000 draws: a false alarm once in 2e6.
        error = np.asarray(drawn).std() / np.sqrt(4000)
        np.testing.assert_allclose(np.asarray(drawn).mean(axis=0), 1, atol=5 * error)
    assert np.all(np.asarray(without).max(axis=1) == 2.5)
    twice = np.mean(np.asarray(with_replacement).max(axis=1) == 5)
    assert abs(twice - 1 / 5) < 5 * np.sqrt(0.2 * 0.8 / 4000)
    with pytest.raises(InputError, match="a batch of 9 is larger"):
        Batches(9).draw(keys[0], 5)


def test_label_noise_is_noise_of_the_covariance_of_the_hessian():
    # J^T xi with J at w itself: the same law by another source, and the same run where xi is the same.
    def root(w):
        return jax.jacrev(residuals)(w).T

    runs = [
        descend(CROSSING, GD, rate=1e-3, effective_lr=1 / TOP, records=5, every=10, noise=noise, seed=1)
        for noise in (LabelNoise(1e-4), Covariance(root, columns=2, variance=1e-4))
    ]
    np.testing.assert_allclose(runs[0].points, runs[1].points, atol=1e-12)


def test_what_has_no_noise_flow_is_refused():
    plain = Objective(CROSSING.function, CROSSING.start, name="plain")
    with pytest.raises(InputError, match="has no residuals"):
        noise_flow(plain, noise=0.1, effective_lr=0.1, time=1.0)
    with pytest.raises(InputError, match="has no residuals"):
        descend(plain, GD, rate=1e-3, effective_lr=0.1, records=1, noise=LabelNoise(0.1))
    with pytest.raises(InputError, match="must be below"):
        noise_flow(CROSSING, noise=0.1, effective_lr=3 / TOP, time=1.0)
    off = Objective(lambda w: (residuals(w) - 2) @ (residuals(w) - 2) / 2, CROSSING.start, lambda w: residuals(w) - 2)
    with pytest.raises(InputError, match="do not vanish"):
        noise_flow(off, noise=0.1, effective_lr=0.1, time=1.0)
