"""Approximate wing: JAX runs what the exact wing derives.

Importing this package loads no JAX; its names load on first use.
"""

from __future__ import annotations

import importlib
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
        # Importing numerics.compare puts the module here under that name; the name means the function.
        globals()[name] = value
        return value
    raise AttributeError(f"module 'numerics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
