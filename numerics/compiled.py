"""A function compiled ahead of its run, so that the seconds of compiling are known and not mistaken for running."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import numpy as np

from sharpflow.numerics.config import configure

__all__ = ["Compiled", "buffer", "options"]


# What is kept of one compiled stretch: so many steps, or so many numbers.
STEPS, NUMBERS = 256, 4_000_000

configure()

# XLA's newer emitter of fused loops takes up to a third of a command's processor time where nothing is compiled yet,
# and programs as small as these run no faster for it (benchmarks/compiling.py).
QUICK: dict[str, str | bool] = {"xla_cpu_use_fusion_emitters": False}


@cache
def options() -> dict[str, str | bool]:
    """Options of the compiler, `QUICK` where this version of XLA has a choice."""
    try:
        jax.jit(lambda: 0.0).lower().compile(compiler_options=QUICK)
    except jax.errors.JaxRuntimeError:
        return {}
    return QUICK


class Compiled:
    """``function`` under XLA: one executable for each combination of argument shapes.

    Numbers are arguments like any other, so a new number never compiles anew. The function must be pure and take
    no arrays from its closure.

    Attributes:
        function: the function itself, to be vmapped or differentiated.
        seconds: what all compilations took together.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.seconds = 0.0
        self._jitted = jax.jit(function)
        self._executables: dict[Any, Any] = {}

    @property
    def compilations(self) -> int:
        """How many executables there are."""
        return len(self._executables)

    def prepare(self, *arguments: Any) -> tuple[Any, tuple[Any, ...]]:
        """The executable for these arguments (compiled if need be), and the arguments as arrays."""
        # NumPy makes strongly typed scalars; a Python float would be a weak type, hence another program.
        arrays = jax.tree.map(lambda x: x if isinstance(x, jax.Array) else np.asarray(x), arguments)
        leaves, structure = jax.tree.flatten(arrays)
        key = (structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves))
        executable = self._executables.get(key)
        if executable is None:
            started = time.perf_counter()
            shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arrays)
            executable = self._jitted.lower(*shapes).compile(compiler_options=options())
            self.seconds += time.perf_counter() - started
            self._executables[key] = executable
        return executable, arrays

    def __call__(self, *arguments: Any) -> Any:
        """The value of the function at these arguments."""
        executable, arrays = self.prepare(*arguments)
        return executable(*arrays)


def buffer(dimension: int) -> int:
    """Steps that are kept of a stretch, for so many weights."""
    return max(8, min(STEPS, NUMBERS // dimension))
