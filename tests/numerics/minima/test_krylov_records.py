"""Points taken back to the minima by Hessian products alone: against the Gram matrix of residuals, and failures."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.cli import main
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.comparison.setting import Setting
from sharpflow.numerics.descent.edge_run import edge_start, run_from_edge
from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.measurements.bn_regression import bn_regression_objective
from sharpflow.numerics.minima.records import MinimaRecords, back_traced, take_back
from sharpflow.numerics.minima.relax import Relaxed
from sharpflow.numerics.networks.two_layer import two_layer
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.residuals import without_residuals
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import sharpness, top_eigenvalues
from sharpflow.theory import rules
from sharpflow.theory.errors import InputError

MODULE = importlib.import_module("sharpflow.numerics.minima.records")
RUNS = importlib.import_module("sharpflow.numerics.descent.edge_run")
COMPARE = importlib.import_module("sharpflow.numerics.comparison.compare")
GD = rules.get("gd-wd")
RATE = 1e-3


@pytest.fixture(scope="module")
def problem():
    """Batch-normed regression on 12 examples with 450 weights; from tan(alpha) = 1 on, K = 2 tan(alpha) is 2 or less.

    The scales of the examples keep eigenvalues apart.
    """
    random = np.random.default_rng(0)
    features = random.standard_normal((12, 450)) * np.linspace(0.3, 1, 12)[:, None]
    return bn_regression_objective(features, random.standard_normal(12))


class Written:
    """A program that says what it is told to say."""

    seconds = 1.0

    def __init__(self, out):
        self.out = out

    def __call__(self, *arguments):
        return self.out


@pytest.fixture(scope="module")
def patched():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def runs(problem, patched):
    """The same run of gradient descent, taken back by the Gram matrix of 12 residuals and by Hessian products."""
    found = []
    landed = (problem.point(1.0), 0.0, sharpness(without_residuals(problem.objective), problem.point(1.0)))
    # Tested with the flow, and costly to compile.
    patched.setattr(MODULE, "landing", lambda *_: Written(landed))
    for objective, rank in ((problem.objective, 10), (without_residuals(problem.objective), None)):
        begun = edge_start(
            objective, GD, law_of(GD), zeta=problem.point(1.0), rank=rank, rate=RATE, amplitude=1.2, perturbation=1e-4
        )
        found.append(
            (begun, run_from_edge(objective, GD, law_of(GD), begun, rank=rank, rate=RATE, total=400, tail=200))
        )
    return found


@pytest.mark.deep
def test_the_start_on_the_edge_is_the_same(runs):
    gram, products = (begun for begun, _ in runs)
    np.testing.assert_allclose(products.point, gram.point, atol=1e-9)  # eigenpairs have residuals of 1e-8
    np.testing.assert_allclose(products.along, gram.along, atol=1e-6)  # the projection is off by (mu/lambda)^2
    assert products.log_gradient_squared == pytest.approx(gram.log_gradient_squared, rel=1e-6)
    assert products.log_gradient_squared == pytest.approx(4, rel=1e-6)  # K = 2 tan(alpha)
    assert products.effective_lr == pytest.approx(gram.effective_lr, rel=1e-12)


@pytest.mark.deep
def test_points_and_eigenvalues_are_those_of_the_gram_matrix(problem, runs):
    gram, products = (run for _, run in runs)
    assert products.result is RESULTS.SUCCESSFUL
    assert products.message == ""
    np.testing.assert_array_equal(products.steps, gram.steps)
    np.testing.assert_allclose(products.points, gram.points, atol=1e-6)  # the starts differ by 1e-9
    for one, other in ((gram.normal, products.normal), (gram.tail_normal, products.tail_normal)):
        square = float(np.max(one.retraction.distance) ** 2)
        assert square > 1e-4  # there is something to take back
        # grad L and the Gauss-Newton step at theta have parts along Gamma of about K x^2/2 each, the same up to the
        # next order in x: 0.02 x^2 apart is what was seen, and log lambda_1 by K = 2 times that.
        assert np.linalg.norm(one.retraction.point - other.retraction.point, axis=1).max() < 0.1 * square
        np.testing.assert_allclose(other.sharpness, one.sharpness, rtol=0.2 * square)
        np.testing.assert_allclose(other.retraction.distance, one.retraction.distance, atol=0.1 * square)
        assert other.retraction.residual.max() < 1e-9
    points = products.normal.retraction.point
    exact = top_eigenvalues(problem.objective, points, rank=10)[:, :8]
    # At the same points: residuals of 1e-5 squared, over gaps of some hundredths.
    np.testing.assert_allclose(products.spectrum, exact, rtol=1e-7)


@pytest.mark.deep
def test_the_order_of_the_points_changes_nothing(problem, runs):
    begun, run = runs[1]
    objective, order = without_residuals(problem.objective), [2, 0, 3, 1]
    first = take_back(objective, (begun.zeta, begun.sharpness), run.points[:4], run.steps[:4])
    other = take_back(objective, (begun.zeta, begun.sharpness), run.points[:4][order], run.steps[:4][order])
    np.testing.assert_array_equal(other.points, first.points[order])
    np.testing.assert_array_equal(other.spectrum, first.spectrum[order])


def quartic(w):
    """Degenerate along the last: Newton's steps shrink by a third each, until there is no curvature to speak of."""
    t = w / jnp.linalg.norm(w)
    return (t[2] ** 2 + t[3] ** 4) / 2


def bowl(w):
    t = w / jnp.linalg.norm(w)
    return t[2] ** 2 * (1 + t[0] ** 2) / 2 + 0.01 * t[3] ** 2 / 2


def back(function, theta):
    objective = Objective(function, np.array([1.0, 1.0, 0.0, 0.0]))
    theta = np.asarray(theta) / np.linalg.norm(theta)
    z, arrived, unsolved = jax.jit(lambda theta: back_traced(objective, theta, jnp.asarray(1.5)))(theta)
    return np.asarray(z), bool(arrived), float(unsolved)


def test_one_point_is_taken_back():
    z, arrived, unsolved = back(bowl, [0.8, 0.6, 0.03, 0.02])
    assert arrived
    assert unsolved == 0
    assert np.abs(z[2:]).max() < 1e-9
    # the nearest point of z_3 = z_4 = 0 up to K x^2 and what the sphere bends
    np.testing.assert_allclose(z[:2], [0.8, 0.6], atol=2e-3)
    np.testing.assert_allclose(back(bowl, [0.8, 0.6, 0, 0])[0], [0.8, 0.6, 0, 0], atol=1e-15)


def test_a_way_back_that_is_not_found_is_told(monkeypatch):
    assert back(quartic, [0.8, 0.6, 0.03, 0.3])[2] > 0.5
    assert not back(lambda w: jnp.where(w[3] > 0, jnp.nan, 1.0) * bowl(w), [0.8, 0.6, 0.03, 0.02])[1]
    monkeypatch.setattr(MODULE, "PRODUCTS", 1)
    _, _, unsolved = back(bowl, [0.8, 0.6, 0.03, 0.02])
    assert unsolved > 1e-2
    monkeypatch.setattr(MODULE, "ARRIVED", 1.0)  # a short step that was not solved is none that arrived
    assert back(bowl, [0.8, 0.6, 0.03, 0.02])[2] > 1e-2


@pytest.mark.parametrize(
    ("unsolved", "said"),
    [
        ([[0, 0], [0, 0]], ""),
        ([[0, 0], [3e-3, 0]], "from iteration 4 on, the top eigenpairs did not converge: their residual is 3.0e-03"),
        ([[0, 0.5], [0, 0.25]], "from iteration 2 on, conjugate gradients did not converge: their residual is 5.0e-01"),
        ([[0, np.nan], [0, 0]], "conjugate gradients did not converge: their residual is nan"),
    ],
)
def test_what_did_not_converge_is_said(monkeypatch, unsolved, said):
    rows = (np.ones((2, 3)), np.zeros(2), np.zeros(2), np.ones((2, 2)), np.ones(2, bool), np.array(unsolved))
    for name in ("_records", "_along", "landing"):
        monkeypatch.setattr(MODULE, name, lambda *_: Written((None, rows)))
    monkeypatch.setattr(MODULE, "buffer", lambda _: 2)
    objective = Objective(lambda w: w[2] ** 2 / (w @ w), np.array([1.0, 0, 0]))
    found = take_back(objective, (objective.start, 2.0), np.ones((2, 3)), np.array([2, 4]))
    assert said in found.message
    assert bool(said) == bool(found.message)
    assert found.compile_seconds == 3


@pytest.mark.parametrize(
    ("message", "arrived", "result"),
    [("", True, RESULTS.SUCCESSFUL), ("", False, RESULTS.LEFT_MINIMA), ("stopped", False, RESULTS.UNCONVERGED)],
)
def test_a_failure_is_the_result_of_the_run(monkeypatch, message, arrived, result):
    objective = Objective(lambda w: w[2] ** 2 / (w @ w), np.array([1.0, 0, 0]))

    def told(objective, start, points, steps, *, done):
        count = len(points)
        return MinimaRecords(
            points, np.zeros(count), np.zeros(count), np.ones((count, 2)), np.full(count, arrived), message, 0.0
        )

    monkeypatch.setattr(RUNS, "take_back", told)
    chunk = SimpleNamespace(
        steps=np.arange(5), points=np.tile(objective.start, (5, 1)), effective_lr=np.ones(5), loss=np.zeros(5),
        failed_at=-1, means={},
    )  # fmt: skip
    run = RUNS._collect(
        objective, (objective.start, 2.0), [chunk], False, None, 4, 2, 0.0, 0.0, records=400, progress=None
    )
    assert (run.result, run.message) == (result, message)
    assert run.spectrum.shape == (len(run.steps), 2)


def test_a_start_off_the_minima_is_named(monkeypatch):
    far = SimpleNamespace(message="off them after 1e-2")
    monkeypatch.setattr(RUNS, "start_at_minima", lambda *_: far)
    with pytest.raises(InputError, match="after 1e-2"):
        edge_start(
            Objective(bowl, np.ones(4)), GD, law_of(GD), zeta=np.ones(4) / 2, rank=None, rate=RATE, amplitude=1.0
        )


def test_residuals_that_do_not_vanish_are_not_used(monkeypatch):
    """lambda_1 by J^T J would be too small by the constant residual times its curvature."""

    def residuals(w):
        t = w / jnp.linalg.norm(w)
        return jnp.append(t[:10] * (1 + 0.1 * t[20]), 0.3 + jnp.sum(t[:10] ** 2))

    objective = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, np.eye(420)[20], residuals)
    given = []

    def caught(used, *_, **options):
        given.append((used, options["rank"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(COMPARE, "edge_start", caught)
    zeta = np.eye(420)[20]
    monkeypatch.setattr(COMPARE, "relax", lambda *_: Relaxed(zeta, 0, 0.0, RESULTS.SUCCESSFUL, ""))
    with pytest.raises(KeyboardInterrupt):
        compare(objective, rate=1e-3, time=0.1)
    ((used, rank),) = given
    assert used.residuals is None
    assert rank is None


def test_what_takes_all_normal_directions_is_named():
    objective, law = Objective(bowl, np.ones(4)), law_of(GD)
    plain = {"rule": GD, "rate": 1e-3, "time": 1.0}
    COMPARE._require_products(objective, Setting(**plain))
    with pytest.raises(InputError, match="the oscillation resolved takes all"):
        COMPARE._require_products(objective, Setting(**plain, resolve=True))
    own = replace(law, coefficient=None)
    with pytest.raises(InputError, match="the flow of rule 'rmsprop' takes all"):
        COMPARE._require_products(objective, Setting(**plain | {"rule": rules.get("rmsprop")}, own_law=own))


@pytest.mark.longest  # compiles the flow by either way
def test_comparisons_with_and_without_residuals_agree():
    """A network of 459 weights, two eigenvalues at the edge: the same gradient descent, flow, distances and edges."""
    network = two_layer("batch", examples=12, inputs=16, hidden=27)
    gram, products = (compare(one, rate=1e-4, time=0.5) for one in (network, without_residuals(network)))
    assert products.result is RESULTS.SUCCESSFUL
    assert gram.flow.edge_count == products.flow.edge_count
    # The flows take steps of their own, with local errors of intrinsic_lr/1000; the ways back differ by K x^2, and
    # x K is of the size of intrinsic_lr.
    within = 0.01 * gram.intrinsic_lr
    for name in ("distance", "distance_on_minima"):
        np.testing.assert_allclose(getattr(products, name), getattr(gram, name), atol=within)
    np.testing.assert_allclose(products.sharpness, gram.sharpness, rtol=1e-3)
    np.testing.assert_allclose(products.flow_sharpness, gram.flow_sharpness, rtol=1e-3)
    np.testing.assert_allclose(products.edges.spectrum, gram.edges.spectrum, rtol=1e-3)
    assert products.gd.mean_edge == pytest.approx(gram.gd.mean_edge, abs=1e-3)
    assert products.gd.period == pytest.approx(gram.gd.period, rel=1e-2)


@pytest.mark.longest
def test_the_command_without_residuals(tmp_path, capsys):
    (tmp_path / "large.py").write_text(
        "from sharpflow.numerics.networks.two_layer import two_layer\nfrom sharpflow import Objective\n"
        "network = two_layer('batch', examples=12, inputs=16, hidden=27)\n"
        "plain = Objective(network.function, network.start, name='plain')\n"
    )
    call = ["compare", f"{tmp_path / 'large.py'}:plain", "--rate", "1e-3", "--time", "0.3"]
    assert main([*call, "--json", "-", "--plot", str(tmp_path / "edges.svg")]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["result"] == "successful"
    assert len(written["edges"]["spectrum"][0]) == 8
    assert main([*call, "--rule", "rmsprop"]) == 2


@pytest.mark.longest
def test_eigenpairs_that_do_not_converge_are_named(monkeypatch):
    """Three hundred eigenvalues from 1 to 2, and two products for each vector of the block."""
    monkeypatch.setattr("sharpflow.numerics.minima.krylov_normals.MAX_PRODUCTS", 12)
    landed = (np.eye(450)[0], 0.0, 2.0)
    monkeypatch.setattr(MODULE, "landing", lambda *_: Written(landed))

    def crowd(w):
        return jnp.sum(jnp.linspace(1, 2, 300) * w[150:] ** 2) / (w @ w) / 2

    objective = Objective(crowd, np.ones(450), name="crowd")
    found = take_back(objective, (landed[0], 2.0), np.tile(landed[0], (3, 1)), np.arange(3))
    assert "eigenpairs did not converge" in found.message
    with pytest.raises(InputError, match="at the start the top eigenpairs did not converge"):
        edge_start(objective, GD, law_of(GD), zeta=landed[0], rank=None, rate=RATE, amplitude=1.0)
