"""The checks, one to a file; a file that defines ``check`` is found by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.theory.registry import Registry

if TYPE_CHECKING:
    from sharpflow.testing.check import Check

__all__ = ["get", "names"]

_FOUND: Registry[Check] = Registry(__name__, "check", "check", hyphens=False)
get = _FOUND.get


def names(about: str = "loss") -> tuple[str, ...]:
    """Names of the checks about a "loss" or a "rule", in the order in which they are run."""
    chosen = [name for name in _FOUND.names() if get(name).about == about]
    return tuple(sorted(chosen, key=lambda name: (get(name).order, name)))
