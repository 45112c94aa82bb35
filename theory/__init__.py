"""Exact wing: SymPy derives, and proves, what the numeric wing then runs.

Importing this package loads no SymPy; its names load on first use.
"""

from __future__ import annotations

from sharpflow.theory.lazy import export

_HOMES = {
    "Family": "sharpflow.theory.family",
    "Geometry": "sharpflow.theory.chart.geometry",
    "InputError": "sharpflow.theory.errors",
    "Loss": "sharpflow.theory.loss",
    "Minima": "sharpflow.theory.loss",
    "NoClosedForm": "sharpflow.theory.errors",
    "Parameter": "sharpflow.theory.family",
    "Proof": "sharpflow.theory.proving.proof",
    "Reduction": "sharpflow.theory.sphere.reduction",
    "Rule": "sharpflow.theory.rule",
    "SharpnessFlow": "sharpflow.theory.chart.flow",
    "Status": "sharpflow.theory.proving.proof",
    "Step": "sharpflow.theory.proving.proof",
    "derive": "sharpflow.theory.derivation.derivation",
    "derive_generic": "sharpflow.theory.derivation.generic",
    "edge_law": "sharpflow.theory.edge.edge_law",
    "expand": "sharpflow.theory.chart.expansion",
    "geometry_of": "sharpflow.theory.chart.geometry",
    "prove_equal": "sharpflow.theory.proving.zero",
    "prove_positive": "sharpflow.theory.proving.positivity",
    "reduce_rule": "sharpflow.theory.sphere.reduction",
    "sharpness_flow": "sharpflow.theory.chart.flow",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = export(__name__, _HOMES)
