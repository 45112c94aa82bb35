"""A batch-normalised factor model U V^T of width 20 on half of the entries of a 20 x 20 matrix of rank 2."""

from __future__ import annotations

from sharpflow.numerics.models.task import Task
from sharpflow.numerics.networks.matrix_completion import completion
from sharpflow.numerics.numbers import check_whole
from sharpflow.numerics.training.experiment import Choices, Experiment, refuse
from sharpflow.theory.errors import InputError

FIXED = ("place", "examples", "test_examples", "network", "head", "activation", "loss", "wrong_labels")


def problem(choices: Choices, seed: int) -> Task:
    """The seed draws the matrix, what is observed of it, and the factors."""
    refuse(choices, FIXED, "matrix-completion")
    if choices.norm not in (None, "batch"):
        raise InputError(f"experiment 'matrix-completion' has norm batch only, not {choices.norm!r}.")
    unknown = sorted(set(choices.sizes) - {"rows", "columns", "width", "rank"})
    if unknown:
        raise InputError(f"experiment 'matrix-completion' has no size {unknown[0]!r}; rows, columns, width, rank.")
    for name, value in choices.sizes.items():
        check_whole(f"experiment 'matrix-completion': {name}", value)
    return completion(seed=seed, **choices.sizes).task


EXPERIMENT = Experiment(
    name="matrix-completion",
    title="half of a 20 x 20 matrix of rank 2, factors of width 20",
    problem=problem,
    learning_rate=0.1,
    weight_decay=1e-3,
    time=6.0,
)
