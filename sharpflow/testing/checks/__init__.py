"""The checks, one to a file; a file that defines ``check`` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from sharpflow.theory.errors import InputError, known_names

if TYPE_CHECKING:
    from sharpflow.testing.check import Check

__all__ = ["get", "names"]


@cache
def names(about: str = "loss") -> tuple[str, ...]:
    """Names of the checks about a "loss" or a "rule", in the order in which they are run."""
    found = (module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    chosen = [name for name in found if get(name).about == about]
    return tuple(sorted(chosen, key=lambda name: (get(name).order, name)))


@cache
def get(name: str, /) -> Check:
    """The check of that name; raises `InputError` where there is none."""
    known = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if name not in known:
        raise InputError(f"there is no check {name!r}; {known_names(name, known)}")
    found: Check = importlib.import_module(f"{__name__}.{name}").check
    return found
