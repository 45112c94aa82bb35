"""Noise is the central path of the edge problem: label noise nu keeps the iterates on the log-barrier's gradient flow.

In y = theta/sqrt(effective_lr) a step has learning rate 1 and the Hessian H(y) = effective_lr H(theta); gradient
descent with weight decay on Gamma is to leading order

    dy/d tau = -grad_Gamma ( |y|^2/2 - (nu/2) log det(2 - H(y)) ),

the gradient flow of the least norm on {y on Gamma: H(y) <= 2} with a logarithmic barrier of weight nu. As nu -> 0 the
multipliers Sigma_i = nu e/(2 - e h_i) of the constraints obey Sigma_i (2 - e h_i) = nu e -> 0: complementarity, and the
sharpness-reduction flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from sharpflow.theory.edge.averaging import A, B, mean_square
from sharpflow.theory.noise.moments import CURVATURE, LR, NOISE, NoiseLaw, noise_law
from sharpflow.theory.noise.second_route import after_one_step
from sharpflow.theory.proving.proof import Proof, Step
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.rule import Rule
from sharpflow.theory.rules.heavy_ball import rule as HEAVY_BALL

__all__ = ["NESTEROV", "prove_central_path", "prove_moments"]

E = sp.Symbol("E", positive=True)  # e h
K2 = sp.Symbol("K2", nonnegative=True)
SIGMA = sp.Symbol("Sigma", positive=True)


def _nesterov(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """m+ = beta m + grad L(w - eta beta m), w+ = (1 - eta lambda) w - eta m+."""
    momentum = p.beta * state.momentum + gradient(w - p.learning_rate * p.beta * state.momentum)
    return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * momentum, {"momentum": momentum}


NESTEROV = Rule(
    name="nesterov", update=_nesterov, state=("momentum",), constants={"beta": 0.5},
    title="Nesterov's momentum, decoupled weight decay", source="Nesterov 1983; Sutskever et al. 2013",
)  # fmt: skip


def _points(law: NoiseLaw) -> Sequence[dict[str, Any]]:
    """Rational points below the edge, one of a rule with state; 1/sqrt(e) is rational, too."""
    constants = [dict.fromkeys(law.rule.constants, sp.Rational(*beta)) for beta in ((1, 3), (4, 5))]
    at = ((sp.Rational(4, 9), sp.Rational(3, 2)), (4, sp.Rational(1, 7)))
    points = [{"e": e, "h": h, **more} for (e, h), more in zip(at, constants, strict=True)]
    return points[:1] if law.rule.state else points


def prove_moments(law: NoiseLaw, /) -> tuple[Step, ...]:
    """C of the derived step solves the Lyapunov equation; an explicit loss gives the same moments after a step."""
    left = law.step * law.covariance * law.step.T + CURVATURE * law.entry * law.entry.T - law.covariance
    steps = [
        prove_equal(
            f"{law.rule.name}: C = M C M^T + h b b^T, entry <{a} {b}>",
            sp.factor(left[i, j]),
            sp.Integer(0),
            note="The discrete Lyapunov equation of the linearised step, of position and state together.",
        )
        for i, a in enumerate(law.names)
        for j, b in enumerate(law.names)
        if i <= j
    ]
    for values in _points(law):
        found = after_one_step(law, values)
        place = ", ".join(f"{name} = {value}" for name, value in values.items())
        left_over = sum((abs(v) for v in found.covariance), sp.Integer(0)) + abs(found.log_lr) + abs(found.drift)
        steps.append(
            prove_equal(
                f"{law.rule.name}: the moments after a step of the rule on an explicit loss, at {place}",
                left_over,
                sp.Integer(0),
                note="Covariance, mean change of log effective_lr and mean drift: exact rational numbers, by plain "
                "differentiation of the update on the residual sqrt(h) (x/w_0)(1 + K s/(2 w_0)).",
            )
        )
    return tuple(steps)


def _momentum_steps(law: NoiseLaw, beta: sp.Symbol) -> list[Step]:
    variance = LR * (1 + beta) / ((1 - beta) * (2 * (1 + beta) - LR * CURVATURE))
    return [
        prove_equal("heavy ball: <x^2>/(nu rate) along an eigenvector", law.variance, variance),
        prove_equal(
            "heavy ball: its drift is that of a mean gradient h <x^2>/2, taken 1/(1 - beta) times",
            law.push,
            LR / (1 - beta) * CURVATURE * variance / 2,
            note="Momentum at rest is the mean gradient over 1 - beta.",
        ),
    ]


def _gradient_steps(law: NoiseLaw) -> list[Step]:
    """The flow as a gradient in y = theta/sqrt(e)."""
    assert law.barrier is not None
    name = law.rule.name
    per = sp.simplify((law.barrier / LR).subs(CURVATURE, E / LR))
    return [
        prove_equal(
            f"{name}: the barrier's slope is the push, h dF/dh",
            sp.factor(CURVATURE * sp.diff(law.barrier, CURVATURE)),
            law.push,
        ),
        prove_equal(
            f"{name}: F/e is a function of E = e h alone",
            sp.simplify(sp.diff(per, LR)),
            sp.Integer(0),
        ),
        prove_equal(
            f"{name}: along |y| the same barrier gives what noise takes from d log effective_lr",
            law.shrink,
            4 * law.push,
            note="e = 1/|y|^2 and H(y) = e H fall as |y|^-2: d|y|^2/d tau = -growth |y|^2 + 4 nu sum E F'(E)/e, so "
            "that d log e/d tau = growth - 4 nu sum h dF/dh. The whole flow is a gradient flow in y.",
        ),
    ]


def prove_central_path(rule: Rule, /) -> Proof:
    """The noise flow of gradient descent with weight decay: moments, log barrier, and the limit nu -> 0."""
    law = noise_law(rule)
    gap = 2 - LR * CURVATURE
    momentum = noise_law(HEAVY_BALL)
    (beta,) = (s for s in momentum.variance.free_symbols if s.name == "beta")
    sigma = NOISE * law.variance
    # With one eigenvalue near the edge: e h moves by d log e - K^2 times the push.
    near = (2 - NOISE * LR / SIGMA) / LR
    moving = (law.growth - NOISE * law.shrink - NOISE * law.push * K2).subs(CURVATURE, near)
    at_edge = sp.limit(sp.factor(moving), NOISE, 0)
    (solved,) = sp.solve(at_edge, SIGMA)
    return Proof(
        "noise is the central path",
        (
            prove_equal("<x^2>/(nu rate) along an eigenvector of eigenvalue h", law.variance, LR / gap),
            prove_equal(
                "d log effective_lr/d tau = 2 - nu sum_i of",
                law.shrink,
                2 * LR**2 * CURVATURE / gap,
                note="The mean of |grad|^2, which the norm of the weights gains.",
            ),
            prove_equal(
                "d zeta/d tau = -nu sum_i grad_Gamma log h_i times",
                law.push,
                LR**2 * CURVATURE / (2 * gap),
            ),
            *prove_moments(law),
            prove_equal(
                "the barrier is -(e/2) log(1 - e h/2): nu sum_i F(h_i) = -(nu e/2) log det(2 - e H) + constant",
                sp.expand(CURVATURE * sp.diff(law.barrier + LR / 2 * sp.log(1 - LR * CURVATURE / 2), CURVATURE)),
                sp.Integer(0),
            ),
            *_gradient_steps(law),
            prove_equal(
                "perturbed complementarity: Sigma_i (2 - e h_i) = nu e",
                sigma * gap,
                NOISE * LR,
                note="Sigma_i = nu <x_i^2>/(nu rate), the multiplier of the constraint e h_i <= 2: the central path, "
                "whose limit nu -> 0 is the complementarity of the edge flow.",
            ),
            prove_equal(
                "as nu -> 0 with one eigenvalue at the edge: d log(e h)/d tau -> 2 - (4 + K^2) Sigma",
                sp.expand(at_edge),
                sp.expand(2 - (4 + K2) * SIGMA),
                note="2 - e h = nu e/Sigma put in.",
            ),
            prove_equal(
                "Sigma is then the mean square of the oscillator without noise, 2/(4 + K^2)",
                solved,
                mean_square().subs({A: 4, B: 2 * (4 + K2)}),
                show=(SIGMA, solved),
            ),
            prove_equal(
                "and the drift -Sigma g, the sharpness-reduction flow",
                sp.limit(sp.factor((NOISE * law.push).subs(CURVATURE, near)), NOISE, 0),
                SIGMA,
            ),
            *_momentum_steps(momentum, beta),
            *prove_moments(momentum),
            *_gradient_steps(momentum),
            *prove_moments(noise_law(NESTEROV)),
        ),
    )
