"""Spearman's rank correlation of sharpness and test error: over runs, along runs, and between the seeds of a variant.

rho = the correlation of ranks. Over runs its interval is the bootstrap's percentile one, at 95 %; runs that share a
seed share their data, so that they are drawn together. What differs between variants, or between seeds, can hide what
holds within each: `within` ranks inside each of them, and asks by permutation whether that is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from sharpflow.theory.errors import InputError

__all__ = ["RankCorrelation", "Within", "rank_correlation", "within"]

RESAMPLES = 2000
# All orders of the seeds are tried up to this many seeds; beyond, `RESAMPLES` of them.
FEW = 7


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


@dataclass(frozen=True)
class Within:
    """Rank correlations inside V groups of the same S seeds.

    Attributes:
        rhos: (V,) one a group.
        mean: of them.
        p: how often the mean is as far from 0, or farther, when the seeds of one side are permuted, the same way in
            every group: groups share their seeds, and count as no independent evidence.
        orders: how many permutations that is of.
    """

    rhos: tuple[float, ...]
    mean: float
    p: float
    orders: int


def within(x: np.ndarray, y: np.ndarray, /, *, seed: int = 0) -> Within:
    """Spearman's rho of x (V, S) and y (V, S) inside each of V groups, and a permutation test of their mean.

    Raises:
        InputError: fewer than four seeds, or a group in which a side is constant or not finite.
    """
    from scipy.stats import rankdata

    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] < 4:
        raise InputError(f"x and y must be (groups, seeds), with at least four seeds, not {a.shape} and {b.shape}.")
    if not all(np.isfinite(side).all() and np.ptp(side, axis=1).all() for side in (a, b)):
        raise InputError("in each group both sides must be finite, and not constant.")

    def standard(values: np.ndarray) -> np.ndarray:
        ranks = rankdata(values, axis=1) - (values.shape[1] + 1) / 2
        return ranks / np.linalg.norm(ranks, axis=1, keepdims=True)

    a, b = standard(a), standard(b)
    seeds = a.shape[1]
    if seeds <= FEW:
        orders = np.array(list(permutations(range(seeds))))
    else:
        random = np.random.default_rng(seed)
        orders = np.array([np.arange(seeds), *(random.permutation(seeds) for _ in range(RESAMPLES))])
    # The first order is the one that was seen.
    rhos = np.einsum("vs,vos->ov", a, b[:, orders])
    means = rhos.mean(axis=1)
    p = float(np.mean(np.abs(means) >= abs(means[0]) - 1e-12))
    return Within(tuple(float(r) for r in rhos[0]), float(means[0]), p, len(orders))
