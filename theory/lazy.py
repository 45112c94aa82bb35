"""Packages whose public names load on first use, so that importing the package costs nothing.

The public names are those that the front door, ``sharpflow/__init__.py``, imports where type checkers look (``if
TYPE_CHECKING:``). That block is the only list of them: it is read here, and each wing has those that live in it.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

__all__ = ["export", "homes"]


@cache
def homes(package: str, /) -> dict[str, str]:
    """Each name that ``package`` imports for type checkers, and the module that defines it."""
    source = pkgutil.get_data(package, "__init__.py") or b""
    blocks = [n for n in ast.parse(source).body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    found = (node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom))
    return {alias.name: str(node.module) for node in found for alias in node.names}


def export(
    package: str, /, *, former: Mapping[str, str] | None = None
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """``__all__``, ``__getattr__`` and ``__dir__`` of a package: each public name is imported when it is first used.

    ``former`` are names that were public, with the module that has them: they load, and are listed nowhere.
    """
    own = homes(package)
    if not own:  # a wing: what lives in it
        own = {name: home for name, home in homes(package.partition(".")[0]).items() if home.startswith(f"{package}.")}

    def load(name: str) -> Any:
        home = own.get(name) or (former or {}).get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        if sys._getframe(1).f_globals.get("__name__") == "inspect":
            # help() looks at every member: it would load them all and print them below the table of contents that the
            # docstring is.
            return sorted({*vars(sys.modules[package])} - {*own, "__getattr__", "__dir__"})
        return sorted({*vars(sys.modules[package]), *own})

    return sorted(own), load, names
