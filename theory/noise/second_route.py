"""The moments of a noisy step a second time: on an explicit loss, at rational numbers, without series or jets.

The residual sqrt(h) q, q = (x/w_0)(1 + K s/(2 w_0)), is scale-invariant, vanishes on x = 0, and has there the Hessian
h with grad_Gamma log h = K along s. A step of the rule's own update, by plain differentiation, from

    w = rho (1, delta X, 0),    each vector of the state rho (delta^2 R, delta M, delta^2 S),    noise delta n,

is averaged over (X, M, n) with the covariance that the law claims: the same covariance must come back, and the claimed
means of d log effective_lr and of the drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import sympy as sp

from sharpflow.theory.edge.frame import Frame
from sharpflow.theory.noise.moments import CURVATURE, LR, NoiseLaw
from sharpflow.theory.rule import Operations

__all__ = ["AfterOneStep", "after_one_step"]

_W0, _X, _S = sp.symbols("w_0 x s", real=True)
_DELTA = sp.Symbol("delta", positive=True)
TILT = sp.Rational(3, 7)  # K; any number would do


@dataclass(frozen=True)
class AfterOneStep:
    """The moments after a step less the claimed ones (all 0 where the claim holds).

    Attributes:
        covariance: M C M^T + nu h b b^T - C.
        log_lr, drift: d log effective_lr and of s per step and rate, less the claimed ones; nu = 1.
    """

    covariance: sp.Matrix
    log_lr: sp.Expr
    drift: sp.Expr


def after_one_step(law: NoiseLaw, values: Mapping[str, Any], /) -> AfterOneStep:
    """A step from the moments of a law, at rational ``e``, ``h`` and constants of the rule (by name).

    For rules on weights with learning rate 1 and weight decay rate, whose state is made of vectors.
    """
    frame = Frame(law.rule)
    e, h = sp.Rational(values["e"]), sp.Rational(values["h"])
    constants = {name: sp.Rational(values[name]) for name in law.rule.constants}
    numbers = {LR: e, CURVATURE: h} | {symbol: constants[name] for name, symbol in frame.constants.items()}
    norm = 1 / sp.sqrt(e)  # effective_lr = 1/|w|^2
    q = _X / _W0 * (1 + TILT * _S / (2 * _W0))
    noise = sp.Symbol("n", real=True)
    slopes = [sp.diff(h * q**2 / 2 + _DELTA * noise * q, v) for v in (_W0, _X, _S)]

    def order(expression: Any, power: int) -> sp.Expr:
        """The coefficient of delta^power."""
        return sp.expand(sp.diff(expression, _DELTA, power).subs(_DELTA, 0) / sp.factorial(power))

    def gradient(w: Any) -> Any:
        at = {_W0: w[0], _X: w[1], _S: w[2]}
        entries = [slope.subs(at, simultaneous=True) for slope in slopes]
        # A polynomial of degree 2 in delta: what a rule takes gradients of next stays short.
        return sp.ImmutableMatrix([sum(order(entry, k) * _DELTA**k for k in range(3)) for entry in entries])

    quick = sp.symbols(f"z0:{len(law.names)}", real=True)
    rest = {name: sp.symbols(f"{name}_radial {name}_s", real=True) for name in frame.vectors}
    w = norm * sp.ImmutableMatrix([1, _DELTA * quick[0], 0])
    state = {
        name: sp.ImmutableMatrix([_DELTA**2 * rest[name][0], _DELTA * quick[1 + i], _DELTA**2 * rest[name][1]])
        for i, name in enumerate(frame.vectors)
    }
    p = SimpleNamespace(**law.rule.at_rate(_DELTA**2), **constants)
    ops = Operations(dot=lambda a, b: a.dot(b), norm=lambda a: sp.sqrt(a.dot(a)), sqrt=sp.sqrt)
    moved, new = law.rule.step(w, gradient, SimpleNamespace(**state), p, ops)

    covariance = law.covariance.subs(numbers)
    pairs = {a * b: covariance[i, j] for i, a in enumerate(quick) for j, b in enumerate(quick)} | {noise**2: h}

    def mean(expression: sp.Expr) -> sp.Expr:
        """E of a quadratic form; noise has mean 0 and is independent of z."""
        out = sp.Integer(0)
        for term in sp.Add.make_args(sp.expand(expression)):
            number, form = term.as_independent(*quick, noise)
            out += number * (1 if form == 1 else pairs.get(form, 0))
        return out

    ends = [order(moved[1] / moved[0], 1), *(order(getattr(new, name)[1], 1) for name in frame.vectors)]
    k = len(ends)
    second = sp.Matrix(k, k, lambda i, j: mean(ends[i] * ends[j])) - covariance
    # What of the state is damped stays at its mean: linear equations of its own.
    unknown = [symbol for name in frame.vectors for symbol in rest[name]]
    after = [mean(order(getattr(new, name)[part], 2)) for name in frame.vectors for part in (0, 2)]
    means = {}
    if unknown:
        system, right = sp.linear_eq_to_matrix([a - b for a, b in zip(after, unknown, strict=True)], unknown)
        means = dict(zip(unknown, system.LUsolve(right), strict=True))
    squared = moved.dot(moved)
    log_lr = mean(order(w.dot(w) / squared, 2)).subs(means)
    drift = mean(order(moved[2] / moved[0], 2)).subs(means)
    claimed = (law.growth - law.shrink).subs(numbers), -law.push.subs(numbers) * TILT
    return AfterOneStep(second, sp.nsimplify(log_lr - claimed[0]), sp.nsimplify(drift - claimed[1]))
