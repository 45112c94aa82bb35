"""Weights as networks hold them: a tree of arrays as one flat vector and back, its leaves named by their path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.config import configure
from sharpflow.theory.errors import InputError

__all__ = ["Leaves", "is_tree"]

configure()


def is_tree(value: Any, /) -> bool:
    """True of dictionaries, lists of arrays, modules: of all but an array and a sequence of numbers.

    >>> is_tree({"w": np.ones(3)}), is_tree([np.ones(2), np.ones(3)]), is_tree([1.0, 2.0]), is_tree(np.ones(3))
    (True, True, False, False)
    """
    if hasattr(value, "__array__") or isinstance(value, str | bytes) or jax.tree_util.all_leaves([value]):
        return False
    return not isinstance(value, list | tuple) or any(np.ndim(leaf) > 0 for leaf in jax.tree.leaves(value))


@dataclass(frozen=True)
class Leaves:
    """How a tree of arrays lies in a flat vector (D,): in the order of `jax.flatten_util.ravel_pytree`.

    Attributes:
        names: paths, as params/Dense_0/kernel.
        shapes: of the arrays.
        structure: of the tree.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    structure: Any

    @classmethod
    def of(cls, tree: Any, what: str) -> Leaves:
        """Those of a tree of floating point arrays; ``what`` it is, for errors."""
        paths, structure = jax.tree_util.tree_flatten_with_path(tree)
        names = tuple(jax.tree_util.keystr(path, simple=True, separator="/") or "weights" for path, _ in paths)
        for name, (_, leaf) in zip(names, paths, strict=True):
            kind = getattr(leaf, "dtype", np.result_type(type(leaf)) if isinstance(leaf, float) else None)
            if kind is None or not jnp.issubdtype(kind, jnp.floating):
                held = f"a {type(leaf).__name__}" if kind is None else f"of {kind}"
                raise InputError(
                    f"{what}: {name} is {held}, and weights are real arrays (floating point): leave it out of start "
                    "and let the function hold it."
                )
        return cls(names, tuple(np.shape(leaf) for _, leaf in paths), structure)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Numbers in each leaf."""
        return tuple(int(np.prod(shape)) for shape in self.shapes)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each leaf lies in the flat vector."""
        ends = np.cumsum(self.sizes)
        return tuple(slice(int(end) - size, int(end)) for end, size in zip(ends, self.sizes, strict=True))

    def ravel(self, tree: Any, what: str) -> np.ndarray:
        """The flat vector (D,) of a tree like this one, in double precision."""
        own = Leaves.of(tree, what)
        if own.structure != self.structure or own.shapes != self.shapes:
            told = self._difference(own)
            raise InputError(f"{what} is another tree than the objective's start: {told}.")
        parts = [np.zeros(0), *(np.ravel(np.asarray(a, dtype=float)) for a in jax.tree.leaves(tree))]
        flat: np.ndarray = np.concatenate(parts)
        return flat

    def _difference(self, own: Leaves) -> str:
        missing, more = set(self.names) - set(own.names), set(own.names) - set(self.names)
        if missing or more:
            both = (("lacks", missing), ("has besides", more))
            return " and ".join(f"it {word} {', '.join(sorted(names)[:3])}" for word, names in both if names)
        mine = dict(zip(self.names, self.shapes, strict=True))
        other = [f"{n} has the shape {s}, not {mine[n]}" for n, s in zip(own.names, own.shapes, strict=True)
                 if s != mine[n]]  # fmt: skip
        return "; ".join(other[:3]) or f"its containers are {own.structure}, not {self.structure}"

    def unravel(self, w: Any) -> Any:
        """The tree of a flat vector (D,), for tracing."""
        return jax.tree.unflatten(
            self.structure, [w[part].reshape(s) for part, s in zip(self.slices, self.shapes, strict=True)]
        )

    def flat(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """``function`` of the tree as one of the flat vector."""

        @wraps(function)
        def of_flat(w: Any) -> Any:
            return function(self.unravel(w))

        return of_flat

    def place(self, entry: int) -> str:
        """The leaf that an entry of the flat vector belongs to."""
        return self.names[int(np.searchsorted(np.cumsum(self.sizes), entry, side="right"))]
