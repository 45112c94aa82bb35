"""Built-in update rules, one file each; a file here that defines ``rule`` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sharpflow.theory.errors import InputError, known_names
from sharpflow.theory.rule import Rule

__all__ = ["get", "names"]


@cache
def names() -> tuple[str, ...]:
    """Names of the built-in rules, as the command line spells them."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def get(name: str) -> Rule:
    """The built-in rule of that name; raises `InputError` when there is none."""
    if name not in names():
        raise InputError(f"no built-in rule is called {name!r}; {known_names(name, names())}")
    rule: Rule = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").rule
    return rule
