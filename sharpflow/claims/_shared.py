"""Parts that several claims share: the loss a statement about every loss is tried on, and words for tolerances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sharpflow.claim import Case, Measurement, Numeric
from sharpflow.theory.proving.proof import Proof

if TYPE_CHECKING:
    from sharpflow.numerics.objective import Objective

# A few hundred operations in double precision, each off by 1.1e-16, on numbers of order one.
ROUNDING = 1e-12
STEPS_REASON = "20 steps of rounding at 1.1e-16, hardly amplified below the edge, times an allowance of 500"
ROUNDING_REASON = "tolerance: rounding of some hundred operations in double precision"
FINE, COARSE = 1e-6, 1e-5


def objective(case: Case) -> Objective:
    """The case's loss, or, for a claim about every loss, one in ten dimensions that belongs to no family."""
    if case.loss is not None:
        return case.objective
    from sharpflow.numerics.measurements.generic import generic_objective

    return generic_objective(case.seed)


def two_runs(
    case: Case, what: Literal["sphere", "rescaled", "schedule"], described: str, tolerance: str
) -> Measurement:
    """Two runs from one random direction that should be the same run."""
    from sharpflow.claim import weigh
    from sharpflow.numerics.measurements.probes import COMPARED, forms

    found = forms(objective(case), case.rule, rate=1e-3, seed=case.seed)
    steps = found.steps if what == "schedule" else COMPARED
    return weigh(
        float(getattr(found, what)) if found.finite else float("nan"), 0.0, ROUNDING,
        f"{described} over {steps} steps at rate 1e-3, below the edge; tolerance: {tolerance}",
    )  # fmt: skip


def from_own_flow(case: Case) -> Measurement:
    """The largest distance of the rule's iterates, retracted to Gamma, from the rule's own flow."""
    from sharpflow.claim import weigh

    run = case.comparison
    return weigh(
        run.max_distance_on_minima / run.intrinsic_lr if run.result.ok else float("nan"), 0.0, 5.0,
        f"largest distance on Gamma in units of intrinsic_lr over time {run.time:g} at rate {run.rate:g} in the rule's "
        "own clock; tolerance: 5, as for gradient descent",
    )  # fmt: skip


def on_every_loss(case: Case, *titles: str) -> Proof:
    """The parts of the derivation of the rule on the generic loss with these titles; all without."""
    from sharpflow.theory.derivation.generic import generic_derivation

    found = generic_derivation(case.rule).proofs
    chosen = [proof for proof in found if not titles or proof.title in titles]
    return Proof("on every loss", tuple(step for proof in chosen for step in proof.steps))


def reduces(case: Case) -> bool:
    """True where the rule has a form on the sphere with effective_lr as its only state."""
    from sharpflow.theory.errors import InputError

    try:
        return case.reduction is not None
    except InputError:
        return False


def beyond_horizon(case: Case) -> Measurement | None:
    """Not applicable where the energy law says that the oscillation does not stay small over the comparison."""
    from sharpflow.numerics.predictions.horizon import tracking_horizon

    run = case.comparison
    if not len(run.times):
        return None
    # The law is that of one eigenvalue: c has no meaning from where a second one is at the edge.
    several = joined(case)
    last = len(run.times) if several is None else max(several, 1)
    found = tracking_horizon(case.subject, case.rule, path=(run.times[:last], run.flow_points[:last]))
    if found.time >= (run.time if several is None else run.times[several]):
        return None
    return Measurement(
        Numeric.NOT_APPLICABLE,
        message=f"the oscillation of this loss under {case.rule.name} grows tenfold within flow time {found.time:.3g} "
        f"(energy law), too soon for the run of flow time {run.time:g} that this check makes",
    )


def joined(case: Case) -> int | None:
    """The first record at which the flow of the comparison has a second eigenvalue at the edge; ``None`` without."""
    import numpy as np

    from sharpflow.numerics.flows.path import AT_EDGE

    edges = case.comparison.edges
    if edges is None or edges.flow_spectrum.shape[1] < 2:
        return None
    at = np.flatnonzero(edges.flow_effective_lr * edges.flow_spectrum[:, 1] > 2 * (1 - AT_EDGE))
    return int(at[0]) if len(at) else None


def unless_several(measurement: Measurement, case: Case) -> Measurement:
    """Not applicable where a second eigenvalue came to the first, in place of inconsistent with a flow of one.

    A flow that follows them all (``edges`` of the comparison) is weighed as it is.
    """
    import numpy as np

    from sharpflow.numerics.flows.path import AT_EDGE
    from sharpflow.numerics.spectrum.dense import top_eigenvalues

    run = case.comparison
    if measurement.status is not Numeric.INCONSISTENT or run.edges is not None:
        return measurement
    there = np.isfinite(run.minima_points).all(axis=1)
    values = top_eigenvalues(case.objective, run.minima_points[there], rank=2)
    # A loss with one residual has one eigenvalue.
    near = np.flatnonzero(values[:, -1] > (1 - AT_EDGE) * values[:, 0])
    if values.shape[1] < 2 or not len(near):
        return measurement
    return Measurement(
        Numeric.NOT_APPLICABLE,
        message=f"from flow time {run.times[there][near[0]]:.3g} on a second eigenvalue is within {AT_EDGE:g} of the "
        f"first, and the flow that {case.rule.name} is compared with here has one at the edge; {measurement.message}",
    )


def not_run(reason: str) -> Measurement:
    """No measurement, and why."""
    return Measurement(Numeric.NOT_RUN, message=reason)


def extrapolated(coarse: float, fine: float, expected: float, what: str, *, floor: float = 1e-3) -> Measurement:
    """A leading-order number, extrapolated to rate 0 from rates 1e-5 and 1e-6 and weighed.

    The tolerance is the correction that the extrapolation made (terms beyond it are smaller by another factor
    sqrt(rate)) and a floor for the sampling of the orbit.
    """
    from sharpflow.claim import weigh
    from sharpflow.numerics.descent.orbit import at_zero_rate

    value, correction = at_zero_rate(coarse, fine)
    reason = (
        f"{what}; extrapolated to rate 0 from rates {COARSE:g} and {FINE:g}, where it is {coarse:.6g} and "
        f"{fine:.6g}. Tolerance: the "
        f"correction made, {correction:.2g}, and {floor:g} of the expected value for the sampling"
    )
    return weigh(value, expected, correction + floor * max(abs(expected), 1.0), reason)
