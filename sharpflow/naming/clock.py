"""The clock of a rule: flow time is ``rate`` times the iteration number, and ``at_rate`` must say the same."""

from __future__ import annotations

from typing import Any

import sympy as sp

from sharpflow.naming.expressions import parse_expression
from sharpflow.theory.errors import InputError
from sharpflow.theory.rule import Rule

__all__ = ["clock_mismatch"]

# Two that no power but the first maps to themselves together.
RATES = (sp.Rational(1, 4), sp.Rational(1, 100))


def clock_mismatch(rule: Rule, /) -> str:
    """The contradiction between ``rule.rate``, a text in the parameters, and ``rule.at_rate``; empty where nothing is.

    >>> from theory import rules
    >>> clock_mismatch(rules.get("rmsprop"))
    ''
    """
    for rate in RATES:
        try:
            parameters = dict(rule.at_rate(rate))
        except Exception as error:  # the user's own function
            return f"at_rate fails with {type(error).__name__}: {error}"
        names = {name: sp.Symbol(name) for name in (*parameters, *rule.constants)}
        try:
            expression = parse_expression(rule.rate, names=names)
        except InputError as error:
            return f"rate = {rule.rate!r} cannot be read: {error}"
        values: dict[str, Any] = {**rule.constants, **parameters}
        found = expression.subs({symbol: sp.nsimplify(values[name]) for name, symbol in names.items()})
        if abs(float(found) / float(rate) - 1) > 1e-9:
            given = ", ".join(f"{name}={float(value):.4g}" for name, value in parameters.items())
            return (
                f"rate = {rule.rate!r} is {float(found):.4g} at the parameters that at_rate({float(rate):g}) gives "
                f"({given}); it must be {float(rate):g}. Correct rate, which multiplies t to give flow time, or at_rate"
            )
    return ""
