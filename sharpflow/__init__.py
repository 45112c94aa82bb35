"""sharpflow: a symbolic-plus-numeric verifier of the theory of sharpness reduction.

The public names of all three wings are here and are loaded on first use: importing this package loads neither SymPy
nor JAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.theory.lazy import export

__version__ = "0.1.0"

_HOMES = {
    "Case": "sharpflow.claim",
    "Claim": "sharpflow.claim",
    "Comparison": "sharpflow.numerics.comparison.result",
    "Derivation": "sharpflow.theory.derivation.derivation",
    "Family": "sharpflow.theory.family",
    "InputError": "sharpflow.theory.errors",
    "Loss": "sharpflow.theory.loss",
    "Measurement": "sharpflow.claim",
    "Minima": "sharpflow.theory.loss",
    "NoClosedForm": "sharpflow.theory.errors",
    "Objective": "sharpflow.numerics.objective",
    "Order": "sharpflow.numerics.comparison.order",
    "Parameter": "sharpflow.theory.family",
    "Proof": "sharpflow.theory.proving.proof",
    "Recipe": "sharpflow.numerics.training.recipe",
    "Rule": "sharpflow.theory.rule",
    "SharpnessFlow": "sharpflow.theory.chart.flow",
    "Status": "sharpflow.theory.proving.proof",
    "Step": "sharpflow.theory.proving.proof",
    "Sweep": "sharpflow.numerics.sweeps.sweep",
    "TrainingRun": "sharpflow.numerics.training.run",
    "Trajectory": "sharpflow.numerics.trajectory",
    "Verdict": "sharpflow.claim",
    "Verification": "sharpflow.verification.verification",
    "central_flow": "sharpflow.numerics.flows.central_flow",
    "compare": "sharpflow.numerics.comparison.compare",
    "derive": "sharpflow.theory.derivation.derivation",
    "derive_generic": "sharpflow.theory.derivation.generic",
    "edge_law": "sharpflow.theory.edge.edge_law",
    "descend": "sharpflow.numerics.descent.descent",
    "edge_covariance": "sharpflow.numerics.flows.complementarity",
    "edge_flow": "sharpflow.numerics.flows.edge_flow",
    "eigenvalues": "sharpflow.numerics.spectrum.dense",
    "geometry_of": "sharpflow.theory.chart.geometry",
    "integrate": "sharpflow.numerics.flows.chart_flow",
    "log_sharpness_gradient": "sharpflow.numerics.spectrum.dense",
    "manifold_flow": "sharpflow.numerics.flows.manifold_flow",
    "order": "sharpflow.numerics.comparison.order",
    "parse_expression": "sharpflow.naming.expressions",
    "parse_loss": "sharpflow.naming.expressions",
    "predict": "sharpflow.numerics.training.prediction",
    "read_sweep": "sharpflow.numerics.sweeps.sweep",
    "read_training": "sharpflow.numerics.training.run",
    "relax": "sharpflow.numerics.minima.relax",
    "resolve_loss": "sharpflow.naming.specs",
    "resolve_rule": "sharpflow.naming.specs",
    "resolved_flow": "sharpflow.numerics.predictions.resolved",
    "retract": "sharpflow.numerics.minima.retraction",
    "sharpness": "sharpflow.numerics.spectrum.dense",
    "sharpness_flow": "sharpflow.theory.chart.flow",
    "sweep": "sharpflow.numerics.sweeps.sweep",
    "top_eigenpairs": "sharpflow.numerics.spectrum.eigenpairs",
    "train_network": "sharpflow.numerics.training.run",
    "verify": "sharpflow.verification.verification",
    "whole_run": "sharpflow.numerics.predictions.whole_run",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:  # for type checkers, which do not follow __getattr__; the house test holds the two lists together
    from sharpflow.claim import Case as Case
    from sharpflow.claim import Claim as Claim
    from sharpflow.claim import Measurement as Measurement
    from sharpflow.claim import Verdict as Verdict
    from sharpflow.naming.expressions import parse_expression as parse_expression
    from sharpflow.naming.expressions import parse_loss as parse_loss
    from sharpflow.naming.specs import resolve_loss as resolve_loss
    from sharpflow.naming.specs import resolve_rule as resolve_rule
    from sharpflow.numerics.comparison.compare import compare as compare
    from sharpflow.numerics.comparison.order import Order as Order
    from sharpflow.numerics.comparison.order import order as order
    from sharpflow.numerics.comparison.result import Comparison as Comparison
    from sharpflow.numerics.descent.descent import descend as descend
    from sharpflow.numerics.flows.central_flow import central_flow as central_flow
    from sharpflow.numerics.flows.chart_flow import integrate as integrate
    from sharpflow.numerics.flows.complementarity import edge_covariance as edge_covariance
    from sharpflow.numerics.flows.edge_flow import edge_flow as edge_flow
    from sharpflow.numerics.flows.manifold_flow import manifold_flow as manifold_flow
    from sharpflow.numerics.minima.relax import relax as relax
    from sharpflow.numerics.minima.retraction import retract as retract
    from sharpflow.numerics.objective import Objective as Objective
    from sharpflow.numerics.predictions.resolved import resolved_flow as resolved_flow
    from sharpflow.numerics.predictions.whole_run import whole_run as whole_run
    from sharpflow.numerics.spectrum.dense import eigenvalues as eigenvalues
    from sharpflow.numerics.spectrum.dense import log_sharpness_gradient as log_sharpness_gradient
    from sharpflow.numerics.spectrum.dense import sharpness as sharpness
    from sharpflow.numerics.spectrum.eigenpairs import top_eigenpairs as top_eigenpairs
    from sharpflow.numerics.sweeps.sweep import Sweep as Sweep
    from sharpflow.numerics.sweeps.sweep import read_sweep as read_sweep
    from sharpflow.numerics.sweeps.sweep import sweep as sweep
    from sharpflow.numerics.training.prediction import predict as predict
    from sharpflow.numerics.training.recipe import Recipe as Recipe
    from sharpflow.numerics.training.run import TrainingRun as TrainingRun
    from sharpflow.numerics.training.run import read_training as read_training
    from sharpflow.numerics.training.run import train_network as train_network
    from sharpflow.numerics.trajectory import Trajectory as Trajectory
    from sharpflow.theory.chart.flow import SharpnessFlow as SharpnessFlow
    from sharpflow.theory.chart.flow import sharpness_flow as sharpness_flow
    from sharpflow.theory.chart.geometry import geometry_of as geometry_of
    from sharpflow.theory.derivation.derivation import Derivation as Derivation
    from sharpflow.theory.derivation.derivation import derive as derive
    from sharpflow.theory.derivation.generic import derive_generic as derive_generic
    from sharpflow.theory.edge.edge_law import edge_law as edge_law
    from sharpflow.theory.errors import InputError as InputError
    from sharpflow.theory.errors import NoClosedForm as NoClosedForm
    from sharpflow.theory.family import Family as Family
    from sharpflow.theory.family import Parameter as Parameter
    from sharpflow.theory.loss import Loss as Loss
    from sharpflow.theory.loss import Minima as Minima
    from sharpflow.theory.proving.proof import Proof as Proof
    from sharpflow.theory.proving.proof import Status as Status
    from sharpflow.theory.proving.proof import Step as Step
    from sharpflow.theory.rule import Rule as Rule
    from sharpflow.verification.verification import Verification as Verification
    from sharpflow.verification.verification import verify as verify

__getattr__, __dir__ = export(__name__, _HOMES)
