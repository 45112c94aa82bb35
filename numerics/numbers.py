"""Numbers that a caller gives, each kind checked in one place: every function refuses the same in the same words.

Each function returns the number as a plain float or int, or raises `InputError` with its name, its value and what it
should be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from sharpflow.theory.errors import InputError

__all__ = [
    "check_amplitude",
    "check_below_edge",
    "check_iterations",
    "check_not_negative",
    "check_number",
    "check_positive",
    "check_rate",
    "check_rates",
    "check_seed",
    "check_time",
    "check_whole",
    "generator",
]

MAX_RATE = 0.1
# A run of 1e10 steps takes minutes on three variables; beyond, a rate was probably mistyped.
MAX_ITERATIONS = 10_000_000_000
# JAX makes keys of 64-bit integers.
MAX_SEED = 2**63 - 1
# The edge as it was computed from another eigenvalue solver's lambda_1 is off by rounding.
ROUNDING = 1e-6


def check_number(name: str, value: Any, /) -> float:
    """``value`` as a float, nan and infinity included; text, truth values, complex numbers and arrays are none."""
    if not isinstance(value, bool | np.bool_ | str | bytes) and np.ndim(value) == 0:
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise InputError(f"{name} = {value!r} must be a number.")


def check_positive(name: str, value: Any, /, hint: str = "") -> float:
    """``value`` > 0, finite.

    >>> check_positive("tolerance", 1e-4)
    0.0001
    """
    number = check_number(name, value)
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{name} = {value} must be positive and finite{hint}.")
    return number


def check_not_negative(name: str, value: Any, /) -> float:
    """``value`` >= 0, finite."""
    number = check_number(name, value)
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"{name} = {value} must be finite and not negative.")
    return number


def check_time(value: Any, /) -> float:
    """A flow time > 0, finite."""
    return check_positive("time", value, "; it is flow time, rate times iterations")


def check_rate(value: Any, /) -> float:
    """A rate eps, 0 < eps <= 0.1."""
    number = check_number("rate", value)
    if not 0 < number <= MAX_RATE:
        raise InputError(
            f"rate = {value} must lie in (0, {MAX_RATE}]: the theory is about small rates; 1e-4 is a good one to begin "
            "with."
        )
    return number


def check_rates(values: Iterable[Any], /) -> tuple[float, ...]:
    """Rates, at least one, as different rising floats."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"rates = {values!r} is not a sequence of numbers.")
    found = tuple(sorted({check_rate(value) for value in values}))
    if not found:
        raise InputError("rates = () holds none; give at least one.")
    return found


def check_amplitude(value: Any, /) -> float:
    """The size A of an oscillation at its start, of either sign, in units of its equilibrium."""
    number = check_number("amplitude", value)
    if not math.isfinite(number) or number == 0:
        raise InputError(
            f"amplitude = {value} must be finite and not zero: from x = 0 nothing would ever oscillate; try 1.2."
        )
    return number


def check_iterations(time: float, rate: float, /) -> None:
    """time/rate iterations: two at least, and not so many that a number was mistyped."""
    count = time / rate
    if count > MAX_ITERATIONS:
        raise InputError(f"time/rate = {count:g} iterations are too many; raise the rate or shorten the time.")
    if count < 2:
        raise InputError(f"time/rate = {count:g} iterations are too few; lower the rate or lengthen the time.")


def check_below_edge(effective_lr: Any, sharpness: float, name: str, /) -> float:
    """effective_lr > 0 with effective_lr*lambda_1 <= 2, the edge, up to rounding; ``name`` is that of the objective."""
    number = check_positive("effective_lr", effective_lr)
    if not number * sharpness <= 2 * (1 + ROUNDING):
        raise InputError(
            f"effective_lr = {number:g} must be at most 2/lambda_1 = {2 / sharpness:g} at the start of {name!r}: "
            "gradient descent diverges above 2/lambda_1, and no flow describes it."
        )
    return number


def check_whole(name: str, value: Any, /, *, least: int = 1, most: int | None = None, hint: str = "") -> int:
    """A whole number, ``least`` <= value <= ``most``; 2.0 and True are none.

    >>> check_whole("count", 4, most=16)
    4
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        allowed = f", at least {least}" if most is None else f" from {least} to {most}"
        raise InputError(f"{name} = {value!r} must be a whole number{allowed}{hint}.")
    return int(value)


def check_seed(value: Any, /) -> int:
    """A seed of random numbers: a whole number, not negative."""
    return check_whole("seed", value, least=0, most=MAX_SEED)


def generator(seed: Any, /, *, stream: int = 0) -> np.random.Generator:
    """Random numbers by a checked seed; streams of one seed differ.

    >>> int(generator(0).integers(10))
    8
    """
    return np.random.default_rng(check_seed(seed) + stream)
