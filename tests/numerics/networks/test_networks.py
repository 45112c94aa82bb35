import dataclasses
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from sharpflow.naming.specs import resolve_loss
from sharpflow.numerics import networks
from sharpflow.numerics.data.examples import Examples, digits
from sharpflow.numerics.models.layers import NORMS
from sharpflow.numerics.models.task import Task
from sharpflow.numerics.networks import two_layer
from sharpflow.numerics.networks.matrix_completion import completion
from sharpflow.numerics.training.experiment import task
from sharpflow.theory.errors import InputError

# One small member of each family: input shape, sizes.
SMALL = {
    "mlp": ((5,), {"widths": (6,)}),
    "two-layer": ((5,), {"hidden": 8}),
    "resnet": ((4, 4, 2), {"channels": (4,), "blocks": 1}),
}
PAPER_SIZE = {"resnet20": 268_336, "vgg11": 9_222_848}
RANDOM = np.random.default_rng(0)


# Every norm once, and the convolutions; each case compiles anew.
CASES = [*(("mlp", norm) for norm in NORMS), ("resnet", "batch")]
PLAIN = ("mlp", "batch")


@pytest.fixture(
    scope="module",
    params=[pytest.param(c, marks=() if c == PLAIN else pytest.mark.deep, id=" ".join(c)) for c in CASES],
)
def built(request):
    """A small network on six examples."""
    return small(*request.param)


def small(name, norm, **options):
    shape, sizes = SMALL[name]
    data = Examples(np.random.default_rng(0).standard_normal((6, *shape)), np.arange(6) % 3, name="noise")
    return task(name, data, norm=norm, groups=2, **sizes, **options)


COMPLETION = completion(rows=5, columns=4, width=3, seed=1)


def test_the_table_of_these_tests_is_complete():
    assert set(SMALL) | set(PAPER_SIZE) | {"matrix-completion"} == set(networks.names())


def test_one_file_is_enough_for_a_network(tmp_path, monkeypatch):
    source = Path(str(networks.get("mlp").forward.__code__.co_filename)).read_text(encoding="utf-8")
    (tmp_path / "my_net.py").write_text(source.replace('name="mlp"', 'name="my-net"'), encoding="utf-8")
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(tmp_path)])
    vars(networks._FOUND).pop("_modules", None)  # the files are looked for anew
    try:
        assert "my-net" in networks.names()
        assert networks.get("my-net").build((3,), 1, widths=(4,)).dimension == 16
    finally:
        vars(networks._FOUND).pop("_modules", None)  # the files are looked for anew


@pytest.mark.parametrize("name", networks.names())
def test_every_network_has_the_shape_of_one(name):
    network = networks.get(name)
    assert network.name == name
    assert network.title
    assert network.norms


def test_a_small_member_with_every_norm_is_scale_invariant():
    """The cases that the tests below leave out, at some points and scales."""
    for name in SMALL:
        for norm in set(NORMS) - {norm for family, norm in CASES if family == name}:
            one = small(name, norm)
            scales_alike(one.model, one.data.inputs)
    scales_alike(COMPLETION.task.model, COMPLETION.task.data.inputs)


def scales_alike(model, inputs):
    for seed, scale in enumerate((0.3, 1e-3, 1e3, 7.0)):
        w = model.initial(jax.random.key(seed))
        np.testing.assert_allclose(model.compiled(scale * w, inputs), model.compiled(w, inputs), atol=1e-10)


@pytest.mark.longest
@pytest.mark.parametrize("name", ["resnet20", "vgg11"])
def test_networks_of_paper_size(name):
    network = networks.get(name)
    for norm in network.norms:
        assert network.build((32, 32, 3), 10, norm=norm).dimension == PAPER_SIZE[name]
    images = np.random.default_rng(0).standard_normal((3, 32, 32, 3))
    # Random labels of ten classes on three images: only the gradient is wanted.
    model = network.build((32, 32, 3), 10)
    w = model.initial(jax.random.key(0), dtype=jnp.float32)
    gradient = jax.jit(jax.grad(lambda w: jnp.sum(model.apply(w, images)[:, :5] ** 3)))
    g, scaled = gradient(w), gradient(8 * w)
    assert g.dtype == jnp.float32
    length = float(jnp.linalg.norm(g))
    assert length > 0
    # grad L(8 w) = grad L(w)/8 without rounding, for 8 is a power of 2 and nothing in the network is an epsilon.
    np.testing.assert_allclose(8 * scaled, g, rtol=0, atol=1e-6 * length)
    assert abs(float(g @ w)) <= 1e-4 * length * float(jnp.linalg.norm(w))


@settings(max_examples=8, deadline=None)
@given(logarithm=st.floats(-1, 1), seed=st.integers(0, 100))
def test_outputs_do_not_change_when_all_weights_are_scaled(built, logarithm, seed):
    w = built.model.initial(jax.random.key(seed))
    apply = built.model.compiled
    outputs = apply(w, built.data.inputs)
    scaled = apply(10**logarithm * w, built.data.inputs)
    # Rounding: some 1e3 operations in a chain, each off by 1e-16.
    assert float(jnp.abs(scaled - outputs).max()) <= 1e-10 * float(jnp.abs(outputs).max())


def test_euler_and_the_weights_of_every_layer(built):
    w = jnp.asarray(built.start)
    gradient = built.objective.gradient(w)
    assert abs(float(gradient @ w)) <= 1e-12 * float(jnp.linalg.norm(gradient) * jnp.linalg.norm(w))
    # No layer is without effect, and none is on a scale of its own.
    begin = 0
    for shape in built.model.layout:
        end = begin + int(np.prod(shape))
        part, g = w[begin:end], gradient[begin:end]
        assert float(jnp.linalg.norm(g)) > 1e-6
        assert abs(float(g @ part)) <= 1e-12 * float(jnp.linalg.norm(gradient) * jnp.linalg.norm(w))
        begin = end
    assert begin == built.model.dimension == len(w)


def test_third_derivatives_are_those_of_finite_differences(built):
    third_derivatives_agree(built)


# Losses and families that the cases above leave out.
OTHERS = {
    "cross-entropy": lambda: small("mlp", "batch", loss="cross-entropy"),
    "completion": lambda: COMPLETION.task,
    "two-layer": lambda: small("two-layer", "layer"),
    **{f"resnet {norm}": partial(small, "resnet", norm) for norm in NORMS if norm != "batch"},
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(c, marks=() if c == "completion" else pytest.mark.longest if "resnet" in c else pytest.mark.deep)
        for c in OTHERS
    ],
)
def test_third_derivatives_of_the_others_too(case):
    third_derivatives_agree(OTHERS[case]())


def third_derivatives_agree(built):
    w = jnp.asarray(built.start)
    v = jnp.asarray(np.random.default_rng(1).standard_normal(len(w)))
    v = v / jnp.linalg.norm(v)
    hvp = built.objective.hvp
    third = jax.jit(lambda w, v: jax.jvp(lambda u: hvp.function(u, v), (w,), (v,))[1])(w, v)
    # Richardson's extrapolation of two central differences: truncation h^4 = 1e-12 in units of the fifth derivatives,
    # rounding 1e-16/h = 1e-13.
    h = 1e-3 * float(jnp.linalg.norm(w))
    one, two = ((hvp(w + s * v, v) - hvp(w - s * v, v)) / (2 * s) for s in (h, 2 * h))
    differences = (4 * one - two) / 3
    assert float(jnp.linalg.norm(third - differences)) <= 1e-5 * float(jnp.linalg.norm(third))


def test_test_outputs_are_the_training_outputs_of_the_same_inputs(built):
    w, x, apply = jnp.asarray(built.start), built.data.inputs, built.model.compiled
    outputs = apply(w, x)
    np.testing.assert_allclose(apply(w, x, x[::-1]), outputs[::-1], rtol=0, atol=1e-12)


def test_an_output_has_nothing_to_do_with_the_other_test_examples():
    for norm in ("batch", "layer"):
        one = small("mlp", norm)
        w, x, apply = jnp.asarray(one.start), one.data.inputs, one.model.compiled
        np.testing.assert_allclose(apply(w, x, x[2:3]), apply(w, x)[2:3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", [pytest.param(n, marks=() if n == "batch" else pytest.mark.deep) for n in NORMS])
def test_single_precision(norm):
    built = small("mlp", norm)
    w = jnp.asarray(built.start, jnp.float32)
    gradient = jax.jit(jax.grad(built.objective.function))(w)
    assert gradient.dtype == jnp.float32
    exact = built.objective.gradient(w.astype(float))
    # 1e-7 in each of some 1e3 operations, amplified by the normalizations of few numbers.
    assert float(jnp.linalg.norm(gradient - exact)) <= 1e-4 * float(jnp.linalg.norm(exact))


def test_weights_are_those_of_the_key():
    built = small("mlp", "batch")
    one, same = (built.model.initial(jax.random.key(3)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert built.model.initial(jax.random.key(3), dtype=jnp.float32).dtype == jnp.float32
    first = int(np.prod(built.model.layout[0]))
    fan_in = int(np.prod(built.model.layout[0][:-1]))
    many = np.stack([built.model.initial(jax.random.key(i))[:first] for i in range(30)])
    # The variance of N Gaussian numbers is off by sqrt(2/N), here by 5 of these at the most.
    assert abs(many.var() * fan_in - 1) <= 5 * (2 / many.size) ** 0.5


def test_standardized_targets_are_attainable():
    """Outputs equal to the targets are a fixed point of the head: the squared loss can vanish."""
    data = Examples(RANDOM.standard_normal((9, 4)), np.arange(9) % 3)
    for norm, axis in (("batch", 0), ("layer", 1), ("weight", 1)):
        targets = task("mlp", data, norm=norm).targets()
        np.testing.assert_allclose(targets.mean(axis), 0, atol=1e-14)
        np.testing.assert_allclose(targets.std(axis), 1, atol=1e-14)


@pytest.mark.parametrize(
    ("norm", "loss"), [pytest.param("layer", "squared", marks=pytest.mark.deep), ("batch", "cross-entropy")], ids=str
)
def test_gradient_descent_learns(loss, norm):
    data = digits(n=60, test=200)
    trained = task("mlp", data, norm=norm, loss=loss, widths=(32,))
    assert (trained.objective.residuals is None) == (loss == "cross-entropy")
    gradient = jax.grad(trained.objective.function)

    # Without weight decay |w| grows until the steps are short enough.
    w = jnp.asarray(trained.start)
    end = jax.jit(lambda w: jax.lax.fori_loop(0, 300, lambda _, w: w - 3.0 * gradient(w), w))(w)
    before, after = trained.errors(w), trained.errors(end)
    assert after.train_loss < before.train_loss
    assert after.train_loss == pytest.approx(float(trained.objective.value(end)), rel=1e-10)
    assert after.train_wrong <= 0.1  # chance is 0.9
    assert after.test_wrong <= 0.4


def test_two_classes_need_one_output_and_two_logits():
    data = Examples(RANDOM.standard_normal((8, 3)), np.arange(8) % 2, RANDOM.standard_normal((4, 3)), np.arange(4) % 2)
    assert task("mlp", data, loss="cross-entropy").model.outputs == 2
    # (1 - s) of the class, and s shared out among all.
    smooth = dataclasses.replace(task("mlp", data, loss="cross-entropy"), smoothing=0.2)
    np.testing.assert_allclose(smooth.targets(), np.where(np.eye(2)[data.targets] == 1, 0.9, 0.1))
    one = task("mlp", data, widths=(4,))
    assert one.model.outputs == 1
    outputs = one.model.compiled(one.start, data.inputs, data.test_inputs)[:, 0]
    assert one.errors(one.start).test_wrong == np.mean((outputs > 0) != data.test_targets)


def by_hand(norm, w):
    """L of sharpflow.numerics.networks.two_layer at its default size, in NumPy."""
    random = np.random.default_rng(0)
    x, t = random.standard_normal((16, 8)), random.standard_normal(16)
    first, second = w[:96].reshape(8, 12), w[96:]
    h = x @ (first / np.linalg.norm(first, axis=0) if norm == "weight" else first)
    if norm != "weight":
        axis = 0 if norm == "batch" else 1
        h = (h - h.mean(axis, keepdims=True)) / h.std(axis, keepdims=True)
    y = np.tanh(h) @ second
    return np.mean(((y - y.mean()) / y.std() - (t - t.mean()) / t.std()) ** 2)


@pytest.mark.parametrize("norm", ["batch", "layer", "weight"])
def test_two_layer_objectives_are_what_is_written(norm):
    objective = resolve_loss(f"sharpflow.numerics.networks.two_layer:{norm}")
    assert objective is getattr(two_layer, norm)
    assert objective.dimension == 108
    assert len(objective.residuals(objective.start)) == 16
    w = np.random.default_rng(5).standard_normal(108)
    assert float(objective.value(w)) == pytest.approx(by_hand(norm, w), rel=1e-12)


def test_matrix_completion():
    problem = completion(rows=6, columns=5, width=3, seed=4)
    objective = problem.objective
    assert objective.dimension == 3 * (6 + 5)
    assert problem.observed.sum() == 15
    assert np.linalg.matrix_rank(problem.truth - problem.truth.mean()) <= 3
    w = np.random.default_rng(1).standard_normal(33)
    p = w[:18].reshape(6, 3) @ w[18:].reshape(5, 3).T
    p = (p - p[problem.observed].mean()) / p[problem.observed].std()
    missed = (p - problem.truth) ** 2
    assert problem.errors(w) == pytest.approx((missed[problem.observed].mean(), missed[~problem.observed].mean()))
    assert float(objective.value(w)) == pytest.approx(problem.errors(w)[0])
    assert float(objective.value(7 * w)) == pytest.approx(problem.errors(w)[0], rel=1e-12)
    assert len(objective.residuals(w)) == 15
    assert resolve_loss("sharpflow.numerics.networks.matrix_completion:default").dimension == 800


WRONG = {
    "no norm": (lambda: networks.get("mlp").build((3,), 2, norm="instance"), "no norm 'instance'"),
    "no head": (lambda: networks.get("mlp").build((3,), 2, head="none"), "no head"),
    "no size": (lambda: networks.get("mlp").build((3,), 2, depth=3), "no size 'depth'; there are widths"),
    "no activation": (lambda: networks.get("mlp").build((3,), 2, activation="sine"), "no activation"),
    "no outputs": (lambda: networks.get("mlp").build((3,), 0), "outputs = 0"),
    "one output": (lambda: networks.get("mlp").build((3,), 1, norm="layer", head="layer"), "take head = batch"),
    "groups": (lambda: networks.get("mlp").build((3,), 2, norm="group", groups=5), "groups = 5"),
    "thin groups": (lambda: networks.get("mlp").build((3,), 2, norm="group", widths=(4,)), "over 1 of"),
    "thin layer": (lambda: networks.get("mlp").build((3,), 2, norm="layer", widths=(2,)), "over 2 of"),
    "bad widths": (lambda: networks.get("mlp").build((3,), 2, widths=(1.5,)), "cannot take inputs"),
    "thin channels": (lambda: networks.get("resnet").build((4, 4, 1), 3, channels=(8, 4)), "falls from 8 to 4"),
    "no image": (lambda: networks.get("resnet").build((4, 4), 3), "images are"),
    "small image": (lambda: networks.get("vgg11").build((8, 8, 1), 3), "divisible by 32"),
    "pooling": (lambda: networks.get("vgg11").build((32, 32, 3), 3, pooling="sum"), "mean or max"),
    "pairs": (lambda: networks.get("matrix-completion").build((30,), 1), "inputs are pairs"),
    "a word": (lambda: networks.get("mlp").build((3,), 2, widths="wide"), "not a list of numbers"),
    "outputs": (lambda: dataclasses.replace(networks.get("mlp"), forward=lambda _, x, **__: x).build((3,), 2), "gives"),
    "no network": (lambda: networks.get("transformer"), "no network is called"),
    "two-layer": (lambda: two_layer.two_layer("group"), "batch, layer or weight"),
    "completion": (lambda: completion(part=1.0), "not all"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_sizes_are_told_at_once(case):
    call, said = WRONG[case]
    with pytest.raises(InputError, match=said):
        call()


def test_a_task_that_does_not_fit_its_data_is_told_at_once():
    data = Examples(RANDOM.standard_normal((6, 4)), np.arange(6) % 3)
    model = networks.get("mlp").build((4,), 2)
    with pytest.raises(InputError, match=r"needs \(4,\) to 3"):
        Task(model, data, np.ones(model.dimension))
    good = task("mlp", data)
    for changes, said in (
        ({"loss": "hinge"}, "squared or cross-entropy"),
        ({"smoothing": 0.0}, "smoothing"),
        ({"smoothing": 1.0}, "smoothing"),
        ({"logit_scale": 0.0}, "logit_scale"),
        ({"start": np.ones(3)}, "3 entries"),
    ):
        with pytest.raises(InputError, match=said):
            dataclasses.replace(good, **changes)
    real = Examples(RANDOM.standard_normal((6, 4)), RANDOM.standard_normal((6, 1)))
    with pytest.raises(InputError, match="cross-entropy needs classes"):
        task("mlp", real, loss="cross-entropy")
