"""Plug-ins, one file each: what a file of a package defines is found by itself, under the name of the file."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cached_property
from typing import Generic, TypeVar

from sharpflow.theory.errors import InputError, known_names

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """The plug-ins of a package.

    Args:
        package: its dotted name.
        attribute: what each of its files defines; files that begin with an underscore hold what others share.
        what: the name of the kind, for messages: "built-in family".
        hyphens: whether ``two_layer.py`` is called two-layer, as on the command line.
        besides: files there that are no plug-ins.
    """

    def __init__(
        self, package: str, attribute: str, what: str, /, *, hyphens: bool = True, besides: tuple[str, ...] = ()
    ) -> None:
        self.package, self.attribute, self.what, self._besides = package, attribute, what, besides
        self._between = "-" if hyphens else "_"

    @cached_property
    def _modules(self) -> dict[str, str]:
        found = (module.name for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__))
        return {
            name.replace("_", self._between): name
            for name in sorted(found)
            if not name.startswith("_") and name not in self._besides
        }

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._modules))

    def get(self, name: str, /) -> T:
        """The plug-in of that name; raises `InputError` where there is none."""
        if name not in self._modules:
            raise InputError(f"no {self.what} is called {name!r}; {known_names(name, self.names())}")
        found: T = getattr(importlib.import_module(f"{self.package}.{self._modules[name]}"), self.attribute)
        return found
