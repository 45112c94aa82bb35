"""Spearman's rank correlation of sharpness and test error over runs, with a bootstrap interval.

rho = the correlation of ranks. The interval is the bootstrap's percentile one over runs, at 95 %; runs that share a
seed share their data, so that they are drawn together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theory.errors import InputError

__all__ = ["RankCorrelation", "rank_correlation"]

RESAMPLES = 2000


@dataclass(frozen=True)
class RankCorrelation:
    """rho, its 95 % interval, and how many runs it is of."""

    rho: float
    low: float
    high: float
    count: int


def rank_correlation(
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    groups: Sequence[int] | np.ndarray | None = None,
    /,
    *,
    seed: int = 0,
) -> RankCorrelation:
    """Spearman's rho of x (n,) and y (n,); ``groups`` (n,) are resampled as wholes (default: each run by itself).

    Raises:
        InputError: fewer than four finite pairs, or one of both does not vary.
    """
    from scipy.stats import spearmanr

    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    own = np.arange(len(a)) if groups is None else np.asarray(groups)
    if a.shape != b.shape or a.ndim != 1 or own.shape != a.shape:
        raise InputError(
            f"x, y and groups must be vectors of one length, not of shapes {a.shape}, {b.shape}, {own.shape}."
        )
    known = np.isfinite(a) & np.isfinite(b)
    a, b, own = a[known], b[known], own[known]
    if len(a) < 4 or np.ptp(a) == 0 or np.ptp(b) == 0:
        raise InputError("a rank correlation needs at least four pairs of finite numbers, neither of them constant.")
    rho = float(spearmanr(a, b).statistic)
    random, names = np.random.default_rng(seed), np.unique(own)
    members = [np.flatnonzero(own == name) for name in names]
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[i] for i in random.integers(len(names), size=len(names))])
        if np.ptp(a[rows]) > 0 and np.ptp(b[rows]) > 0:
            drawn.append(float(spearmanr(a[rows], b[rows]).statistic))
    low, high = (float(q) for q in np.quantile(drawn, (0.025, 0.975))) if drawn else (float("nan"), float("nan"))
    return RankCorrelation(rho, low, high, len(a))
