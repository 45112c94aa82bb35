"""Built-in loss families, one file each; a file here that defines ``family`` is found by itself."""

from __future__ import annotations

from sharpflow.theory.family import Family
from sharpflow.theory.registry import Registry

__all__ = ["get", "names"]

_FOUND: Registry[Family] = Registry(__name__, "family", "built-in family")
names, get = _FOUND.names, _FOUND.get
