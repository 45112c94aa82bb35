"""The law of a rule at the edge of stability, on every loss: edge, oscillator, drift, energy law, tracking.

    effective_lr*lambda_1 = edge,    X' = alpha X U,    U' = growth - brake X^2,    d zeta/d tau = -drift g,
    dE/d tau = coefficient <U^2>

with drift and brake functions of K^2 = |g|^2 and the coefficient a function of the jets of the loss at zeta.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import mpmath
import sympy as sp

from sharpflow.theory import keeping
from sharpflow.theory.edge.averaging import A, small_period
from sharpflow.theory.edge.energy_law import BEND, EnergyLaw, energy_law
from sharpflow.theory.edge.first_crossing import Crossing, first_crossing
from sharpflow.theory.edge.frame import NORM, Frame, find_edge
from sharpflow.theory.edge.jets import CUBIC, JETS, MIXED, QUARTIC, RATIO, EdgeJets, K
from sharpflow.theory.edge.nonsmooth import ROOT, PeriodTwo, period_two
from sharpflow.theory.edge.one_step import EdgeMap, S, U, one_step
from sharpflow.theory.edge.series import DELTA
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.fingerprint import exact_fingerprint
from sharpflow.theory.identity import Identity
from sharpflow.theory.rule import Rule
from sharpflow.theory.writing.nodes import NotWritten, from_nodes, to_nodes

__all__ = [
    "K2",
    "LAMBDA",
    "QUARTIC_RESPONSE",
    "EdgeLaw",
    "edge_law",
    "energy_ratio",
    "horizon",
    "in_invariants",
    "law_json",
]

K2 = sp.Symbol("K2", nonnegative=True)
LAMBDA = sp.Symbol("lambda_1", positive=True)
# What of the cubic and quartic terms is left: c_4 - 3 c_3^2 - 3 sum_j c_21j^2/m_j, and K^2 dK/ds along g/|g|.
QUARTIC_RESPONSE = sp.Symbol("Q", real=True)
TURN = sp.Symbol("B", real=True)
# An oscillation of ten times its equilibrium is not small any more: it is at the edge of what rate 1e-4 resolves.
LARGEST = 10.0


@dataclass(frozen=True, eq=False)
class EdgeLaw:
    """The law of one rule; every attribute is derived when it is first asked for, or was kept on disk.

    Attributes:
        rule: of which.
    """

    rule: Rule

    @cached_property
    def _parts(self) -> tuple[EdgeMap | None, EnergyLaw | None, PeriodTwo | None]:
        frame = Frame(self.rule)
        if find_edge(frame).value is None:
            return None, None, period_two(frame)
        single = one_step(self.rule)
        return single, energy_law(single), None

    @property
    def single(self) -> EdgeMap | None:
        """The map at the edge, of a rule that is smooth on Gamma."""
        return self._parts[0]

    @property
    def energy(self) -> EnergyLaw | None:
        """Its averages."""
        return self._parts[1]

    @property
    def orbit(self) -> PeriodTwo | None:
        """The orbits of period two, of a rule that is not smooth on Gamma."""
        return self._parts[2]

    @cached_property
    def smooth(self) -> bool:
        """True where the linearised step exists on Gamma, and with it an edge."""
        return self.single is not None

    @cached_property
    def defaults(self) -> dict[sp.Symbol, sp.Expr]:
        """The rule's constants at their default numbers."""
        frame = self.single.frame if self.single else self._orbit.frame
        return {
            symbol: sp.nsimplify(self.rule.constants[name], rational=True) for name, symbol in frame.constants.items()
        }

    @property
    def _energy(self) -> EnergyLaw:
        assert self.energy is not None
        return self.energy

    @property
    def _orbit(self) -> PeriodTwo:
        assert self.orbit is not None
        return self.orbit

    @cached_property
    def edge(self) -> sp.Expr | None:
        """effective_lr*lambda_1 at the edge."""
        return self.single.edge.value if self.single else None

    @cached_property
    def alpha(self) -> sp.Expr | None:
        """Of X' = alpha X U; ``None`` without an oscillator."""
        return self._energy.alpha if self.smooth else None

    @cached_property
    def growth(self) -> sp.Expr | None:
        """Of U' = growth - brake X^2; ``None`` without an oscillator."""
        return self._energy.growth if self.smooth else None

    @cached_property
    def closes(self) -> bool | None:
        """True where the leading orbits are closed (at the default constants); ``None`` without an oscillator."""
        if not self.smooth:
            return None
        numbers = self.defaults | {K: sp.Integer(1)}
        return all(bool(e.subs(numbers) > 0) for e in (self._energy.alpha, self._energy.growth, self._energy.brake))

    @cached_property
    def rests(self) -> bool:
        """True where effective_lr*lambda_1 stays as it is at zero gradient: no weight decay at all."""
        return self.smooth and self._energy.growth == 0

    @cached_property
    def crossing(self) -> Crossing:
        """True where another normal multiplier leaves the unit circle first, at the default constants."""
        assert self.single is not None
        return first_crossing(self.single.frame, self.single.edge, self.defaults)

    @cached_property
    def largest_multiplier(self) -> float:
        """The largest modulus of the damped multipliers at the edge, at the default constants and m = 1/2."""
        if self.single is None:
            return 0.0
        values = self.defaults | {RATIO: sp.Rational(1, 2), NORM: sp.Integer(1)} | dict.fromkeys(self.single.slow, 1)
        numbers = self.single.damping.subs(values).evalf()
        if numbers.shape == (1, 1):
            return float(abs(numbers[0]))
        return float(max(abs(v) for v in mpmath.eig(mpmath.matrix(numbers.tolist()), left=False, right=False)))

    @cached_property
    def brake(self) -> sp.Expr:
        """b as a function of K^2."""
        return sp.factor(sp.expand(self._energy.brake).subs(K, sp.sqrt(K2)))

    @cached_property
    def mean_square(self) -> sp.Expr | None:
        """<x^2>/rate over an orbit, as a function of K^2 (or lambda_1, without an oscillator); ``None``: no orbit."""
        if self.smooth:
            return self.readable(sp.factor(self._energy.growth / self.brake)) if self.closes else None
        return sp.factor(self._orbit.mean_square.subs(ROOT, sp.sqrt(LAMBDA / 2)))

    @cached_property
    def drift(self) -> sp.Expr | None:
        """D with d zeta/d tau = -D g; ``None`` where nothing keeps the oscillation up."""
        if self.smooth:
            along = sp.factor(self._energy.push / K)
            return self.readable(sp.factor(-along * self._energy.growth / self.brake)) if self.closes else None
        return sp.factor(sp.simplify((-self._orbit.drift / K).subs(ROOT, sp.sqrt(LAMBDA / 2))))

    @cached_property
    def pace(self) -> sp.Expr | None:
        """The drift over that at the start, in the slow scalars' ratios to theirs; ``None`` where it depends on K."""
        if not self.closes:
            return sp.Integer(1)
        growth, brake, push = self._energy.moving
        mean = self._energy.push * self._energy.growth / self._energy.brake
        found = sp.factor(sp.cancel(push * growth / (brake * mean)))
        return None if found.has(K) else found

    @cached_property
    def coefficient(self) -> sp.Expr | None:
        """c in K^2, B = K^2 dK/ds along g/|g|, and Q = c_4 - 3 c_3^2 - 3 sum_j c_21j^2/m_j."""
        if not self.smooth or not self.closes:
            return None
        return self.readable(in_invariants(self._energy.coefficient))

    def coefficient_on(self, jets: EdgeJets) -> sp.Expr:
        """c in the chart of a loss, at the default constants."""
        assert self.coefficient is not None
        values = {
            K2: jets.log_gradient_squared, TURN: jets.bend, LAMBDA: jets.sharpness,
            QUARTIC_RESPONSE: jets.quartic - 3 * jets.cubic_squared - 3 * jets.mixed,
        }  # fmt: skip
        return sp.sympify(self.coefficient.subs(self.defaults)).subs(values)

    @property
    def period(self) -> sp.Expr | None:
        """Iterations of a small oscillation, 2 pi/sqrt(2 alpha growth rate); ``None`` without a closed orbit."""
        if not self.closes:
            return None
        rate = sp.Symbol("rate", positive=True)
        return self.readable(sp.simplify(small_period(rate).subs(A, self._energy.alpha * self._energy.growth)))

    def potential(self, y: sp.Expr) -> sp.Expr:
        """V in E = U^2/2 + V(y), y = log X^2, found by integrating - U'/(2 alpha) over y."""
        place, brake, growth = sp.Dummy("y", real=True), sp.Dummy(positive=True), sp.Dummy(positive=True)
        # With symbols for both: SymPy splits cases on whether a denominator in the rule's constants vanishes.
        found = sp.integrate(brake * sp.exp(place) - growth, place).subs(place, y)
        twice = 2 * self._energy.alpha
        return found.subs(
            {brake: sp.factor(self._energy.brake / twice), growth: sp.factor(self._energy.growth / twice)}
        )

    @cached_property
    def period_integral(self) -> sp.Expr | None:
        """Iterations of an orbit of energy E between y_- and y_+, its turning points; ``None`` without one."""
        if not self.closes:
            return None
        y, rate = sp.Symbol("y", real=True), sp.Symbol("rate", positive=True)
        speed = self.readable(self._energy.alpha) * sp.sqrt(
            2 * rate * (sp.Symbol("E") - self.readable(self.potential(y)))
        )
        return sp.Integral(1 / speed, (y, sp.Symbol("y_-"), sp.Symbol("y_+")))

    def readable(self, expression: sp.Expr) -> sp.Expr:
        """Factors of the rule's constants that are negative at their defaults, turned: 1 - beta for beta - 1."""
        turned: dict[sp.Symbol, sp.Expr] = {}
        if expression.has(NORM) and self.single is not None:
            # |w| at the edge, which the edge itself gives.
            norm = sp.solve(self.single.edge.sharpness - LAMBDA, NORM)[0]
            expression = sp.Add(*(sp.factor(term.subs(NORM, norm)) for term in sp.Add.make_args(expression)))

        def turn(factor: sp.Expr) -> sp.Expr:
            if not factor.subs(self.defaults).is_negative:
                return factor
            positive = sp.Dummy(positive=True)
            turned[positive] = -factor
            return -positive

        known = set(self.defaults)
        found: sp.Expr = expression.replace(lambda e: e.is_Add and e.free_symbols <= known, turn).xreplace(turned)
        return found

    def with_norm(self, expression: sp.Expr) -> sp.Expr:
        """lambda_1, which `readable` put for |w| (or effective_lr), as what it is at the edge: back again."""
        if self.single is None:
            return expression
        found: sp.Expr = expression.subs(LAMBDA, self.single.edge.sharpness)
        return found

    @cached_property
    def slow(self) -> dict[sp.Symbol, sp.Expr]:
        """d log ratio/d tau of the slow scalars of the state, by their ratios to the values at the start."""
        return {} if self.single is None else {ratio: sp.sympify(rate) for ratio, rate in self.single.slow.items()}

    @cached_property
    def resting(self) -> dict[str, tuple[sp.Expr, ...]]:
        """Each vector of the state at U = 0 along zeta, v_1 and g/|g|, in r = |w|, delta, X and K, to order delta^2."""
        if self.single is None:
            return {}
        slaved = self.single.slaved
        at_rest = dict.fromkeys([U, S, *(jet for jet in JETS if jet != K)], 0) | self.defaults

        def part(name: str) -> sp.Expr:
            total = sum((slaved[name][k].as_expr() * DELTA**k for k in range(3)), sp.Integer(0))
            found: sp.Expr = sp.sympify(total).subs(at_rest)
            return found

        return {
            name: tuple(part(f"{name}.{direction}") for direction in ("radial", "x", "s"))
            for name in self.single.frame.vectors
        }

    @cached_property
    def tracking(self) -> str:
        """One clause on whether gradient descent can be expected to follow the drift."""
        if self.orbit is not None:
            if abs(self.orbit.multiplier) == 1:
                return "edge: none, nonsmooth; an interval of orbits of period two, which all carry the same drift"
            multiplier = self.orbit.multiplier.subs(ROOT, sp.sqrt(LAMBDA / 2))
            return f"edge: none, nonsmooth; an orbit of period two that attracts where |{multiplier}| < 1"
        if self.crossing.outside is not None or self.largest_multiplier >= 1:
            return "no: another multiplier leaves the unit circle before the edge (at the default constants)"
        if not self.closes:
            return "no: the leading orbits are not closed, so that the oscillation dies out and the edge is left"
        return (
            "as long as the integral of c along the flow stays under log(E_max/E_0), log(E_max/E_0)/c in time where c "
            "is constant; always where c <= 0"
        )


def energy_ratio(amplitude: float = 1.2, largest: float = LARGEST, /) -> float:
    """log(E_max/E_0): by how much the energy grows while the amplitude of an oscillation goes from one to the other.

    In units of the equilibrium oscillation, where E - min E goes as A^2 - 1 - log A^2; inf from equilibrium itself.
    """
    low, high = (a**2 - 1 - 2 * math.log(abs(a)) for a in (amplitude, largest))
    return max(math.log(high / low), 0.0) if low > 0 else math.inf


def horizon(coefficient: float, amplitude: float = 1.2, largest: float = LARGEST, /) -> float:
    """log(E_max/E_0)/c, the flow time in which an oscillation grows from ``amplitude`` to ``largest``; inf for c <= 0.

    In units of the equilibrium oscillation; c stays the same.
    """
    return energy_ratio(amplitude, largest) / coefficient if coefficient > 0 else math.inf


def in_invariants(expression: sp.Expr, /) -> sp.Expr:
    """A coefficient in K, dK/ds and the jets, written in K2, B and Q.

    c_3 and c_21 are set to 0, which leaves c_4 of Q = c_4 - 3 c_3^2 - 3 c_21^2/m: that nothing but Q is left of them is
    for the caller to check.
    """
    values = {CUBIC: 0, MIXED: 0, QUARTIC: QUARTIC_RESPONSE, BEND: TURN / K**2}
    return _in_partial_terms(sp.factor(sp.together(expression.subs(values))).subs(K, sp.sqrt(K2)))


def _in_partial_terms(expression: sp.Expr) -> sp.Expr:
    """The part without B and Q, plus B and Q times theirs, each factored."""
    above, below = sp.fraction(expression)
    polynomial = sp.Poly(above, TURN, QUARTIC_RESPONSE)
    return sp.Add(*(sp.factor(c / below) * TURN**i * QUARTIC_RESPONSE**j for (i, j), c in polynomial.terms()))


def edge_law(rule: Rule, /) -> EdgeLaw:
    """The law of a rule, derived once.

    Raises:
        InputError: the rule cannot be run on series, or its at_rate is wrong.
        NoClosedForm: its expansion is not covered; the message says where it stops.
    """
    return _edge_law(Identity(rule))


# What numbers are made of, and what is said of a rule in a line.
_KEPT = (
    "smooth", "edge", "defaults", "alpha", "growth", "closes", "rests", "brake", "mean_square", "drift", "pace",
    "coefficient", "slow", "resting", "tracking",
)  # fmt: skip


@lru_cache(maxsize=64)
def _edge_law(key: Identity[Rule]) -> EdgeLaw:
    rule = key.value
    law, entry = EdgeLaw(rule), keeping.entry(f"law-{rule.name}", exact_fingerprint(rule))
    kept = entry.read()
    if kept is not None:
        law.__dict__.update(from_nodes(kept))
    else:
        smooth = law.smooth  # or not covered, which is raised here
        with contextlib.suppress(NotWritten, NoClosedForm, InputError):
            entry.write(to_nodes({name: getattr(law, name) for name in _KEPT if smooth or name != "brake"}))
    return law


def law_json(law: EdgeLaw | None, /) -> dict[str, Any]:
    """The law of a rule as JSON; null where that was not derived."""
    if law is None:
        return {"edge": None, "oscillator": None, "orbit": None, "drift": None, "tracks": None}
    energy, orbit = law.energy, law.orbit
    return {
        "edge": _text(law.edge),
        "oscillator": None if energy is None else {
            "alpha": _text(energy.alpha), "growth": _text(energy.growth), "brake": _text(law.brake),
            "closed": law.closes, "mean_square": _text(law.mean_square), "period": _text(law.period),
            "potential": _text(law.potential(sp.Symbol("y", real=True))),
            "period_at_any_amplitude": _text(law.period_integral),
        },
        "orbit": None if orbit is None else {
            "modulus": _text(orbit.modulus), "fixed": _text(orbit.fixed), "multiplier": _text(orbit.multiplier),
            "mean_square": _text(law.mean_square),
        },
        "drift": {"coefficient": _text(law.drift), "time": f"({law.rule.rate})*t", "direction": "-g",
                  "pace": _text(law.pace)},
        "tracks": law.tracking,
    }  # fmt: skip


def _text(expression: Any) -> str | None:
    return None if expression is None else sp.sstr(expression)
