"""What several claims need: the loss a statement about every loss is tried on, and words for tolerances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sharpflow.claim import Case, Measurement, Numeric

if TYPE_CHECKING:
    from numerics.objective import Objective

# A few hundred operations in double precision, each off by 1.1e-16, on numbers of order one.
ROUNDING = 1e-12
STEPS_REASON = "200 steps of rounding at 1.1e-16, not amplified below the edge, times an allowance of 50"
ROUNDING_REASON = "tolerance: rounding of some hundred operations in double precision"
FINE, COARSE = 1e-6, 1e-5


def objective(case: Case) -> Objective:
    """The case's loss, or, for a claim about every loss, one in ten dimensions that belongs to no family."""
    if case.loss is not None:
        return case.objective
    from numerics.generic import generic_objective

    return generic_objective(case.seed)


def two_runs(
    case: Case, what: Literal["sphere", "rescaled", "schedule"], described: str, tolerance: str
) -> Measurement:
    """Two runs from one random direction that should be the same run."""
    from numerics.probes import forms
    from sharpflow.claim import weigh

    found = forms(objective(case), case.rule, rate=1e-3, seed=case.seed)
    return weigh(
        float(getattr(found, what)) if found.finite else float("nan"), 0.0, ROUNDING,
        f"{described} over {found.steps} steps at rate 1e-3, below the edge; tolerance: {tolerance}",
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


def not_run(reason: str) -> Measurement:
    """No measurement, and why."""
    return Measurement(Numeric.NOT_RUN, message=reason)


def extrapolated(coarse: float, fine: float, expected: float, what: str, *, floor: float = 1e-3) -> Measurement:
    """A leading-order number, extrapolated to rate 0 from rates 1e-5 and 1e-6 and weighed.

    The tolerance is the correction that the extrapolation made (terms beyond it are smaller by another factor
    sqrt(rate)) and a floor for the sampling of the orbit.
    """
    from numerics.orbit import at_zero_rate
    from sharpflow.claim import weigh

    value, correction = at_zero_rate(coarse, fine)
    reason = (
        f"{what}; extrapolated to rate 0 from rates {COARSE:g} and {FINE:g}, where it is {coarse:.6g} and "
        f"{fine:.6g}. Tolerance: the "
        f"correction made, {correction:.2g}, and {floor:g} of the expected value for the sampling"
    )
    return weigh(value, expected, correction + floor * max(abs(expected), 1.0), reason)
