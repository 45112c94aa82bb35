"""A check: one line of meaning, a source, what to do when it fails, and a function that tries a subject."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from sharpflow.claim import Case

if TYPE_CHECKING:
    from sharpflow.numerics.minima.sample import MinimaSample
    from sharpflow.numerics.objective import Objective
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["AT_THE_EDGE", "Check", "Outcome", "RuleSubject", "Subject", "Trial"]


# What happens at the edge supposes all of these.
AT_THE_EDGE = (
    "homogeneity", "euler_identities", "derivatives", "finite", "residuals", "chart", "smoothness", "minimizers",
    "minimal_kernel", "simple_sharpness",
)  # fmt: skip
DERIVATION_SECONDS = 8.0


class Outcome(enum.StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not_applicable"
    EXPECTED_FAILURE = "expected_failure"
    UNEXPECTED_PASS = "unexpected_pass"
    # An exception that none of the subject's lines raised: a mistake of the program itself, which accuses nobody.
    ERROR = "error"

    @property
    def wrong(self) -> bool:
        """True where someone has to act: at a failure, an expected one that did not come, or a mistake of ours."""
        return self in (Outcome.FAILED, Outcome.UNEXPECTED_PASS, Outcome.ERROR)


@dataclass(frozen=True)
class Trial:
    """The finding of a check.

    Attributes:
        outcome: passed, failed, inconclusive, not_applicable or error.
        message: what was measured and the reason for the tolerance, or why nothing was.
        measured, expected, tolerance: numbers, ``None`` where there are none.
        counterexample: names to numbers, arrays or text, where it failed.
        blocked: whether it was not tried because something it supposes fails.
        bound: ">=" or "<=" where ``expected`` is a bound for ``measured`` and not its value.
        advice: what to do in this very case; else that of the check.
    """

    outcome: Outcome
    message: str = ""
    measured: float | None = None
    expected: float | None = None
    tolerance: float | None = None
    counterexample: Mapping[str, Any] = field(default_factory=dict)
    blocked: bool = False
    bound: Literal["", ">=", "<="] = ""
    advice: str = ""


@dataclass(frozen=True, eq=False)
class Subject:
    """A loss under test. What several checks need is computed once.

    Args:
        given: a `Loss` or an `Objective`.
        rule: run where a check runs gradient descent.
        seed: of random points.
        note: what of it is under test, where that is a part.
        missing: checks that have no meaning for it, and those that suppose them, with the reason.
    """

    given: Loss | Objective
    rule: Rule
    seed: int = 0
    note: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the loss."""
        return self.given.name

    @property
    def loss(self) -> Loss | None:
        """The formula, where there is one."""
        from sharpflow.theory.loss import Loss

        return self.given if isinstance(self.given, Loss) else None

    @cached_property
    def objective(self) -> Objective:
        """The loss under JAX."""
        from sharpflow.numerics.objective import as_objective

        return as_objective(self.given)

    @cached_property
    def minima(self) -> MinimaSample:
        """Points of Gamma; may be none."""
        from sharpflow.numerics.minima.sample import MinimaSample, minima_sample

        if reason := self.missing.get("minimizers"):
            nowhere = np.zeros((0, self.objective.dimension))
            return MinimaSample(nowhere, None, 0, (reason,), nowhere, nowhere, nowhere)
        return minima_sample(self.given, seed=self.seed)

    @cached_property
    def case(self) -> Case:
        """For claims: the loss itself where it has a chart, else the objective started on Gamma."""
        from sharpflow.numerics.minima.sample import on_minima

        loss = self.loss
        if loss is not None and loss.minima is not None:
            from sharpflow.numerics.flows.chart_flow import derived_flow

            # Where the chart gives no flow in this time, the comparison takes the one on the implicit manifold.
            derived_flow(loss, seconds=DERIVATION_SECONDS)
            return Case(loss, self.rule, seed=self.seed)
        # Measurements take either; proofs, which need a formula, are asked for where there is one only.
        return Case(cast("Loss", on_minima(self.objective)), self.rule, seed=self.seed)


@dataclass(frozen=True, eq=False)
class RuleSubject:
    """An update rule under test, on a built-in loss where it must run."""

    given: Rule
    seed: int = 0

    @property
    def name(self) -> str:
        """Of the rule."""
        return self.given.name


@dataclass(frozen=True)
class Check:
    """One thing that a loss or a rule must do.

    Args:
        meaning: one line.
        source: where it comes from.
        advice: what to do when it fails.
        run: tries a `Subject` (about a loss) or a `RuleSubject`.
        about: "loss" or "rule".
        supposes: names of checks without which this one says nothing.
        needs_minima: whether Gamma must be known, by a chart or by gradient flow.
        advice_without_chart: the same for a loss without `Minima`; default ``advice``.
        hypothesis: the name under which a `Loss` may declare that it fails (``expects_to_fail``).
        order: checks run in this order, cheap and fundamental ones first.
    """

    meaning: str
    source: str
    advice: str
    run: Callable[[Any], Trial]
    about: Literal["loss", "rule"] = "loss"
    supposes: tuple[str, ...] = ()
    needs_minima: bool = False
    advice_without_chart: str = ""
    hypothesis: str = ""
    order: int = 50
