"""Experiments of `sharpflow train`, one file each; a file that defines ``EXPERIMENT`` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from sharpflow.theory.errors import InputError, known_names

if TYPE_CHECKING:
    from sharpflow.numerics.training.experiment import Experiment

__all__ = ["get", "names"]


@cache
def names() -> tuple[str, ...]:
    """Names of the experiments, as the command line spells them."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def get(name: str) -> Experiment:
    """The experiment of that name; raises `InputError` when there is none."""
    if name not in names():
        raise InputError(f"no experiment is called {name!r}; {known_names(name, names())}")
    found: Experiment = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").EXPERIMENT
    return found
