"""An experiment: data, a network and the rates with which gradient descent with weight decay is to be run on them.

`Experiment.task` makes the problem of one seed: the seed draws the examples, the weights and the wrong labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

from sharpflow.numerics import networks
from sharpflow.numerics.data.examples import Examples, mislabel
from sharpflow.numerics.models.network import Network
from sharpflow.numerics.models.task import LOSSES, Task, outputs_for
from sharpflow.numerics.numbers import check_seed, check_whole
from sharpflow.theory.errors import InputError, known_names

__all__ = ["Choices", "Experiment", "task"]


@dataclass(frozen=True)
class Choices:
    """The choices of a user; ``None`` is what the experiment has.

    Attributes:
        place: of the data, where they come from a file.
        examples, test_examples: how many to train on and to test with.
        network, norm, head, activation: of the network (`sharpflow.numerics.models.network.Network.build`).
        sizes: of the network, by name.
        loss: squared or cross-entropy.
        wrong_labels: share of the training examples that get another class than theirs.
    """

    place: str | None = None
    examples: int | None = None
    test_examples: int | None = None
    network: str | None = None
    norm: str | None = None
    head: str | None = None
    activation: str | None = None
    sizes: Mapping[str, Any] = field(default_factory=dict)
    loss: str | None = None
    wrong_labels: float = 0.0


@dataclass(frozen=True)
class Experiment:
    """A problem to train on, and how.

    Attributes:
        name: as the command line spells it.
        title: one line for tables.
        data: (n, test, seed, place) -> `Examples`, with ``None`` for what the user left open.
        network, norm, sizes: the default network; sizes hold for this network only.
        learning_rate, weight_decay: of gradient descent; their product is the rate.
        time: flow time.
        fixed_data: whether all seeds share the examples, and draw the weights only.
        problem: (choices, seed) -> `Task`, for what is no network on labelled examples; ``data`` is not used then.
        source: where data and setting come from.
    """

    name: str
    title: str
    data: Callable[[int | None, int | None, int, str | None], Examples] | None = None
    network: str = "mlp"
    norm: str = "batch"
    sizes: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float = 0.05
    weight_decay: float = 2e-3
    time: float = 3.0
    fixed_data: bool = False
    problem: Callable[[Choices, int], Task] | None = None
    source: str = ""

    def task(self, seed: int, choices: Choices | None = None, /, *, data: Examples | None = None) -> Task:
        """The problem of one seed; ``data`` are the examples, where they are drawn already.

        Raises:
            InputError: a choice does not fit.
        """
        c = choices or Choices()
        if self.problem is not None:
            return self.problem(c, seed)
        examples = self.examples(seed, c) if data is None else data
        network = c.network or self.network
        known = (*networks.get(network).sizes, "groups")
        if unknown := sorted(set(c.sizes) - set(known)):
            raise InputError(f"network {network!r} has no size {unknown[0]!r}; {known_names(unknown[0], known)}")
        sizes = {**(self.sizes if network == self.network else {}), **c.sizes}
        named = (("head", c.head), ("activation", c.activation))
        options: dict[str, Any] = {name: value for name, value in named if value}
        return task(
            network, examples, norm=c.norm or self.norm, loss=c.loss or "squared", seed=seed, **options, **sizes
        )

    def tasks(self, seeds: int, choices: Choices | None = None, /) -> tuple[Task, ...]:
        """The problems of seeds 0, 1, ..., seeds - 1; with ``fixed_data`` they share one `Examples`."""
        check_whole("seeds", seeds)
        shared = self.examples(0, choices or Choices()) if self.fixed_data else None
        return tuple(self.task(seed, choices, data=shared) for seed in range(seeds))

    def examples(self, seed: int, choices: Choices, /) -> Examples:
        """The examples of one seed, some of them with wrong labels where that was chosen."""
        assert self.data is not None
        found = self.data(choices.examples, choices.test_examples, seed, choices.place)
        return mislabel(found, choices.wrong_labels, seed=seed)


def refuse(choices: Choices, names: tuple[str, ...], experiment: str, /) -> None:
    """Raise `InputError` where something was chosen that this experiment has no choice of."""
    default = Choices()
    for name in names:
        if getattr(choices, name) != getattr(default, name):
            raise InputError(f"experiment {experiment!r} has no choice of {name.replace('_', ' ')}.")


def numbers(make: Callable[..., Examples], n: int | None, test: int | None, seed: int) -> Examples:
    """``make(n=, test=, seed=)`` with the numbers that were given."""
    given = {name: value for name, value in (("n", n), ("test", test)) if value is not None}
    return make(seed=seed, **given)


def needs_no_place(make: Callable[..., Examples], name: str, /) -> Callable[..., Examples]:
    """`Experiment.data` of examples that come with the program."""

    def data(n: int | None, test: int | None, seed: int, place: str | None) -> Examples:
        if place is not None:
            raise InputError(f"experiment {name!r} brings its own data; leave the place of the data out.")
        return numbers(make, n, test, seed)

    return data


def task(
    network: Network | str,
    data: Examples,
    /,
    *,
    norm: str | None = None,
    loss: str = "squared",
    seed: int = 0,
    smoothing: float = 0.1,
    logit_scale: float = 2.0,
    **options: Any,
) -> Task:
    """A network, by itself or by its name, to be trained on data, from random weights drawn by the seed.

    Args:
        network: a `Network` or one of ``sharpflow.numerics.networks.names()``.
        data: the examples.
        norm: default the first of the family's.
        loss: one of `LOSSES`.
        seed: of the weights.
        smoothing: of the cross-entropy.
        logit_scale: of the cross-entropy.
        options: head, groups, activation and the sizes of the family, as in `Network.build`.
    """
    family = networks.get(network) if isinstance(network, str) else network
    if loss not in LOSSES:
        raise InputError(f"loss = {loss!r} must be {' or '.join(LOSSES)}.")
    model = family.build(data.inputs.shape[1:], outputs_for(data, loss), norm=norm, **options)
    start = model.initial(jax.random.key(check_seed(seed)))
    return Task(model, data, start, loss, smoothing, logit_scale, f"{family.name}-{model.norm}-norm-{data.name}")
