"""Claims of the theory, one file each; a file here that defines ``claim`` is found by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.theory.registry import Registry

if TYPE_CHECKING:
    from sharpflow.claim import Claim

__all__ = ["get", "names"]

_FOUND: Registry[Claim] = Registry(__name__, "claim", "claim")
names, get = _FOUND.names, _FOUND.get
