"""Derivatives of a formula by differences in 40 digits: the second path to what JAX says."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import sympy as sp

from sharpflow.numerics.inspection.differences import Estimate
from sharpflow.theory.loss import Loss

__all__ = ["derivatives_by_differences"]

# Central differences of second order at these steps are off by 1e-24 and 1e-28 of the derivatives, and lose 28 of the
# 70 digits. How far the two lie apart is what the first is off by: far more than that next to where the argument of a
# fractional power vanishes.
DIGITS, STEPS = 70, ("1e-12", "1e-14")
NOTHING = Estimate(math.nan, math.inf)


def derivatives_by_differences(loss: Loss, /) -> Callable[[np.ndarray, np.ndarray], tuple[Estimate, Estimate]]:
    """(w, u) -> D L(w)[u] and D^2 L(w)[u, u] of the formula, from its values alone; nan where it has no real value."""
    function = sp.lambdify(loss.variables, loss.expression, modules="mpmath", cse=True)

    def derivatives(w: np.ndarray, u: np.ndarray) -> tuple[Estimate, Estimate]:
        with mpmath.workdps(DIGITS):
            start = [mpmath.mpf(float(v)) for v in w]
            along = [mpmath.mpf(float(v)) for v in u]

            def at(t: mpmath.mpf) -> mpmath.mpf:
                return function(*(a + t * b for a, b in zip(start, along, strict=True)))

            middle = at(mpmath.mpf(0))

            def differences(h: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
                low, high = at(-h), at(h)
                return (high - low) / (2 * h), (high - 2 * middle + low) / h**2

            wide, narrow = (differences(mpmath.mpf(step)) for step in STEPS)
            if any(mpmath.im(d) for d in (*wide, *narrow)):
                return NOTHING, NOTHING
            first, second = (_estimate(a, b) for a, b in zip(wide, narrow, strict=True))
            return first, second

    return derivatives


def _estimate(wide: mpmath.mpf, narrow: mpmath.mpf) -> Estimate:
    value, error = float(narrow), float(abs(wide - narrow))
    return Estimate(value, error) if math.isfinite(value) and math.isfinite(error) else NOTHING
