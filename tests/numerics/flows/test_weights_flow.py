"""The flow of all weights: against gradient descent, against the sphere, and against what is known in closed form."""

from __future__ import annotations

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import cli
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.descent.weights_descent import descend_weights
from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.measurements.weights_checks import LEARNING_RATE, mixed, norm_shares
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import frame
from sharpflow.numerics.weights.coordinates import coordinates
from sharpflow.theory import rules
from sharpflow.theory.errors import InputError


def test_gradient_descent_follows_it_to_order_one_in_intrinsic_lr():
    far = []
    for rate in (1e-4, 1e-5):
        run = compare(mixed(), rate=rate, time=1.0, learning_rate=LEARNING_RATE)
        assert run.result.ok
        assert run.gd.mean_edge == pytest.approx(2.0, abs=0.01)
        far.append(run.max_distance)
        # It ends where the flow does, and records are at even iterations.
        steps = np.rint(run.times / rate).astype(int)
        assert run.gd.steps == steps[-1] == round(1 / rate)
        assert not (steps % 2).any()
        assert len(steps) == 401
        edges = run.edges
        for own, theirs in ((edges.mean_square, edges.flow_mean_square), (edges.excess_loss, edges.flow_excess_loss)):
            assert np.mean(own[-20:]) == pytest.approx(np.mean(theirs[-20:]), rel=0.05)
    # intrinsic_lr is sqrt(2 rate): sqrt(10) a decade, as the oscillation itself is.
    assert 2.8 < far[0] / far[1] < 3.6
    assert far[0] < 0.01
    told = json.loads(json.dumps(run.to_json()))
    assert [(g["kind"], g["size"], g["leaves"]) for g in told["groups"]] == [
        ("invariant", 3, ["w"]), ("free", 3, ["bias", "gain"]),
    ]  # fmt: skip
    assert told["groups"][0]["weight_decay"] == pytest.approx(1e-5 / LEARNING_RATE)
    assert np.linalg.norm(told["flow"]["end"][3:]) == pytest.approx(1.0)  # w, the last leaf
    assert run.agreement == "agrees"


def test_the_iterations_are_those_asked_for():
    """No step is run that is not recorded, whatever divides them."""
    run = compare(mixed(), rate=1e-3, time=0.9, learning_rate=LEARNING_RATE)
    assert run.gd.steps == 900
    assert run.times[-1] == pytest.approx(0.9)
    assert not np.isnan(run.distance).any()
    # y+ = y - 2 |y|^2 y: odd numbers of pairs are spread, and a failure is counted from the step that is not finite.
    cubed = Objective(lambda w: jnp.sum(w**2) ** 2 / 4, np.ones(2), name="cubed", decay=((2, 0.0),))
    at_rest = descend_weights(cubed, np.zeros(2), effective_lr=2.0, rate=1e-3, iterations=10, records=4)
    assert at_rest.steps.tolist() == [0, 2, 4, 6, 10]
    assert at_rest.failed_at == -1
    failed = descend_weights(cubed, np.ones(2), effective_lr=2.0, rate=1e-3, iterations=50, records=4)
    y, last = np.ones(2), 0
    with np.errstate(all="ignore"):
        while np.isfinite(y := y - 2 * np.sum(y**2) * y).all():
            last += 1
    assert failed.failed_at == last + 1
    assert failed.steps.tolist() == [0]


def test_a_group_without_weight_decay_is_not_pulled():
    """The sum of what moves along Gamma differs, and a rate that is one leaf's alone is that of the sphere."""
    own = coordinates(mixed(), {"gain": 0.05, "": LEARNING_RATE}, None, "bias|gain")
    assert own.decays == (0.0, 0.0, 1.0)
    assert own.learning_rates == (LEARNING_RATE, 0.05, LEARNING_RATE)
    assert own.spheres == ((2,),)
    y = own.scaled.start
    np.testing.assert_allclose(own.scaled.pulled(y), np.where(np.arange(6) < 3, 0.0, y))
    # Without weight decay on it nothing but the oscillation moves u: where the edge is not reached u rests.
    rates = {"gain": 0.05, "": LEARNING_RATE}
    path = edge_flow(mixed(), time=0.1, learning_rate=rates, no_decay="bias|gain", effective_lr=1e-3)
    assert path.mean_square.max() < 1e-6
    np.testing.assert_allclose(path.points[-1], path.points[0], atol=1e-6)
    assert path.effective_lr[-1] == pytest.approx(1e-3 * np.exp(0.2), rel=1e-3)  # d log e/d tau = 2


def test_the_sphere_is_the_case_without_other_weights():
    def residuals(p):
        a, b = p["a"] / jnp.linalg.norm(p["a"]), p["b"] / jnp.linalg.norm(p["b"])
        return jnp.stack([a[0] * b[0] + 0.5 * a[1] * b[1], 2 * b[2] + a[0] * b[1]])

    start = {"a": np.array([0.0, 1.0]), "b": np.array([1.0, 0.0, 0.0])}
    objective = Objective(lambda p: jnp.sum(residuals(p) ** 2) / 2, start, residuals)
    # Patterns ask for coordinates of all weights, though both leaves lie on one sphere.
    ours = edge_flow(objective, time=0.5, learning_rate={"": 0.3}, tolerance=1e-6)
    theirs = edge_flow(objective, time=0.5, tolerance=1e-6)
    assert ours.spheres is not None
    assert theirs.spheres is None
    np.testing.assert_allclose(
        ours.at(theirs.times[-1:]).points, theirs.points[-1:], atol=1e-4
    )  # 0.2 tolerance^(2/3), each
    assert ours.effective_lr[-1] == pytest.approx(theirs.effective_lr[-1], rel=1e-4)
    assert ours.sharpness[-1] == pytest.approx(theirs.sharpness[-1], rel=1e-4)
    assert ours.mean_square[-1] == pytest.approx(theirs.mean_square[-1], rel=1e-3)


def test_weight_decay_alone_slides_along_gamma_in_closed_form():
    """L = (a b - 1)^2/2: below the edge a^2 - b^2 falls as exp(-2 tau), whatever the learning rate."""
    start = {"a": np.array([2.0]), "b": np.array([0.5]), "c": np.array([0.0])}
    hyperbola = Objective(lambda p: (p["a"][0] * p["b"][0] - 1) ** 2 / 2 + 0 * p["c"][0], start, name="hyperbola")
    path = edge_flow(hyperbola, time=1.0, learning_rate=0.1, tolerance=1e-6)
    difference = path.points[:, 0] ** 2 - path.points[:, 1] ** 2
    np.testing.assert_allclose(difference, 3.75 * np.exp(-2 * path.times), rtol=1e-3)
    np.testing.assert_allclose(path.points[:, 0] * path.points[:, 1], 1.0, rtol=1e-4)
    # 4.25 eta = 2.
    with pytest.raises(InputError, match=r"is 4.25 at the start, beyond the edge 2.*take learning_rate below 0.471"):
        edge_flow(hyperbola, time=1.0, learning_rate=1.0)
    with pytest.raises(InputError, match=r"multiply every learning_rate by less than 0."):
        edge_flow(hyperbola, time=1.0, learning_rate={"a": 1.0, "": 2.0})


def test_a_pattern_that_parts_an_invariant_group_is_told():
    def function(p):
        length = jnp.sqrt(jnp.sum(p["d0/kernel"] ** 2) + jnp.sum(p["d0/bias"] ** 2))
        return (p["scale"][0] * (p["d0/kernel"][0] + p["d0/bias"][0]) / length + p["d1/bias"][0] - 1) ** 2

    start = {"d0/kernel": np.array([1.0, 0.4]), "d0/bias": np.array([0.3]), "scale": np.ones(1), "d1/bias": np.ones(1)}
    net = Objective(function, start, name="net")
    parted = coordinates(net, 0.3, None, "bias|scale")
    assert not parted.spheres
    assert "d0/bias (learning rate 0.3, no decay), d0/kernel (learning rate 0.3, decays)" in parted.split
    assert "sharpness is then 2/learning_rate" in parted.split
    # The pattern that it names keeps the group and the other leaves without decay.
    kept = coordinates(net, 0.3, None, re.search(r"--no-decay '(.*)'", parted.split)[1])
    assert kept.split == ""
    assert len(kept.spheres[0]) == 2
    assert sum(decay == 0 for decay in kept.decays) == 2
    assert "Give them one learning rate" in coordinates(net, {"d0/bias": 0.1, "": 0.3}).split
    assert "no --no-decay" in coordinates(net, 0.3, None, "d0/bias").split


def test_relaxation_moves_all_weights():
    found = relax(mixed(), mixed().start * np.array([1.3, 1.1, 0.8, 1, 1, 1]))
    assert found.result.ok
    assert float(mixed().value(found.point)) < 1e-20
    assert relax(mixed()).moved < 1e-12


def test_group_norms():
    found = norm_shares(0.3)
    assert found.flow == pytest.approx(found.law, abs=0.01 * abs(found.moved))
    assert abs(found.moved) > 0.05


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "not scale-invariant .bias, gain.*give learning_rate"),
        ({"learning_rate": -1.0}, "learning_rate of bias = -1.0 must be positive"),
        ({"learning_rate": {"gain": 0.1}}, "no pattern fits bias"),
        ({"learning_rate": 0.1, "no_decay": "kernel"}, "found in no leaf"),
        ({"learning_rate": 0.1, "no_decay": "("}, "is no pattern"),
        ({"learning_rate": 0.1, "no_decay": ""}, "no weights decay"),
        ({"learning_rate": 50.0}, "beyond the edge 2"),
        ({"learning_rate": 0.1, "rule": rules.get("heavy-ball")}, "rule 'heavy-ball': not known"),
    ],
)
def test_bad_input_is_told_in_a_sentence(options, words):
    with pytest.raises(InputError, match=words):
        compare(mixed(), rate=1e-4, time=1.0, **options)


def test_without_minima_it_says_what_to_take():
    grows = Objective(
        lambda p: jnp.log1p(jnp.exp(-p["u"][0] * p["w"][0] / jnp.linalg.norm(p["w"]))),
        {"w": np.ones(2), "u": np.ones(1)}, name="grows",
    )  # fmt: skip
    run = compare(grows, rate=1e-3, time=0.1, learning_rate=0.1)
    assert run.result is RESULTS.NOT_AT_MINIMA
    assert "label-smoothed" in run.message


def test_a_minimum_that_is_a_point_is_not_told_as_a_loss_without_minima():
    bowl = Objective(lambda w: jnp.sum((w - 1) ** 2), (0.3, 2.0, 0.5))
    with pytest.raises(InputError, match="give it \\(learning_rate\\)"):
        compare(bowl, rate=1e-4, time=1.0)
    run = compare(bowl, rate=1e-4, time=1.0, learning_rate=0.1)
    assert "the minimum is a point" in run.message
    assert "cross-entropy" not in run.message


def test_the_command_reads_rates_by_leaf(capsys):
    words = ["compare", "sharpflow.numerics.measurements.weights_checks:mixed", "--time", "0.5"]
    rates = ["--learning-rate", "0.2", "--learning-rate", "gain=0.05", "--no-decay", "bias|gain", "--rate", "1e-4"]
    assert cli.main([*words, *rates, "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["result"] == "successful"
    assert told["max_distance"] < 0.01
    assert {g["learning_rate"] for g in told["groups"]} == {0.2, 0.05}
    assert {g["weight_decay"] for g in told["groups"]} == {0.0, 1e-4 / 0.2}
    both = ["--learning-rate", "0.2", "--weight-decay", "1e-3", "--rate", "1e-4"]
    assert cli.main([*words, *both]) == 2
    assert "leave one of them out" in capsys.readouterr().err


def test_normal_directions_of_a_low_rank_are_those_of_all_weights_too():
    """L = |A w - b|^2/2 in R^40, nothing of it scale-invariant: in y = w/sqrt(eta) the Hessian is eta A^T A."""
    random = np.random.default_rng(4)
    rows = jnp.asarray(random.standard_normal((3, 40)))
    objective = Objective(lambda w: jnp.sum((rows @ w - 1) ** 2) / 2, random.standard_normal(40))
    own = coordinates(objective, 0.01)
    found = jax.jit(lambda y: frame(own.scaled, y, 3))(jnp.asarray(own.scaled.start))
    # E = S H S has its edge at effective_lr times what the objective in y has.
    expected = 0.01 * np.linalg.eigvalsh(rows @ rows.T)[::-1]
    np.testing.assert_allclose(own.effective_lr * found.values, expected, rtol=1e-11)
