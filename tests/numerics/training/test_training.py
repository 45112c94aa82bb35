"""Training with records: against a plain loop, a dense Hessian, and itself in pieces."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics import experiments
from sharpflow.numerics.data.examples import Examples, digits, mislabel
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.training import run as training_run
from sharpflow.numerics.training import trainer as training
from sharpflow.numerics.training.experiment import Choices, Experiment, task
from sharpflow.numerics.training.full_batch import FullBatch
from sharpflow.numerics.training.prediction import predict
from sharpflow.numerics.training.recipe import Recipe
from sharpflow.numerics.training.run import train_network
from sharpflow.numerics.training.trainer import Trainer
from sharpflow.theory.errors import InputError
from tests.numerics.training.small_training import RECIPE, SMALL


@pytest.fixture(scope="module")
def whole(tasks, trainer):
    """All of the small run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "Trainer", lambda *_: trainer)
        return train_network(tasks, RECIPE)


# Another path


def test_weights_and_means_are_those_of_a_plain_loop(tasks, trainer):
    state, first = trainer.begin()
    state, row = trainer.advance(state, 60)
    eta, decay = 0.05, 2e-3
    both = jax.jit(jax.value_and_grad(tasks[0].value))  # the network of both seeds
    for seed, one in enumerate(tasks):
        x, t = jnp.asarray(one.data.inputs), jnp.asarray(one.targets())
        w, lr = np.array(one.start), first.effective_lr[seed]
        losses, squares = [], []
        for _ in range(60):
            loss, gradient = (np.asarray(a) for a in both(w, x, t))
            losses.append(loss)
            squares.append(gradient @ gradient * (w @ w))  # grad L(theta) = |w| grad L(w)
            # The recursion of the effective learning rate, which never sees |w|.
            lr = lr / ((1 - eta * decay) ** 2 * (1 + lr**2 * squares[-1]))
            w = (1 - eta * decay) * w - eta * gradient
        # Rounding 1e-16, multiplied by at most some 1e4 in 60 steps beyond the edge.
        np.testing.assert_allclose(state.weights[seed], w, rtol=0, atol=1e-10 * np.abs(w).max())
        assert row.norm_squared[seed] == pytest.approx(w @ w, rel=1e-10)
        assert row.effective_lr[seed] == pytest.approx(eta / ((1 - eta * decay) * (w @ w)), rel=1e-10)
        assert row.effective_lr[seed] == pytest.approx(lr, rel=1e-10)
        assert row.mean_loss[seed] == pytest.approx(np.mean(losses), rel=1e-10)
        assert row.mean_gradient_squared[seed] == pytest.approx(np.mean(squares), rel=1e-10)
        errors = one.errors(w)
        assert row.train_loss[seed] == pytest.approx(errors.train_loss, rel=1e-8)
        assert row.test_loss[seed] == pytest.approx(errors.test_loss, rel=1e-8)
        assert (row.train_error[seed], row.test_error[seed]) == (errors.train_wrong, errors.test_wrong)


def test_a_seed_among_others_runs_as_it_does_alone(tasks, trainer):
    single = Trainer(tasks[1:], RECIPE)
    (one, alone), (both, together) = (t.advance(t.begin()[0], 100) for t in (single, trainer))
    for name in ("train_loss", "norm_squared", "spectrum", "test_error"):
        # Matrices of two seeds are multiplied in another order: rounding, multiplied by some 1e4 beyond the edge.
        np.testing.assert_allclose(getattr(alone, name)[0], getattr(together, name)[1], rtol=1e-7, atol=1e-12)
    assert one.entry[0] == both.entry[1]


def test_the_recorded_spectrum_is_that_of_the_dense_hessian(tasks, trainer, whole):
    weights = whole.state.weights
    single = Trainer(tasks, dataclasses.replace(RECIPE, dtype="float32"))
    state = single.begin()[0]._replace(weights=weights.astype(np.float32))
    _, low = single._record(state, np.zeros(2), np.zeros(2))
    assert low.spectrum.dtype == np.float32
    hessian = jax.jit(jax.hessian(tasks[0].value))
    for seed, one in enumerate(tasks):
        x, t = jnp.asarray(one.data.inputs), jnp.asarray(one.targets())
        theta = weights[seed] / np.linalg.norm(weights[seed])
        off = np.eye(len(theta)) - np.outer(theta, theta)
        exact = np.linalg.eigvalsh(off @ np.asarray(hessian(theta, x, t)) @ off)[::-1][:3]
        found = whole.columns["spectrum"][-1, seed]
        residual = whole.columns["spectrum_residual"][-1, seed]
        assert 0 < residual <= training.EIGENPAIRS["float64"]
        # There is an eigenvalue within the residual of each Ritz value.
        np.testing.assert_allclose(found, exact, rtol=0, atol=residual * exact[0])
        # float32: the residual, and products that are off by 1e-7 in each of some 1e3 operations.
        assert low.spectrum_residual[seed] <= training.EIGENPAIRS["float32"]
        np.testing.assert_allclose(low.spectrum[seed], exact, rtol=0, atol=2e-4 * exact[0])


def dense(one, w):
    """The Hessian (D, D) of a task."""
    return np.asarray(jax.jit(jax.hessian(one.value))(w, jnp.asarray(one.data.inputs), jnp.asarray(one.targets())))


def test_an_eigenvalue_that_the_vectors_of_the_record_before_do_not_see(tasks, trainer):
    state, row = trainer.begin()
    vectors = np.array(state.vectors)
    for seed, one in enumerate(tasks):
        theta = state.weights[seed] / np.linalg.norm(state.weights[seed])
        off = np.eye(len(theta)) - np.outer(theta, theta)
        # Near v_2, v_3, v_4, and without any part along v_1, to which nothing that H does leads.
        known = np.linalg.eigh(off @ dense(one, theta) @ off)[1][:, -2::-1]
        near = np.eye(known.shape[1], 3) + 1e-3 * np.random.default_rng(seed).standard_normal((known.shape[1], 3))
        vectors[seed] = known @ near
    _, found = trainer._record(state._replace(vectors=vectors), np.zeros(2), np.zeros(2))
    np.testing.assert_allclose(found.spectrum, row.spectrum, rtol=1e-5)


def test_the_spectrum_after_some_steps_is_that_of_the_dense_hessian(tasks, trainer):
    state, row = trainer.advance(trainer.begin()[0], 60)
    for seed, one in enumerate(tasks):
        theta = state.weights[seed] / np.linalg.norm(state.weights[seed])
        off = np.eye(len(theta)) - np.outer(theta, theta)
        exact = np.linalg.eigvalsh(off @ dense(one, theta) @ off)[::-1][:3]
        np.testing.assert_allclose(row.spectrum[seed], exact, rtol=0, atol=row.spectrum_residual[seed] * exact[0])
        assert row.spectrum_residual[seed] <= training.EIGENPAIRS["float64"]
        assert state.alive[seed] == 60
        # Not every example is right so early on.
        assert (state.entry[seed] >= 0) == (
            row.train_error[seed] == 0 and row.effective_lr[seed] * exact[0] > 2 * training.AT_EDGE
        )


# Pieces


def noise(norm, labels=None, **options):
    random = np.random.default_rng(0)
    x, tests = random.standard_normal((12, 5)), random.standard_normal((7, 5))
    data = Examples(x, np.arange(12) % 3 if labels is None else labels, tests, np.arange(7) % 3, name="noise")
    return task("mlp", data, norm=norm, widths=(6,), **options)


def seen(full, one, w, v):
    """Loss, gradient, and Hessian product of v at w/|w|."""
    x, t = jnp.asarray(one.data.inputs), jnp.asarray(full.targets())
    theta = w / np.linalg.norm(w)
    run = jax.jit(lambda w, x, t, theta, v: (*full.value_and_gradient(w, x, t), full.hessian_product(theta, x, t)(v)))
    return tuple(np.asarray(a) for a in run(w, x, t, theta, v))


@pytest.mark.parametrize("norm", [pytest.param("layer", marks=pytest.mark.deep), "batch"])
def test_pieces(norm):
    one = noise(norm)
    w, v = np.random.default_rng(1).standard_normal((2, one.model.dimension))
    v -= v @ w * w / (w @ w)
    pieces = FullBatch(one, 3)
    loss, gradient, product = seen(pieces, one, w, v)
    if norm == "layer":  # statistics within each example: the pieces are one loss
        parts = [one]
    else:
        cut = [slice(k, k + 4) for k in (0, 4, 8)]
        data = [Examples(one.data.inputs[c], one.data.targets[c]) for c in cut]
        parts = [dataclasses.replace(one, data=d) for d in data]
        targets = np.concatenate([part.targets() for part in parts])
        np.testing.assert_allclose(pieces.targets(), targets, atol=1e-14)
        assert abs(targets - one.targets()).max() > 0.1
    expected = [seen(FullBatch(part), part, w, v) for part in parts]
    for got, wanted in zip((loss, gradient, product), zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(got, np.mean(np.stack(wanted), axis=0), rtol=0, atol=1e-11 * np.abs(got).max())
    # Scale-invariant in pieces too.
    longer, shorter, _ = seen(pieces, one, 3 * w, v)
    assert longer == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(3 * shorter, gradient, rtol=0, atol=1e-11 * np.abs(gradient).max())
    of_first = parts[0].model.compiled(w, parts[0].data.inputs)[:4]
    np.testing.assert_allclose(jax.jit(pieces.outputs)(w, one.data.inputs)[:4], of_first, atol=1e-12)


def test_test_examples_go_through_in_pieces(monkeypatch):
    """No more of them at once than there are training examples in a piece: that is the memory there is."""
    one, taken = noise("batch"), []
    kind, apply = type(one.model), type(one.model).apply

    def counted(model, w, inputs, tests):
        taken.append(len(tests))
        return apply(model, w, inputs, tests)

    monkeypatch.setattr(kind, "apply", counted)
    w = np.random.default_rng(1).standard_normal(one.model.dimension)
    assert FullBatch(one, 3).test_outputs(w, one.data.inputs, one.data.test_inputs).shape == (7, 3)
    assert taken == [4]


def standard(values, reference):
    """Values (m, k) with the mean and the deviation of the reference (n, k)."""
    return (values - reference.mean(0)) / reference.std(0)


@pytest.mark.parametrize("loss", [pytest.param("squared", marks=pytest.mark.deep), "cross-entropy"])
def test_answers_in_pieces(loss):
    """Test examples have the statistics of the first piece, training examples are judged within their own."""
    labels = np.array([0, 0, 1, 2, 0, 1, 1, 2, 0, 1, 2, 2])  # as many of each, and not in each piece
    one = noise("batch", labels, loss=loss)
    pieces, w = FullBatch(one, 3), np.random.default_rng(1).standard_normal(one.model.dimension)
    x, eye = one.data.inputs, np.eye(3)
    tested = jax.jit(pieces.test_outputs)(w, x, one.data.test_inputs)
    first, other, whole = (one.model.compiled(w, part, one.data.test_inputs) for part in (x[:4], x[4:8], x))
    np.testing.assert_allclose(tested, first, atol=1e-12)
    assert min(abs(tested - other).max(), abs(tested - whole).max()) > 0.1
    outputs = np.asarray(jax.jit(pieces.outputs)(w, x))
    points = [standard(eye, eye[labels[k : k + 4]]) if loss == "squared" else eye for k in (0, 4, 8)]
    np.testing.assert_allclose(pieces.class_points(), points, atol=1e-14)
    near = [np.argmin(((outputs[i] - points[i // 4]) ** 2).sum(1)) for i in range(12)]
    assert float(pieces.wrong_share(outputs, pieces.class_points(), labels)) == pytest.approx(np.mean(near != labels))
    if loss == "squared":
        expected = standard(eye[one.data.test_targets], eye[labels[:4]])
        np.testing.assert_allclose(pieces.test_targets(), expected, atol=1e-14)
    else:
        np.testing.assert_array_equal(pieces.test_targets(), one.targets(test=True))


@pytest.mark.longest
def test_a_record_in_pieces_holds_one_of_them(monkeypatch):
    """In eight pieces the memory of a record grows neither with the test examples nor with the eigenvalues."""
    random, used = np.random.default_rng(0), {}
    x, tests = random.standard_normal((8000, 5)), random.standard_normal((80_000, 5))
    for m, count in ((2, 1), (80_000, 1), (2, 8)):
        data = Examples(x, np.arange(8000) % 4, tests[:m], np.arange(m) % 4, name="noise")
        trainer = Trainer([task("mlp", data, widths=(64,))], Recipe(0.05, 2e-3, steps=2, count=count, pieces=8))
        guess = np.ones((1, trainer.dimension, count), np.float32)
        w = np.ones((1, trainer.dimension), np.float32)
        program, _ = trainer._measure.prepare(w, guess, trainer.data, np.float32(1e-4))
        used[m, count] = program.memory_analysis().temp_size_in_bytes
    # The hidden units of the test examples would be these bytes; four outputs of each are kept, and some copies.
    assert used[80_000, 1] - used[2, 1] < 80_000 * 64 * 4 / 2
    # The hidden units of a piece, once for each of seven vectors more, would be these; a basis of vectors is kept.
    assert used[2, 8] - used[2, 1] < 7 * 1000 * 64 * 4 / 2


def test_pieces_that_do_not_fit():
    for pieces, said in ((5, "divides the 12"), (0, "divides"), (True, "divides"), (6, "3 are needed")):
        with pytest.raises(InputError, match=said):
            FullBatch(noise("batch"), pieces)
    data = Examples(np.random.default_rng(0).standard_normal((12, 5)), np.repeat(np.arange(3), 4))
    with pytest.raises(InputError, match="the same for all"):
        FullBatch(task("mlp", data, widths=(6,)), 3).targets()


# Divergence


def test_a_seed_that_diverges_says_when_and_why(tasks):
    one = experiments.get("breast-cancer").task(0, dataclasses.replace(SMALL, norm="none"))
    loud = dataclasses.replace(one, start=30 * one.start)  # without normalization the scale matters
    run = train_network([loud, one], Recipe(0.05, 0.0, steps=200, records=4, count=2))
    assert run.complete
    at = int(run.failed_at[0])
    w, x, t = jnp.asarray(loud.start, jnp.float32), loud.data.inputs, loud.targets()
    gradient, steps = jax.jit(jax.grad(loud.value)), 0
    while np.isfinite(w).all():
        w, steps = w - 0.05 * gradient(w, x, t), steps + 1
    assert abs(at - steps) <= 1  # |w|^2 or the sum of w overflows a step before w
    (said,) = run.failures()
    assert f"seed 0 is not finite from iteration {at} on" in said
    assert "beyond the edge 2: lower the learning rate" in said
    assert run.failed_at[1] == -1
    assert np.isfinite(run.columns["train_loss"][:, 1]).all()
    assert run.columns["train_loss"][-1, 1] < run.columns["train_loss"][0, 1]
    assert np.isnan(run.columns["spectrum"][-1, 0]).all()
    # Without scale invariance sharpness is that of the Hessian at w itself, along w too.
    exact = dense(one, run.state.weights[1].astype(float))
    np.testing.assert_allclose(run.columns["spectrum"][-1, 1], np.linalg.eigvalsh(exact)[::-1][:2], rtol=1e-3)
    theta = run.state.weights[1] / np.linalg.norm(run.state.weights[1])
    off = np.eye(len(theta)) - np.outer(theta, theta)
    assert np.linalg.eigvalsh(off @ exact @ off)[-1] < 0.99 * np.linalg.eigvalsh(exact)[-1]
    ended = train_network([loud, loud], run.recipe)
    assert not ended.complete
    assert ended.ended
    assert np.isnan(ended.change().sharpness_ratio).all()
    with pytest.raises(InputError, match="not scale-invariant"):
        predict(one, run, 1)


# Examples and experiments


def test_wrong_labels():
    data = digits(n=60, test=30)
    wrong = mislabel(data, 0.25, seed=3)
    changed = wrong.targets != data.targets
    assert changed.sum() == 15
    np.testing.assert_array_equal(wrong.test_targets, data.test_targets)
    np.testing.assert_array_equal(wrong.inputs, data.inputs)
    np.testing.assert_array_equal(mislabel(data, 0.25, seed=3).targets, wrong.targets)
    assert np.any(mislabel(data, 0.25, seed=4).targets != wrong.targets)
    # Any other class: with 150 draws each of the nine shifts is missed with a chance of 9 (8/9)^150 = 2e-7.
    shifts = [(mislabel(data, 0.25, seed=s).targets - data.targets) % 10 for s in range(10)]
    assert set(np.concatenate(shifts)) == set(range(10))
    assert mislabel(data, 0.0) is data


def test_one_file_is_enough_for_an_experiment(tmp_path, monkeypatch):
    source = Path(str(experiments.__path__[0]), "digits.py").read_text(encoding="utf-8")
    (tmp_path / "my_digits.py").write_text(source.replace('"digits"', '"my-digits"'), encoding="utf-8")
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
    vars(experiments._FOUND).pop("_modules", None)  # the files are looked for anew
    try:
        assert "my-digits" in experiments.names()
        one = experiments.get("my-digits").task(0, Choices(examples=20, test_examples=10))
        assert one.model.sizes["widths"] == (64, 64)
    finally:
        vars(experiments._FOUND).pop("_modules", None)  # the files are looked for anew


@pytest.mark.parametrize("name", experiments.names())
def test_every_experiment_has_the_shape_of_one(name):
    found = experiments.get(name)
    assert isinstance(found, Experiment)
    assert found.name == name
    assert found.title
    assert (found.data is None) != (found.problem is None)
    Recipe(found.learning_rate, found.weight_decay, time=found.time)
    if name != "cifar10":
        one, two = found.tasks(2)
        assert one.data.test_inputs is not None
        assert np.any(one.start != two.start)


# The flow beside it


def test_a_run_below_the_edge_gives_no_flow(tasks, whole):
    run = dataclasses.replace(whole, state=whole.state._replace(entry=np.array([-1, -1])))
    found = predict(tasks[0], run)
    assert found.result is RESULTS.OFF_EDGE
    assert np.isnan(found.worst_ratio)
    with pytest.raises(InputError, match="seed = 2"):
        predict(tasks[0], run, 2)
    pieces = dataclasses.replace(run, recipe=dataclasses.replace(RECIPE, pieces=3))
    with pytest.raises(InputError, match="another loss"):
        predict(tasks[0], pieces)


# Edge entry


# effective_lr*lambda_1, share of wrong answers, and whether the edge is entered there.
ENTRIES = {
    "below": (1.89, 0.0, False),
    "far below": (0.7, 0.0, False),
    "at it": (1.91, 0.0, True),
    "beyond": (3.0, 0.0, True),
    "an answer wrong": (2.0, 1 / 12, False),
    "no classes": (2.0, np.nan, True),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_the_edge_is_entered_where_all_is_right_and_nowhere_else(trainer, case, monkeypatch):
    edge, wrong, enters = ENTRIES[case]
    squared = np.array([4.0, 9.0])
    lambda_1 = edge * (1 - RECIPE.rate) * squared / RECIPE.learning_rate
    zero, shape = np.zeros(2), (2, trainer.dimension, RECIPE.count)
    measured = (
        zero, zero, np.full(2, wrong), zero, squared, np.outer(lambda_1, [1.0, 0.5, 0.1]), zero, np.ones(shape),
    )  # fmt: skip
    monkeypatch.setattr(trainer, "_measure", lambda *_: measured)
    w = np.random.default_rng(0).standard_normal((2, trainer.dimension))
    # The second seed has entered before.
    state = training.State(60, w, np.full(2, 60), np.ones(shape), np.array([-1, 20]), np.stack([0 * w[0], 7 + w[1]]))
    after, row = trainer._record(state, zero, zero)
    np.testing.assert_allclose(row.effective_lr * row.spectrum[:, 0], edge)
    assert after.entry.tolist() == [60 if enters else -1, 20]
    np.testing.assert_array_equal(after.entry_weights, [w[0] if enters else 0 * w[0], 7 + w[1]])
