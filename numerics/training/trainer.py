"""w+ = (1 - eta lambda) w - eta grad L(w) on networks: full-batch gradient descent, all seeds at once, with records.

A run is cut at its record steps. Between two of them one compiled loop runs, whatever their distance; at each the loss,
the errors, |w|^2 and the top of the spherical spectrum are taken. What is random after the start, batches and label
noise, is drawn from the seed and the iteration: a run that is begun again at a record goes on bit for bit, on the same
machine and versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.descent.forms import form_of
from sharpflow.numerics.models.task import Task, wrong_share
from sharpflow.numerics.spectrum.eigenpairs import LEAST, block_eigenpairs
from sharpflow.numerics.training.full_batch import FullBatch
from sharpflow.numerics.training.recipe import EIGENPAIRS, Recipe
from sharpflow.numerics.training.variations import factor, sample
from sharpflow.theory import rules
from sharpflow.theory.errors import InputError

__all__ = ["AT_EDGE", "NUMERICS", "Row", "State", "Trainer"]


configure()

Array = jax.Array

# To be raised by whoever changes what gradient descent or a record computes: a run that was begun with another number
# is not gone on with.
NUMERICS = 3
# A run has entered the edge where every training example is right and effective_lr*lambda_1 is above this part of 2:
# at a single iterate it swings by some intrinsic_lr about the edge.
AT_EDGE = 0.95
MAX_PRODUCTS = 600


class State(NamedTuple):
    """The state that the next stretch needs; S seeds.

    Attributes:
        step: iterations done.
        weights: (S, D).
        alive: (S,) how many of the iterations were finite.
        vectors: (S, D, k) top eigenvectors at the last record, from which the next search starts.
        entry: (S,) step at which the edge was entered, -1 before.
        entry_weights: (S, D) the weights then.
        momentum: (S, D); empty without.
    """

    step: int
    weights: np.ndarray
    alive: np.ndarray
    vectors: np.ndarray
    entry: np.ndarray
    entry_weights: np.ndarray
    momentum: np.ndarray = np.zeros(0)


class Row(NamedTuple):
    """One record; S seeds. Errors are shares of wrong answers, nan without classes or test examples.

    Attributes:
        step: iteration.
        train_loss, test_loss, train_error, test_error: (S,) at the iterate.
        norm_squared: (S,) |w|^2.
        effective_lr: (S,) eta/((1 - rate) |w|^2); eta itself where the network is not scale-invariant.
        spectrum: (S, k) top eigenvalues of the spherical Hessian at theta, falling; of the Hessian at w where the
            network is not scale-invariant.
        spectrum_residual: (S,) largest residual of the eigenpairs over lambda_1.
        mean_loss, mean_gradient_squared: (S,) of L and |grad L(theta)|^2 over the steps since the record before.
    """

    step: int
    train_loss: np.ndarray
    test_loss: np.ndarray
    train_error: np.ndarray
    test_error: np.ndarray
    norm_squared: np.ndarray
    effective_lr: np.ndarray
    spectrum: np.ndarray
    spectrum_residual: np.ndarray
    mean_loss: np.ndarray
    mean_gradient_squared: np.ndarray


class _Data(NamedTuple):
    """Arrays of one seed, or of all of them stacked (where they differ); test ones are ``None`` if there are none."""

    inputs: Any
    targets: Any
    labels: Any
    points: Any
    test_inputs: Any
    test_targets: Any
    test_labels: Any


def _kind(task: Task) -> tuple[object, ...]:
    """All that the compiled programs take from the first of the tasks."""
    model, tested = task.model, task.data.test_inputs
    return (
        model.network.name, model.layout, model.norm, model.head, model.groups, model.activation, repr(model.sizes),
        task.data.inputs.shape, task.data.classes, None if tested is None else tested.shape, task.loss, task.smoothing,
        task.logit_scale,
    )  # fmt: skip


class Trainer:
    """The compiled programs for some seeds of one network.

    Args:
        tasks: one for each seed, of the same network and sizes.
        recipe: how to run.
    """

    def __init__(self, tasks: Sequence[Task], recipe: Recipe, /) -> None:
        self.tasks, self.recipe = tuple(tasks), recipe
        first = self.tasks[0]
        if len({_kind(t) for t in self.tasks}) > 1:
            raise InputError("the seeds of a run must have the same network, loss and number of examples.")
        self.kind = jnp.dtype(recipe.dtype)
        self.dimension = first.model.dimension
        if recipe.count > (self.dimension - 1) // 2:
            raise InputError(f"count = {recipe.count} eigenvalues are too many for {self.dimension} weights.")
        self.full = FullBatch(first, recipe.pieces)
        # Examples that all seeds share are held once.
        self.shared = len({id(t.data) for t in self.tasks}) == 1
        own = [self._data(task) for task in (self.tasks[:1] if self.shared else self.tasks)]
        self.data = own[0] if self.shared else jax.tree.map(lambda *a: np.stack(a), *own)
        self.data = jax.device_put(self.data)
        axis = None if self.shared else 0
        if recipe.label_noise > 0 and first.loss != "squared":
            raise InputError("label_noise moves targets of the squared loss; the loss of this run is cross-entropy.")
        if recipe.batch is not None and recipe.batch > len(first.data.inputs):
            raise InputError(f"batch = {recipe.batch} is more than the {len(first.data.inputs)} examples.")
        step = form_of(rules.get("heavy-ball" if recipe.momentum > 0 else "gd-wd"), "weights").step
        self._advance = Compiled(self._stretch(step, axis))
        self._measure = Compiled(self._records(axis))

    def _data(self, task: Task) -> _Data:
        full, data = FullBatch(task, self.recipe.pieces), task.data
        points = full.class_points()

        def real(a: Any) -> Any:
            return None if a is None else np.asarray(a, self.kind)

        tested = data.test_inputs is not None
        return _Data(
            real(data.inputs), real(full.targets()), None if points is None else np.asarray(data.targets), real(points),
            real(data.test_inputs), real(full.test_targets()) if tested else None,
            np.asarray(data.test_targets) if tested and points is not None else None,
        )  # fmt: skip

    def _stretch(self, step: Any, axis: int | None) -> Any:
        full, recipe = self.full, self.recipe
        drawn = recipe.batch is not None or recipe.label_noise > 0
        assert recipe.steps is not None
        steps = recipe.steps

        def one(
            w: Array, state: dict[str, Array], key: Array, data: _Data, parameters: Any, begun: Array, count: Array
        ) -> tuple[Any, ...]:
            def advance(i: Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
                w, state, alive, loss_sum, squared_sum = carry
                t = begun + i
                inputs, targets, own = data.inputs, data.targets, parameters
                if drawn:
                    inputs, targets = sample(recipe, jax.random.fold_in(key, t), inputs, targets)
                if recipe.schedule != "constant":
                    now = factor(recipe.schedule, t, steps).astype(w.dtype)
                    own = parameters | {"learning_rate": parameters["learning_rate"] * now}

                def both(z: Array) -> tuple[Array, Array]:
                    return full.value_and_gradient(z, inputs, targets)

                w, state, loss, squared = step(w, state, both, own)
                # What is not finite stays so: counting the finite steps finds the first bad one.
                alive = alive + jnp.isfinite(jnp.sum(w))
                return w, state, alive, loss_sum + loss, squared_sum + squared

            # Summed in float64: a stretch may have 1e5 steps, of which float32 would keep three figures.
            zero = jnp.zeros((), jnp.float64)
            begin = (w, state, jnp.zeros((), int), zero, zero)
            w, state, alive, loss, squared = jax.lax.fori_loop(0, count, advance, begin)
            return w, state, alive, loss / count, squared / count

        return jax.vmap(one, in_axes=(0, 0, 0, axis, None, None, None))

    def _records(self, axis: int | None) -> Any:
        full, task, count = self.full, self.full.task, self.recipe.count
        invariant = task.model.scale_invariant

        def one(w: Array, guess: Array, data: _Data, tolerance: Array) -> tuple[Array, ...]:
            nothing = jnp.full((), jnp.nan, w.dtype)
            outputs = full.outputs(w, data.inputs)
            train = task.mean_loss(outputs, data.targets)
            wrong = nothing if data.labels is None else full.wrong_share(outputs, data.points, data.labels)
            test = test_wrong = nothing
            if data.test_inputs is not None:
                tested = full.test_outputs(w, data.inputs, data.test_inputs)
                test = task.mean_loss(tested, data.test_targets)
                if data.test_labels is not None:
                    test_wrong = wrong_share(tested, data.points[0], data.test_labels)
            squared = w @ w
            # Without scale invariance only the Hessian at w itself has a meaning, along w too.
            place = w / jnp.sqrt(squared) if invariant else w
            theta = place if invariant else jnp.zeros_like(w)
            product = full.hessian_product(place, data.inputs, data.targets, normal=invariant)
            found = block_eigenpairs(
                product, theta, guess, tolerance, count=count, max_products=MAX_PRODUCTS, least=LEAST,
                at_once=full.pieces == 1,
            )  # fmt: skip
            residual = jnp.max(found.residuals) / jnp.abs(found.values[0])
            return train, test, wrong, test_wrong, squared, found.values, residual, found.vectors

        def run(w: Array, guess: Array, data: _Data, tolerance: Array) -> tuple[Array, ...]:
            # One seed after another: searches end after different numbers of products.
            if axis is None:
                out = jax.lax.map(lambda a: one(a[0], a[1], data, tolerance), (w, guess))
            else:
                out = jax.lax.map(lambda a: one(a[0], a[1], a[2], tolerance), (w, guess, data))
            result: tuple[Array, ...] = out
            return result

        return run

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""
        return self._advance.seconds + self._measure.seconds

    def begin(self) -> tuple[State, Row]:
        """The start and its record."""
        weights = np.stack([np.asarray(t.start) for t in self.tasks]).astype(self.kind)
        count = len(self.tasks)
        guess = np.random.default_rng(0).standard_normal((self.dimension, self.recipe.count)).astype(self.kind)
        vectors = np.broadcast_to(guess, (count, *guess.shape))
        never = np.full(count, -1, dtype=np.int64)
        state = State(0, weights, np.zeros(count, np.int64), vectors, never, np.zeros_like(weights))
        missing = np.full(count, np.nan, self.kind)
        return self._record(state, missing, missing)

    def advance(self, state: State, step: int, /) -> tuple[State, Row]:
        """From ``state`` to iteration ``step``, and the record there."""
        names = ("learning_rate", "weight_decay")
        parameters = {name: self.kind.type(getattr(self.recipe, name)) for name in names}
        held, beta = {}, self.recipe.momentum
        if beta > 0:
            parameters["beta"] = self.kind.type(beta)
            held = {"momentum": state.momentum if state.momentum.size else np.zeros_like(state.weights)}
        keys = jax.vmap(jax.random.key)(jnp.arange(len(self.tasks)))
        weights, held, alive, loss, squared = self._advance(
            state.weights, held, keys, self.data, parameters, np.int64(state.step), np.int64(step - state.step)
        )
        moved = state._replace(
            step=step, weights=np.asarray(weights), alive=state.alive + np.asarray(alive),
            momentum=np.asarray(held.get("momentum", state.momentum)),
        )  # fmt: skip
        return self._record(moved, np.asarray(loss), np.asarray(squared))

    def _record(self, state: State, mean_loss: np.ndarray, mean_squared: np.ndarray) -> tuple[State, Row]:
        # A seed that diverged must not stop the search of the others, nor go into its own.
        finite = np.isfinite(state.weights).all(axis=1)
        weights = np.where(finite[:, None], state.weights, np.ones_like(state.weights))
        vectors = np.where(np.isfinite(state.vectors), state.vectors, 1.0).astype(self.kind)
        # The vectors of the record before see no eigenvalue that nothing couples to them: a random one sees it.
        if 2 * (self.recipe.count + 1) < self.dimension:
            fresh = np.random.default_rng(state.step).standard_normal((self.dimension, 1)).astype(self.kind)
            vectors = np.concatenate([vectors, np.broadcast_to(fresh, (*vectors.shape[:2], 1))], axis=2)
        tolerance = self.kind.type(EIGENPAIRS[self.recipe.dtype])
        *numbers, values, residual, found = (
            np.asarray(a) for a in self._measure(weights, vectors, self.data, tolerance)
        )
        numbers = [np.where(finite, a, np.nan) for a in numbers]
        spectrum = np.where(finite[:, None], values, np.nan)
        train, test, wrong, test_wrong, squared = numbers
        invariant = self.full.task.model.scale_invariant
        size = (1 - self.recipe.rate) * squared if invariant else np.ones_like(squared)
        effective_lr = self.recipe.learning_rate / size
        if self.recipe.schedule != "constant":
            assert self.recipe.steps is not None
            last = min(state.step, self.recipe.steps - 1)
            effective_lr = effective_lr * float(factor(self.recipe.schedule, jnp.asarray(last), self.recipe.steps))
        row = Row(
            state.step, train, test, wrong, test_wrong, squared, effective_lr, spectrum,
            np.where(finite, residual, np.nan), mean_loss, mean_squared,
        )  # fmt: skip
        with np.errstate(invalid="ignore"):
            there = effective_lr * spectrum[:, 0] >= self.recipe.edge * AT_EDGE
            # Real targets have no wrong answers: the edge alone counts.
            right = np.isnan(wrong) | (wrong == 0)
        enters = finite & there & right & (state.entry < 0)
        return state._replace(
            vectors=found,
            entry=np.where(enters, state.step, state.entry),
            entry_weights=np.where(enters[:, None], state.weights, state.entry_weights),
        ), row
