"""Gradient descent of any rule: one compiled program for each loss and rule, whatever the rate, start and length.

The number of records is the only thing a program is compiled for; the rate, the start and the number of steps between
records are its arguments. Nothing but the records is kept, so memory does not grow with the number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.descent.forms import FormName, default_form, form_of
from sharpflow.numerics.descent.noise import Source, noisy_value_and_gradient
from sharpflow.numerics.numbers import check_positive, check_seed, check_whole
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.residuals import residual_count
from sharpflow.numerics.results import RESULTS
from sharpflow.theory.errors import InputError
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["Descent", "Iterates", "descend", "descend_batch"]

configure()

Array = jax.Array


@dataclass(frozen=True)
class Iterates:
    """Records of a run at iterations 0, every, 2 every, ...: N = records + 1 of them (a batch has B in front of N).

    Attributes:
        steps: (N,) iteration numbers t.
        points: (N, D) unit vectors theta_t.
        effective_lr, norm_squared: (N,), nan where the rule has none.
        loss: (N,) L(theta_t).
        means: for each of loss, effective_lr, gradient_squared, its mean over the steps of each record, (N-1,); under
            noise theta, too, (N-1, D); or empty.
        result: successful or diverged (the worst of a batch).
        failed_at: the first iteration that is not finite, -1 for none; an array (B,) for a batch. Later records
            are nan.
        position, state: what the next step needs, to go on with `Descent.run`.
    """

    steps: np.ndarray
    points: np.ndarray
    effective_lr: np.ndarray
    norm_squared: np.ndarray
    loss: np.ndarray
    means: dict[str, np.ndarray]
    result: RESULTS
    failed_at: Any
    position: Array
    state: dict[str, Array]


class Descent:
    """A loss and a rule, compiled: ``records`` records, in the form asked for.

    Args:
        objective, rule, form: what runs; see `sharpflow.numerics.descent.forms`.
        records: number of records after the initial one.
        means: whether to average over the steps of each record.
        source: of noise; its samples are drawn from a key, its strength is an argument of a run.
    """

    def __init__(
        self, objective: Objective, rule: Rule, form: FormName, records: int, means: bool, source: Source | None = None
    ) -> None:
        self.objective, self.rule, self.records = objective, rule, records
        self.form = form_of(rule, form)
        self._means, self.source = means, source
        self._begin = Compiled(self.form.begin)
        self._run = Compiled(self.trace)
        self._batch = Compiled(jax.vmap(self.trace, in_axes=(0, 0, 0, None)))
        self._seeds = Compiled(jax.vmap(self.trace, in_axes=(0, 0, None, None, (0, None, None))))

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""
        return self._begin.seconds + self._run.seconds + self._batch.seconds + self._seeds.seconds

    def trace(
        self, position: Array, state: Any, parameters: Any, every: Array, noise: tuple[Any, Array, Array] | None = None
    ) -> tuple[Any, ...]:
        """The run as a function that JAX traces: position, state, finite steps, and the records.

        ``noise``: key, iteration number at the start, and strength.
        """
        form, function = self.form, self.objective.function
        exact = jax.value_and_grad(function)
        noisy = None if self.source is None else noisy_value_and_gradient(self.objective, self.source)
        count = residual_count(self.objective) or 0

        def read(position: Array, state: Any) -> tuple[Array, ...]:
            theta, effective_lr, squared = form.read(position, state, parameters)
            return theta, effective_lr, squared, function(theta)

        def advance(_: Any, carry: Any) -> Any:
            position, state, alive, sums = carry
            if self._means:
                theta, effective_lr, _ = form.read(position, state, parameters)
            value_and_gradient = exact
            if noisy is not None and noise is not None:
                key, first, strength = noise
                value_and_gradient = noisy(key, first + alive, strength, count)
            position, state, loss, squared = form.step(position, state, value_and_gradient, parameters)
            if self._means:
                sums = jax.tree.map(jnp.add, sums, (loss, effective_lr, squared, *((theta,) if noisy else ())))
            # What is not finite stays so under every update: counting the finite steps finds the first bad one.
            alive = alive + jnp.isfinite(sum(jnp.sum(leaf) for leaf in jax.tree.leaves((position, state))))
            return position, state, alive, sums

        def record(carry: Any, _: Any) -> Any:
            position, state, alive = carry
            empty = (jnp.zeros(()),) * 3 if self._means else ()
            if self._means and noisy:
                empty = (*empty, jnp.zeros(self.objective.dimension))
            position, state, alive, sums = jax.lax.fori_loop(0, every, advance, (position, state, alive, empty))
            means = jax.tree.map(lambda s: s / every, sums)
            return (position, state, alive), (read(position, state), means)

        first = read(position, state)
        carry = (position, state, jnp.zeros((), dtype=int))
        (position, state, alive), (series, means) = jax.lax.scan(record, carry, None, length=self.records)
        series = jax.tree.map(lambda a, rest: jnp.concatenate([a[None], rest]), first, series)
        return position, state, alive, series, means

    def begin(self, start: Any, effective_lr: float | None, parameters: Mapping[str, Any]) -> tuple[Array, Any]:
        """Position and state at direction ``start`` (D,); without effective_lr a rule on weights has w = ``start``."""
        missing = effective_lr is None
        if missing and self.rule.space == "sphere" and self.rule.has_effective_lr:
            raise InputError(f"rule {self.rule.name!r} needs effective_lr to start with.")
        number = np.nan if missing else check_positive("effective_lr", effective_lr)
        result: tuple[Array, Any] = self._begin(start, np.float64(number), dict(parameters))
        return result

    def run(
        self, position: Array, state: Any, parameters: Mapping[str, Any], every: int, /, first: int = 0, *,
        seed: int = 0, strength: float = 1.0,
    ) -> Iterates:  # fmt: skip
        """``records * every`` steps from a position and state; ``first`` is the iteration number they are at.

        ``seed`` and ``strength``: of the noise. Runs of one seed, the second from where the first ended, are one run.
        """
        out = self._run(position, state, dict(parameters), np.int64(every), *self._noise(seed, first, strength))
        return self._collect(out, every, first, (-1,))

    def _noise(self, seed: Any, first: int, strength: float) -> tuple[Any, ...]:
        if self.source is None:
            return ()
        seeds = np.asarray(seed)
        keys = jax.random.key(seeds) if seeds.ndim == 0 else jax.vmap(jax.random.key)(seeds)
        return ((keys, np.int64(first), np.float64(strength)),)

    def run_seeds(
        self, positions: Array, states: Any, parameters: Mapping[str, Any], every: int, /, first: int = 0, *,
        seeds: Any, strength: float = 1.0,
    ) -> Iterates:  # fmt: skip
        """The same for B positions, states and seeds of the noise at once, stacked along the first axis."""
        out = self._seeds(positions, states, dict(parameters), np.int64(every), *self._noise(seeds, first, strength))
        return self._collect(out, every, first, (len(positions), -1))

    def compile(self, position: Array, state: Any, parameters: Mapping[str, Any], /) -> None:
        """Compile `run` for arguments of these shapes, so that its time is running time."""
        self._run.prepare(position, state, dict(parameters), np.int64(1))

    def run_batch(self, positions: Array, states: Any, parameters: Mapping[str, Any], every: int, /) -> Iterates:
        """The same for B positions, states and parameters at once, stacked along the first axis."""
        out = self._batch(positions, states, dict(parameters), np.int64(every))
        return self._collect(out, every, 0, (positions.shape[0], -1))

    def _collect(self, out: Any, every: int, first: int, shape: tuple[int, ...]) -> Iterates:
        position, state, alive, series, means = out
        points, effective_lr, squared, loss = (np.asarray(a) for a in series)
        finite_steps = np.asarray(alive)
        failed_at = np.where(finite_steps < self.records * every, first + finite_steps + 1, -1)
        names = ("loss", "effective_lr", "gradient_squared", "theta")
        return Iterates(
            steps=first + every * np.arange(self.records + 1),
            points=points,
            effective_lr=effective_lr,
            norm_squared=squared,
            loss=loss,
            means={name: np.asarray(mean) for name, mean in zip(names, means, strict=False)},
            result=RESULTS.SUCCESSFUL if np.all(failed_at < 0) else RESULTS.DIVERGED,
            failed_at=int(failed_at) if len(shape) == 1 else failed_at,
            position=position,
            state=state,
        )


@lru_cache(maxsize=128)
def _prepared(
    objective: Objective, rule: Identity[Rule], form: FormName, records: int, means: bool, source: Source | None
) -> Descent:
    return Descent(objective, rule.value, form, records, means, source)


def prepare(
    subject: Loss | Objective, rule: Rule, /, *, records: int, form: FormName | None = None, means: bool = False,
    source: Source | None = None,
) -> Descent:  # fmt: skip
    """The compiled descent of a loss and a rule, made once for each number of records.

    ``form``: see `sharpflow.numerics.descent.forms`; default the sphere where the rule reduces to it.
    """
    form = default_form(rule) if form is None else form
    return _prepared(
        as_objective(subject), Identity(rule), form, check_whole("records", records), means, source and source.kind
    )


def parameters_of(rule: Rule, rate: float | None, parameters: Mapping[str, float] | None) -> dict[str, np.float64]:
    """The rule's parameters as numbers: those of ``rate``, or the ones given (constants default)."""
    if (rate is None) == (parameters is None):
        raise InputError("give either rate or parameters, not both and not neither.")
    values = vars(rule.parameters(rate)) if parameters is None else {**rule.constants, **parameters}
    expected = set(rule.parameter_symbols())
    if set(values) != expected:
        raise InputError(f"rule {rule.name!r} has the parameters {sorted(expected)}, not {sorted(values)}.")
    numbers = {name: np.float64(value) for name, value in values.items()}
    bad = sorted(name for name, value in numbers.items() if not np.isfinite(value))
    if bad:
        raise InputError(f"rule {rule.name!r}: {', '.join(bad)} is not finite.")
    return numbers


def check_every(every: int) -> int:
    """``every`` as a positive whole number, or `InputError`."""
    return check_whole("every", every, hint=" (even, unless every step is wanted)")


def descend(
    subject: Loss | Objective, rule: Rule, /, *, start: Any = None, effective_lr: float | None = None,
    rate: float | None = None, parameters: Mapping[str, float] | None = None, records: int = 400, every: int = 2,
    form: FormName | None = None, means: bool = False, state: Mapping[str, Any] | None = None,
    noise: Source | None = None, seed: int = 0,
) -> Iterates:  # fmt: skip
    """theta_t of gradient descent, t = 0, every, ..., records*every.

    Args:
        subject: the loss.
        rule: the update rule.
        start: direction (D,), normalised here; or w itself for a rule on weights without ``effective_lr``.
            Default: the objective's.
        effective_lr: where effective_lr starts.
        rate, parameters: the rule's parameters, by its rate or one by one.
        records, every: how many records, and iterations between them. Odd ``every`` above 1 aliases the period-two
            oscillation.
        form: ``"sphere"`` or ``"weights"``.
        means: also average loss, effective_lr and |grad L(theta)|^2 over the steps of each record.
        state: initial state of a rule that has one (default: momentum at rest).
        noise, seed: a source of noise (`sharpflow.numerics.descent.noise`), and the seed that its samples come from.

    Returns:
        the records; ``result`` says whether the run diverged, ``failed_at`` when.

    Examples:
        >>> from sharpflow import descend, resolve_loss, resolve_rule
        >>> run = descend(resolve_loss("ridge"), resolve_rule("gd-wd"), rate=1e-3, effective_lr=0.5, records=50)
        >>> run.result.value, run.points.shape, int(run.steps[-1])
        ('successful', (51, 3), 100)
    """
    descent = prepare(subject, rule, records=records, form=form, means=means, source=noise)
    objective = descent.objective
    vector = objective.vector(objective.start if start is None else start, "start")
    numbers = parameters_of(rule, rate, parameters)
    position, initial = descent.begin(vector, effective_lr, numbers)
    if state:
        unknown = sorted(set(state) - set(initial))
        if unknown:
            raise InputError(f"rule {rule.name!r} in the form {form!r} has no state {', '.join(unknown)}.")
        initial = {**initial, **{name: jnp.asarray(value, dtype=float) for name, value in state.items()}}
    more: dict[str, Any] = {} if noise is None else {"seed": check_seed(seed), "strength": noise.strength}
    return descent.run(position, initial, numbers, check_every(every), **more)


def descend_batch(
    subject: Loss | Objective, rule: Rule, /, *, starts: Any, rates: Any, effective_lr: Any = None,
    records: int = 400, every: int = 2, form: FormName | None = None, means: bool = False,
) -> Iterates:  # fmt: skip
    """`descend` for B starts (B, D), rates (B,) and effective learning rates (B,) in one vmapped program."""
    descent = prepare(subject, rule, records=records, form=form, means=means)
    vectors = np.stack([descent.objective.vector(v, f"starts[{i}]") for i, v in enumerate(starts)])
    each = np.broadcast_to(np.asarray(rates, dtype=float), (len(vectors),))
    lr = [None] * len(vectors) if effective_lr is None else np.broadcast_to(effective_lr, (len(vectors),))
    sets = [parameters_of(rule, float(rate), None) for rate in each]
    begun = [descent.begin(v, e, p) for v, e, p in zip(vectors, lr, sets, strict=True)]
    stack: Any = jax.tree.map(lambda *leaves: jnp.stack(leaves), *begun)
    numbers = {name: np.array([p[name] for p in sets]) for name in sets[0]}
    return descent.run_batch(stack[0], stack[1], numbers, check_every(every))
