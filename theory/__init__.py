"""Exact wing: SymPy derives, and proves, what the numeric wing then runs.

Importing this package loads no SymPy; its names load on first use.
"""

from __future__ import annotations

from theory.lazy import export

_HOMES = {
    "Family": "theory.family",
    "Geometry": "theory.geometry",
    "InputError": "theory.errors",
    "Loss": "theory.loss",
    "Minima": "theory.loss",
    "NoClosedForm": "theory.errors",
    "Parameter": "theory.family",
    "Proof": "theory.proof",
    "Reduction": "theory.reduction",
    "Rule": "theory.rule",
    "SharpnessFlow": "theory.flow",
    "Status": "theory.proof",
    "Step": "theory.proof",
    "derive": "theory.derivation",
    "derive_generic": "theory.generic",
    "edge_law": "theory.edge_law",
    "expand": "theory.expansion",
    "geometry_of": "theory.geometry",
    "prove_equal": "theory.zero",
    "prove_positive": "theory.positivity",
    "reduce_rule": "theory.reduction",
    "sharpness_flow": "theory.flow",
}

__all__ = sorted(_HOMES)

export(__name__, _HOMES)
