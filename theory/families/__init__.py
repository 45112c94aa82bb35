"""Built-in loss families, one file each; a file here that defines ``family`` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sharpflow.theory.errors import InputError, known_names
from sharpflow.theory.family import Family

__all__ = ["get", "names"]


@cache
def names() -> tuple[str, ...]:
    """Names of the built-in families, as the command line spells them."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def get(name: str) -> Family:
    """The built-in family of that name; raises `InputError` when there is none."""
    if name not in names():
        raise InputError(f"no built-in family is called {name!r}; {known_names(name, names())}")
    family: Family = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").family
    return family
