"""The law of a rule under label noise: stationary moments, d log effective_lr and the drift along Gamma.

Residuals r + s xi, xi ~ N(0, I) fresh in every step, s^2 = nu*rate. Along an eigenvector of the Hessian on Gamma with
eigenvalue h the linearised step of z = (x, the state along it) is z+ = M z + b n with E n^2 = nu h, so that

    C = M C M^T + nu h b b^T        (discrete Lyapunov equation, position and momentum together)

is the covariance of z in units of the rate. At the next order the step is a quadratic form in (z, n), whose mean gives

    d log effective_lr/d tau = growth - nu sum_i shrink(h_i),    d zeta/d tau = -nu sum_i push(h_i) grad_Gamma log h_i.

What of the state is damped (the parts of momentum along w and along Gamma) rests at the mean that its own recursion
has. Noise is independent of what came before it and from one eigenvector to the next, so that one of them at a time
is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any

import sympy as sp

from sharpflow.theory.edge.frame import NORM, SHARPNESS, Frame, find_edge, leading_lr
from sharpflow.theory.edge.jets import JETS, JetVector, K, gradient_on, operations
from sharpflow.theory.edge.series import NotEnoughOrders, NotSmooth, SeriesRing
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.identity import Identity
from sharpflow.theory.rule import Rule

__all__ = ["CURVATURE", "LR", "NOISE", "NoiseLaw", "lyapunov", "noise_law"]

# e and h: effective_lr, and an eigenvalue of the spherical Hessian; nu: variance of the label noise over the rate.
LR = sp.Symbol("e", positive=True)
CURVATURE = sp.Symbol("h", positive=True)
NOISE = sp.Symbol("nu", positive=True)
# The second order; and what rules lose that divide by delta, as RMSprop by sqrt(v), v of order delta^2.
ORDER, MORE = 2, 3


@dataclass(frozen=True, eq=False)
class NoiseLaw:
    """The moments of one rule, in e, h and the rule's constants; everything per unit of nu.

    Attributes:
        rule: of which.
        names: of the linear recursion's entries: ``x``, and the state's vectors.
        step: M.
        entry: b.
        covariance: C/nu, in the basis of ``names``.
        growth: d log effective_lr/d tau without oscillation.
        shrink: what the oscillation along one eigenvector takes from it.
        push: D in d zeta/d tau = -nu D grad log h.
        edge: e h at which C has its pole first.
    """

    rule: Rule
    names: tuple[str, ...]
    step: sp.Matrix
    entry: sp.Matrix
    covariance: sp.Matrix
    growth: sp.Expr
    shrink: sp.Expr
    push: sp.Expr
    edge: sp.Expr

    @property
    def variance(self) -> sp.Expr:
        """<x^2>/(nu rate) along one eigenvector."""
        found: sp.Expr = self.covariance[0, 0]
        return found

    @cached_property
    def barrier(self) -> sp.Expr | None:
        """F with drift -nu grad_Gamma sum_i F(h_i): push = h dF/dh, F = 0 at h = 0; ``None`` if not a sum of logs."""
        total = sp.Integer(0)
        frame = Frame(self.rule)
        short = lambda e: readable(e, frame, self.edge)  # noqa: E731
        for term in sp.Add.make_args(sp.apart(sp.cancel(self.push / CURVATURE), CURVATURE)):
            above, below = sp.fraction(sp.together(term))
            slope = sp.diff(below, CURVATURE)
            if above.has(CURVATURE) or slope.has(CURVATURE):
                return None
            at_zero = below.subs(CURVATURE, 0)
            # of a + b h the logarithm of (a + b h)/a
            total += above * CURVATURE / below if slope == 0 else (
                short(above / slope) * sp.log(short(1 + slope * CURVATURE / at_zero))
            )  # fmt: skip
        return total

    @property
    def is_gradient(self) -> bool:
        """True where it is the gradient flow of growth |y|^2/4 + nu sum_i F(h_i), y = theta/sqrt(e): shrink = 4 push.

        In y a step is one of learning rate 1, and the Hessian e H falls as 1/|y|^2: a function F/e of e h has the slope
        -2 h dF/dh along log |y| and grad log h times h dF/dh along Gamma.
        """
        return bool(sp.simplify(self.shrink - 4 * self.push) == 0)


def lyapunov(step: sp.Matrix, entry: sp.Matrix, variance: sp.Expr, /) -> sp.Matrix:
    """C (k, k) with C = M C M^T + variance b b^T, of M (k, k) and b (k, 1), in closed form.

    Raises:
        NoClosedForm: a product of two multipliers is 1 identically, and no stationary covariance exists.
    """
    k = step.rows
    unknown = sp.Matrix(k, k, lambda i, j: sp.Symbol(f"C_{min(i, j)}{max(i, j)}"))
    equation = unknown - step * unknown * step.T - variance * entry * entry.T
    symbols = sorted(unknown.free_symbols, key=str)
    upper = [equation[i, j] for i in range(k) for j in range(i, k)]
    found = sp.solve(upper, symbols, dict=True)
    if len(found) != 1 or set(found[0]) != set(symbols):
        raise NoClosedForm("the linearised step has no stationary covariance: two multipliers have the product 1.")
    return unknown.subs(found[0]).applyfunc(sp.factor)


def readable(expression: sp.Expr, frame: Frame, edge: sp.Expr) -> sp.Expr:
    """Factors that are negative at the default constants below the edge, turned: 2 - e h for e h - 2."""
    numbers = {s: sp.nsimplify(frame.rule.constants[n], rational=True) for n, s in frame.constants.items()}
    half = sp.sympify(edge).subs(numbers) / (2 * LR)
    turned: dict[sp.Symbol, sp.Expr] = {}

    def turn(factor: sp.Expr) -> sp.Expr:
        if not factor.subs(CURVATURE, half).subs(numbers).is_negative:
            return factor
        positive = sp.Dummy(positive=True)
        turned[positive] = -factor
        return -positive

    found: sp.Expr = sp.factor(expression).replace(lambda e: e.is_Add, turn).xreplace(turned)
    return found


class _NoisyGradient:
    """grad of |r + n|^2/2 with one residual r = sqrt(h) (x + K x s/2 + ...), of which h (x^2 + K x^2 s)/2 is |r|^2/2.

    sqrt(h) is left in n: the noise is n (1 + K s/2) along v, n K x/2 along g/|g|, and along zeta what scale invariance
    leaves.
    """

    def __init__(self, ring: SeriesRing, sharpness: Any, noise: Any) -> None:
        self._gradient, self._ring, self._noise = gradient_on(ring, sharpness), ring, noise

    def __call__(self, w: JetVector) -> JetVector:
        x, s = w.x / w.radial, w.s / w.radial
        half = self._ring.constant(K / 2)
        along = self._noise * (1 + half * s)
        across = self._noise * half * x
        sway = JetVector(-(x * along + s * across), along, self._ring.zero, across) / w.radial
        return self._gradient(w) + sway

    def excess_loss(self, w: JetVector) -> Any:
        raise NotSmooth("a rule that reads the loss reads its noise, too")


def noise_law(rule: Rule, /) -> NoiseLaw:
    """The law of a rule under label noise, derived once.

    Raises:
        InputError: the rule cannot be run on series.
        NoClosedForm: it is not smooth on Gamma, or has no stationary covariance.
    """
    return _noise_law(Identity(rule))


@lru_cache(maxsize=32)
def _noise_law(key: Identity[Rule]) -> NoiseLaw:
    try:
        return _law(key.value, ORDER)
    except NotEnoughOrders:
        return _law(key.value, ORDER + MORE)


def _law(rule: Rule, order: int) -> NoiseLaw:
    frame = Frame(rule)
    edge = find_edge(frame)
    if edge.value is None:
        raise NoClosedForm(
            f"rule {rule.name!r} is not smooth on Gamma: its linearised step, and with it a stationary covariance, "
            "does not exist there."
        )
    names = ("x", *frame.vectors)
    first = sp.symbols(f"z0:{len(names)}", real=True)
    damped = [sp.Symbol(f"{name}_{part}", real=True) for name in frame.vectors for part in ("radial", "s")]
    kick = sp.Symbol("n", real=True)
    ring = SeriesRing(frame.units, (SHARPNESS, *first, *damped, kick, *JETS), order)
    moved, state, ratio = _one_step(frame, ring, first, damped, kick)
    lines = [(moved.x / moved.radial)[1], *(getattr(state, name).x[1] for name in frame.vectors)]
    matrix = sp.Matrix([[sp.diff(line.as_expr(), z) for z in first] for line in lines])
    entry = sp.Matrix([sp.diff(line.as_expr(), kick) for line in lines])
    radius = _radius(frame)
    # Symbols of e and h before the equation is solved: solutions are short in them.
    plain = lambda expression: sp.sympify(expression).subs(SHARPNESS, CURVATURE).subs(NORM, radius)  # noqa: E731
    matrix, entry = (m.applyfunc(lambda v: sp.factor(plain(v))) for m in (matrix, entry))
    covariance = lyapunov(matrix, entry, CURVATURE)

    def mean(polynomial: Any) -> sp.Expr:
        """E of a coefficient of delta^2, over z and n; linear in what is damped."""
        expression = plain(polynomial.as_expr())
        poly = sp.Poly(expression, *first, kick, *damped)
        out = sp.Integer(0)
        for powers, coefficient in poly.terms():
            quick, slow = powers[: len(first) + 1], powers[len(first) + 1 :]
            at = [i for i, p in enumerate(quick) for _ in range(p)]
            if sum(slow) == 1 and not at:
                out += coefficient * damped[slow.index(1)]
            elif not any(slow) and len(at) == 2:
                i, j = at
                second = covariance[i, j] if j < len(first) else CURVATURE if i == j else 0
                out += NOISE * coefficient * second
            elif not any(slow) and not at:
                out += coefficient
            else:
                raise NoClosedForm(f"rule {rule.name!r}: its step is not quadratic in the oscillation.")
        return sp.expand(out)

    means = [
        mean(getattr(getattr(state, name), part)[2]) for name in frame.vectors for part in ("radial", "s")
    ]  # fmt: skip
    rest = sp.solve([m - d for m, d in zip(means, damped, strict=True)], damped, dict=True)[0] if damped else {}
    growth = sp.expand(sp.together(mean(ratio[2]).subs(rest)))
    drift = sp.expand(sp.together(mean((moved.s / moved.radial)[2]).subs(rest)))
    short = lambda e: readable(e, frame, edge.value)  # noqa: E731
    return NoiseLaw(
        rule=rule, names=names, step=matrix, entry=entry, covariance=covariance.applyfunc(short),
        growth=short(growth.coeff(NOISE, 0)), shrink=short(-growth.coeff(NOISE)),
        push=short(-drift.coeff(NOISE) / K), edge=edge.value,
    )  # fmt: skip


def _one_step(frame: Frame, ring: SeriesRing, first: Any, damped: Any, kick: sp.Symbol) -> tuple[Any, Any, Any]:
    """w and state after a noisy step from (first; damped), and effective_lr after it over that before."""
    rule, zero = frame.rule, ring.zero
    radius = ring.constant(NORM if frame.on_weights else 1)
    x = ring.power(1, first[0])
    length = (1 + x * x).sqrt()
    w = JetVector(radius / length, x * radius / length, zero, zero)
    states: dict[str, Any] = {
        name: JetVector(
            ring.power(2, damped[2 * i]), ring.power(1, first[1 + i]), zero, ring.power(2, damped[2 * i + 1])
        )
        for i, name in enumerate(frame.vectors)
    }
    scalars = {name: ring.read(value) for name, value in frame.scalars.items()}
    states |= scalars
    if "effective_lr" in rule.state:
        states["effective_lr"] = ring.constant(NORM)
    p = SimpleNamespace(**{name: ring.read(value) for name, value in frame.parameters.items()})
    gradient = _NoisyGradient(ring, SHARPNESS, ring.power(1, kick))
    try:
        moved, state = rule.step(w, gradient, SimpleNamespace(**states), p, operations)
    except NotSmooth as error:
        raise NoClosedForm(f"rule {rule.name!r}: {error}.") from error
    if not frame.on_weights:
        ratio = state.effective_lr / ring.constant(NORM) if "effective_lr" in rule.state else ring.constant(1)
        return moved, state, ratio
    squared = sp.Symbol("norm_squared", positive=True)
    formula = frame.effective_lr.subs(NORM, sp.sqrt(squared))
    symbols = {name: sp.Symbol(name, positive=True) for name in frame.scalars}
    before = ring.read(formula, {symbols[name]: value for name, value in scalars.items()} | {squared: radius * radius})
    after = {symbols[name]: getattr(state, name) for name in frame.scalars}
    return moved, state, ring.read(formula, after | {squared: moved.dot(moved)}) / before


def _radius(frame: Frame) -> sp.Expr:
    """NORM in terms of effective_lr; on the sphere NORM stands for effective_lr itself."""
    if not frame.on_weights:
        return LR
    found = [r for r in sp.solve(leading_lr(frame) - LR, NORM) if r.is_positive is not False]
    if len(found) != 1:
        raise NoClosedForm(f"rule {frame.rule.name!r}: effective_lr does not determine |w|.")
    return found[0]
