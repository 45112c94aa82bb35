"""The law of a rule at the edge, as numbers for the numeric wing.

    effective_lr*lambda_1 = edge,    <x^2> = rate mean_square(K^2),    d zeta/d tau = -drift(K^2) g

and, of a rule with a slow oscillator, X' = alpha X U, U' = a - b X^2, whose small orbits take 2 pi/sqrt(2 alpha a rate)
iterations. All of it is `sharpflow.theory.edge.edge_law`'s: the rule's own update, run on series.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from sharpflow.numerics.formulas import formula, lambdify
from sharpflow.theory.edge.edge_law import K2, LAMBDA, EdgeLaw, edge_law
from sharpflow.theory.edge.frame import NORM
from sharpflow.theory.edge.jets import K
from sharpflow.theory.edge.one_step import X
from sharpflow.theory.edge.series import DELTA
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.identity import Identity
from sharpflow.theory.rule import Rule

__all__ = ["Law", "law_of"]

Array = jax.Array
# Of a clock: the flow that is read off at its times is off by 1e-9 itself.
RTOL = 1e-10


@dataclass(frozen=True, eq=False)
class Law:
    """The rule at the edge, at the default numbers of its constants.

    Attributes:
        exact: what the exact wing derived.
        edge: effective_lr*lambda_1 at the edge; nan for a rule that has none.
        alpha, drive: X' = alpha X U, U' = drive - b X^2; 0 without an oscillator.
        coefficient: (a, b, c) of the drift a/(b + c K^2), where it has this form; else ``None``.
    """

    exact: EdgeLaw
    edge: float
    alpha: float
    drive: float
    coefficient: tuple[float, float, float] | None
    _mean_square: Any
    _drift: Any
    _state: dict[str, Any]
    _slow: Any = None

    def mean_square(self, log_gradient_squared: Any, sharpness: Any = math.nan) -> Any:
        """<x^2>/rate at K^2 (and lambda_1, which only rules without an edge ask for), of numbers or arrays."""
        return self._mean_square(log_gradient_squared, sharpness)

    def drift(self, log_gradient_squared: Any, sharpness: Any = math.nan) -> Any:
        """D in d zeta/d tau = -D g."""
        return self._drift(log_gradient_squared, sharpness)

    def response(self, log_gradient_squared: float) -> tuple[float, float]:
        """(a, b) of U' = a - b X^2 at K^2, a/b the mean square."""
        return self.drive, self.drive / float(self.mean_square(log_gradient_squared))

    def clock(self, times: np.ndarray, /) -> np.ndarray:
        """The time s in which d zeta/ds = -drift g, at flow times (N,) from 0 on: ds/d tau = pace.

        Where a schedule moves the learning rate or the weight decay, the drift has another pace than at the start; s is
        integrated together with what moves.

        Raises:
            InputError: the schedule grows without bound before the end, or changes more than the clock.
        """
        return times if self._slow is None else _integrated(self._slow, times)[0]

    def pace(self, times: np.ndarray, /) -> np.ndarray:
        """ds/d tau at flow times (N,)."""
        return np.ones_like(times) if self._slow is None else _integrated(self._slow, times)[1]

    @property
    def growth(self) -> float:
        """d log effective_lr/d tau without an oscillation."""
        return self.drive / self.edge if self.smooth else 0.0

    @property
    def smooth(self) -> bool:
        """True where there is a slow oscillator; else there are orbits of period two."""
        return self.exact.smooth

    def period(self, rate: float) -> float:
        """Iterations of a small oscillation, 2 pi/sqrt(2 alpha a rate); a stretch to average over where there is none.

        With y = log(x^2/<x^2>): y' = 2 alpha U, U' = a (1 - e^y).
        """
        return 2 * math.pi / math.sqrt(2 * self.alpha * self.drive * rate) if self.smooth else 100.0

    def amplitude(self, log_gradient_squared: float, rate: float, sharpness: float) -> float:
        """|x| at equilibrium, at a finite rate."""
        return float(np.sqrt(self.mean_square(log_gradient_squared, sharpness) * rate))

    def begin(
        self, state: dict[str, Array], position: Array, *, zeta: Any, top: Any, along: Any, x: Any, rate: Any,
        log_gradient: Any,
    ) -> dict[str, Array]:  # fmt: skip
        """``state`` with vectors such as momentum where the oscillation has them, up to corrections of order rate.

        Args:
            state, position: what `sharpflow.numerics.descent.forms.Form.begin` gives.
            zeta, top, along: (D,) the point of Gamma, v_1, and g/|g|.
            x: the displacement along v_1.
            rate, log_gradient: eps and K.
        """
        if not self._state:
            return state
        radius, delta = jnp.linalg.norm(position), jnp.sqrt(rate)
        new = dict(state)
        for name, parts in self._state.items():
            radial, across, tangent = parts(radius, delta, x / delta, log_gradient)
            new[name] = radial * zeta + across * top + tangent * along
        return new


def law_of(rule: Rule, /) -> Law:
    """The law of a rule.

    Raises:
        InputError: nothing keeps the oscillation of this rule up (no schedule feeds back), or the derivation does not
            cover it; the message says where it stops.
    """
    return _law(Identity(rule))


@lru_cache(maxsize=64)
def _law(key: Identity[Rule]) -> Law:
    rule = key.value
    try:
        exact = edge_law(rule)
    except NoClosedForm as reason:
        said = str(reason).removeprefix(f"rule {rule.name!r}: ")
        raise InputError(f"rule {rule.name!r}: its law at the edge was not derived: {said}") from reason
    if exact.mean_square is None or exact.drift is None:
        energy = exact.energy
        assert energy is not None
        raise InputError(
            f"rule {rule.name!r}: at the edge it obeys X' = {energy.alpha} X U, U' = {energy.growth} - "
            f"({energy.brake}) X^2, which has no closed orbit: nothing keeps the oscillation up, so it follows no flow "
            "along Gamma. sharpflow derive generic shows what it does instead."
        )
    square, drift = (e.subs(exact.defaults) for e in (exact.mean_square, exact.drift))
    if drift.has(NORM):
        raise InputError(
            f"rule {rule.name!r}: its drift, {exact.drift} times -g with r = |w|, depends on |w|, which no edge fixes "
            "where a rule is not smooth at the minimum; write it as a step on the sphere (space='sphere')."
        )
    edge, alpha, growth = (
        0.0 if e is None else float(e.subs(exact.defaults)) for e in (exact.edge, exact.alpha, exact.growth)
    )
    states = {name: lambdify((NORM, DELTA, X, K), list(parts)) for name, parts in exact.resting.items()}
    return Law(
        exact, math.nan if exact.edge is None else edge, alpha, growth, _three(drift),
        formula((K2, LAMBDA), square), formula((K2, LAMBDA), drift), states, _slow(exact),
    )  # fmt: skip


def _slow(exact: EdgeLaw) -> Any:
    """(ratios) -> (d log ratio/d tau ..., pace) of the slow scalars of the state, as numbers; ``None`` without any."""
    if not exact.slow:
        return None
    if exact.pace is None:
        raise InputError(
            f"rule {exact.rule.name!r}: where its slow state has moved, its drift is another function of K, and "
            "not the same in another clock: not covered."
        )
    rates = [e.subs(exact.defaults) for e in (*exact.slow.values(), exact.pace)]
    return sp.lambdify(list(exact.slow), rates, "math")


def _integrated(rates: Any, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s and ds/d tau at flow times (N,), from the rates of the logarithms of the slow scalars."""
    from scipy.integrate import solve_ivp

    slow = len(inspect.signature(rates).parameters)
    reached = 0.0

    def slopes(tau: float, at: np.ndarray) -> np.ndarray:
        nonlocal reached
        reached = tau
        return np.array(rates(*(math.exp(v) for v in at[:slow])), dtype=float)

    try:
        found = solve_ivp(
            slopes, (0.0, float(times[-1])), np.zeros(slow + 1), "DOP853", dense_output=True, rtol=RTOL, atol=RTOL
        )
        if not found.success:  # the step has shrunk to nothing
            raise OverflowError
        at = found.sol(times)
        return at[slow], np.array([slopes(tau, column)[slow] for tau, column in zip(times, at.T, strict=True)])
    except OverflowError:
        raise InputError(
            f"the schedule of the rule grows without bound at flow time {reached:.3g}; ask for a shorter time."
        ) from None


def _three(drift: sp.Expr) -> tuple[float, float, float] | None:
    if drift.has(LAMBDA):
        return None
    above, below = sp.fraction(sp.together(drift))
    polynomial = sp.Poly(below, K2)
    if above.has(K2) or polynomial.degree() > 1:
        return None
    return float(above), float(polynomial.coeff_monomial(1)), float(polynomial.coeff_monomial(K2))
