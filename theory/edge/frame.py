"""An update rule as the expansion reads it: what its state is, what effective_lr is, and where its edge lies.

The linearised step along v_1, of x and of the components of the state along v_1, has a multiplier -1 at the edge:
det(M + 1) = 0, an equation for effective_lr*lambda_1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import sympy as sp

from sharpflow.theory.edge.jets import JETS, JetVector, gradient_on, operations
from sharpflow.theory.edge.series import DELTA, NotSmooth, SeriesRing
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import exact

__all__ = ["NORM", "SHARPNESS", "Edge", "Frame", "find_edge", "leading_lr", "run_rule"]

NORM = sp.Symbol("r", positive=True)
SHARPNESS = sp.Symbol("lambda_1", positive=True)


@dataclass(frozen=True, eq=False)
class Frame:
    """An update rule in symbols.

    Attributes:
        rule: the rule.
    """

    rule: Rule

    @cached_property
    def parameters(self) -> dict[str, sp.Expr]:
        """Each parameter as an expression in delta, constants as symbols."""
        return {name: exact(value) for name, value in self.rule.at_rate(DELTA**2).items()} | self.constants

    @cached_property
    def constants(self) -> dict[str, sp.Symbol]:
        """A positive symbol for each constant."""
        return {name: sp.Symbol(name, positive=True) for name in self.rule.constants}

    @cached_property
    def scalars(self) -> dict[str, sp.Expr]:
        """Slow scalars of the state: the value at the start times a symbol that is 1 there."""
        initial = self.rule.initial(SimpleNamespace(**self.parameters))
        unknown = set(initial) - set(self.rule.state)
        if unknown:
            raise InputError(
                f"rule {self.rule.name!r}: initial names {sorted(unknown)}, which its state does not have."
            )
        return {name: exact(value) * self.scalar_units[name] for name, value in initial.items()}

    @cached_property
    def scalar_units(self) -> dict[str, sp.Symbol]:
        """The symbol of each slow scalar: its value over that at the start."""
        return {name: sp.Symbol(f"{name}_ratio", positive=True) for name in self.rule.state}

    @cached_property
    def units(self) -> tuple[sp.Symbol, ...]:
        """Divisors that a series may have: the norm, constants, slow scalars."""
        return (NORM, *self.constants.values(), *(self.scalar_units[name] for name in self.scalars))

    @property
    def vectors(self) -> tuple[str, ...]:
        """States that are vectors."""
        return tuple(name for name in self.rule.state if name != "effective_lr" and name not in self.scalars)

    @property
    def on_weights(self) -> bool:
        """True where the rule moves w, and effective_lr follows from its norm."""
        return self.rule.space == "weights"

    @cached_property
    def effective_lr(self) -> sp.Expr:
        """effective_lr in terms of NORM, delta and the slow scalars (symbols of their names)."""
        return self.effective_lr_of(self.parameters, {name: sp.Symbol(name, positive=True) for name in self.scalars})

    def effective_lr_of(self, parameters: Mapping[str, Any], scalars: Mapping[str, Any]) -> sp.Expr:
        """The factor of -G in one step from rest, over what multiplies theta; on Gamma, where it exists there."""
        from sharpflow.theory.sphere.vectors import SpanVector, gradient_of
        from sharpflow.theory.sphere.vectors import operations as span_operations

        squared = sp.Symbol("gradient_squared", positive=True)
        zero = SpanVector(sp.Integer(0), sp.Integer(0), squared)
        state = SimpleNamespace(**dict.fromkeys(self.vectors, zero), **scalars)
        w = SpanVector(NORM, sp.Integer(0), squared)
        gradient = gradient_of(squared)
        # L - min L = |G|^2/(2 lambda_1) along v_1: it vanishes on Gamma as |G|^2 does, and that is all that is asked.
        gradient.excess_loss = lambda _: squared  # type: ignore[attr-defined]
        moved, _ = self.rule.step(w, gradient, state, SimpleNamespace(**parameters), span_operations)
        found = sp.simplify(-exact(moved.against) / exact(moved.along))
        at_rest = found.subs(squared, 0)
        return found if at_rest.has(sp.zoo, sp.oo, sp.nan) else at_rest


@dataclass(frozen=True, eq=False)
class Edge:
    """Where the multiplier of the edge direction is -1.

    Attributes:
        value: effective_lr*lambda_1 there; ``None`` where the rule is not smooth on Gamma.
        sharpness: lambda_1 there in terms of the norm (or effective_lr) at leading order.
        block: the linearised step along v_1: of (x, the state's component along v_1).
        polynomial: its characteristic polynomial at -1, as a function of lambda_1.
    """

    value: sp.Expr | None
    sharpness: sp.Expr | None
    block: sp.Matrix | None
    polynomial: sp.Expr | None


def leading_lr(frame: Frame) -> sp.Expr:
    """effective_lr at delta = 0."""
    if not frame.on_weights:
        return NORM if "effective_lr" in frame.rule.state else sp.Integer(0)
    values = {sp.Symbol(name, positive=True): value for name, value in frame.scalars.items()}
    return sp.simplify(frame.effective_lr.subs(values).subs(DELTA, 0))


def run_rule(
    frame: Frame, ring: SeriesRing, sharpness: Any, position: JetVector, states: dict[str, Any]
) -> tuple[Any, Any]:
    """One step of the rule on series."""
    p = SimpleNamespace(**{name: ring.read(value) for name, value in frame.parameters.items()})
    gradient = gradient_on(ring, sharpness)
    moved, new = frame.rule.step(position, gradient, SimpleNamespace(**states), p, operations)
    if not isinstance(moved, JetVector):
        raise InputError(f"rule {frame.rule.name!r}: update did not return a vector but {type(moved).__name__}.")
    return moved, new


def find_edge(frame: Frame, /) -> Edge:
    """The linearised step at Gamma, and the lambda_1 at which its multiplier along v_1 is -1.

    Raises:
        NoClosedForm: there is none, or more than one.
    """
    names = [("x", "")] + [("x", name) for name in frame.vectors]
    inputs = sp.symbols(f"q0:{len(names)}", real=True)
    ring = SeriesRing(frame.units, (SHARPNESS, *inputs, *JETS), 3)
    zero = ring.zero
    first = {name: ring.power(1, q) for (_, name), q in zip(names, inputs, strict=True)}
    radius = ring.constant(NORM if frame.on_weights else 1)
    w = JetVector(radius, first[""] * radius, zero, zero)
    states: dict[str, Any] = {name: JetVector(zero, first[name], zero, zero) for name in frame.vectors}
    states |= {name: ring.read(value) for name, value in frame.scalars.items()}
    if "effective_lr" in frame.rule.state:
        states["effective_lr"] = ring.constant(NORM)
    try:
        moved, new = run_rule(frame, ring, SHARPNESS, w, states)
    except NotSmooth:
        return Edge(None, None, None, None)
    results = [moved.x / moved.radial, *(getattr(new, name).x for name in frame.vectors)]
    lines = [result[1].as_expr() for result in results]
    if any(result[0] for result in results) or not _is_linear(lines, inputs):
        return Edge(None, None, None, None)
    block = sp.Matrix([[sp.diff(line, q) for q in inputs] for line in lines])
    polynomial = sp.factor((block + sp.eye(len(inputs))).det())
    solutions = [s for s in sp.solve(polynomial, SHARPNESS) if s != 0]
    if len(solutions) != 1:
        where = "at no value of effective_lr*lambda_1" if not solutions else (
            f"at {len(solutions)} values of effective_lr*lambda_1, {', '.join(map(str, solutions))}"
        )  # fmt: skip
        raise NoClosedForm(
            f"rule {frame.rule.name!r}: the multiplier along v_1 is -1 {where}; an edge of stability is at one. Look "
            "for a sign in the update, or a gradient that does not enter it."
        )
    value = sp.factor(sp.simplify(solutions[0] * leading_lr(frame)))
    return Edge(value, solutions[0], block, polynomial)


def _is_linear(lines: list[sp.Expr], inputs: tuple[sp.Symbol, ...]) -> bool:
    return all(sp.simplify(sp.diff(line, p, q)) == 0 for line in lines for p in inputs for q in inputs) and all(
        sp.simplify(line.subs(dict.fromkeys(inputs, 0))) == 0 for line in lines
    )
