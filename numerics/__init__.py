"""Approximate wing: JAX runs what the exact wing derives.

Importing this package loads no JAX; its names load on first use.
"""

from __future__ import annotations

from theory.lazy import export

_HOMES = {
    "CentralFlow": "numerics.central_flow",
    "Comparison": "numerics.comparison",
    "EdgeFlow": "numerics.edge_path",
    "Examples": "numerics.examples",
    "FlowSolution": "numerics.flow",
    "Iterates": "numerics.descent",
    "Law": "numerics.equilibrium",
    "Network": "numerics.network",
    "Objective": "numerics.objective",
    "Order": "numerics.order",
    "RESULTS": "numerics.results",
    "ResolvedFlow": "numerics.resolved",
    "RunFailed": "numerics.results",
    "Sweep": "numerics.sweep",
    "Task": "numerics.network_task",
    "Trajectory": "numerics.trajectory",
    "bifurcation_delay": "numerics.delay",
    "bn_regression_objective": "numerics.bn_regression",
    "breast_cancer": "numerics.examples",
    "central_flow": "numerics.central_flow",
    "cifar10": "numerics.cifar10",
    "compare": "numerics.compare",
    "configure": "numerics.config",
    "descend": "numerics.descent",
    "descend_batch": "numerics.descent",
    "digits": "numerics.examples",
    "edge_covariance": "numerics.edge",
    "edge_flow": "numerics.edge_flow",
    "eigenvalues": "numerics.spectrum",
    "integrate": "numerics.flow",
    "law_of": "numerics.equilibrium",
    "log_sharpness_gradient": "numerics.spectrum",
    "manifold_flow": "numerics.manifold_flow",
    "mnist1d": "numerics.mnist1d",
    "objective_of": "numerics.objective",
    "order": "numerics.order",
    "read_sweep": "numerics.sweep",
    "regression_data": "numerics.data",
    "resolved_flow": "numerics.resolved",
    "retract": "numerics.manifold",
    "sharpness": "numerics.spectrum",
    "sweep": "numerics.sweep",
    "task": "numerics.network_task",
    "top_eigenpairs": "numerics.eigenpairs",
    "whole_run": "numerics.whole_run",
}

__all__ = sorted(_HOMES)

export(__name__, _HOMES)
