"""Claims of the theory, one file each; a file here that defines ``claim`` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from sharpflow.theory.errors import InputError, known_names

__all__ = ["get", "names"]


@cache
def names() -> tuple[str, ...]:
    """Names of the claims, as the command line spells them."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name.replace("_", "-") for name in found if not name.startswith("_")))


def get(name: str) -> Any:
    """The claim of that name; raises `InputError` when there is none."""
    if name not in names():
        raise InputError(f"there is no claim {name!r}; {known_names(name, names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}").claim
