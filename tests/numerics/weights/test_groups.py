"""Which weights are scale-invariant: told of small networks whose answer is known."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import cli
from sharpflow.numerics.models.affine import affine
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.weights.grouping import groups
from sharpflow.numerics.weights.scalings import disjoint, kernel, simplest, sums
from sharpflow.theory import families

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.standard_normal((9, 5)), RANDOM.standard_normal((9, 1))


def of(found):
    return {leaf.path: leaf for leaf in found.leaves}


def test_the_hidden_kernel_under_batch_normalization_and_nothing_else():
    found = groups(affine(examples=6, inputs=3, hidden=2))
    leaves = of(found)
    assert {path for path, leaf in leaves.items() if leaf.kind == "invariant"} == {"hidden/kernel"}
    assert leaves["hidden/kernel"].units == "columns"
    assert leaves["hidden/kernel"].epsilon_effect == 0
    assert all(leaf.kind == "free" for path, leaf in leaves.items() if path != "hidden/kernel")
    assert not found.whole
    assert not found.rescaled
    assert sum(leaf.share for leaf in found.leaves) == pytest.approx(1.0)


def relu_net(p):
    """Two ReLU layers with a norm after the second, a bias that batch normalization takes out, and a tail of three."""
    h = jax.nn.relu(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    h = (h - h.mean(1, keepdims=True)) / jnp.sqrt(h.var(1, keepdims=True) + 1e-5)
    h = jax.nn.relu(h * p["gain"]) @ p["W3"] + p["dead"]
    h = (h - h.mean(0)) / jnp.sqrt(h.var(0))
    return jax.nn.relu(h @ p["W4"]) @ p["W5"] + p["b5"]


def test_joint_groups_are_disjoint_and_pairs_rescale():
    kernels = {"W1": (5, 6), "W2": (6, 6), "W3": (6, 4), "W4": (4, 5), "W5": (5, 1)}
    shapes = {**kernels, "b1": 6, "b2": 6, "gain": 6, "dead": 4, "b5": 1}
    start = {name: RANDOM.standard_normal(s) if name[0] == "W" else np.zeros(s) for name, s in shapes.items()}
    start["gain"] = np.ones(6)
    found = groups(Objective(lambda p: jnp.mean((relu_net(p) - Y) ** 2), start, name="relu"))
    leaves = of(found)
    # (W1, b1, b2) and (W2, b2) are invariant together, each; they share b2, and the larger is taken.
    assert {frozenset(group.leaves) for group in found.groups} == {
        frozenset({"W1", "b1", "b2"}), frozenset({"W3"}), frozenset({"gain"}),
    }  # fmt: skip
    assert leaves["dead"].kind == "dead"
    # An epsilon of 1e-5 beside a variance of order one; what a norm without one takes in has none.
    assert 1e-8 < leaves["W1"].epsilon_effect < 1e-3
    assert leaves["W3"].epsilon_effect == 0
    assert (("W4",), ("W5",)) in found.rescaled
    assert (("W1", "b1"), ("W2",)) in found.rescaled
    assert leaves["W4"].kind == leaves["W2"].kind == "free"


def test_what_saturates_is_not_invariant_and_powers_are_homogeneous():
    start = {"W": RANDOM.standard_normal((5, 3)), "v": RANDOM.standard_normal(3)}
    leaves = of(groups(Objective(lambda p: jnp.mean((jnp.tanh(X @ (9 * p["W"])) @ p["v"]) ** 2), start)))
    assert leaves["W"].kind == "free"  # at large weights tanh is a sign, and L all but invariant
    assert (leaves["v"].kind, leaves["v"].degree) == ("homogeneous", 2.0)


def test_a_formula_is_one_group_and_proved():
    found = groups(families.get("ridge").default())
    assert found.proved
    assert found.whole


def test_kernels_of_contributions():
    a, b = RANDOM.standard_normal((2, 12))
    inner = np.stack([a, b, -a, -a - b], axis=1)
    basis = simplest(kernel(inner, np.ones_like(inner)))
    assert len(basis) == 2
    assert [v.tolist() for v in disjoint(sums(basis), (1, 1, 1, 1))] in ([[1, 0, 1, 0]], [[1, 1, 0, 1]])
    assert kernel(inner[:, :2], np.ones((12, 2))) == []
    # sqrt(2) is no exponent.
    assert kernel(np.stack([a, np.sqrt(2) * a], axis=1), np.ones((12, 2))) == []


def test_inspect_says_what_follows(capsys):
    assert cli.main(["inspect", "sharpflow.numerics.models.affine:batch", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [leaf["path"] for leaf in told["leaves"] if leaf["kind"] == "invariant"] == ["hidden/kernel"]
    assert set(told["leaves"][0]) >= {"path", "shape", "share", "kind", "group", "degree", "epsilon_effect"}
    assert told["groups"] == [{"leaves": ["hidden/kernel"], "size": 96, "epsilon_effect": 0.0, "kind": "invariant"}]
    assert cli.main(["inspect", "ridge"]) == 0
    said = capsys.readouterr().out
    assert "3 of 3 weights are scale-invariant (proved)" in said
    assert "The whole theory of the sphere applies" in said
