"""The clock of a rule: flow time is ``rate`` times the iteration number, and ``at_rate`` must say the same.

Parameters that are moved together such that the rate stays: the law at the edge knows the rate alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from sharpflow.naming.expressions import parse_expression
from sharpflow.theory.errors import InputError
from sharpflow.theory.rule import Rule

__all__ = ["Move", "at_same_rate", "clock_mismatch"]

# Two that no power but the first maps to themselves together.
RATES = (sp.Rational(1, 4), sp.Rational(1, 100))
# A parameter moves to 0.7 of itself, so that what is between 0 and 1 stays there, and from 0 to 0.1.
FACTOR, SHIFT = sp.Rational(7, 10), sp.Rational(1, 10)


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


@dataclass(frozen=True)
class Move:
    """A rule with a parameter moved, and with it another one such that the rate stays what it is.

    Attributes:
        rule: as it is then.
        said: which are moved, and how.
        clocked: whether the rate depends on them.
        scales: whether the rate is a product of powers of them that at_rate gives, as of learning_rate and
            weight_decay: (eta, lambda, w) and (c^2 eta, lambda/c^2, c w) are the same run.
    """

    rule: Rule
    said: str
    clocked: bool
    scales: bool


def at_same_rate(rule: Rule, /) -> tuple[Move, ...]:
    """Every parameter of a rule, moved in turn: not one that is all the rate is made of, and none of a wrong clock.

    >>> from theory import rules
    >>> [move.said for move in at_same_rate(rules.get("heavy-ball"))]
    ['learning_rate times 0.7, weight_decay times 1.43', 'beta times 0.7']
    """
    if clock_mismatch(rule):
        return ()
    values = {**rule.at_rate(float(RATES[1])), **rule.constants}
    names = {name: sp.Symbol(name) for name in values}
    rate = parse_expression(rule.rate, names=names)
    own = {symbol: sp.nsimplify(values[name], rational=True) for name, symbol in names.items()}
    found: dict[frozenset[str], Move] = {}
    for name, symbol in names.items():
        factors: dict[str, sp.Expr | None] = {name: FACTOR if own[symbol] else None}
        said = f"{name} times {float(FACTOR):g}" if own[symbol] else f"{name} = {float(SHIFT):g}"
        moved = own | {symbol: own[symbol] * FACTOR if own[symbol] else SHIFT}
        grown = rate.subs(moved) / rate.subs(own)
        if grown == 1:
            found[frozenset([name])] = Move(_moved(rule, factors), said, False, False)
            continue
        for other, partner in names.items():
            power = (partner * rate.diff(partner) / rate).subs(moved)
            if other == name or power == 0:
                continue
            factor = sp.nsimplify(float(grown) ** float(-1 / power), rational=True, tolerance=1e-12)
            both = _moved(rule, {**factors, other: factor})
            if clock_mismatch(both):  # the rate is no power of the other one
                continue
            powers = [sp.simplify(s * rate.diff(s) / rate).is_number for s in (symbol, partner)]
            scales = all(powers) and {name, other}.isdisjoint(rule.constants)
            found.setdefault(
                frozenset([name, other]), Move(both, f"{said}, {other} times {float(factor):.3g}", True, scales)
            )
            break
    return tuple(found.values())


def _moved(rule: Rule, factors: Mapping[str, sp.Expr | None]) -> Rule:
    """The rule with parameters times factors, ``None`` standing for `SHIFT` in their place."""

    def change(values: Mapping[str, Any], exact: bool) -> dict[str, Any]:
        new = {n: SHIFT if factor is None else values[n] * factor for n, factor in factors.items() if n in values}
        return {**values, **(new if exact else {n: float(value) for n, value in new.items()})}

    return replace(
        rule,
        at_rate=lambda rate: change(rule.at_rate(rate), isinstance(rate, sp.Basic)),
        constants=change(rule.constants, False),
    )
