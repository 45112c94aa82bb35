"""Packages whose public names load on first use, so that importing the package costs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

__all__ = ["export"]


def export(package: str, homes: Mapping[str, str], /) -> None:
    """Let ``package`` have each name of ``homes``, from the module it stands for, imported when the name is first used.

    Importing a submodule that bears a public name (``sharpflow.numerics.comparison.compare``) does not take that name
    away from what it means (the function).
    """

    class Package(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name not in homes:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            value = getattr(importlib.import_module(homes[name]), name)
            self.__dict__[name] = value
            return value

        def __setattr__(self, name: str, value: Any) -> None:
            if not (name in homes and isinstance(value, ModuleType)):
                super().__setattr__(name, value)

        def __dir__(self) -> list[str]:
            return sorted({*self.__dict__, *homes})

    sys.modules[package].__class__ = Package
