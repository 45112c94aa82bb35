"""The testing kit: bring a loss or an update rule, get a referee.

    check_loss(loss), check_rule(rule)            every check, each with its result and a counterexample where it fails
    @parametrize_with_checks([loss, rule])        the same as tests of your own pytest file
    pytest --pyargs sharpflow.testing.suite --sharpflow-loss SPEC
                                                  without writing a file; `sharpflow check SPEC` is the table
    strategies                                    Hypothesis strategies, among them new scale-invariant losses

Importing this package loads neither SymPy nor JAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.theory.lazy import export

if TYPE_CHECKING:
    from sharpflow.testing.check import Check as Check
    from sharpflow.testing.check import Outcome as Outcome
    from sharpflow.testing.check import Trial as Trial
    from sharpflow.testing.parametrize import parametrize_with_checks as parametrize_with_checks
    from sharpflow.testing.result import CheckResult as CheckResult
    from sharpflow.testing.result import Report as Report
    from sharpflow.testing.running import check_loss as check_loss
    from sharpflow.testing.running import check_rule as check_rule

__all__, __getattr__, __dir__ = export(__name__)
