"""Matrix completion by a batch-normalised factor model: BN(U V^T) on the observed entries against BN of the truth.

The entries p of U V^T, (rows, columns), are centred and scaled by their mean and deviation over the observed ones:
homogeneous of degree 0 in (U, V). The truth has rank 2, the factors are as wide as the matrix: so there are many
interpolating matrices, and Gamma is more than the gauge orbit (U A, V A^-T) of one. An input is the pair of an entry's
row and column; the entries that are not observed are there to test with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from sharpflow.numerics.data.examples import Examples
from sharpflow.numerics.models.layers import Layers
from sharpflow.numerics.models.network import Network
from sharpflow.numerics.models.task import Task
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    default: Objective

__all__ = ["NETWORK", "Completion", "completion", "default"]


def forward(layers: Layers, x: jax.Array, *, rows: int, columns: int, width: int) -> jax.Array:
    """Standardised entries (n, 1) of U V^T, U (rows, width) and V (columns, width), at the index pairs x (n, 2)."""
    if x.shape[1:] != (2,) or layers.outputs != 1:
        raise InputError(f"inputs are pairs (row, column) with one entry each, not of shape {x.shape[1:]}.")
    left, right = layers.take(rows, width), layers.take(columns, width)
    index = x.astype(int)
    return layers.finish((left @ right.T)[index[:, 0], index[:, 1]][:, None])


NETWORK = Network(
    name="matrix-completion",
    title="entries of U V^T, normalised over the observed ones",
    forward=forward,
    sizes={"rows": 20, "columns": 20, "width": 20},
    norms=("batch",),
)


@dataclass(frozen=True, eq=False)
class Completion:
    """A problem of matrix completion.

    Attributes:
        task: the model; trained on the observed entries, tested on the others.
        truth: (rows, columns), standardised over the observed entries.
        observed: (rows, columns) booleans.
    """

    task: Task
    truth: np.ndarray
    observed: np.ndarray

    @property
    def objective(self) -> Objective:
        """Mean squared error over the observed entries, with residuals."""
        return self.task.objective

    def errors(self, point: np.ndarray, /) -> tuple[float, float]:
        """Mean squared error over the observed and over the other entries, at weights (D,)."""
        errors = self.task.errors(point)
        assert errors.test_loss is not None
        return errors.train_loss, errors.test_loss


def completion(
    *, rows: int = 20, columns: int | None = None, rank: int = 2, width: int = 20, part: float = 0.5, seed: int = 0
) -> Completion:
    """A random problem: ``part`` of the entries of a matrix of rank ``rank`` are observed (square by default)."""
    columns = rows if columns is None else columns
    count = round(part * rows * columns)
    if rank < 1 or not 2 <= count < rows * columns:
        raise InputError(
            f"rank = {rank} must be at least 1, and part = {part} of the {rows} x {columns} entries at least 2 of them "
            "and not all."
        )
    random = generator(seed)
    truth = random.standard_normal((rows, rank)) @ random.standard_normal((rank, columns))
    observed = random.permutation(rows * columns).reshape(rows, columns) < count
    truth = (truth - truth[observed].mean()) / truth[observed].std()
    start = random.standard_normal((rows + columns) * width)
    seen, unseen = np.argwhere(observed), np.argwhere(~observed)
    data = Examples(seen, truth[observed][:, None], unseen, truth[~observed][:, None], name="matrix")
    model = NETWORK.build((2,), 1, rows=rows, columns=columns, width=width)
    return Completion(Task(model, data, start, name="matrix-completion"), truth, observed)


def __getattr__(name: str) -> Any:
    if name != "default":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = completion().objective
    return value
