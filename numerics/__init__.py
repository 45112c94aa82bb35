"""Approximate wing: JAX runs what the exact wing derives.

Importing this package loads no JAX; its names load on first use.
"""

from __future__ import annotations

from sharpflow.theory.lazy import export

_HOMES = {
    "CentralFlow": "sharpflow.numerics.flows.central_flow",
    "Comparison": "sharpflow.numerics.comparison.result",
    "EdgeFlow": "sharpflow.numerics.flows.path",
    "Examples": "sharpflow.numerics.data.examples",
    "FlowSolution": "sharpflow.numerics.flows.chart_flow",
    "Iterates": "sharpflow.numerics.descent.descent",
    "Law": "sharpflow.numerics.descent.law",
    "Network": "sharpflow.numerics.models.network",
    "Objective": "sharpflow.numerics.objective",
    "Order": "sharpflow.numerics.comparison.order",
    "RESULTS": "sharpflow.numerics.results",
    "ResolvedFlow": "sharpflow.numerics.predictions.resolved",
    "RunFailed": "sharpflow.numerics.results",
    "Sweep": "sharpflow.numerics.sweeps.sweep",
    "Task": "sharpflow.numerics.models.task",
    "Trajectory": "sharpflow.numerics.trajectory",
    "bifurcation_delay": "sharpflow.numerics.predictions.delay",
    "bn_regression_objective": "sharpflow.numerics.measurements.bn_regression",
    "breast_cancer": "sharpflow.numerics.data.examples",
    "central_flow": "sharpflow.numerics.flows.central_flow",
    "cifar10": "sharpflow.numerics.data.cifar10",
    "compare": "sharpflow.numerics.comparison.compare",
    "configure": "sharpflow.numerics.config",
    "descend": "sharpflow.numerics.descent.descent",
    "descend_batch": "sharpflow.numerics.descent.descent",
    "digits": "sharpflow.numerics.data.examples",
    "edge_covariance": "sharpflow.numerics.flows.complementarity",
    "edge_flow": "sharpflow.numerics.flows.edge_flow",
    "eigenvalues": "sharpflow.numerics.spectrum.dense",
    "integrate": "sharpflow.numerics.flows.chart_flow",
    "law_of": "sharpflow.numerics.descent.law",
    "log_sharpness_gradient": "sharpflow.numerics.spectrum.dense",
    "manifold_flow": "sharpflow.numerics.flows.manifold_flow",
    "mnist1d": "sharpflow.numerics.data.mnist1d",
    "objective_of": "sharpflow.numerics.objective",
    "order": "sharpflow.numerics.comparison.order",
    "read_sweep": "sharpflow.numerics.sweeps.sweep",
    "regression_data": "sharpflow.numerics.data.regression",
    "resolved_flow": "sharpflow.numerics.predictions.resolved",
    "retract": "sharpflow.numerics.minima.retraction",
    "sharpness": "sharpflow.numerics.spectrum.dense",
    "sweep": "sharpflow.numerics.sweeps.sweep",
    "task": "sharpflow.numerics.training.experiment",
    "top_eigenpairs": "sharpflow.numerics.spectrum.eigenpairs",
    "whole_run": "sharpflow.numerics.predictions.whole_run",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = export(__name__, _HOMES)
