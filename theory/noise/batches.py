"""Mini-batches at interpolation: the moments of a batch, and the mean-square edge.

A batch of b of n examples gives the loss sum_i c_i r_i^2/2 with E c_i = 1, and on Gamma, where all residuals vanish, no
noise: x+ = (1 - e H_B) x, H_B = sum_i c_i j_i j_i^T with the rows j_i of J. Second moments S = E x x^T move by

    T_e(S) = S - e (H S + S H) + e^2 E[H_B S H_B],    E[H_B S H_B] = p H S H + (q - p) sum_i (j_i^T S j_i) j_i j_i^T

with p = E c_i c_j and q = E c_i^2. The mean-square edge is the e at which the spectral radius of T_e is 1.
"""

from __future__ import annotations

from itertools import combinations, product

import sympy as sp

from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal

__all__ = ["batch_moments", "enumerated_moments", "prove_mean_square_edge"]

N, SIZE = sp.Symbol("n", positive=True, integer=True), sp.Symbol("b", positive=True, integer=True)


def batch_moments(n: sp.Expr, size: sp.Expr, /, *, replacement: bool = False) -> tuple[sp.Expr, sp.Expr]:
    """(p, q) = (E c_i c_j, E c_i^2) for batches of ``size`` of n, without or with replacement."""
    if replacement:
        return 1 - 1 / size, 1 + (n - 1) / size
    return n * (size - 1) / (size * (n - 1)), n / size


def enumerated_moments(n: int, size: int, /, *, replacement: bool = False) -> tuple[sp.Expr, sp.Expr]:
    """The same by going through all batches."""
    batches = list(product(range(n), repeat=size) if replacement else combinations(range(n), size))
    weights = [[sp.Rational(n * batch.count(i), size) for i in range(n)] for batch in batches]
    mean = lambda values: sp.Add(*values) / len(batches)  # noqa: E731
    return mean([c[0] * c[1] for c in weights]), mean([c[0] ** 2 for c in weights])


def prove_mean_square_edge() -> Proof:
    """p and q against all batches, T against all batches for three residuals, and the edge of orthogonal ones."""
    steps = []
    for replacement in (False, True):
        how = "with" if replacement else "without"
        for n, size in ((3, 2), (4, 1), (4, 3)):
            closed = batch_moments(sp.Integer(n), sp.Integer(size), replacement=replacement)
            found = enumerated_moments(n, size, replacement=replacement)
            steps += [
                prove_equal(f"{name}, {size} of {n} {how} replacement, over all batches", a, b)
                for name, a, b in zip(("E c_i c_j", "E c_i^2"), found, closed, strict=True)
            ]
        steps += [_prove_operator(replacement)]
    e, h = sp.Symbol("e", positive=True), sp.Symbol("h", positive=True)
    q = batch_moments(N, SIZE)[1]
    edge = [v for v in sp.solve(1 - 2 * e * h + e**2 * h**2 * q - 1, e) if v != 0]
    steps += [
        prove_equal(
            "residuals of orthogonal gradients, each of size h: the mean-square edge",
            edge[0],
            2 * SIZE / (N * h),
            note="E (1 - e h c_i)^2 = 1: b/n of the edge of the whole batch, 2/h.",
        ),
        prove_equal(
            "the whole batch: p = q = 1, and T_e(v v^T) = (1 - e h)^2 v v^T",
            sp.Matrix(batch_moments(N, N)).T,
            sp.Matrix([[1, 1]]),
        ),
    ]
    return Proof("the mean-square edge of mini-batches", tuple(steps))


def _prove_operator(replacement: bool):  # type: ignore[no-untyped-def]
    """E[(1 - e H_B) S (1 - e H_B)] over all batches of 2 of 3 residuals with two weights."""
    e = sp.Symbol("e", positive=True)
    rows = [sp.Matrix([1, 2]), sp.Matrix([sp.Rational(1, 3), -1]), sp.Matrix([2, 1])]
    s = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"S_{min(i, j) + 1}{max(i, j) + 1}"))
    batches = list(product(range(3), repeat=2) if replacement else combinations(range(3), 2))
    total = sp.zeros(2, 2)
    for batch in batches:
        own = sum((sp.Rational(3 * batch.count(i), 2) * rows[i] * rows[i].T for i in range(3)), sp.zeros(2, 2))
        step = sp.eye(2) - e * own
        total += step * s * step.T / len(batches)
    p, q = batch_moments(sp.Integer(3), sp.Integer(2), replacement=replacement)
    whole = sum((row * row.T for row in rows), sp.zeros(2, 2))
    single = sum(((row.T * s * row)[0] * row * row.T for row in rows), sp.zeros(2, 2))
    closed = s - e * (whole * s + s * whole) + e**2 * (p * whole * s * whole + (q - p) * single)
    return prove_equal(
        f"T_e(S), 2 of 3 residuals {'with' if replacement else 'without'} replacement, over all batches",
        total.applyfunc(sp.expand),
        closed.applyfunc(sp.expand),
    )
