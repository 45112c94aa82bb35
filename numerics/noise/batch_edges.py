"""The edges of mini-batches as functions on Gamma, and iterates that settle at one of them.

    mean-square edge:  rho(T_e) = 1,  T_e(S) = E[(1 - e H_B) S (1 - e H_B)]
    Lyapunov edge:     the exponent of the product of 1 - e H_B, lim log|x_t|/t, is 0

with the moments of `sharpflow.theory.noise.batches`. Both are of the k x k matrices of the k normal directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpflow.numerics.numbers import check_whole, generator
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError
from sharpflow.theory.noise.batches import batch_moments

__all__ = [
    "BatchRun", "batch_edges", "hill", "lyapunov_edge", "mean_square_edge", "mean_square_radius", "run_batches",
    "settling",
]  # fmt: skip

# Of the largest curvature: below, a combination of residuals does not move.
FLAT = 1e-10
# Rows of a dense operator on symmetric k x k matrices that are still cheap to have: k = 20.
DENSE = 400
POWER_STEPS, POWER_CHANGE = 500, 1e-10


def _normal_rows(jacobian: np.ndarray) -> np.ndarray:
    """J (n, D) as rows (n, k) in the k normal directions."""
    left, sizes, _ = np.linalg.svd(jacobian, full_matrices=False)
    there = sizes > FLAT**0.5 * sizes[0]
    rows: np.ndarray = left[:, there] * sizes[there]
    return rows


def _moments(n: int, size: int, replacement: bool) -> tuple[float, float]:
    check_whole("size", size, most=None if replacement else n)
    if n == 1:
        return 1.0, 1.0
    p, q = batch_moments(n, size, replacement=replacement)
    return float(p), float(q)


def mean_square_radius(jacobian: np.ndarray, effective_lr: float, /, *, size: int, replacement: bool = False) -> float:
    """rho(T_e), by the dense operator for up to 20 normal directions, by power iteration on k x k matrices beyond.

    T_e keeps positive matrices positive, so that its largest eigenvalue is positive, with such an eigenvector.
    """
    rows = _normal_rows(jacobian)
    n, k = rows.shape
    p, q = _moments(n, size, replacement)
    e, whole = effective_lr, rows.T @ rows

    def apply(s: np.ndarray) -> np.ndarray:
        single = rows.T @ (np.einsum("ij,jk,ik->i", rows, s, rows)[:, None] * rows)
        out: np.ndarray = s - e * (whole @ s + s @ whole) + e * e * (p * whole @ s @ whole + (q - p) * single)
        return out

    if k * k <= DENSE:
        basis = np.eye(k * k).reshape(-1, k, k)
        dense = np.stack([apply((b + b.T) / 2).ravel() for b in basis])
        return float(np.max(np.abs(np.linalg.eigvals(dense))))
    s = np.eye(k) / k
    radius = 0.0
    for _ in range(POWER_STEPS):
        s = apply(s)
        before, radius = radius, float(np.trace(s))
        s = s / radius
        if abs(radius - before) < POWER_CHANGE * radius:
            break
    return radius


def mean_square_edge(jacobian: np.ndarray, /, *, size: int, replacement: bool = False) -> float:
    """The effective_lr at which rho(T_e) = 1, of J (n, D) at a point of Gamma.

    Examples:
        >>> import numpy as np
        >>> round(mean_square_edge(np.eye(4), size=1), 6)  # orthogonal residuals: 2 b/(n h)
        0.5
    """
    from scipy.optimize import brentq

    whole = 2 / float(np.linalg.norm(jacobian, 2) ** 2)
    # Above the whole batch's edge the mean alone grows; far below, T_e is 1 - 2 e H and contracts.
    excess = lambda e: mean_square_radius(jacobian, e, size=size, replacement=replacement) - 1  # noqa: E731
    low = whole / 2
    while excess(low) > 0:
        low /= 2
    if excess(whole) <= 1e-12:
        return whole
    return float(brentq(excess, low, whole, xtol=1e-12 * whole))


def lyapunov_edge(
    jacobian: np.ndarray, /, *, size: int, replacement: bool = False, steps: int = 4000, chains: int = 64, seed: int = 0
) -> tuple[float, float]:
    """The effective_lr at which the Lyapunov exponent is 0, by one sequence of batches for all e; its standard error.

    The error is that of the exponent over chains, divided by the exponent's slope in e.
    """
    from scipy.optimize import brentq

    rows = _normal_rows(jacobian)
    n, k = rows.shape
    random = generator(seed)
    if replacement:
        weights = random.multinomial(size, np.full(n, 1 / n), (steps, chains)) * (n / size)
    else:
        order = np.argsort(random.random((steps, chains, n)), axis=2)
        weights = (order < size) * (n / size)
    begin = random.standard_normal((chains, k))

    def exponents(e: float) -> np.ndarray:
        x, total = begin / np.linalg.norm(begin, axis=1, keepdims=True), np.zeros(chains)
        for t, c in enumerate(weights):
            x = x - e * ((x @ rows.T) * c) @ rows
            length = np.linalg.norm(x, axis=1)
            x = x / length[:, None]
            if t >= steps // 10:
                total += np.log(length)
        return total / (steps - steps // 10)

    low = mean_square_edge(jacobian, size=size, replacement=replacement)
    high = low
    while exponents(high).mean() < 0:
        low, high = high, 1.3 * high
    edge = float(brentq(lambda e: exponents(e).mean(), low * 0.9, high, xtol=1e-4 * high))
    slope = (exponents(1.01 * edge).mean() - exponents(0.99 * edge).mean()) / (0.02 * edge)
    return edge, float(exponents(edge).std(ddof=1) / np.sqrt(chains) / slope)


def batch_edges(
    objective: Objective, point: Any, /, *, size: int, replacement: bool = False
) -> tuple[float, float, float]:
    """Effective learning rates at a point (D,) of Gamma: mean-square edge, Lyapunov edge, edge of the whole batch."""
    import jax

    if objective.residuals is None:
        raise InputError(f"{objective.name!r} has no residuals: give Objective(..., residuals=...).")
    jacobian = np.asarray(jax.jacrev(objective.residuals)(np.asarray(point, dtype=float)))
    return (
        mean_square_edge(jacobian, size=size, replacement=replacement),
        lyapunov_edge(jacobian, size=size, replacement=replacement)[0],
        2 / float(np.linalg.norm(jacobian, 2) ** 2),
    )


@dataclass(frozen=True)
class BatchRun:
    """Runs by mini-batches on r_i = <a_i, w>/|w|, whose Gamma has one and the same J everywhere.

    Attributes:
        effective_lr: (seeds,) the mean over the second half of each run.
        sizes: (seeds, records) |x| in every tenth step of it.
        jacobian: (n, D).
    """

    effective_lr: np.ndarray
    sizes: np.ndarray
    jacobian: np.ndarray


def run_batches(
    *, rate: float, size: int = 1, examples: int = 4, dimension: int = 8, time: float = 4.0, seeds: int = 32,
    seed: int = 0, replacement: bool = False,
) -> BatchRun:  # fmt: skip
    """Gradient descent with weight decay by batches, from nine tenths of the mean-square edge, on arrays."""
    random = generator(seed)
    a = random.standard_normal((examples, dimension))
    jacobian = a
    edge = mean_square_edge(jacobian, size=size, replacement=replacement)
    # On Gamma, the kernel of a; and a little beside it.
    kernel = np.linalg.svd(a)[2][examples:]
    w = kernel.T @ random.standard_normal((len(kernel), seeds))
    w = w / np.linalg.norm(w, axis=0) + 1e-2 * random.standard_normal(w.shape) / np.sqrt(dimension)
    w = w / np.linalg.norm(w, axis=0) / np.sqrt(edge * 0.9)
    steps = round(time / rate)
    total, sizes = np.zeros(seeds), []
    for t in range(steps):
        if replacement:
            c = random.multinomial(size, np.full(examples, 1 / examples), seeds).T * (examples / size)
        elif size == 1:
            c = (random.integers(examples, size=seeds) == np.arange(examples)[:, None]) * examples
        else:
            c = (np.argsort(np.argsort(random.random((examples, seeds)), axis=0), axis=0) < size) * (examples / size)
        squared = np.sum(w * w, axis=0)
        share = a @ w
        # grad of sum_i c_i <a_i, w>^2/(2 |w|^2)
        gradient = (a.T @ (c * share) - w * np.sum(c * share**2, axis=0) / squared) / squared
        w = (1 - rate) * w - gradient
        if t >= steps // 2:
            total += 1 / np.sum(w * w, axis=0) / (steps - steps // 2)
            if t % 10 == 0:
                theta = w / np.linalg.norm(w, axis=0)
                sizes.append(np.linalg.norm(theta - kernel.T @ (kernel @ theta), axis=0))
    return BatchRun(total, np.array(sizes).T, jacobian)


def settling(
    rates: Sequence[float], /, *, size: int = 2, examples: int = 8, seed: int = 0, seeds: int = 32
) -> list[tuple[float, float]]:
    """Mean effective_lr at each rate on the way from the mean-square edge (0) to the Lyapunov edge (1); its error."""
    found: list[tuple[float, float]] = []
    for rate in rates:
        run = run_batches(rate=rate, size=size, examples=examples, dimension=examples + 4, seeds=seeds, seed=seed)
        edge = mean_square_edge(run.jacobian, size=size)
        # J and both edges are those of the seed, at every rate.
        if not found:
            other, uncertain = lyapunov_edge(run.jacobian, size=size, steps=1000, seed=seed)
        share = (float(run.effective_lr.mean()) - edge) / (other - edge)
        error = float(run.effective_lr.std(ddof=1)) / seeds**0.5
        found.append((share, float(np.hypot(error, share * uncertain)) / (other - edge)))
    return found


def hill(sizes: np.ndarray, /, *, share: float = 0.01) -> float:
    """Hill's estimate of the tail exponent of |x|: P(|x| > s) ~ s^-kappa, from the largest ``share`` of the values."""
    ordered = np.sort(np.ravel(sizes))[::-1]
    count = max(2, int(share * len(ordered)))
    return float(1 / np.mean(np.log(ordered[:count] / ordered[count])))
