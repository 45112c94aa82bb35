"""Exact wing: SymPy derives, and proves, what the numeric wing then runs.

Importing this package loads no SymPy; its names load on first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HOMES = {
    "Family": "family",
    "Geometry": "geometry",
    "InputError": "errors",
    "Loss": "loss",
    "Minima": "loss",
    "NoClosedForm": "errors",
    "Parameter": "family",
    "Proof": "proof",
    "Reduction": "reduction",
    "Rule": "rule",
    "SharpnessFlow": "flow",
    "Status": "proof",
    "Step": "proof",
    "derive": "derivation",
    "expand": "expansion",
    "geometry_of": "geometry",
    "prove_equal": "zero",
    "prove_positive": "positivity",
    "reduce_rule": "reduction",
    "sharpness_flow": "flow",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"theory.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'theory' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


class _Package(ModuleType):
    """Should a module ever bear a public name, importing it must not take that name away from what it means."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
