"""Scalings of the leaves under which a loss does not change: the kernel of a matrix of Euler's identities.

L(c^a w) = L(w) for every c, leaf i multiplied by c^(a_i), holds exactly where

    sum_i a_i <grad_i L(w), w_i> = 0        at every w.

So at S random points the exponents a are the kernel of the (S, m) matrix <grad_i L, w_i>; whole numbers with few
entries span it: (1) alone, (1, 1) together, (1, -1) against each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

__all__ = ["disjoint", "kernel", "simplest", "sums"]

# A singular value is none below this part of the largest: an epsilon of 1e-5 beside a variance of order one leaves 1e-5
# to 1e-3, and 2 m random points leave the smallest of the others at some hundredths.
NOTHING = 3e-3
# Distance to a whole number, of numbers off by a singular value over a gap.
WHOLE = 0.1
# Vectors that are looked through for groups.
MOST = 2000


def kernel(contributions: np.ndarray, sizes: np.ndarray, /) -> list[np.ndarray]:
    """Whole vectors (m,) that span the kernel of ``contributions`` (S, m), in reduced form; others are left out.

    ``sizes`` (S, m) is what each contribution could be at most, |grad_i L| |w_i|.
    """
    if not contributions.size:
        return []
    unit = np.maximum(sizes.max(axis=0), np.finfo(float).tiny)
    _, values, rows = np.linalg.svd(contributions / unit, full_matrices=True)
    values = np.concatenate([values, np.zeros(rows.shape[0] - len(values))])
    left = rows[values < NOTHING * max(values[0], NOTHING)] / unit
    found = []
    for row in _reduced(left):
        # A pivot of 2, as where one scale enters two factors, leaves halves.
        times = next((k for k in (1, 2, 3, 4) if np.abs(k * row - np.rint(k * row)).max() < WHOLE), None)
        if times is not None:
            whole = np.rint(times * row).astype(int)
            found.append(whole // np.gcd.reduce(whole))
    return found


def _reduced(rows: np.ndarray) -> np.ndarray:
    """Gauss-Jordan form, largest pivots first, each 1."""
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)
    for k in range(len(rows)):
        row, column = np.unravel_index(np.abs(rows[k:]).argmax(), rows[k:].shape)
        rows[[k, k + row]] = rows[[k + row, k]]
        rows[k] = rows[k] / rows[k, column]
        for other in range(len(rows)):
            if other != k:
                rows[other] = rows[other] - rows[other, column] * rows[k]
    return rows


def simplest(vectors: Sequence[np.ndarray], /) -> list[np.ndarray]:
    """A basis of the same space of 0 and 1 and -1 where it can be, and with fewer entries.

    One is taken from another as long as that makes it simpler.

    >>> [v.tolist() for v in simplest([np.array([1, 1, 1, 0]), np.array([0, 1, 1, 0])])]
    [[1, 0, 0, 0], [0, 1, 1, 0]]
    """
    basis = [np.array(v) for v in vectors]
    shorter = True
    while shorter:
        shorter = False
        for i, j in itertools.permutations(range(len(basis)), 2):
            for sign in (1, -1):
                tried = basis[i] + sign * basis[j]
                tried = tried // max(1, int(np.gcd.reduce(tried)))
                if tried.any() and _size(tried) < _size(basis[i]):
                    basis[i], shorter = tried, True
    return basis


def _size(vector: np.ndarray) -> tuple[int, int]:
    return max(1, int(np.abs(vector).max())), int(np.count_nonzero(vector))


def sums(basis: Sequence[np.ndarray], /) -> list[np.ndarray]:
    """Sets of leaves (0 and 1) that a basis spans, found by adding its vectors, up to sign, to one another."""
    signed = [sign * v for v in basis for sign in (1, -1)]
    seen = {tuple(v) for v in signed}
    waiting = list(signed)
    while waiting and len(seen) < MOST:
        v = waiting.pop()
        for other in signed:
            new = v + other
            if np.abs(new).max() <= 1 and new.any() and tuple(new) not in seen:
                seen.add(tuple(new))
                waiting.append(new)
    return [np.array(v) for v in sorted(seen) if min(v) == 0 or min(v) == 1]


def disjoint(sets: Sequence[np.ndarray], sizes: Sequence[int], /) -> list[np.ndarray]:
    """Of sets of leaves (0 and 1), those of most weights that have no leaf in common.

    A set that is made of two others is left for these: they are invariant each, and it says nothing more.

    >>> [v.tolist() for v in disjoint([np.array([1, 1, 0]), np.array([0, 1, 1])], (5, 1, 2))]
    [[1, 1, 0]]
    """
    known = {tuple(v) for v in sets}
    parts = [v for v in sets if not any(tuple(v - o) in known for o in sets if (v - o).min() >= 0 and (v - o).any())]
    chosen: list[np.ndarray] = []
    for v in sorted(parts, key=lambda v: (-int(v @ np.asarray(sizes)), tuple(-v))):
        if all(not (v * other).any() for other in chosen):
            chosen.append(v)
    return chosen
