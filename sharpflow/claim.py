"""A claim of the theory: what is said, under which hypotheses, how it is proved, and how it is measured.

A claim holds no mathematics: ``prove`` asks the exact wing for a `Proof`, ``measure`` asks the approximate wing for
numbers and
weighs them. Both are given a `Case`: one loss (or none, for a claim about every loss) and one rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from sharpflow.numerics.results import Numeric

if TYPE_CHECKING:
    from sharpflow.numerics.comparison.result import Comparison
    from sharpflow.numerics.objective import Objective
    from sharpflow.theory.chart.flow import SharpnessFlow
    from sharpflow.theory.chart.geometry import Geometry
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.proving.proof import Proof
    from sharpflow.theory.rule import Rule
    from sharpflow.theory.sphere.reduction import Reduction

__all__ = ["Case", "Claim", "Measurement", "Numeric", "StepView", "Verdict", "weigh"]

# What the kernel of a proof assistant says of a step.
ACCEPTED, NOT_EXPORTED, REJECTED = "accepted", "not exported", "rejected"


@dataclass(frozen=True)
class Measurement:
    """A number, the one expected, how far they may lie apart, and why.

    Attributes:
        status: the verdict.
        measured, expected, tolerance: ``None`` where there is none; tolerance is on |measured - expected|.
        message: what was measured and the reason for the tolerance, or why nothing was.
        upper: whether ``expected`` is a bound from above.
    """

    status: Numeric
    measured: float | None = None
    expected: float | None = None
    tolerance: float | None = None
    message: str = ""
    upper: bool = False


def weigh(measured: float, expected: float, tolerance: float, message: str, /, *, upper: bool = False) -> Measurement:
    """Consistent where |measured - expected| <= tolerance (with ``upper``, where measured <= expected + tolerance).

    A measured value that is no finite number is inconclusive: nothing was measured.
    """
    if not math.isfinite(measured):
        return Measurement(Numeric.INCONCLUSIVE, None, expected, tolerance, f"nothing measured; {message}")
    difference = measured - expected if upper else abs(measured - expected)
    status = Numeric.CONSISTENT if difference <= tolerance else Numeric.INCONSISTENT
    return Measurement(status, float(measured), float(expected), float(tolerance), message, upper)


@dataclass(frozen=True, eq=False)
class Case:
    """One loss, or none, and one rule: the subject of claims, which share all that is derived and measured of it.

    Args:
        loss: ``None`` for a claim about every loss ("generic").
        rule: the update rule.
        rate, time: of the comparison with gradient descent that the measurements share.
        seed: of random points and directions.
    """

    loss: Loss | None
    rule: Rule
    rate: float = 1e-5
    time: float = 2.0
    seed: int = 0

    @property
    def subject(self) -> Loss:
        """The loss, where there must be one."""
        if self.loss is None:
            raise TypeError("this claim is about a loss, and the case has none.")
        return self.loss

    @cached_property
    def reduction(self) -> Reduction:
        """The rule on the sphere."""
        from sharpflow.theory.sphere.reduction import reduce_rule

        return reduce_rule(self.rule)

    @cached_property
    def geometry(self) -> Geometry:
        """Gamma of the loss."""
        from sharpflow.theory.chart.geometry import geometry_of

        return geometry_of(self.subject)

    @cached_property
    def flow(self) -> SharpnessFlow:
        """The flow of gradient descent with weight decay; raises `NoClosedForm` where the chart admits none."""
        from sharpflow.theory.chart.flow import sharpness_flow

        return sharpness_flow(self.subject)

    @cached_property
    def objective(self) -> Objective:
        """The loss under JAX."""
        from sharpflow.numerics.objective import as_objective

        return as_objective(self.subject)

    @cached_property
    def comparison(self) -> Comparison:
        """Gradient descent against the flow, at ``rate`` over ``time``."""
        from sharpflow.numerics.comparison.compare import compare

        return compare(self.subject, rule=self.rule, rate=self.rate, time=self.time)


@dataclass(frozen=True)
class Claim:
    """One statement of the theory.

    Args:
        title: in words, one line.
        statement: the equation, as LaTeX without dollar signs.
        section: where it stands in the theory: "scale invariance", "reduction", "edge", "minima", "flow",
            "schedules", "noise", "regression".
        prove: the symbolic proof, or ``None`` (then ``why_no_proof`` says why there is none).
        measure: the numeric check by an independent path, or ``None`` (``why_no_measurement``).
        about: "loss" (tried on each loss), "generic" (on none: about every loss), "both".
        hypotheses: of `sharpflow.theory.loss.HYPOTHESES`; a loss that fails one makes the claim not applicable.
        settles: the hypothesis that this claim checks; a loss may declare that it fails.
        rules: built-in rules it is tried under; the first is what ``verify`` uses by default.
        any_rule: whether it makes sense for another smooth rule too (``verify --rule``).
        needs_orbit: whether, under any rule, it speaks of closed orbits at the edge, which some rules lack.
        losses: names of the families it is restricted to; empty means all.
        others_on: families on which ``verify`` tries every one of ``rules``; elsewhere the first alone.
        needs_minima: whether a loss without minima is left out.
        source: of the statement.
    """

    title: str
    statement: str
    section: str
    prove: Callable[[Case], Proof] | None = None
    measure: Callable[[Case], Measurement] | None = None
    about: Literal["loss", "generic", "both"] = "loss"
    hypotheses: tuple[str, ...] = ()
    settles: str = ""
    rules: tuple[str, ...] = ("gd-wd",)
    any_rule: bool = False
    needs_orbit: bool = True
    losses: tuple[str, ...] = ()
    others_on: tuple[str, ...] = ()
    needs_minima: bool = True
    source: str = "Lyu, Li, Arora 2022, arXiv:2206.07085"
    why_no_proof: str = ""
    why_no_measurement: str = ""

    def covers(self, loss: Loss | None) -> bool:
        """True where the claim is about this loss (``None``: about every loss)."""
        if loss is None:
            return self.about != "loss"
        if self.about == "generic" or (self.needs_minima and loss.minima is None):
            return False
        return not self.losses or loss.name.split("(")[0] in self.losses

    def rules_on(self, loss: Loss | None) -> tuple[str, ...]:
        """The built-in rules it is tried under on this loss."""
        if self.others_on and (loss is None or loss.name not in self.others_on):
            return self.rules[:1]
        return self.rules


@dataclass(frozen=True)
class StepView:
    """A `sharpflow.theory.proving.proof.Step` as text: what a report prints, and what travels between processes.

    Attributes:
        title, note, method: for the reader.
        statement, latex, mathml: the line in three notations (mathml without the outer ``<math>`` element).
        status: of `sharpflow.theory.proving.proof.Status`.
        residual: what was left, as text; empty when proved.
        witness: the point that refutes it.
        seconds: time the check took.
        kernel: what the kernel of Coq says of it, where it was asked: "accepted", "not exported: why", "rejected: how".
    """

    title: str
    statement: str
    latex: str
    mathml: str
    status: str
    method: str = ""
    note: str = ""
    residual: str = ""
    witness: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    kernel: str = ""


@dataclass(frozen=True)
class Verdict:
    """A claim weighed: one row of the table. ``proof`` and ``numeric`` are never merged into one boolean.

    Attributes:
        id, title, statement, section, source: of the claim.
        loss: its name, or "generic".
        rule: its name.
        proof, numeric: verdicts, as in `sharpflow.theory.proving.proof.Status` and `Numeric`; "error" is a mistake of
            the program itself.
        measured, expected, tolerance: of the measurement.
        seconds: proof and measurement together.
        message: what a reader should know; for not_applicable the failed hypothesis by name.
        steps: of the proof.
        upper: whether ``expected`` is a bound from above.
    """

    id: str
    title: str
    loss: str
    rule: str
    proof: str
    numeric: str
    measured: float | None = None
    expected: float | None = None
    tolerance: float | None = None
    seconds: float = 0.0
    message: str = ""
    statement: str = ""
    section: str = ""
    source: str = ""
    steps: tuple[StepView, ...] = field(default_factory=tuple)
    upper: bool = False

    @property
    def wrong(self) -> bool:
        """True where something was refuted, inconsistent, or rejected by the kernel."""
        return self.proof == "refuted" or self.numeric == "inconsistent" or self.kernel == REJECTED

    @property
    def kernel(self) -> str:
        """The kernel's verdict on the proved steps together; empty where it was not asked."""
        said = [step.kernel for step in self.steps if step.kernel]
        accepted = sum(words.startswith(ACCEPTED) for words in said)
        if any(words.startswith(REJECTED) for words in said):
            return REJECTED
        if said and not accepted:
            return NOT_EXPORTED
        return "" if not said else ACCEPTED if accepted == len(said) else f"{ACCEPTED} {accepted}/{len(said)}"

    @property
    def open(self) -> bool:
        """True where something was left undecided or inconclusive."""
        return self.proof == "undecided" or self.numeric == "inconclusive"

    @property
    def error(self) -> bool:
        """True where proof or measurement ended by a mistake of the program itself."""
        return "error" in (self.proof, self.numeric)

    def with_measurement(self, measurement: Measurement, seconds: float) -> Verdict:
        """The same with its numeric half filled in."""
        message = "; ".join(dict.fromkeys(part for part in (self.message, measurement.message) if part))
        return replace(
            self, numeric=measurement.status.value, measured=measurement.measured, expected=measurement.expected,
            tolerance=measurement.tolerance, seconds=self.seconds + seconds, message=message, upper=measurement.upper,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The row of ``verify --json``."""
        names = ("id", "title", "loss", "rule", "proof", "numeric", "measured", "expected", "tolerance", "seconds")
        kernel = {"kernel": self.kernel, "kernel_steps": [step.kernel for step in self.steps]} if self.kernel else {}
        return {name: getattr(self, name) for name in (*names, "message")} | kernel
