"""Means over seeds with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["mean_interval", "spread"]


CONFIDENCE = 0.95


def mean_interval(values: Sequence[float] | np.ndarray, /) -> tuple[float, float, float]:
    """The mean of the finite values, and Student's 95 % interval for it; nan for the interval of fewer than two."""
    from scipy.stats import t as student

    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return math.nan, math.nan, math.nan
    mean = float(known.mean())
    if len(known) < 2:
        return mean, math.nan, math.nan
    half = float(student.ppf((1 + CONFIDENCE) / 2, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))
    return mean, mean - half, mean + half


def spread(values: Sequence[float] | np.ndarray, /, digits: int = 3, scale: float = 1.0) -> str:
    """The mean over seeds with its 95 % interval, as ``38.2 [30.1, 46.3]``; "none" without a finite value.

    Two values have none worth the name, and stand for themselves. Where some have no value it says of how many it is:

    >>> spread([1.0, 3.0, float("nan")]), spread([2.0, float("nan")]), spread([2.0])
    ('2 (1 and 3) (2 of 3)', '2 (1 of 2)', '2')
    """
    mean, low, high = (scale * v for v in mean_interval(values))
    if not math.isfinite(mean):
        return "none"
    known, every = int(np.isfinite(np.asarray(values, dtype=float)).sum()), len(values)
    interval = f" [{low:.{digits}g}, {high:.{digits}g}]" if math.isfinite(low) else ""
    if known == 2:
        both = sorted(scale * v for v in np.asarray(values, dtype=float) if math.isfinite(v))
        interval = f" ({both[0]:.{digits}g} and {both[1]:.{digits}g})"
    return f"{mean:.{digits}g}{interval}" + (f" ({known} of {every})" if known < every else "")
