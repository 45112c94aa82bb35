"""sharpflow: a symbolic-plus-numeric verifier of the theory of sharpness reduction.

The public names of all three wings are here and are loaded on first use: importing this package loads neither SymPy
nor JAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from theory.lazy import export

__version__ = "0.1.0"

_HOMES = {
    "Case": "sharpflow.claim",
    "Claim": "sharpflow.claim",
    "Comparison": "numerics.comparison",
    "Derivation": "theory.derivation",
    "Family": "theory.family",
    "InputError": "theory.errors",
    "Loss": "theory.loss",
    "Measurement": "sharpflow.claim",
    "Minima": "theory.loss",
    "NoClosedForm": "theory.errors",
    "Objective": "numerics.objective",
    "Order": "numerics.order",
    "Parameter": "theory.family",
    "Proof": "theory.proof",
    "Recipe": "numerics.training",
    "Rule": "theory.rule",
    "SharpnessFlow": "theory.flow",
    "Status": "theory.proof",
    "Step": "theory.proof",
    "Sweep": "numerics.sweep",
    "TrainingRun": "numerics.training_run",
    "Trajectory": "numerics.trajectory",
    "Verdict": "sharpflow.claim",
    "Verification": "sharpflow.verification",
    "central_flow": "numerics.central_flow",
    "compare": "numerics.compare",
    "derive": "theory.derivation",
    "derive_generic": "theory.generic",
    "edge_law": "theory.edge_law",
    "descend": "numerics.descent",
    "edge_covariance": "numerics.edge",
    "edge_flow": "numerics.edge_flow",
    "eigenvalues": "numerics.spectrum",
    "geometry_of": "theory.geometry",
    "integrate": "numerics.flow",
    "log_sharpness_gradient": "numerics.spectrum",
    "manifold_flow": "numerics.manifold_flow",
    "order": "numerics.order",
    "parse_expression": "sharpflow.expressions",
    "parse_loss": "sharpflow.expressions",
    "predict": "numerics.training_prediction",
    "read_sweep": "numerics.sweep",
    "read_training": "numerics.training_run",
    "relax": "numerics.relax",
    "resolve_loss": "sharpflow.specs",
    "resolve_rule": "sharpflow.specs",
    "resolved_flow": "numerics.resolved",
    "retract": "numerics.manifold",
    "sharpness": "numerics.spectrum",
    "sharpness_flow": "theory.flow",
    "sweep": "numerics.sweep",
    "top_eigenpairs": "numerics.eigenpairs",
    "train_network": "numerics.training_run",
    "verify": "sharpflow.verification",
    "whole_run": "numerics.whole_run",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:  # for type checkers, which do not follow __getattr__; the house test holds the two lists together
    from numerics.central_flow import central_flow as central_flow
    from numerics.compare import compare as compare
    from numerics.comparison import Comparison as Comparison
    from numerics.descent import descend as descend
    from numerics.edge import edge_covariance as edge_covariance
    from numerics.edge_flow import edge_flow as edge_flow
    from numerics.eigenpairs import top_eigenpairs as top_eigenpairs
    from numerics.flow import integrate as integrate
    from numerics.manifold import retract as retract
    from numerics.manifold_flow import manifold_flow as manifold_flow
    from numerics.objective import Objective as Objective
    from numerics.order import Order as Order
    from numerics.order import order as order
    from numerics.relax import relax as relax
    from numerics.resolved import resolved_flow as resolved_flow
    from numerics.spectrum import eigenvalues as eigenvalues
    from numerics.spectrum import log_sharpness_gradient as log_sharpness_gradient
    from numerics.spectrum import sharpness as sharpness
    from numerics.sweep import Sweep as Sweep
    from numerics.sweep import read_sweep as read_sweep
    from numerics.sweep import sweep as sweep
    from numerics.training import Recipe as Recipe
    from numerics.training_prediction import predict as predict
    from numerics.training_run import TrainingRun as TrainingRun
    from numerics.training_run import read_training as read_training
    from numerics.training_run import train_network as train_network
    from numerics.trajectory import Trajectory as Trajectory
    from numerics.whole_run import whole_run as whole_run
    from sharpflow.claim import Case as Case
    from sharpflow.claim import Claim as Claim
    from sharpflow.claim import Measurement as Measurement
    from sharpflow.claim import Verdict as Verdict
    from sharpflow.expressions import parse_expression as parse_expression
    from sharpflow.expressions import parse_loss as parse_loss
    from sharpflow.specs import resolve_loss as resolve_loss
    from sharpflow.specs import resolve_rule as resolve_rule
    from sharpflow.verification import Verification as Verification
    from sharpflow.verification import verify as verify
    from theory.derivation import Derivation as Derivation
    from theory.derivation import derive as derive
    from theory.edge_law import edge_law as edge_law
    from theory.errors import InputError as InputError
    from theory.errors import NoClosedForm as NoClosedForm
    from theory.family import Family as Family
    from theory.family import Parameter as Parameter
    from theory.flow import SharpnessFlow as SharpnessFlow
    from theory.flow import sharpness_flow as sharpness_flow
    from theory.generic import derive_generic as derive_generic
    from theory.geometry import geometry_of as geometry_of
    from theory.loss import Loss as Loss
    from theory.loss import Minima as Minima
    from theory.proof import Proof as Proof
    from theory.proof import Status as Status
    from theory.proof import Step as Step
    from theory.rule import Rule as Rule

export(__name__, _HOMES)
