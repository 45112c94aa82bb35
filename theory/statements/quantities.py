"""The quantities of the theory by name, each derived from the loss's geometry and the rule's law."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache, partial

import sympy as sp

from sharpflow.theory.chart.assumptions import (
    prove_chart,
    prove_log_sharpness_gradient,
    prove_minimal_kernel,
    prove_minimizers,
    prove_simple_sharpness,
)
from sharpflow.theory.chart.edge_jets import edge_jets
from sharpflow.theory.chart.geometry import Geometry
from sharpflow.theory.chart.law import prove_law_drift, prove_law_energy
from sharpflow.theory.edge import jets
from sharpflow.theory.edge.edge_law import K2, LAMBDA, QUARTIC_RESPONSE, TURN, EdgeLaw, edge_law
from sharpflow.theory.edge.frame import NORM, leading_lr
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.entering import rest_factor
from sharpflow.theory.sphere.reduction import exact, reduce_rule
from sharpflow.theory.statements.nodes import Meaning

__all__ = ["Quantities", "symbol"]

POSITIVE, NONNEGATIVE, REAL = {"positive": True}, {"nonnegative": True}, {"real": True}
# A function of the rate is c rate^(1/2) where it is so at these, to twelve digits.
RATES = (1.0, 0.25, 0.0625)


def symbol(name: str, /) -> sp.Symbol:
    """A positive symbol, as parameters of rules are."""
    return sp.Symbol(name, positive=True)


@dataclass(frozen=True, eq=False)
class Quantities:
    """The quantities that can be named for a loss (``None``: every loss) and a rule."""

    loss: Loss | None
    rule: Rule
    geometry: Geometry | None

    @cached_property
    def law(self) -> EdgeLaw:
        """Of the rule; raises `NoClosedForm` where it is not derived."""
        return edge_law(self.rule)

    def meanings(self) -> Iterator[Meaning]:
        """All of them, what others rest on first."""
        for name in dict.fromkeys((*self.rule.at_rate(0.25), *self.rule.constants)):
            value = self.rule.fixed.get(name)
            words = "a parameter of the rule" + ("" if value is None else ", a number at every rate")
            yield Meaning(
                name, words, None if value is None else partial(exact, value), POSITIVE if value is None else REAL
            )
        yield Meaning("rate", f"{self.rule.rate}, the small parameter; rate*iterations is flow time", None, POSITIVE)
        yield Meaning("intrinsic_lr", "the scale of the oscillation", self._intrinsic_lr, POSITIVE)
        yield Meaning("tau", "flow time", None, NONNEGATIVE)
        if self.loss is not None:
            for variable in self.loss.variables:
                yield Meaning(variable.name, "a variable of the loss", None, REAL)
        if self.loss is None or self.geometry is not None:
            yield from self._on_gamma()
            yield from self._at_the_edge()

    def _on_gamma(self) -> Iterator[Meaning]:
        geometry = self.geometry
        if geometry is None:
            yield Meaning("lambda_1", "the sharpness", None, POSITIVE)
            yield Meaning(
                "sharpness", "lambda_1, the top eigenvalue of the Hessian at the unit vector", lambda: LAMBDA, POSITIVE
            )
            yield Meaning("K", "|g|, g the gradient of log lambda_1 on Gamma", None, NONNEGATIVE)
            yield Meaning("g", "the gradient of log lambda_1 on Gamma, a vector of length K", None, REAL)
            yield Meaning("B", "K^2 dK/ds along g/|g|", None, REAL)
            yield Meaning("Q", "c_4 - 3 c_3^2 - 3 sum_j c_21j^2/m_j, of the jets along v_1", None, REAL)
            return
        for p in geometry.chart:
            yield Meaning(p.name, "a coordinate of the chart", None, REAL)
        words = "the top eigenvalue of the Hessian at the unit vector"
        sharp, bend = (lambda: geometry.sharpness), self._sharp_proofs
        yield Meaning("sharpness", f"lambda_1, {words}", sharp, POSITIVE, bend)
        yield Meaning("lambda_1", words, sharp, POSITIVE, bend)
        for j in range(2, geometry.codimension + 1):
            yield Meaning(
                f"lambda_{j}",
                f"normal eigenvalue number {j}, in the order at the start",
                partial(self._eigenvalue, j),
                REAL,
                bend,
            )
        gradient = self._gradient_proofs
        yield Meaning(
            "K", "|g|, g the gradient of log lambda_1 on Gamma",
            lambda: sp.sqrt(geometry.log_sharpness_gradient_squared), NONNEGATIVE, gradient,
        )  # fmt: skip
        for i, p in enumerate(geometry.chart):
            yield Meaning(f"g({p})", f"component of g in {p} (upper index)", partial(self._gradient, i), REAL, gradient)
        yield Meaning("B", "K^2 dK/ds along g/|g|", lambda: edge_jets(geometry).bend, REAL, gradient)
        yield Meaning("Q", "c_4 - 3 c_3^2 - 3 sum_j c_21j^2/m_j, of the jets along v_1", self._response, REAL, gradient)

    def _at_the_edge(self) -> Iterator[Meaning]:
        yield Meaning("edge", "effective_lr*lambda_1 at the edge of stability", self._edge, POSITIVE)
        yield Meaning(
            "effective_lr", "edge/lambda_1, what the edge asks for", lambda: self._edge() / self._sharpness, POSITIVE
        )
        yield Meaning(
            "mean_edge", "effective_lr*lambda_1 averaged over an orbit, to leading order", self._mean_edge, POSITIVE
        )
        yield Meaning("drift", "D of d zeta/d tau = -D g", self._drift, REAL)
        if self.geometry is not None:
            for i, p in enumerate(self.geometry.chart):
                yield Meaning(f"flow({p})", f"d{p}/d tau", partial(self._flow, i), REAL, self._flow_proofs)
        if self.geometry is None or len(self.geometry.chart) == 1:
            words = "d zeta/d tau = -D g" + ("" if self.geometry is None else ", its component in the chart")
            yield Meaning("velocity", words, self._velocity, REAL, self._flow_proofs if self.geometry else tuple)
        yield Meaning("speed", "|d zeta/d tau|", lambda: self._drift() * self._k, REAL)
        yield Meaning(
            "mean_square", "<x^2>, |theta - retraction|^2 averaged over an orbit", self._mean_square, POSITIVE
        )
        yield Meaning(
            "excess_loss", "<L - min L> over an orbit", lambda: self._sharpness * self._mean_square() / 2, POSITIVE
        )
        yield Meaning("period", "iterations of a small oscillation", self._period, POSITIVE)
        yield Meaning("norm_squared", "|w|^2 at the edge, to leading order", self._norm_squared, POSITIVE)
        yield Meaning("effective_lr_0", "effective_lr at the start, at rest on Gamma", None, POSITIVE)
        yield Meaning("waiting_time", "iterations at rest from effective_lr_0 to the edge", self._waiting_time, REAL)
        yield Meaning("X", "displacement along v_1 over sqrt(rate)", None, REAL)
        yield Meaning("U", "(effective_lr*lambda_1 - edge)/sqrt(rate)", None, REAL)
        yield Meaning("fast(X)", "dX/dT, T = sqrt(rate)*iterations", lambda: self._oscillator[0], REAL)
        yield Meaning("fast(U)", "dU/dT, T = sqrt(rate)*iterations", lambda: self._oscillator[1], REAL)
        yield Meaning("energy", "E(X, U), conserved by the leading oscillator", self._energy, REAL)
        yield Meaning("energy_coefficient", "c of dE/d tau = c <U^2>", self._coefficient, REAL, self._energy_proofs)

    # Values

    @property
    def _sharpness(self) -> sp.Expr:
        return LAMBDA if self.geometry is None else self.geometry.sharpness

    @property
    def _k(self) -> sp.Expr:
        return sp.Symbol("K", nonnegative=True) if self.geometry is None else sp.sqrt(self._k2)

    @property
    def _k2(self) -> sp.Expr:
        if self.geometry is None:
            return sp.Symbol("K", nonnegative=True) ** 2
        return self.geometry.log_sharpness_gradient_squared

    def _here(self, e: sp.Expr | None, what: str) -> sp.Expr:
        """An expression of the law in the loss's own K^2 and lambda_1 (or their symbols)."""
        if e is None:
            raise NoClosedForm(f"the rule {self.rule.name!r} has no {what}: {self.law.tracking}")
        return self.law.readable(sp.sympify(e)).subs({K2: self._k2, jets.K: self._k, LAMBDA: self._sharpness})

    def _eigenvalue(self, j: int) -> sp.Expr:
        assert self.geometry is not None
        return self.geometry.eigenvalues[j - 1]

    def _gradient(self, i: int) -> sp.Expr:
        assert self.geometry is not None
        return self.geometry.log_sharpness_gradient[i]

    def _response(self) -> sp.Expr:
        assert self.geometry is not None
        found = edge_jets(self.geometry)
        return found.quartic - 3 * found.cubic_squared - 3 * found.mixed

    def _intrinsic_lr(self) -> sp.Expr:
        squares = [Fraction(float(self.rule.intrinsic_lr(rate)) ** 2 / rate).limit_denominator(10**6) for rate in RATES]
        if len(set(squares)) > 1:
            raise NoClosedForm("intrinsic_lr is no multiple of sqrt(rate)")
        return sp.sqrt(sp.Rational(squares[0].numerator, squares[0].denominator) * symbol("rate"))

    def _edge(self) -> sp.Expr:
        return self._here(self.law.edge, "edge")

    def _mean_edge(self) -> sp.Expr:
        return self._here(self.law.edge if self.law.closes else None, "closed orbit at the edge")

    def _drift(self) -> sp.Expr:
        return self._here(self.law.drift, "drift")

    def _flow(self, i: int) -> sp.Expr:
        return -self._drift() * self._gradient(i)

    def _velocity(self) -> sp.Expr:
        return self._flow(0) if self.geometry is not None else -self._drift() * sp.Symbol("g", real=True)

    def _mean_square(self) -> sp.Expr:
        return symbol("rate") * self._here(self.law.mean_square, "orbit at the edge")

    def _period(self) -> sp.Expr:
        return self._here(self.law.period, "closed orbit at the edge")

    def _norm_squared(self) -> sp.Expr:
        edge = self.law.edge
        frame = None if self.law.single is None else self.law.single.frame
        start = None if frame is None else frame.parameters.get("learning_rate")
        if frame is None or edge is None or start is None or not frame.on_weights:
            raise NoClosedForm(f"the rule {self.rule.name!r} has no edge that the norm of weights brings it to")
        # effective_lr = c learning_rate/|w|^2, as rescaling the weights asks for.
        scale = sp.simplify(leading_lr(frame) * NORM**2 / start)
        if scale.has(NORM):
            raise NoClosedForm("effective_lr is no multiple of learning_rate/|w|^2")
        return scale * symbol("learning_rate") * self._sharpness / self._here(edge, "edge")

    def _waiting_time(self) -> sp.Expr:
        try:
            factor = rest_factor(reduce_rule(self.rule))
        except (AssertionError, InputError) as reason:
            raise NoClosedForm(str(reason) or "the rule has no schedule at rest") from reason
        if not factor.free_symbols or factor.has(sp.Symbol("effective_lr", positive=True)):
            raise NoClosedForm("at rest effective_lr does not grow by a constant factor")
        # factor = (1 - rate)^(-2) and the like; 1 - rate > 0, so that logarithms of its powers split.
        eps, keep = symbol("weight_decay") * symbol("learning_rate"), sp.Dummy("keep", positive=True)
        kept = sp.simplify(factor.subs(symbol("weight_decay"), (1 - keep) / symbol("learning_rate")))
        growth = sp.expand_log(sp.log(kept)).subs(keep, 1 - eps)
        return sp.log(self._edge() / (self._sharpness * symbol("effective_lr_0"))) / growth

    @cached_property
    def _oscillator(self) -> tuple[sp.Expr, sp.Expr]:
        x, u = sp.Symbol("X", real=True), sp.Symbol("U", real=True)
        energy = self.law.energy
        if energy is None:
            raise NoClosedForm(f"the rule {self.rule.name!r} has no smooth oscillator")
        return (
            self._here(energy.alpha, "oscillator") * x * u,
            self._here(energy.growth, "oscillator") - self._here(self.law.brake, "oscillator") * x**2,
        )

    def _energy(self) -> sp.Expr:
        if self.law.energy is None:
            raise NoClosedForm(f"the rule {self.rule.name!r} has no smooth oscillator")
        y, x, u = sp.Symbol("y", real=True), sp.Symbol("X", real=True), sp.Symbol("U", real=True)
        potential = sp.expand(self.law.potential(y)).subs(sp.exp(y), x**2).subs(y, 2 * sp.log(sp.Abs(x)))
        return u**2 / 2 + self._here(potential, "oscillator")

    def _coefficient(self) -> sp.Expr:
        found = self.law.coefficient
        if self.geometry is None:
            values = {QUARTIC_RESPONSE: sp.Symbol("Q", real=True), TURN: sp.Symbol("B", real=True)}
        else:
            values = {QUARTIC_RESPONSE: self._response(), TURN: edge_jets(self.geometry).bend}
        return self._here(found, "energy law").subs(values)

    # What they rest on

    def _sharp_proofs(self) -> tuple[Proof, ...]:
        assert self.loss is not None
        return _foundations(self.loss)

    def _gradient_proofs(self) -> tuple[Proof, ...]:
        assert self.loss is not None
        return (*self._sharp_proofs(), _gradient(self.loss))

    def _flow_proofs(self) -> tuple[Proof, ...]:
        assert self.geometry is not None
        return (*self._gradient_proofs(), prove_law_drift(self.geometry, self.law))

    def _energy_proofs(self) -> tuple[Proof, ...]:
        assert self.geometry is not None
        return (*self._flow_proofs(), prove_law_energy(self.geometry, self.law))


# Statements about one loss rest on the same few proofs.
@lru_cache(maxsize=16)
def _foundations(loss: Loss) -> tuple[Proof, ...]:
    return prove_minimizers(loss), prove_chart(loss), prove_minimal_kernel(loss), prove_simple_sharpness(loss)


@lru_cache(maxsize=16)
def _gradient(loss: Loss) -> Proof:
    return prove_log_sharpness_gradient(loss)
