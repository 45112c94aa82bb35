"""Approximate wing: JAX runs what the exact wing derives.

Importing this package loads no JAX; its names load on first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HOMES = {
    "Comparison": "comparison",
    "FlowSolution": "flow",
    "Iterates": "descent",
    "Law": "equilibrium",
    "Objective": "objective",
    "Order": "order",
    "RESULTS": "results",
    "RunFailed": "results",
    "Trajectory": "trajectory",
    "bn_regression_objective": "bn_regression",
    "compare": "compare",
    "configure": "config",
    "descend": "descent",
    "descend_batch": "descent",
    "eigenvalues": "spectrum",
    "integrate": "flow",
    "law_of": "equilibrium",
    "log_sharpness_gradient": "spectrum",
    "manifold_flow": "manifold_flow",
    "objective_of": "objective",
    "order": "order",
    "regression_data": "data",
    "retract": "manifold",
    "sharpness": "spectrum",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"numerics.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'numerics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


class _Package(ModuleType):
    """Importing numerics.compare would bind the module to this package's name ``compare``, which means the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
