"""Weights as a tree of arrays: handed back as they came, named by their path, and refused in one sentence."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

TREE = {
    "params": {
        "Dense_0": {"kernel": np.arange(1.0, 7.0).reshape(2, 3), "bias": np.ones(3, np.float32)},
        "scale": np.float64(2.0),
    }
}


def residuals(tree):
    p = tree["params"]
    return p["scale"] * p["Dense_0"]["kernel"].ravel() - p["Dense_0"]["bias"][0]


def loss(tree):
    return jnp.sum(residuals(tree) ** 2) / 2


def test_a_tree_comes_back_to_the_function_as_it_was():
    objective = Objective(loss, TREE, residuals)
    assert objective.leaves.names == ("params/Dense_0/bias", "params/Dense_0/kernel", "params/scale")
    assert objective.leaves.place(3) == "params/Dense_0/kernel"
    np.testing.assert_array_equal(objective.start, ravel_pytree(TREE)[0])
    assert float(objective.value(objective.start)) == pytest.approx(float(loss(TREE)))
    gradient = objective.unravel(np.asarray(objective.gradient(objective.start)))["params"]
    assert gradient["Dense_0"]["kernel"].shape == (2, 3)
    assert float(gradient["scale"]) == pytest.approx(float(residuals(TREE) @ np.arange(1.0, 7.0)))
    # Copies share what is compiled, and take a tree or a flat vector.
    twice = {"params": {"Dense_0": TREE["params"]["Dense_0"], "scale": np.float64(4.0)}}
    moved = replace(objective, start=twice)
    assert moved.start[-1] == 4.0
    assert moved.function is objective.function
    np.testing.assert_array_equal(objective.vector(twice, "point"), moved.start)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"w": np.ones(3), "step": np.arange(2)}, "step is of int64, and weights are real"),
        ({"w": np.ones(3), "name": "relu"}, "name is a str, and weights are real"),
        ({"a": np.ones(2), "b": np.array([1.0, np.nan])}, "not finite in b"),
        ({"w": np.zeros(3)}, "zero vector"),
        ({}, "vector of at least two numbers"),
    ],
)
def test_a_bad_tree_is_told_by_the_name_of_its_leaf(start, words):
    with pytest.raises(InputError, match=words):
        Objective(lambda p: jnp.sum(p["w"] ** 2), start)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ((np.ones(3), np.ones((2, 3)), np.float64(1.0)), "lacks params/Dense_0/"),
        ({"params": {**TREE["params"], "more": np.ones(1)}}, "has besides params/more"),
        ({"params": {**TREE["params"], "scale": np.ones(2)}}, r"params/scale has the shape \(2,\), not \(\)"),
        ({"params": [TREE["params"]]}, "lacks"),
    ],
)
def test_a_point_of_another_tree_is_told_what_differs(point, words):
    with pytest.raises(InputError, match=words):
        Objective(loss, TREE, residuals).vector(point, "point")


def test_a_tree_for_a_flat_objective():
    flat = Objective(lambda w: w[0] ** 2 / (w @ w), (0.9, 0.4, 0.2))
    with pytest.raises(InputError, match="one flat vector"):
        flat.vector({"w": np.ones(3)}, "point")
