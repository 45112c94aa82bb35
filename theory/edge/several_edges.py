"""Several eigenvalues at the edge: the equations of the flow, from the update rule.

Near a point of Gamma take L = sum_ij a_ij(s) x_i x_j/2 in the projective coordinates (s, x) = w/w_0 of w = (w_0, s, x):
scale-invariant, with Gamma at x = 0, tangent directions s and a_ij(s) = lambda (delta_ij + sum_m A_ijm s_m): k = 2
eigenvalues lambda that meet at s = 0, two tangent directions. One step of the exact map from x = delta X, s = 0 on
the edge effective_lr lambda = 2 is expanded in delta = sqrt(rate). Over two steps x changes sign and comes back, so
that only products X_i X_j survive; their means are Sigma_ij. Higher terms of L in x enter at higher orders, or in odd
powers.

Away from Gamma L has a slope as well, delta^2 sum_m b_m s_m: as small as the mean gradient of the oscillation is, as
otherwise it alone would matter. The same step then gives the central flow, of which b = 0 is the flow along Gamma.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from sharpflow.theory.edge.averaging import A, B, mean_square
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.sphere.reduction import Reduction

__all__ = [
    "averaged", "edge_map", "operator", "order_of", "prove_central_flow", "prove_edge_sharpness_falls",
    "prove_several_edges", "push",
]  # fmt: skip

K, M = 2, 2  # eigenvalues at the edge, tangent directions
LAMBDA = sp.Symbol("lambda", positive=True)
DELTA = sp.Symbol("delta", positive=True)
XS = sp.symbols("X_1:3", real=True)
TANGENT = sp.symbols("s_1:3", real=True)
# A_ijm, symmetric in i and j.
JETS = {
    (i, j, m): sp.Symbol(f"A_{min(i, j) + 1}{max(i, j) + 1}{m + 1}", real=True)
    for i in range(K)
    for j in range(K)
    for m in range(M)
}
# b_m, of the slope.
SLOPE = sp.symbols("b_1:3", real=True)
SIGMA = sp.Matrix(K, K, lambda i, j: sp.Symbol(f"Sigma_{min(i, j) + 1}{max(i, j) + 1}", real=True))


def _curvature(i: int, j: int, s: tuple[sp.Expr, ...]) -> sp.Expr:
    """a_ij(s)."""
    return LAMBDA * (int(i == j) + sum(JETS[i, j, m] * s[m] for m in range(M)))


@lru_cache(maxsize=1)
def _loss() -> tuple[tuple[sp.Symbol, ...], sp.Expr]:
    """The variables w and L(w)."""
    w = sp.symbols("w_0:5", real=True)
    s, x = tuple(v / w[0] for v in w[1:3]), tuple(v / w[0] for v in w[3:])
    loss = sum(_curvature(i, j, s) * x[i] * x[j] for i in range(K) for j in range(K)) / 2
    return w, loss


def order_of(expression: sp.Expr, power: int, /) -> sp.Expr:
    """The coefficient of delta^power of something regular in delta."""
    derivative = sp.diff(expression, DELTA, power).subs(DELTA, 0)
    return sp.expand(derivative / sp.factorial(power))


def edge_map(reduction: Reduction, /, slope: tuple[sp.Expr, ...] = (0, 0)) -> tuple[list[sp.Expr], sp.Expr]:
    """Per step and rate: the change of s_1, s_2 and of log effective_lr, to leading order; polynomials in X and A.

    ``slope`` holds b_1 and b_2, of the loss away from Gamma.
    """
    assert reduction.schedule is not None
    w, loss = _loss()
    loss = loss + DELTA**2 * sum(b * w[1 + m] / w[0] for m, b in enumerate(slope))
    at = dict(zip(w, (1, 0, 0, DELTA * XS[0], DELTA * XS[1]), strict=True))
    gradient = [sp.diff(loss, v).subs(at) for v in w]
    # grad L(theta) = |w| grad L(w): theta - e grad L(theta) has the direction of w - e |w|^2 grad L(w).
    squared = 1 + DELTA**2 * (XS[0] ** 2 + XS[1] ** 2)
    e = 2 / LAMBDA
    step = reduction.step.subs(reduction.effective_lr, e)
    moved = [at[v] - step * squared * g for v, g in zip(w, gradient, strict=True)]
    drift = [order_of(moved[1 + m] / moved[0], 2) for m in range(M)]
    g2 = squared * sum(g**2 for g in gradient)
    eta, decay = reduction.parameters["learning_rate"], reduction.parameters["weight_decay"]
    schedule = reduction.schedule.subs({decay: DELTA**2 / eta}).subs(
        {reduction.effective_lr: e, reduction.gradient_squared: g2}
    )
    return drift, order_of(sp.log(schedule / e), 2)


def averaged(expression: sp.Expr, /) -> sp.Expr:
    """<X_i X_j> = Sigma_ij in a quadratic form of X."""
    poly = sp.Poly(expression, *XS)
    out = sp.Integer(0)
    for (a, b), coefficient in poly.terms():
        if a + b == 0:
            out += coefficient
        elif a + b == 2:
            out += coefficient * (SIGMA[0, 0] if a == 2 else SIGMA[1, 1] if b == 2 else SIGMA[0, 1])
        else:
            raise ValueError("not a quadratic form in X.")
    return sp.expand(out)


def push(sigma: sp.Matrix, /) -> list[sp.Expr]:
    """sum_ij Sigma_ij A_ij, a tangent vector."""
    return [sum(sigma[i, j] * JETS[i, j, m] for i in range(K) for j in range(K)) for m in range(M)]


def operator(sigma: sp.Matrix, /) -> sp.Matrix:
    """M(Sigma)_ij = 4 tr(Sigma) delta_ij + sum_kl <A_ij, A_kl> Sigma_kl."""
    pushed = push(sigma)
    return sp.Matrix(
        K, K, lambda i, j: 4 * sigma.trace() * int(i == j) + sum(JETS[i, j, m] * pushed[m] for m in range(M))
    )


def prove_several_edges(reduction: Reduction, /) -> Proof:
    """d zeta = -sum Sigma_ij A_ij, d log effective_lr = 2 - 4 tr Sigma, dE = 2 I - M(Sigma), from one exact step."""
    drift, growth = edge_map(reduction)
    means, grows = [averaged(d) for d in drift], averaged(growth)
    pushed = push(SIGMA)
    # E = effective_lr a/2 along the drift: at s = 0 and effective_lr = 2/lambda it is the identity.
    edge = sp.Matrix(K, K, lambda i, j: _curvature(i, j, TANGENT) / LAMBDA)
    change = sp.Matrix(
        K, K,
        lambda i, j: sum(sp.diff(edge[i, j], TANGENT[m]) * means[m] for m in range(M)) + int(i == j) * grows,
    )  # fmt: skip
    wanted = 2 * sp.eye(K) - operator(SIGMA)
    other = sp.Matrix(K, K, lambda i, j: sp.Symbol(f"T_{min(i, j) + 1}{max(i, j) + 1}", real=True))
    pair = lambda a, b: sp.expand(sum(a[i, j] * b[i, j] for i in range(K) for j in range(K)))  # noqa: E731
    single = sp.Symbol("Sigma", positive=True)
    k2 = sp.Symbol("K2", nonnegative=True)
    (solved,) = sp.solve((4 + k2) * single - 2, single)
    return Proof(
        "several eigenvalues at the edge",
        (
            *(
                prove_equal(
                    f"the drift along s_{m + 1}, a step, over the rate",
                    means[m],
                    -pushed[m],
                    note="The coefficient of delta^2 in s+ of the exact map, with <X_i X_j> = Sigma_ij.",
                )
                for m in range(M)
            ),
            prove_equal("the change of log effective_lr, a step, over the rate", grows, 2 - 4 * SIGMA.trace()),
            *(
                prove_equal(
                    f"dE_{i + 1}{j + 1}/d tau",
                    change[i, j],
                    sp.expand(wanted[i, j]),
                    note="E = effective_lr H/2 in the eigenvectors at the edge, by the product rule: 2 I - M(Sigma). "
                    "E may not rise above I; where Sigma pushes along a direction it stays: the complementarity.",
                )
                for i in range(K)
                for j in range(i, K)
            ),
            prove_equal(
                "M is symmetric: <T, M Sigma> = <M T, Sigma>",
                pair(other, operator(SIGMA)),
                pair(operator(other), SIGMA),
                note="So the conditions are those of a minimum of <Sigma, M Sigma>/2 - 2 tr Sigma over Sigma >= 0.",
            ),
            prove_equal(
                "M is positive: <Sigma, M Sigma> is a sum of squares",
                pair(SIGMA, operator(SIGMA)),
                sp.expand(4 * SIGMA.trace() ** 2 + sum(p**2 for p in pushed)),
                note="That problem is convex, and tr Sigma and the drift are unique.",
            ),
            prove_equal(
                "one eigenvalue: Sigma is the mean square of the paper's oscillator",
                solved,
                mean_square().subs({A: 4, B: 2 * (4 + k2)}),
                show=(sp.Symbol("Sigma"), solved),
                note="4 Sigma + K^2 Sigma = 2, against <X^2> of the averaged oscillator.",
            ),
        ),
    )


def prove_edge_sharpness_falls(reduction: Reduction, /) -> Proof:
    """d log lambda_1/d tau = 4 tr Sigma - 2 = -|sum Sigma_ij A_ij|^2/tr Sigma <= 0 with eigenvalues at the edge."""
    _, growth = edge_map(reduction)
    trace, push2 = sp.Symbol("tr", positive=True), sp.Symbol("P2", nonnegative=True)
    # <Sigma, M Sigma - 2 I> = 0 with the sum of squares of `prove_several_edges`.
    (balance,) = sp.solve(4 * trace**2 + push2 - 2 * trace, push2)
    falls = -averaged(growth).subs(SIGMA[1, 1], trace - SIGMA[0, 0])
    return Proof(
        "sharpness falls while several eigenvalues are at the edge",
        (
            prove_equal(
                "at the edge lambda_1 = 2/effective_lr: d log lambda_1/d tau",
                sp.expand(falls),
                4 * trace - 2,
                note="The change of log effective_lr of the exact map, with the other sign.",
            ),
            prove_equal(
                "by complementarity, <Sigma, M Sigma> = 2 tr Sigma",
                -balance / trace,
                sp.expand(falls),
                show=(-sp.Symbol("|Sigma A|^2") / trace, 4 * trace - 2),
                note="4 (tr Sigma)^2 + |sum Sigma_ij A_ij|^2 = 2 tr Sigma. The left side is minus a square over a "
                "trace: the largest eigenvalue never rises, and rests only where the drift is zero and tr Sigma = 1/2.",
            ),
        ),
    )


def prove_central_flow(reduction: Reduction, /) -> Proof:
    """d theta = -(e/rate) P (grad L + rate sum Sigma_ij A_ij/2), and E as it moves along it, from one exact step."""
    drift, growth = edge_map(reduction, SLOPE)
    means, grows = [averaged(d) for d in drift], averaged(growth)
    pushed, e = push(SIGMA), 2 / LAMBDA
    # rate lambda A_ijm is the gradient of v_i^T H v_j, in units of which Sigma pushes; rate b_m is that of L.
    edge = sp.Matrix(K, K, lambda i, j: _curvature(i, j, TANGENT) / LAMBDA)
    change = sp.Matrix(
        K, K,
        lambda i, j: sum(sp.diff(edge[i, j], TANGENT[m]) * means[m] for m in range(M)) + int(i == j) * grows,
    )  # fmt: skip
    steered = sp.Matrix(K, K, lambda i, j: -e * sum(JETS[i, j, m] * SLOPE[m] for m in range(M)))
    return Proof(
        "the central flow",
        (
            *(
                prove_equal(
                    f"the drift along s_{m + 1}, a step, over the rate",
                    means[m],
                    sp.expand(-e * (SLOPE[m] + LAMBDA * pushed[m] / 2)),
                    note="-e times the mean gradient: that of L, and half that of <H, Sigma>. The coefficient of "
                    "delta^2 in s+ of the exact map of a loss with a slope.",
                )
                for m in range(M)
            ),
            prove_equal(
                "the change of log effective_lr, a step, over the rate",
                grows,
                2 - 4 * SIGMA.trace(),
                note="The slope itself enters by its square, at the next order.",
            ),
            *(
                prove_equal(
                    f"dE_{i + 1}{j + 1}/d tau",
                    change[i, j],
                    sp.expand((2 * sp.eye(K) - operator(SIGMA) + steered)[i, j]),
                    note="2 I - M(Sigma) as on Gamma, and what the slope alone does to E: the same complementarity "
                    "with another right side.",
                )
                for i in range(K)
                for j in range(i, K)
            ),
        ),
    )
