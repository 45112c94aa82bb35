"""A loss family: one formula with parameters, its default member and the range its random members are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import sympy as sp

from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["Family", "Parameter"]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a family: its default and the closed range members are drawn from, in steps of 1/denominator."""

    default: sp.Rational
    low: sp.Rational
    high: sp.Rational
    denominator: int = 20

    def __post_init__(self) -> None:
        for name in ("default", "low", "high"):
            object.__setattr__(self, name, _rational(getattr(self, name), name))
        if not self.low <= self.default <= self.high:
            raise InputError(f"default {self.default} lies outside the range [{self.low}, {self.high}].")

    @property
    def count(self) -> int:
        """How many values the range holds."""
        return int(sp.floor((self.high - self.low) * self.denominator)) + 1

    def value(self, index: int) -> sp.Rational:
        """The value number ``index``, 0 <= index < count."""
        return self.low + sp.Rational(index, self.denominator)


@dataclass(frozen=True)
class Family:
    """Losses that differ in the values of their parameters.

    Args:
        name: as the command line spells it.
        title: one line for tables.
        build: takes the parameters by keyword, returns a `Loss` (its name is set to the family's).
        parameters: by name.
        note: where the loss comes from and what it is there to test.
    """

    name: str
    title: str
    build: Callable[..., Loss]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    note: str = ""

    def member(self, **values: object) -> Loss:
        """The loss at the given parameters (defaults for the rest)."""
        unknown = sorted(set(values) - set(self.parameters))
        if unknown:
            has = ", ".join(self.parameters) or "none"
            raise InputError(f"family {self.name!r} has no parameter {', '.join(unknown)}; it has {has}.")
        full = {name: parameter.default for name, parameter in self.parameters.items()}
        full |= {name: _rational(value, f"family {self.name!r}: {name}") for name, value in values.items()}
        loss = self.build(**full)
        suffix = ",".join(f"{name}={value}" for name, value in full.items() if name in values)
        return replace(loss, name=f"{self.name}({suffix})" if suffix else self.name, note=loss.note or self.title)

    def default(self) -> Loss:
        """The member with the default parameters."""
        return self.member()


def _rational(value: object, what: str) -> sp.Rational:
    """The number that is meant: 5/2 for "5/2", 1/10 for 0.1. Text is read as a fraction, never evaluated."""
    try:
        number = sp.Rational(value) if isinstance(value, str) else sp.sympify(value, strict=True)
        number = sp.nsimplify(number, rational=True)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(f"{what} must be a rational number, not {value!r}.") from error
    if not number.is_Rational:
        raise InputError(f"{what} must be a rational number, not {value!r}.")
    return number
