"""Networks as a researcher holds them: which of their weights are scale-invariant, through the adapter of flax."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.adapters import from_flax
from sharpflow.numerics.weights.grouping import groups

pytestmark = pytest.mark.deep
nn = pytest.importorskip("flax.linen")
RANDOM = np.random.default_rng(0)


def found(model, x, y, **options):
    return groups(from_flax(model, x, y, **options))


def test_a_small_convolution_with_batch_norm():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            for width in (3, 4):
                x = nn.Conv(width, (3, 3), use_bias=False)(x)
                x = nn.relu(nn.BatchNorm(use_running_average=not train, epsilon=1e-5)(x))
            return nn.Dense(3)(x.mean(axis=(1, 2)))

    told = found(Net(), RANDOM.standard_normal((5, 6, 6, 2)), np.arange(5) % 3, loss="label-smoothed")
    kinds = {leaf.path: leaf for leaf in told.leaves}
    for name in ("Conv_0", "Conv_1"):
        leaf = kinds[f"params/{name}/kernel"]
        assert (leaf.kind, leaf.units) == ("invariant", "columns")
        assert 0 < leaf.epsilon_effect < 0.05
    # Gain and bias before a ReLU and a convolution without a bias, which the next norm takes in.
    assert {"params/BatchNorm_0/bias", "params/BatchNorm_0/scale"} in [set(group.leaves) for group in told.groups]
    assert kinds["params/Dense_0/kernel"].kind == "free"


def test_a_transformer_block_with_rms_norms():
    class Block(nn.Module):
        @nn.compact
        def __call__(self, tokens):
            x = nn.Dense(4, use_bias=False, name="embed")(tokens)
            h = nn.RMSNorm(name="first")(x)
            q, k, v = (nn.Dense(4, use_bias=False, name=name)(h) for name in "qkv")
            weights = nn.softmax(q @ jnp.swapaxes(k, -1, -2) / 2)
            x = x + nn.Dense(4, use_bias=False, name="out")(weights @ v)
            h = nn.RMSNorm(name="second")(x)
            x = x + nn.Dense(4, use_bias=False, name="down")(nn.relu(nn.Dense(5, use_bias=False, name="up")(h)))
            return nn.Dense(2, name="head")(nn.RMSNorm(name="last")(x).mean(axis=1))

    told = found(Block(), RANDOM.standard_normal((6, 3, 5)), np.arange(6) % 2, loss="label-smoothed")
    pairs = {frozenset((*up, *down)) for up, down in told.rescaled}
    assert frozenset({"params/q/kernel", "params/k/kernel"}) in pairs
    # All that is written to the stream of residuals is normalised together where it is read.
    assert {"params/embed/kernel", "params/out/kernel", "params/down/kernel"} in [set(g.leaves) for g in told.groups]
    assert {leaf.path: leaf.kind for leaf in told.leaves}["params/head/kernel"] == "free"


def test_a_plain_perceptron():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1, name="last")(nn.relu(nn.Dense(4, name="first")(x)))

    told = found(Net(), RANDOM.standard_normal((7, 3)), RANDOM.standard_normal(7))
    assert not told.groups
    assert [set((*up, *down)) for up, down in told.rescaled] == [
        {"params/first/bias", "params/first/kernel", "params/last/kernel"}
    ]
