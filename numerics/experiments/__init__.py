"""Experiments of `sharpflow train`, one file each; a file that defines ``EXPERIMENT`` is found by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.theory.registry import Registry

if TYPE_CHECKING:
    from sharpflow.numerics.training.experiment import Experiment

__all__ = ["get", "names"]

_FOUND: Registry[Experiment] = Registry(__name__, "EXPERIMENT", "experiment")
names, get = _FOUND.names, _FOUND.get
