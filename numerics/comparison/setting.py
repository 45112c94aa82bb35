"""The numbers of a comparison, checked once, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from sharpflow.numerics.descent.edge_run import RECORDS
from sharpflow.numerics.descent.law import Law, law_of
from sharpflow.numerics.numbers import (
    check_amplitude,
    check_iterations,
    check_not_negative,
    check_positive,
    check_rate,
    check_seed,
    check_time,
    check_whole,
)
from sharpflow.theory.rule import Rule

__all__ = ["Setting", "default_rule"]

# Two and a half periods hold one whole period wherever the crossings fall; large orbits take longer than small ones.
TAIL_PERIODS = 2.5
# Twice as many of the last steps show a period.
FEWEST = 20


def default_rule() -> Rule:
    """Gradient descent with weight decay."""
    from sharpflow.theory import rules

    return rules.get("gd-wd")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How gradient descent and the flow are run beside each other.

    Attributes:
        rule, own_law: the update rule, and its law at the edge where that is not to be the derived one.
        rate, time: eps, and flow time.
        amplitude: A, in units of the equilibrium oscillation.
        perturbation, seed: length and seed of a random step added to the start.
        tolerance: of a step of the flow without a chart; default one that leaves it within some hundredths of
            intrinsic_lr.
        resolve: also predict the oscillation of the last periods.
        records: of gradient descent, as many as are taken back to Gamma and compared.

    Raises:
        InputError: a number is out of range.
    """

    rule: Rule
    rate: float
    time: float
    own_law: Law | None = None
    amplitude: float = 1.2
    perturbation: float = 0.0
    seed: int = 0
    tolerance: float | None = None
    resolve: bool = False
    records: int = RECORDS

    def __post_init__(self) -> None:
        check_iterations(check_time(self.time), check_rate(self.rate))
        check_amplitude(self.amplitude)
        check_not_negative("perturbation", self.perturbation)
        check_seed(self.seed)
        check_whole("records", self.records, least=FEWEST, most=RECORDS)
        if self.tolerance is not None:
            check_positive("tolerance", self.tolerance)

    @cached_property
    def law(self) -> Law:
        """The law of the rule at the edge; raises `InputError` where there is none."""
        return law_of(self.rule) if self.own_law is None else self.own_law

    @property
    def intrinsic_lr(self) -> float:
        """The scale of the oscillation."""
        return float(self.rule.intrinsic_lr(self.rate))

    @property
    def period(self) -> float:
        """Iterations of a small oscillation."""
        return self.law.period(self.rate)

    @property
    def iterations(self) -> int:
        """time/rate, made even."""
        return max(2, 2 * round(self.time / self.rate / 2))

    @property
    def tail(self) -> int:
        """Iterations at the end that are recorded densely."""
        # Large orbits (log X^2 far from its rest) take longer: twice the small period at A = 5 or so.
        return math.ceil(self.period * TAIL_PERIODS * (1 + abs(math.log(abs(self.amplitude))) / 1.5))
