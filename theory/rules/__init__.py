"""Built-in update rules, one file each; a file here that defines ``rule`` is found by itself."""

from __future__ import annotations

from sharpflow.theory.registry import Registry
from sharpflow.theory.rule import Rule

__all__ = ["get", "names"]

_FOUND: Registry[Rule] = Registry(__name__, "rule", "built-in rule")
names, get = _FOUND.names, _FOUND.get
