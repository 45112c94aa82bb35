"""A_ij with i and j different: two eigenvectors at the edge that turn into each other, as in no built-in crossing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.networks.two_layer import two_layer
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.spectrum.curvature import curvature_gradients
from sharpflow.numerics.spectrum.dense import frame
from sharpflow.numerics.spectrum.symmetric import pairs

TILT = np.array([0.3, 0.4])


def curved(w):
    """((h + f) z^2 + 2 c z u + (h - f) u^2)/2 with h = 2 + x^2 + 0.3 x y + 0.4 x s, f = x y, c = x s, on |w| = 1."""
    x, y, s, _, z, u = w / jnp.linalg.norm(w)
    h, f, c = 2 + x**2 + TILT[0] * x * y + TILT[1] * x * s, x * y, x * s
    return ((h + f) * z**2 + 2 * c * z * u + (h - f) * u**2) / 2


ANGLE = 0.3
START = np.array([np.cos(ANGLE), 0, 0, np.sin(ANGLE), 0, 0])
COUPLED = Objective(curved, START, name="coupled")


@pytest.mark.deep
def test_the_flow_where_eigenvectors_turn_against_its_closed_form():
    """At y = s = 0 both eigenvalues are h = 2 + x^2, and stay one: leaving along f or c would part them.

    So the drift is the gradient of log h without its parts along grad f = x e_y and grad c = x e_s: x = cos(phi),
    d phi/d tau = S sin(2 phi)/h, S = tr Sigma = 2/(4 + K^2), K = sin(2 phi)/h, as for one eigenvalue; and those parts,
    0.3 x and 0.4 x, are what Sigma_11 - Sigma_22 = -0.3 S and 2 Sigma_12 = -0.4 S balance, in the basis of z and u.
    """
    time = 1.5
    flow = edge_flow(COUPLED, time=time, tolerance=1e-6)
    assert flow.result.ok
    assert flow.residual < 1e-10
    phi, steps = ANGLE, 2000
    for _ in range(steps):  # midpoint rule: errors of 1e-7

        def speed(phi):
            k = np.sin(2 * phi) / (2 + np.cos(phi) ** 2)
            return 2 / (4 + k**2) * k

        phi = phi + time / steps * speed(phi + time / steps / 2 * speed(phi))
    # The flow's own error: some 1e-6 a step, 50 steps.
    np.testing.assert_allclose(flow.points[-1], [np.cos(phi), 0, 0, np.sin(phi), 0, 0], atol=1e-4)
    later = flow.times > 0.1
    k = np.sin(2 * np.arctan2(flow.points[later, 3], flow.points[later, 0])) / flow.sharpness[later]
    # At the middle of a step, where Sigma is: the steps are 0.05 at most.
    np.testing.assert_allclose(flow.mean_square[later], 2 / (4 + k**2), rtol=0.01)
    # Any basis of the two eigenvectors is as good as any other; the determinant knows none. With Sigma_12 off by
    # sqrt 2 it would be 0.21 S^2 or 0.13 S^2.
    top = flow.sigma[later][:, :2, :2]
    ratio = np.linalg.det(top) / np.trace(top, axis1=1, axis2=2) ** 2
    np.testing.assert_allclose(ratio, (1 - TILT @ TILT) / 4, atol=0.002)
    assert np.all(flow.edge_count[later] == 2)


def differences(objective, theta, vectors, *, step=1e-5):
    """(k(k+1)/2, D) grad(v_i^T H v_j) by central differences of the Hessian, off the diagonal times sqrt 2."""
    hessian = jax.jit(jax.hessian(objective.function))
    i, j, _ = pairs(vectors.shape[1])
    out = np.zeros((len(i), len(theta)))
    for axis in range(len(theta)):
        move = step * np.eye(len(theta))[axis]
        change = vectors.T @ np.asarray(hessian(theta + move) - hessian(theta - move)) @ vectors / (2 * step)
        out[:, axis] = np.where(i == j, 1, np.sqrt(2)) * change[i, j]
    return out


@pytest.mark.parametrize("which", ["function", pytest.param("residuals", marks=pytest.mark.longest)])
def test_rows_off_the_diagonal_against_differences(which):
    if which == "function":
        objective, theta = COUPLED, START
        vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 2)))[0]
        kept = np.eye(6)
    else:
        objective = two_layer("batch", examples=5, inputs=3, hidden=3)
        theta = relax(objective).point
        normal = np.asarray(frame(objective, theta, 3).vectors)
        vectors = normal[:, :2]
        # With residuals it is the gradient of v^T J^T J v: the same along Gamma, which is what is wanted of it.
        kept = np.eye(len(theta)) - normal @ normal.T
    rows = np.asarray(curvature_gradients(objective, theta, jnp.asarray(vectors)))
    expected = differences(objective, theta, vectors)
    size = np.abs(expected @ kept).max()
    assert np.abs((expected @ kept)[1]).max() > 0.05 * size  # the row off the diagonal is something
    # Differences of 1e-5: rounding 1e-11, truncation 1e-10, times the curvature of the curvature.
    np.testing.assert_allclose(rows @ kept, expected @ kept, atol=1e-6 * size)
