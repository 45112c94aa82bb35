"""Weights that are not scale-invariant beside those that are: the flow of a network, from one exact step.

theta (scale-invariant, effective_lr = e) and u (learning rate eta) move together. With S = diag(sqrt e, sqrt eta), in
y = S^{-1}(theta, u), a step is plain gradient descent of step 1, and the edge is 2 for the eigenvalues of S H S. Two
orthonormal vectors v_i at it are, by turns of theta, of u and of the two among themselves, v_i = c_i theta_i + d_i u_i;
two directions of Gamma likewise k_m = a_m s_m + b_m p_m. So near a point of Gamma take, in projective coordinates w/w_0
of theta,

    L = sum_ij E_ij(t) X_i X_j/2,        E_ij = 2 (delta_ij + sum_m A_ijm t_m),

X_i and t_m the components of y along v_i and k_m: on the edge at t = 0, where u is (p, z). The exact step from X =
delta X_i on, expanded in delta = sqrt(rate) and averaged over two steps as in `sharpflow.theory.edge.several_edges`, is
the flow. Weight decay of u is r times that of theta.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from sharpflow.theory.edge.averaging import A, B, mean_square
from sharpflow.theory.edge.several_edges import DELTA, JETS, SIGMA, XS, averaged, edge_map, order_of, push
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.sphere.reduction import Reduction

__all__ = ["edge_along", "operator", "prove_all_weights", "prove_group_norms", "step_of_all"]

K, M = 2, 2
E, ETA, R = sp.symbols("e eta r", positive=True)
# Parts of v_i and of k_m in theta; those in u are what is left of length 1.
C = sp.symbols("c_1:3", positive=True)
A_PARTS = sp.symbols("a_1:3", positive=True)
D = tuple(sp.sqrt(1 - c**2) for c in C)
B_PARTS = tuple(sp.sqrt(1 - a**2) for a in A_PARTS)
# u at the point of Gamma: along Gamma and normal to it.
P0, Z0 = sp.symbols("p_1:3", real=True), sp.symbols("z_1:3", real=True)
GROWTH = sp.Symbol("g", real=True)


def _entry(i: int, j: int, t: tuple[sp.Expr, ...]) -> sp.Expr:
    """E_ij(t)."""
    return 2 * (int(i == j) + sum(JETS[i, j, m] * t[m] for m in range(M)))


@lru_cache(maxsize=1)
def _loss() -> tuple[tuple[sp.Symbol, ...], tuple[sp.Symbol, ...], sp.Expr]:
    """The variables w (of theta) and u, and L."""
    w, u = sp.symbols("w_0:5", real=True), sp.symbols("u_1:5", real=True)
    s, x = tuple(v / w[0] for v in w[1:3]), tuple(v / w[0] for v in w[3:])
    t = tuple(A_PARTS[m] * s[m] / sp.sqrt(E) + B_PARTS[m] * (u[m] - P0[m]) / sp.sqrt(ETA) for m in range(M))
    along = tuple(C[i] * x[i] / sp.sqrt(E) + D[i] * (u[2 + i] - Z0[i]) / sp.sqrt(ETA) for i in range(K))
    return w, u, sum(_entry(i, j, t) * along[i] * along[j] for i in range(K) for j in range(K)) / 2


def step_of_all(reduction: Reduction, /) -> tuple[list[sp.Expr], sp.Expr]:
    """Per step and rate: the change of t_1, t_2 and of log e, to leading order; polynomials in X and A."""
    assert reduction.schedule is not None
    w, u, loss = _loss()
    at = dict(zip(w, (1, 0, 0, *(sp.sqrt(E) * C[i] * DELTA * XS[i] for i in range(K))), strict=True))
    at |= dict(zip(u, (*P0, *(Z0[i] + sp.sqrt(ETA) * D[i] * DELTA * XS[i] for i in range(K))), strict=True))
    gradient = {v: sp.diff(loss, v).subs(at) for v in (*w, *u)}
    # grad L(theta) = |w| grad L(w): theta - e grad L(theta) has the direction of w - e |w|^2 grad L(w).
    squared = sum(at[v] ** 2 for v in w)
    step = reduction.step.subs(reduction.effective_lr, E)
    moved = [at[v] - step * squared * gradient[v] for v in w]
    # Of u it is the rule itself: (1 - eta lambda) u - eta grad L.
    other = [(1 - R * DELTA**2) * at[v] - ETA * gradient[v] for v in u]
    drift = [
        order_of(
            A_PARTS[m] * moved[1 + m] / moved[0] / sp.sqrt(E) + B_PARTS[m] * (other[m] - P0[m]) / sp.sqrt(ETA), 2
        )
        for m in range(M)
    ]  # fmt: skip
    eta, decay = reduction.parameters["learning_rate"], reduction.parameters["weight_decay"]
    schedule = reduction.schedule.subs({decay: DELTA**2 / eta}).subs(
        {reduction.effective_lr: E, reduction.gradient_squared: squared * sum(gradient[v] ** 2 for v in w)}
    )
    return drift, order_of(sp.log(schedule / E), 2)


def edge_along(i: int, j: int, t: tuple[sp.Expr, ...], log_e: sp.Expr, /) -> sp.Expr:
    """v_i^T S H S v_j/2 at t, where e has grown by exp(log_e) with v held fixed: 1 or 0 on the edge."""
    # The part of v in theta is stretched by sqrt of what e has grown by, and X(v_j) with it.
    stretched = [C[k] ** 2 * sp.exp(log_e / 2) + 1 - C[k] ** 2 for k in range(K)]
    return _entry(i, j, t) * stretched[i] * stretched[j] / 2


def _shared() -> sp.Matrix:
    """B_ij, the part of v_i in theta times that of v_j."""
    return sp.diag(*(c**2 for c in C))


def _pull() -> list[sp.Expr]:
    """P S^{-1}(0, r u), along k_m."""
    return [B_PARTS[m] * R * P0[m] / sp.sqrt(ETA) for m in range(M)]


def operator(sigma: sp.Matrix, /) -> sp.Matrix:
    """M(Sigma)_ij = 4 e B_ij tr(B Sigma) + sum_kl <A_ij, A_kl> Sigma_kl."""
    pushed, shared = push(sigma), _shared()
    inner = sp.Matrix(K, K, lambda i, j: sum(JETS[i, j, m] * pushed[m] for m in range(M)))
    return 4 * E * shared * (shared * sigma).trace() + inner


def _source() -> sp.Matrix:
    """Q_ij = 2 B_ij - <A_ij, P S^{-1}(0, r u)>."""
    return sp.Matrix(
        K, K, lambda i, j: 2 * _shared()[i, j] - sum(JETS[i, j, m] * _pull()[m] for m in range(M))
    )  # fmt: skip


def prove_all_weights(reduction: Reduction, /) -> Proof:
    """dy = -P S^{-1}(0, r u) - sum Sigma_ij A_ij, d log e = 2 - 4 e tr(B Sigma), d(S H S)/2 = Q - M(Sigma)."""
    drift, growth = step_of_all(reduction)
    means, grows = [averaged(d) for d in drift], averaged(growth)
    t = sp.symbols("t_1:3", real=True)
    at_rest = {**dict.fromkeys(t, 0), GROWTH: 0}
    edge = sp.Matrix(K, K, lambda i, j: edge_along(i, j, t, GROWTH))
    change = sp.Matrix(
        K, K,
        lambda i, j: sum(sp.diff(edge[i, j], t[m]).subs(at_rest) * means[m] for m in range(M))
        + sp.diff(edge[i, j], GROWTH).subs(at_rest) * grows,
    )  # fmt: skip
    wanted, shared, pushed = _source() - operator(SIGMA), _shared(), push(SIGMA)
    whole = {**dict.fromkeys(C, 1), **dict.fromkeys(A_PARTS, 1)}
    radius = sp.Symbol("rho", positive=True)
    # In weights of their own length, theta = w/rho, e = eta/rho^2: the radius is a direction of Gamma, of length
    # rho/sqrt(eta) = 1/sqrt(e) in y, along which S H S has the gradient that e gives it.
    radial = sp.Matrix(
        K, K,
        lambda i, j: sp.diff(edge_along(i, j, (0, 0), 2 * sp.log(1 / (radius * sp.sqrt(E)))), radius).subs(
            radius, 1 / sp.sqrt(E)
        ),
    )  # fmt: skip
    return Proof(
        "weights that are not scale-invariant",
        (
            *(
                prove_equal(
                    f"the drift of y along k_{m + 1}, a step, over the rate",
                    means[m],
                    sp.expand(-_pull()[m] - pushed[m]),
                    note="The coefficient of delta^2 in the exact step of (theta, u), with <X_i X_j> = Sigma_ij: "
                    "weight decay pulls u along Gamma, and what is normal to Gamma (z) does not enter.",
                )
                for m in range(M)
            ),
            prove_equal(
                "the change of log effective_lr, a step, over the rate",
                grows,
                sp.expand(2 - 4 * E * (shared * SIGMA).trace()),
                note="e^2 |grad_theta L|^2 is 4 e times the mean square of the oscillation's part in theta.",
            ),
            *(
                prove_equal(
                    f"d(S H S)_{i + 1}{j + 1}/2 d tau",
                    sp.expand(change[i, j]),
                    sp.expand(wanted[i, j]),
                    note="By the product rule along the drift and in e: Q - M(Sigma), which complementarity keeps at "
                    "or below 0 on the edge.",
                )
                for i in range(K)
                for j in range(i, K)
            ),
            prove_equal(
                "M is positive: <Sigma, M Sigma> is a sum of squares",
                sp.expand(sum(SIGMA[i, j] * operator(SIGMA)[i, j] for i in range(K) for j in range(K))),
                sp.expand(4 * E * (shared * SIGMA).trace() ** 2 + sum(p**2 for p in pushed)),
                note="The problem for Sigma is convex, as without u.",
            ),
            *(
                prove_equal(
                    f"without u, M is that of the sphere: entry {i + 1}{j + 1}",
                    sp.expand(operator(SIGMA)[i, j].subs(whole)),
                    sp.expand(4 * E * SIGMA.trace() * int(i == j) + sum(JETS[i, j, m] * pushed[m] for m in range(M))),
                )
                for i in range(K)
                for j in range(i, K)
            ),
            *(
                prove_equal(
                    f"in weights of their own length, entry {i + 1}{i + 1}: the radius is a direction of Gamma like "
                    "any other",
                    sp.expand(radial[i, i] * (radial * SIGMA).trace()),
                    sp.expand(4 * E * shared[i, i] * (shared * SIGMA).trace()),
                    note="<A, A> of the radial direction is the term 4 e B tr(B Sigma), and its pull, of length "
                    "1/sqrt(e), the term 2 B: with S = sqrt(learning rate) for all weights no schedule is left.",
                )
                for i in range(K)
            ),
            *(
                prove_equal(
                    f"and the pull of weight decay along it, entry {i + 1}{i + 1}",
                    sp.expand(-radial[i, i] / sp.sqrt(E)),
                    2 * shared[i, i],
                )
                for i in range(K)
            ),
        ),
    )


def prove_group_norms(reduction: Reduction, /) -> Proof:
    """df_i/d tau = 4 (tr(Sigma V^T P_i V) - f_i tr Sigma) of f_i = |w_i|^2/|w|^2, L invariant in each block w_i."""
    eta, decay = reduction.parameters["learning_rate"], reduction.parameters["weight_decay"]
    e, of_norm, schedule = reduction.effective_lr, reduction.effective_lr_of_norm, reduction.schedule
    assert of_norm is not None
    assert schedule is not None
    assert reduction.next_norm_squared is not None
    rate = DELTA**2
    own, rest = sp.symbols("N_1 N_2", positive=True)  # |w_1|^2, |w|^2 - |w_1|^2
    slopes = sp.symbols("G_1 G_2", nonnegative=True)  # |G_i|^2, of the gradient in the block, and not
    first, others = sp.symbols(
        "T_1 T_2", nonnegative=True
    )  # tr(Sigma V^T P_i V): the oscillation in the block, and not
    share = own / (own + rest)
    whole = {reduction.norm_squared: own + rest, reduction.gradient_squared: sum(slopes)}
    # w_i+ = A (theta_i - step G_i), and G_i is orthogonal to theta_i by Euler's identity in the block.
    new = [
        (reduction.scale**2 * (norm / reduction.norm_squared + reduction.step.subs(e, of_norm) ** 2 * g)).subs(whole)
        for norm, g in zip((own, rest), slopes, strict=True)
    ]
    grown = of_norm.subs(reduction.norm_squared, reduction.next_norm_squared)
    # With the oscillation x on the edge G = 2 x/e, and weight decay is the rate over eta, which e and the norm give.
    (length,) = sp.solve((of_norm.subs(decay, rate / eta) - e).subs(whole), eta)
    oscillating = dict(zip(slopes, (4 * rate * part / e**2 for part in (first, others)), strict=True))
    moved = (new[0] / sum(new)).subs({decay: rate / eta}).subs(oscillating).subs(eta, length)
    # v^T H v where block i is stretched by c_i: H_ij is divided by c_i c_j.
    h = {(i, j): sp.Symbol(f"h_{min(i, j) + 1}{max(i, j) + 1}", real=True) for i in range(2) for j in range(2)}
    v, c = sp.symbols("v_1:3", real=True), sp.symbols("C_1:3", positive=True)
    curvature = sum(v[i] * v[j] * h[i, j] / (c[i] * c[j]) for i in range(2) for j in range(2))
    ones = dict.fromkeys(c, 1)
    lam, k2 = sp.Symbol("lambda", positive=True), sp.Symbol("K2", nonnegative=True)
    eigen = sp.solve([sum(h[i, j] * v[j] for j in range(2)) - lam * v[i] for i in range(2)], [h[0, 0], h[1, 1]])
    # <A, theta_i>; <A, theta> is their sum, and along Gamma theta_1 - f_1 theta is left.
    inner = [sp.expand(sp.diff(curvature, stretch).subs(ones).subs(eigen) / lam) for stretch in c]
    pushed = averaged(edge_map(reduction)[0][0]).coeff(SIGMA[0, 0]).coeff(JETS[0, 0, 0])  # of A, the drift of theta
    of_flow = 2 * pushed * (inner[0] - share * sum(inner))
    wanted = 4 * (first - share * (first + others))
    single, size = mean_square().subs({A: 4, B: 2 * (4 + k2)}), sp.Symbol("Sigma", nonnegative=True)
    return Proof(
        "layers share the norm as the top eigenvector does",
        (
            prove_equal(
                "the blocks together have the norm of the rule: |w_1+|^2 + |w_2+|^2 = |w+|^2",
                sum(new),
                reduction.next_norm_squared.subs(whole),
                note="w_i+ = A (theta_i - effective_lr G_i) with the rule's own A, as its update is along w and the "
                "gradient; grad_i L is orthogonal to w_i.",
            ),
            prove_equal(
                "and the schedule is that of this norm: effective_lr+ = effective_lr(|w+|^2)",
                schedule.subs(e, of_norm),
                grown,
                note="So the flow of effective_lr on the edge and the shares of the norm are those of one update.",
            ),
            prove_equal(
                "the change of f_1 in a step, over the rate",
                order_of(moved, 2),
                wanted,
                note="The coefficient of delta^2 in |w_1+|^2/|w+|^2, G = 2 x/effective_lr on the edge.",
            ),
            prove_equal(
                "the curvature along v falls as the block grows: <A, theta_1>",
                inner[0],
                -2 * v[0] ** 2,
                note="H_ij is divided by c_i c_j where block i is stretched by c_i, and H v = lambda v.",
            ),
            prove_equal(
                "it is the component of the flow: d f_1 = 2 <theta_1 - f_1 theta, -sum Sigma_ij A_ij>",
                sp.expand(size * of_flow),
                sp.expand(wanted.subs({first: size * v[0] ** 2, others: size * v[1] ** 2})),
                note="A second way: the flow's own drift, with <A, theta_i> by the stretched curvature, for each "
                "eigenvector v of Sigma: Sigma is the sum of these.",
            ),
            prove_equal(
                "one eigenvalue: 8/(4 + K^2) (|P_1 v_1|^2 - f_1)",
                sp.expand((single * of_flow).subs(v[1] ** 2, 1 - v[0] ** 2)),
                8 / (4 + k2) * (v[0] ** 2 - share),
                note="By that drift, Sigma being the mean square of the oscillator: f rests where each layer has the "
                "share of the norm that it has of the top eigenvector.",
            ),
        ),
    )
