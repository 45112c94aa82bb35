"""Models of frameworks as Objectives: their own loss and gradient, third derivatives against differences, and traps."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.adapters import from_equinox, from_flax, from_torch
from sharpflow.numerics.adapters.building import require
from sharpflow.numerics.weights.grouping import groups
from sharpflow.theory.errors import InputError

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.standard_normal((7, 4)), RANDOM.standard_normal(7)
CLASSES = np.arange(7) % 3


def kinds(objective):
    return {leaf.path: leaf.kind for leaf in groups(objective).leaves}


def third_derivative_holds(objective):
    """D^3 L[v, v, v] by forward mode against the difference of D^2 L[v, v], at a step where both errors are 1e-8."""
    v = np.linspace(-1, 1, objective.dimension)
    v /= np.linalg.norm(v)

    def second(t):
        def along(s):
            return objective.function(objective.start + s * v)

        return jax.jvp(lambda s: jax.jvp(along, (s,), (1.0,))[1], (t,), (1.0,))[1]

    h = 1e-4
    exact = jax.jvp(second, (0.0,), (1.0,))[1]
    difference = (8 * (second(h) - second(-h)) - second(2 * h) + second(-2 * h)) / (12 * h)
    assert float(exact) == pytest.approx(float(difference), rel=1e-6, abs=1e-8)


class TestFlax:
    nn = pytest.importorskip("flax.linen")

    def model(self, **options):
        nn = self.nn

        class Net(nn.Module):
            @nn.compact
            def __call__(self, x, train: bool = False):
                x = nn.Dense(3)(x)
                x = nn.BatchNorm(use_running_average=not train)(x)
                x = nn.Dropout(options.get("rate", 0.0), deterministic=not train)(jnp.tanh(x))
                return nn.Dense(options.get("outputs", 1), dtype=options.get("dtype"))(x)

        return Net()

    def test_linen_with_batch_statistics(self):
        model = self.model()
        objective = from_flax(model, X, Y)
        tree = jax.tree.map(jnp.asarray, objective.unravel(objective.start))
        state = {"batch_stats": model.init(jax.random.key(0), X)["batch_stats"]}

        def own(params):
            out, _ = model.apply({**params, **state}, jnp.asarray(X), train=True, mutable=["batch_stats"])
            return jnp.mean((out[:, 0] - Y) ** 2)

        value, gradient = jax.value_and_grad(own)(tree)
        assert float(objective.value(objective.start)) == pytest.approx(float(value), rel=1e-10)
        np.testing.assert_allclose(
            objective.gradient(objective.start), np.concatenate([np.ravel(g) for g in jax.tree.leaves(gradient)]),
            atol=1e-10,
        )  # fmt: skip
        third_derivative_holds(objective)
        found = kinds(objective)
        assert found["params/Dense_0/kernel"] == "invariant"
        assert found["params/Dense_0/bias"] == "dead"
        assert found["params/BatchNorm_0/scale"] == found["params/Dense_1/kernel"] == "free"

    def test_nnx(self):
        from flax import nnx

        class Net(nnx.Module):
            def __init__(self, rngs, rate=0.0):
                self.first = nnx.Linear(4, 3, use_bias=False, rngs=rngs)
                self.norm = nnx.LayerNorm(3, rngs=rngs)
                self.drop = nnx.Dropout(rate, rngs=rngs)
                self.last = nnx.Linear(3, 3, rngs=rngs)

            def __call__(self, x):
                return self.last(self.drop(jnp.tanh(self.norm(self.first(x)))))

        model = Net(nnx.Rngs(0))
        exact, given = (from_flax(model, X, CLASSES, loss="cross-entropy", epsilon=e) for e in (0.0, None))
        assert "first/kernel" in exact.leaves.names
        own = -jax.nn.log_softmax(model(jnp.asarray(X)))[np.arange(7), CLASSES].mean()
        assert float(given.value(given.start)) == pytest.approx(float(own), abs=1e-6)  # the user's is in float32
        leaf = {leaf.path: leaf for leaf in groups(given).leaves}["first/kernel"]
        assert leaf.kind == "invariant"
        assert leaf.epsilon_effect > 1e-8
        assert {leaf.path: leaf for leaf in groups(exact).leaves}["first/kernel"].epsilon_effect == 0
        with pytest.raises(InputError, match="Dropout at drop draws random numbers"):
            from_flax(Net(nnx.Rngs(0), 0.5), X, CLASSES, loss="cross-entropy")

    def test_traps(self):
        with pytest.raises(InputError, match="draws random numbers"):
            from_flax(self.model(rate=0.5), X, Y)
        with pytest.raises(InputError, match="running averages"):
            from_flax(self.model(), X, Y, train=False)
        with pytest.raises(InputError, match="a batch of one"):
            from_flax(self.model(), X[:1], Y[:1])
        with pytest.raises(InputError, match=r"returns float32 .*dtype"):
            from_flax(self.model(dtype=jnp.float32), X, Y)
        with pytest.raises(InputError, match="statistics of the whole batch"):
            from_flax(self.model(), X, Y, pieces=7)
        with pytest.raises(InputError, match="fails on these inputs"):
            from_flax(self.model(), X, Y, variables={"params": {}})
        with pytest.raises(InputError, match="takes a linen or an nnx module"):
            from_flax(lambda x: x, X, Y)
        with pytest.raises(InputError, match="where they are written"):
            from_flax(self.model(), X, Y, epsilon=0.0)


class Norms(eqx.Module):
    """A layer with a norm, and integers and text that are no weights."""

    first: eqx.nn.Linear
    norm: eqx.Module
    last: eqx.nn.Linear
    steps: jax.Array
    name: str

    def __init__(self, norm):
        one, two = jax.random.split(jax.random.key(1))
        self.first, self.last = eqx.nn.Linear(4, 3, key=one), eqx.nn.Linear(3, "scalar", key=two)
        self.norm, self.steps, self.name = norm, jnp.arange(3), "norms"

    def __call__(self, x, state=None):
        x = self.first(x)
        x, state = (self.norm(x), None) if state is None else self.norm(x, state)
        out = self.last(jnp.tanh(x))
        return out if state is None else (out, state)


class TestEquinox:
    def test_a_layer_norm_and_static_leaves(self):
        model = Norms(eqx.nn.LayerNorm(3))
        objective = from_equinox(model, X, Y, epsilon=0.0)
        assert "steps" not in "".join(objective.leaves.names)
        own = jnp.mean((jax.vmap(model)(jnp.asarray(X)) - Y) ** 2)
        assert float(objective.value(objective.start)) == pytest.approx(float(own), rel=1e-3)  # its epsilon
        third_derivative_holds(objective)
        found = groups(objective)
        # Kernel and bias are normalised together.
        assert [set(group.leaves) for group in found.groups] == [{"first/weight", "first/bias"}]
        in_pieces = from_equinox(model, X, Y, epsilon=0.0, pieces=7)
        assert float(in_pieces.value(objective.start)) == pytest.approx(float(objective.value(objective.start)))

    def test_batch_norm_of_the_batch(self):
        model, state = eqx.nn.make_with_state(Norms)(eqx.nn.BatchNorm(3, "batch", mode="batch"))
        objective = from_equinox(model, X, Y, state=state)
        assert kinds(objective)["first/weight"] == "invariant"
        assert kinds(objective)["first/bias"] == "dead"
        ema, state = eqx.nn.make_with_state(Norms)(eqx.nn.BatchNorm(3, "batch", mode="ema"))
        with pytest.raises(InputError, match="mode='batch'"):
            from_equinox(ema, X, Y, state=state)
        with pytest.raises(InputError, match="make_with_state"):
            from_equinox(model, X, Y)

    def test_traps(self):
        with pytest.raises(InputError, match="draws random numbers"):
            from_equinox(eqx.nn.Sequential([eqx.nn.Linear(4, 1, key=jax.random.key(0)), eqx.nn.Dropout(0.5)]), X, Y)
        model = Norms(eqx.nn.LayerNorm(3))
        for targets, loss, words in [
            (Y, "cross-entropy", "takes classes"),
            (CLASSES, "squared", "need outputs"),
            (Y[:3], "squared", "along the first axis"),
            (Y, "hinge", "must be one of"),
            (np.ones((7, 2)), "squared", r"targets have the shape \(7, 2\)"),
        ]:
            with pytest.raises(InputError, match=words):
                from_equinox(model, X, targets, loss=loss)
        with pytest.raises(InputError, match="must divide"):
            from_equinox(model, X, Y, pieces=2)


def test_label_smoothing_and_a_loss_of_ones_own():
    model = eqx.nn.Linear(4, 3, key=jax.random.key(0))
    smooth = from_equinox(model, X, CLASSES, loss="label-smoothed")
    out = np.asarray(jax.vmap(model)(jnp.asarray(X)), dtype=float)
    log = out - np.log(np.exp(out).sum(axis=1, keepdims=True))
    wanted = -(0.9 * log[np.arange(7), CLASSES] + 0.1 * log.mean(axis=1)).mean()
    assert float(smooth.value(smooth.start)) == pytest.approx(wanted, rel=1e-6)
    own = from_equinox(model, X, CLASSES, loss=lambda f, y: jnp.mean(f[:, 0] ** 2))
    assert float(own.value(own.start)) == pytest.approx((out[:, 0] ** 2).mean(), rel=1e-6)


def test_what_is_not_installed_is_named_with_its_command():
    with pytest.raises(InputError, match=r"pip install 'sharpflow\[torch\]'"):
        require("no_such_framework", "torch")


def test_torch():
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchax")
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 1))
    objective = from_torch(model, X, Y)
    assert objective.leaves.names[0] == "0.bias"
    double = model.double()
    own = ((double(torch.tensor(X))[:, 0] - torch.tensor(Y)) ** 2).mean()
    own.backward()
    tree = objective.unravel(np.asarray(objective.gradient(objective.start)))
    assert float(objective.value(objective.start)) == pytest.approx(float(own.detach()), rel=1e-10)
    for key, value in double.named_parameters():
        np.testing.assert_allclose(tree[key], value.grad.numpy(), atol=1e-10)
    third_derivative_holds(objective)
    assert kinds(objective)["0.weight"] == "invariant"
    with pytest.raises(InputError, match="draws random numbers"):
        from_torch(nn.Sequential(nn.Linear(4, 1), nn.Dropout(0.5)), X, Y)
