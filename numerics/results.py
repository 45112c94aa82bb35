"""The words for an outcome: how a run ended (`RESULTS`), and what a measurement says of a statement (`Numeric`).

What a proof says of it is `sharpflow.theory.proving.proof.Status`; there are no other words. Failures at run time are
values, handed on by every later stage and raised by nobody but `RESULTS.throw`.
"""

from __future__ import annotations

import enum

__all__ = ["RESULTS", "Numeric", "RunFailed", "worst"]


class Numeric(enum.StrEnum):
    """The outcome of a measurement: whether it agrees with the statement, or why nothing was decided."""

    CONSISTENT = "consistent"
    INCONSISTENT = "inconsistent"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not_run"
    NOT_APPLICABLE = "not_applicable"
    # A mistake of the program itself: nothing was measured, and nobody is accused.
    ERROR = "error"


class RunFailed(ArithmeticError):
    """A run did not end well; raised by `RESULTS.throw` only, on the caller's wish."""


class RESULTS(enum.StrEnum):
    """How a run ended; `advice` says what to do about it."""

    SUCCESSFUL = "successful"
    DIVERGED = "diverged"
    GAP_CLOSED = "gap_closed"
    LEFT_CHART = "left_chart"
    OFF_EDGE = "off_edge"
    LEFT_MINIMA = "left_minima"
    NOT_AT_MINIMA = "not_at_minima"
    STEPSIZE_UNDERFLOW = "stepsize_underflow"
    MAX_STEPS = "max_steps"
    LOST_RANK = "lost_rank"
    EDGES_EXHAUSTED = "edges_exhausted"
    UNCONVERGED = "unconverged"

    @property
    def advice(self) -> str:
        """A sentence or two: what happened, and what to do."""
        return _ADVICE[self]

    @property
    def ok(self) -> bool:
        """True where the run ended well."""
        return self is RESULTS.SUCCESSFUL

    def throw(self, where: str = "") -> None:
        """Raise `RunFailed` unless the run ended well."""
        if not self.ok:
            raise RunFailed(f"{where + ': ' if where else ''}{self.value}: {self.advice}")


_ADVICE = {
    RESULTS.SUCCESSFUL: "The run reached its end.",
    RESULTS.DIVERGED: (
        "A value became infinite or not a number. Of gradient descent: lower the rate, or start nearer to the minima. "
        "Of a flow: the loss is not finite there, or not smooth."
    ),
    RESULTS.GAP_CLOSED: (
        "The two largest eigenvalues met, and the flow of one eigenvalue is not defined beyond. "
        "Shorten the time, or start elsewhere."
    ),
    RESULTS.LEFT_CHART: "The flow left the domain of the chart. Shorten the time, or give Minima a wider domain.",
    RESULTS.OFF_EDGE: (
        "effective_lr times sharpness did not average to the edge: the run left it, or never oscillated. "
        "Lower the rate, by ten to begin with; an amplitude far from 1 may do it, too."
    ),
    RESULTS.LEFT_MINIMA: (
        "No point of the minima was found near the path. Of gradient descent: lower the rate or the amplitude. Of a "
        "flow: lower its tolerance, or check the rank that was given."
    ),
    RESULTS.NOT_AT_MINIMA: (
        "Gradient flow did not come to rest at a manifold of minima that a flow leads along. Start elsewhere; where L "
        "is smooth, the central flow needs none: sharpflow.central_flow(objective, sharpflow.relax(objective).point, "
        "rate=1e-4, time=1.0)."
    ),
    RESULTS.STEPSIZE_UNDERFLOW: (
        "The step of the integrator shrank to nothing: near here the loss has a kink, eigenvalues meet, or Gamma ends. "
        "`sharpflow check` tells which."
    ),
    RESULTS.MAX_STEPS: "The integrator ran out of steps. Shorten the time, or check the field for stiffness.",
    RESULTS.LOST_RANK: (
        "A direction normal to the minima went flat: beyond, they are no manifold of one dimension. Shorten the time, "
        "or start elsewhere."
    ),
    RESULTS.EDGES_EXHAUSTED: (
        "More eigenvalues came to the edge than the solver carries. Shorten the time, or start elsewhere."
    ),
    RESULTS.UNCONVERGED: (
        "An iterative solver inside of a step stopped short of its precision, however short the step; the message says "
        "which, and its residual. Shorten the time, start elsewhere, or give residuals, which need no such solver."
    ),
}


def worst(*results: RESULTS) -> RESULTS:
    """The first result that is not successful, in the order given; successful if there is none."""
    return next((result for result in results if not result.ok), RESULTS.SUCCESSFUL)
