"""sharpflow: a symbolic-plus-numeric verifier of the theory of sharpness reduction.

Nouns: what is handed over, and handed back

    Loss, Minima                    a loss as a formula, and its minimizers in a chart
    Objective                       a loss as a JAX function of the weights, flat or a tree of arrays
    Rule                            an update rule, written once for SymPy and JAX
    Derivation                      an argument as checked steps: derived, or your own, line by line
    SharpnessFlow                   the flow in the chart: its field, the sharpness, a closed form
    Iterates                        recorded gradient descent
    Path, ChartPath                 a path of the flow, and one in a chart
    CentralPath, ResolvedPath       the same without minima, and with the oscillation itself
    WholeRun                        descent, waiting and flow, from anywhere
    Comparison, Order               iterates beside the flow, and the power of intrinsic_lr in their distance
    Relaxed, Eigenpairs             a point of Gamma, and eigenpairs of the Hessian there
    Sweep, TrainingRun, Recipe      results on a grid, of a network on data, and how it was trained
    Verification, Report            verdicts on claims, and the results of checks
    StatementResult                 the verdict on a statement of your own
    Monitor                         a training loop of your own, watched: how far it is from the edge
    Groups                          what of a network is scale-invariant, leaf by leaf
    InputError                      what was wrong with the input, where, and what to do

Verbs: what there is to do

    resolve_loss, resolve_rule      what a text names: ridge, file.py:attribute, z^2/(x^2 + y^2 + z^2)
    derive                          derive the flow, step by checked step, on one loss or (None) on every loss
    sharpness_flow                  the flow alone
    verify                          every claim of the theory: a proof, and a measurement
    prove                           does a statement of your own hold? with a witness where it does not
    check_loss, check_rule          is it right, and does the theory describe it? with counterexamples
    compare, order                  run gradient descent beside the flow, at one rate and at several
    descend                         run gradient descent
    integrate, edge_flow            run the flow: in a chart, and without one
    noise_flow                      the same under label noise
    central_flow, resolved_flow     the same without minima, and with the oscillation itself
    whole_run                       predict a run from anywhere
    relax                           go to the manifold of minimizers by gradient flow
    groups                          which weights of a network are scale-invariant, alone, together, or not
    sharpness, top_eigenpairs       the spectrum of the Hessian
    sweep, read_sweep               compare over grids of losses, rules, rates and starts
    train_network                   train a normalized network at the edge of stability

`help(sharpflow.compare)` tells more of a name. It is loaded on first use: importing this package loads neither SymPy
nor JAX. sharpflow.theory, sharpflow.numerics and sharpflow.testing hold the rest, module by module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.theory.lazy import export
from sharpflow.version import __version__ as __version__

if TYPE_CHECKING:  # the one list of public names: type checkers follow it, and `export` reads it
    from sharpflow.naming.specs import resolve_loss as resolve_loss
    from sharpflow.naming.specs import resolve_rule as resolve_rule
    from sharpflow.numerics.comparison.compare import compare as compare
    from sharpflow.numerics.comparison.order import Order as Order
    from sharpflow.numerics.comparison.order import order as order
    from sharpflow.numerics.comparison.result import Comparison as Comparison
    from sharpflow.numerics.descent.descent import Iterates as Iterates
    from sharpflow.numerics.descent.descent import descend as descend
    from sharpflow.numerics.flows.central_flow import CentralPath as CentralPath
    from sharpflow.numerics.flows.central_flow import central_flow as central_flow
    from sharpflow.numerics.flows.chart_flow import ChartPath as ChartPath
    from sharpflow.numerics.flows.chart_flow import integrate as integrate
    from sharpflow.numerics.flows.edge_flow import edge_flow as edge_flow
    from sharpflow.numerics.flows.noise_flow import noise_flow as noise_flow
    from sharpflow.numerics.flows.path import Path as Path
    from sharpflow.numerics.minima.relax import Relaxed as Relaxed
    from sharpflow.numerics.minima.relax import relax as relax
    from sharpflow.numerics.objective import Objective as Objective
    from sharpflow.numerics.predictions.resolved import ResolvedPath as ResolvedPath
    from sharpflow.numerics.predictions.resolved import resolved_flow as resolved_flow
    from sharpflow.numerics.predictions.whole_run import WholeRun as WholeRun
    from sharpflow.numerics.predictions.whole_run import whole_run as whole_run
    from sharpflow.numerics.spectrum.dense import sharpness as sharpness
    from sharpflow.numerics.spectrum.eigenpairs import top_eigenpairs as top_eigenpairs
    from sharpflow.numerics.spectrum.lanczos import Eigenpairs as Eigenpairs
    from sharpflow.numerics.sweeps.sweep import Sweep as Sweep
    from sharpflow.numerics.sweeps.sweep import read_sweep as read_sweep
    from sharpflow.numerics.sweeps.sweep import sweep as sweep
    from sharpflow.numerics.training.monitor import Monitor as Monitor
    from sharpflow.numerics.training.recipe import Recipe as Recipe
    from sharpflow.numerics.training.run import TrainingRun as TrainingRun
    from sharpflow.numerics.training.run import train_network as train_network
    from sharpflow.numerics.weights.grouping import Groups as Groups
    from sharpflow.numerics.weights.grouping import groups as groups
    from sharpflow.statements.derivation import Derivation as Derivation
    from sharpflow.statements.prove import StatementResult as StatementResult
    from sharpflow.statements.prove import prove as prove
    from sharpflow.testing.result import Report as Report
    from sharpflow.testing.running import check_loss as check_loss
    from sharpflow.testing.running import check_rule as check_rule
    from sharpflow.theory.chart.flow import SharpnessFlow as SharpnessFlow
    from sharpflow.theory.chart.flow import sharpness_flow as sharpness_flow
    from sharpflow.theory.derivation.derivation import derive as derive
    from sharpflow.theory.errors import InputError as InputError
    from sharpflow.theory.loss import Loss as Loss
    from sharpflow.theory.loss import Minima as Minima
    from sharpflow.theory.rule import Rule as Rule
    from sharpflow.verification.verification import Verification as Verification
    from sharpflow.verification.verification import verify as verify

__all__, __getattr__, __dir__ = export(__name__, former={
    "GenericDerivation": "sharpflow.theory.derivation.generic", "derive_generic": "sharpflow.theory.derivation.generic",
})  # fmt: skip
__all__ = ["__version__", *__all__]
