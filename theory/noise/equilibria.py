"""Equilibria under noise that does not vanish: of the norm, of the rotation, of AdamW and Muon, and of the edge's gap.

Far from the edge, with E|G|^2 on the unit sphere given, |w|^4 = eta E|G|^2/(lambda (2 - eta lambda)) is the fixed point
of the rule's own schedule. With normalised updates the norm is that of a sum of correlated steps. At the edge noise
along v_1 holds effective_lr*lambda_1 below 2.
"""

from __future__ import annotations

import sympy as sp

from sharpflow.theory.edge.edge_law import K2, edge_law
from sharpflow.theory.edge.energy_law import U, X
from sharpflow.theory.noise.moments import lyapunov
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import Reduction

__all__ = ["iid_norm_squared", "prove_edge_gap", "prove_iid_equilibrium", "prove_noise_equilibrium"]

ETA, DECAY, BETA = (
    sp.Symbol("eta", positive=True),
    sp.Symbol("lambda", positive=True),
    sp.Symbol("beta_1", positive=True),
)
A = sp.Symbol("A", positive=True)  # 1 - eta lambda
SIZE = sp.Symbol("U_0", positive=True)


def prove_noise_equilibrium(reduction: Reduction, /) -> Proof:
    """|w|^4, the rotation of a step and the relaxation, from the rule's own norm and schedule; the crossover."""
    n2, g2, e = reduction.norm_squared, reduction.gradient_squared, reduction.effective_lr
    eta, decay = (reduction.parameters[name] for name in ("learning_rate", "weight_decay"))
    assert reduction.next_norm_squared is not None
    grown = reduction.next_norm_squared
    # E|G|^2 of the noise in place of |G|^2: at the size of the fixed point, its fluctuations are of the next order.
    fixed = eta * g2 / (decay * (2 - eta * decay))
    norm = sp.sqrt(fixed)
    share = eta * decay
    step = reduction.effective_lr_of_norm
    assert step is not None
    turn = (step**2 * g2).subs(n2, norm)
    load = sp.Symbol("lambda_1", positive=True)
    crossing = sp.solve(sp.Eq((eta / norm * load) ** 2, 4), g2)[0]
    return Proof(
        "equilibrium of the norm under noise",
        (
            prove_equal(
                "the norm after a step at |w|^4 = eta E|G|^2/(lambda (2 - eta lambda))",
                sp.simplify(grown.subs(n2, norm) - norm),
                sp.Integer(0),
                note="The fixed point of |w+|^2 = (1 - eta lambda)^2 |w|^2 + eta^2 |G|^2/|w|^2, exact.",
            ),
            prove_equal(
                "tan^2 of the angle of a step there",
                sp.simplify(turn),
                1 / (1 - share) ** 2 - 1,
                note="effective_lr^2 |G|^2: the angle is arccos(1 - eta lambda), exactly.",
            ),
            prove_equal(
                "the angle is sqrt(2 eta lambda) to leading order: angle^2/(eta lambda) -> 2",
                sp.limit(turn.subs(decay, share / eta).subs(decay, A / eta) / A, A, 0),
                sp.Integer(2),
            ),
            prove_equal(
                "a deviation of |w|^2 is multiplied in each step by",
                sp.simplify(sp.diff(grown, n2).subs(n2, norm)),
                sp.expand(2 * (1 - share) ** 2 - 1),
                note="1 - 4 eta lambda + ...: it relaxes in 1/(4 eta lambda) steps.",
            ),
            prove_equal(
                "effective_lr lambda_1 = 2 there (effective_lr = eta/|w|^2) where the trace of the noise is",
                sp.simplify(crossing),
                sp.simplify(share * (2 - share) * load**2 / 4),
                note="eps lambda_1^2/2 to leading order: with more noise the norm stays so large that the edge is "
                "never reached.",
            ),
            prove_equal(
                "the schedule of effective_lr has the same fixed point",
                sp.simplify((reduction.schedule / e).subs(g2, g2).subs(e, step.subs(n2, norm))),
                sp.Integer(1),
            ),
        ),
    )


def iid_norm_squared(correlation: list[sp.Expr], /) -> sp.Expr:
    """(1 + 2 sum A^k c_k)/(1 - A^2) = E|W|^2/(eta U)^2, of a finite list of correlations c_1, c_2, ... of updates."""
    return (1 + 2 * sum((A ** (k + 1) * c for k, c in enumerate(correlation)), sp.Integer(0))) / (1 - A**2)


def prove_iid_equilibrium() -> Proof:
    """|W| of AdamW and Muon with i.i.d. gradients: the Lyapunov equation of (W, m), and the sum of correlations."""
    # A coordinate with gradients of variance 1: m+ = beta m + (1 - beta) g, W+ = A W - eta m+.
    step = sp.Matrix([[A, -ETA * BETA], [0, BETA]])
    entry = sp.Matrix([-ETA * (1 - BETA), 1 - BETA])
    covariance = lyapunov(step, entry, sp.Integer(1))
    size = (1 - BETA) / (1 + BETA)
    closed = size * ETA**2 * (1 + A * BETA) / ((1 - A**2) * (1 - A * BETA))
    k = sp.Symbol("k", integer=True, positive=True)
    geometric = sp.summation((A * BETA) ** k, (k, 1, sp.oo))
    if isinstance(geometric, sp.Piecewise):
        geometric = geometric.args[0].expr  # A beta_1 < 1
    return Proof(
        "equilibrium of AdamW and Muon with i.i.d. gradients",
        (
            prove_equal(
                "E m^2 of momentum, in units of the variance of the gradient",
                covariance[1, 1],
                size,
                note="Adam divides by the root of that variance, so that |update|^2 = U^2 = d (1 - beta_1)/(1 + "
                "beta_1).",
            ),
            prove_equal(
                "AdamW: E W^2 of a coordinate, from the discrete Lyapunov equation of (W, m)",
                covariance[0, 0],
                closed,
                note="|W| = eta U sqrt((1 + A beta_1)/((1 - A^2)(1 - A beta_1))), A = 1 - eta lambda.",
            ),
            prove_equal(
                "the same from correlations beta_1^k of normalised updates: (1 + 2 sum (A beta_1)^k)/(1 - A^2)",
                sp.simplify((1 + 2 * geometric) / (1 - A**2)),
                (1 + A * BETA) / ((1 - A**2) * (1 - A * BETA)),
                note="E|W|^2 = eta^2 sum_jk A^(j + k) E u_j u_k. For Muon U^2 = d_out, and the correlations are "
                "beta_1^k where d_out << d_in only: of orthogonalised square matrices they are smaller, and so is |W|.",
            ),
            prove_equal(
                "without momentum: U^2 eta/(lambda (2 - eta lambda))",
                sp.simplify(closed.subs(BETA, 0).subs(A, 1 - ETA * DECAY)),
                ETA / (DECAY * (2 - ETA * DECAY)),
            ),
        ),
    )


def prove_edge_gap(rule: Rule, /) -> Proof:
    """2 - <effective_lr lambda_1> = e^2 s^2 (4 + K^2)/(4 eps) under noise of variance s^2 along v_1, from two moments.

    X' = alpha X U + noise, U' = a - b X^2 in the fast time, noise of variance sigma^2 = e^2 s^2/(eps delta) per unit of
    it. In a stationary state d<X^2> = 0 and d<U^2> = 0.
    """
    law = edge_law(rule)
    assert law.energy is not None
    alpha, growth, brake = (sp.sympify(v) for v in (law.alpha, law.growth, law.brake))
    sigma2, x2u, mean_u = sp.symbols("sigma^2 <X^2*U> <U>", real=True)
    # The generator on X^2 and on U^2: drift, and half of the second derivative times sigma^2.
    on_x2 = sp.expand(sp.diff(X**2, X) * alpha * X * U + sigma2 / 2 * sp.diff(X**2, X, 2))
    on_u2 = sp.expand(sp.diff(U**2, U) * (growth - brake * X**2))
    (balance,) = sp.solve(on_x2.subs(X**2 * U, x2u), x2u)
    (gap,) = sp.solve(on_u2.subs(X**2 * U, balance).subs(U, mean_u), mean_u)
    e, s2, eps = sp.Symbol("e", positive=True), sp.Symbol("s^2", positive=True), sp.Symbol("eps", positive=True)
    delta = sp.sqrt(eps)
    found = sp.simplify((-delta * gap).subs(sigma2, e**2 * s2 / (eps * delta)))
    return Proof(
        "the gap to the edge under noise",
        (
            prove_equal(
                "d<X^2>/dT = 0: <X^2 U>",
                balance,
                -sigma2 / 2,
                note="The generator of the noisy oscillator on X^2; X' = X U.",
            ),
            prove_equal(
                "d<U^2>/dT = 0: <U>",
                gap,
                sp.factor(-(4 + K2) * sigma2 / 4),
                note="4 <U> = 2 (4 + K^2) <X^2 U>: of noise of every size, not of small noise alone.",
            ),
            prove_equal(
                "2 - <effective_lr lambda_1>",
                found,
                e**2 * s2 * (4 + K2) / (4 * eps),
                note="effective_lr lambda_1 = 2 + delta U; per step x has noise of variance e^2 s^2, X of that over "
                "eps.",
            ),
        ),
    )
