"""Formulas of the central flow and of flows in stretches, at matrices and paths written down."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.linalg import expm

from sharpflow.numerics.comparison import central as central_run
from sharpflow.numerics.comparison.setting import Setting
from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.flows.central_flow import CentralPath
from sharpflow.numerics.flows.central_step import CentralStepper, Look, phi_1
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.flows.stretches import Program, Stretches, trace
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.symmetric import pairs
from sharpflow.theory import rules

TIMES = np.array([0.0, 1.0, 2.0])
SIGMA = np.array([[[0.2, 0.1], [0.1, 0.0]], [[0.3, 0.0], [0.0, 0.1]], [[0.0005, 0.0], [0.0, 0.0]]])


def path(points, spectrum, sigma=SIGMA, effective_lr=(0.5, 0.5, 1.0)):
    return Path(
        times=TIMES, points=np.asarray(points), effective_lr=np.asarray(effective_lr), spectrum=np.asarray(spectrum),
        sigma=sigma, residual=0.0, result=RESULTS.SUCCESSFUL, message="", rejected=0, seconds=0.0, compile_seconds=0.0,
    )  # fmt: skip


POINTS = [[1.0, 0, 0], [0.8, 0.6, 0], [0.6, 0.8, 0]]


def central(rate, path, loss):
    return CentralPath(**vars(path), rate=rate, loss=loss)


FLOW = central(1e-2, path(POINTS, [[4.0, 2.0], [4.0, 3.0], [2.0, 1.0]]), np.array([0.5, 0.4, 0.3]))


def test_the_mean_loss_adds_half_the_trace_of_the_oscillation():
    """rate tr(Lambda Sigma)/2."""
    added = [0.005 * 4 * 0.2, 0.005 * (4 * 0.3 + 3 * 0.1), 0.005 * 2 * 0.0005]
    np.testing.assert_allclose(FLOW.mean_loss - FLOW.loss, added, atol=1e-15)


@pytest.mark.parametrize("z", [0.0, 1e-9, 1e-3, 2.0, 300.0, -1.5])
def test_the_mean_of_an_exponential(z):
    expected = 1.0 if z == 0 else -math.expm1(-z) / z
    assert float(phi_1(jnp.asarray(z))) == pytest.approx(expected, rel=1e-12)


# L is never asked here: everything at the point is in the look.
STEPPER = CentralStepper(Objective(lambda w: w @ w, (1.0, 0, 0, 0)), 2)
RANDOM = np.random.default_rng(0)
HESSIAN = RANDOM.standard_normal((4, 4))
HESSIAN = HESSIAN @ HESSIAN.T
VALUES, VECTORS = (a[..., ::-1] for a in np.linalg.eigh(HESSIAN))
GRADIENT = RANDOM.standard_normal(4)
MATRICES = RANDOM.standard_normal((2, 2, 4))
MATRICES = (MATRICES + MATRICES.transpose(1, 0, 2)) / 2
# The coordinates of `sharpflow.numerics.spectrum.symmetric.to_vector`, in which inner products of matrices are those
# of vectors.
ROWS = np.array([MATRICES[i, j] * (1 if i == j else math.sqrt(2)) for i, j, _ in zip(*pairs(2), strict=True)])
RATE, LR, STEP = 1e-2, 0.3, 0.07
STATE: Any = SimpleNamespace(rate=RATE, last=0.0)


def look():
    return Look(jnp.asarray(VALUES), jnp.asarray(VECTORS), jnp.asarray(GRADIENT @ VECTORS), jnp.asarray(ROWS @ VECTORS))


def test_a_move_is_that_of_the_linear_equation():
    """d theta/dt = -e (G + H (theta - z) + rate sum_ij Sigma_ij A_ij/2) over h/rate iterations, by quadrature."""
    sigma = np.array([[0.4, 0.1], [0.1, 0.2]])
    here = look()
    found = STEPPER.move(here, here.gradient, jnp.asarray(LR), STATE, jnp.asarray(STEP), jnp.asarray(sigma))
    force = GRADIENT + RATE * np.einsum("ij,ijd->d", sigma, MATRICES) / 2
    n = STEP / RATE
    whole = quad_vec(lambda t: expm(-t * LR * HESSIAN), 0, n, epsabs=1e-12)[0]
    np.testing.assert_allclose(found, -LR * whole @ force, rtol=1e-8, atol=1e-10)


def test_the_oscillation_holds_the_edge_and_log_e_counts_the_gradient():
    """E - I + h (E growth - 4 tr S) + (e/2) <A, theta(h) - z> <= 0, and 0 on S, theta moved by G and S."""
    here, h, n = look(), 0.02, 0.02 / RATE
    small, off = jnp.asarray(1e-2 * here.gradient), 2e-3
    edge = jnp.diag(jnp.array([1.0 + off, 0.2]))
    state: Any = SimpleNamespace(rate=RATE, last=0.0)
    found, growth = STEPPER.solve(here, small, jnp.asarray(LR), edge, state, jnp.asarray(h), jnp.zeros((2, 2)))
    # e^2/rate times the mean of |grad L|^2 on the way, |exp(-t e H) G|^2.
    force = 1e-2 * GRADIENT
    mean = quad_vec(lambda t: np.sum((expm(-t * LR * HESSIAN) @ force) ** 2), 0, n)[0] / n
    assert float(growth) == pytest.approx(2 - LR**2 / RATE * mean, rel=1e-9)
    sigma = np.asarray(found.sigma)
    moved = np.asarray(STEPPER.move(here, small, jnp.asarray(LR), state, jnp.asarray(h), found.sigma))
    end = edge - np.eye(2) + h * (float(growth) * edge - 4 * np.trace(sigma) * np.eye(2)) + LR / 2 * MATRICES @ moved
    assert np.linalg.eigvalsh(sigma)[-1] > 0.1
    assert np.linalg.eigvalsh(sigma)[0] > -1e-12
    assert np.linalg.eigvalsh(end)[-1] == pytest.approx(0, abs=1e-8)
    assert np.sum(sigma * end) == pytest.approx(0, abs=1e-8)
    # After a step that was ten times as long, only a tenth of the error of the edge is mended.
    late: Any = SimpleNamespace(rate=RATE, last=10 * h)
    found = STEPPER.solve(here, small, jnp.asarray(LR), edge, late, jnp.asarray(h), jnp.zeros((2, 2)))[0]
    moved = np.asarray(STEPPER.move(here, small, jnp.asarray(LR), state, jnp.asarray(h), found.sigma))
    end = (edge - np.eye(2)) / 10 + h * (float(growth) * edge - 4 * np.trace(found.sigma) * np.eye(2))
    assert np.linalg.eigvalsh(end + LR / 2 * MATRICES @ moved)[-1] == pytest.approx(0, abs=1e-8)
    still = CentralStepper(STEPPER.objective, 2, oscillating=False)
    none, same = still.solve(here, small, jnp.asarray(LR), edge, state, jnp.asarray(h), jnp.zeros((2, 2)))
    assert not np.any(none.sigma)
    assert float(same) == float(growth)


# Stretches


class Here(NamedTuple):
    values: Any


class Turning(NamedTuple):
    time: Any
    step: Any
    point: Any
    log_lr: Any
    here: Here
    sigma: Any
    rejected: Any
    unsolved: Any


class Stepper:
    """Turns by the time, rejects each step once, and asks for more eigenvalues at time 1 where it has one."""

    def __init__(self, k, crowd=True, lose=9.0, burst=9.0, fail=9.0):
        self.k, self.crowd, self.lose, self.burst, self.fail = k, crowd, lose, burst, fail

    def at(self, time, step, rejected):
        sigma = jnp.diag(jnp.arange(1.0, self.k + 1) * (1 + time))
        point = jnp.stack([jnp.cos(time), jnp.sin(time)])
        log_lr = jnp.where(time > self.burst, jnp.nan, time)
        unsolved = jnp.where(time > self.fail, jnp.array([0.0, 0.25]), 0.0)
        return Turning(time, step, point, log_lr, Here(jnp.arange(self.k, 0, -1.0) + time), sigma, rejected, unsolved)

    def begin(self, point, log_lr, time, step):
        return self.at(time, step, jnp.zeros((), int))

    def advance(self, s, end, tolerance):
        accept = s.step < 0.3
        time = jnp.where(accept, jnp.minimum(s.time + s.step, end), s.time)
        step = jnp.where(accept, 2 * s.step, s.step / 2)
        return self.at(time, step, s.rejected + ~accept), accept, tolerance * (1 + s.time)

    def crowded(self, s):
        return (s.time >= 1) & (self.k == 1) & self.crowd

    def lost(self, s):
        return s.time > self.lose

    def finite(self, s):
        return jnp.isfinite(s.log_lr)


def walk(time=2.0, most=2, max_steps=1000, rows=4, **options):
    def programs(k):
        stepper = Stepper(k, **options)
        return Program(Compiled(stepper.begin), Compiled(trace(stepper, rows)))

    run = Stretches(
        "turning", programs, most=most, lost=(RESULTS.LOST_RANK, lambda spectrum: f"lost at {spectrum[0]:.3g}"),
        time=time, tolerance=0.5, max_steps=max_steps,
    )  # fmt: skip
    return run.run(np.array([1.0, 0.0]), 1.0, 0.25, 1)


@pytest.mark.parametrize("rows", [1, 4, 50])
def test_stretches_are_put_together(rows):
    flow = walk(rows=rows)
    # A step of 1/4, one of 1/2 rejected, and so on; where a second eigenvalue is taken along the first step is 1/4.
    np.testing.assert_allclose(flow.times, 0.25 * np.arange(9))
    assert flow.result is RESULTS.SUCCESSFUL
    assert flow.message == ""
    np.testing.assert_allclose(flow.points, np.stack([np.cos(flow.times), np.sin(flow.times)], axis=1), atol=1e-15)
    np.testing.assert_allclose(flow.effective_lr, np.exp(flow.times))
    first = flow.times <= 1
    np.testing.assert_allclose(flow.spectrum[first, 0], 1 + flow.times[first])
    np.testing.assert_allclose(flow.spectrum[~first], np.array([2, 1]) + flow.times[~first, None])
    assert np.isnan(flow.spectrum[first, 1]).all()
    np.testing.assert_allclose(flow.sigma[:, 0, 0], 1 + flow.times)
    np.testing.assert_allclose(flow.sigma[:, 1, 1], np.where(first, 0, 2 * (1 + flow.times)))
    assert flow.rejected == 6  # once before every step but the first of either number of eigenvalues
    assert flow.residual == pytest.approx(0.5 * 2.75)
    assert flow.name == "turning"


def test_sigma_at_the_start_is_that_of_the_first_step():
    flow = walk(crowd=False)
    assert flow.sigma.shape == (9, 1, 1)
    np.testing.assert_allclose(flow.sigma[:, 0, 0], 1 + np.maximum(flow.times, 0.25))


@pytest.mark.parametrize(
    ("options", "result", "said", "end"),
    [
        ({"most": 1}, RESULTS.EDGES_EXHAUSTED, "flow time 1 1 eigenvalues", 1.0),
        ({"lose": 0.6}, RESULTS.LOST_RANK, "flow time 0.75 lost at 1.75", 0.75),
        (
            {"fail": 0.6},
            RESULTS.UNCONVERGED,
            "flow time 0.75 the top eigenpairs did not converge: their residual",
            0.75,
        ),
        ({"burst": 0.6}, RESULTS.DIVERGED, "not finite after flow time 0.5", 0.5),
        ({"max_steps": 5, "crowd": False, "rows": 2}, RESULTS.MAX_STEPS, "after 7 tries", 1.0),
    ],
)
def test_how_stretches_end(options, result, said, end):
    flow = walk(**options)
    assert flow.result is result
    assert said in flow.message
    assert flow.times[-1] == end
    assert np.isfinite(flow.points).all()


# The comparison


def test_the_first_oscillation_there_is():
    spectrum = [[4.0, 2.0]] * 3
    late = np.array([[[0.0009]], [[0.3]], [[0.2]]])
    assert central_run.oscillation_of(central(1e-2, path(POINTS, spectrum, late), TIMES)) == pytest.approx(0.3)
    assert central_run.oscillation_of(central(1e-2, path(POINTS, spectrum, 0 * late), TIMES)) == 0.5


def bowl(w):
    """On the sphere lambda_1 = 4 at (1, 0, 0): L = (4 y^2 + z^2)/(2 |w|^2)."""
    return (4 * w[1] ** 2 + w[2] ** 2) / (2 * (w @ w))


def test_there_is_something_to_compare_where_there_is_an_edge():
    assert central_run.may_compare(Objective(bowl, (1.0, 0, 0)), None)
    assert not central_run.may_compare(Objective(lambda w: 0 * w[0], (1.0, 0, 0)), None)
    assert not central_run.may_compare(Objective(lambda w: w[1] ** 2 / (w @ w), (1.0, 0)), None)


def test_a_run_is_compared_with_the_flow_that_is_given(monkeypatch):
    objective, rate, amplitude = Objective(bowl, (1.0, 0, 0), name="bowl"), 1e-3, 1.3
    given = central(
        rate, path([[1.0, 0, 0]] * 3, [[4.0, 1.0]] * 3, np.array([[[0.2]], [[0.4]], [[0.4]]]), [0.5, 0.5, 0.5]),
        np.array([0.3, 0.1, 0.2]),
    )  # fmt: skip
    monkeypatch.setattr(central_run, "central_flow", lambda *a, **k: given)
    run = central_run.central_comparison(
        objective, None, Setting(rule=rules.get("gd-wd"), rate=rate, time=2.0, amplitude=amplitude, perturbation=1e-4,
        seed=2), message="none.",
    )  # fmt: skip
    noise = np.random.default_rng(2).standard_normal(3)
    start = np.array([1.0, amplitude * math.sqrt(rate * 0.2), 0]) + 1e-4 * noise / np.linalg.norm(noise)
    np.testing.assert_allclose(run.points[0], start / np.linalg.norm(start), atol=1e-12)
    assert run.effective_lr[0] == pytest.approx(0.5)
    # 400 records of 2000 iterations at least, an even number apart: every 6th.
    np.testing.assert_allclose(run.times, rate * 6 * np.arange(334))
    np.testing.assert_allclose(run.distance, np.linalg.norm(run.points - [1, 0, 0], axis=1), atol=1e-14)
    assert np.isnan(run.distance_on_minima).all()
    assert run.gd.steps == 1998
    np.testing.assert_array_equal(run.gd.end, run.points[-1])
    # Halfway to the next iterate there is next to nothing of the oscillation left, and lambda_1 is 4.
    np.testing.assert_allclose(run.sharpness, 4, atol=1e-3)
    np.testing.assert_allclose(run.edge, run.effective_lr * run.sharpness)
    assert np.abs(run.edge - 2).max() < 0.3
    np.testing.assert_allclose(run.edges.flow_mean_square, rate * np.interp(run.times, TIMES, [0.2, 0.4, 0.4]))
    expected = 0.1 * np.abs(np.interp(run.times, TIMES, [2, 0, 1])) + 2 * run.edges.flow_mean_square
    np.testing.assert_allclose(run.edges.flow_excess_loss, expected)
    # At x each iterate has |grad L|^2 = 16 x^2 and L = 2 x^2, up to x^2 relative: <x^2> is the one over lambda_1^2.
    square, excess = run.edges.mean_square[1:], run.edges.excess_loss[1:] + 0.1
    np.testing.assert_allclose(excess, 2 * square, rtol=0.02, atol=1e-6)
    assert np.mean(square) == pytest.approx(rate / 2, rel=0.1)
    assert run.message == "none; compared with the central flow"
    assert run.intrinsic_lr == pytest.approx(math.sqrt(2 * rate))
