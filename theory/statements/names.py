"""The meaning of each name in a statement, for a loss in its chart and a rule: derived, not looked up.

    sharpness = lambda_1,  K = |grad_Gamma log lambda_1|,  flow(q) = dq/d tau = -drift g^q,
    edge = effective_lr lambda_1,
    mean_square = <x^2>, x the normal part of theta,  period in iterations,  energy_coefficient = c, dE/d tau = c <U^2>

Everything is found from the rule's law at the edge (`sharpflow.theory.edge.edge_law`) and the loss's geometry in its
chart, each when it is first asked for. Without a loss K, lambda_1 and the jets are symbols: a statement is then about
every loss. Without a loss and a rule no name has a meaning: pure algebra.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import sympy as sp

from sharpflow.theory.chart.geometry import Geometry, geometry_of
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule
from sharpflow.theory.statements.nodes import Along, Fast, LossAt, Meaning, Meant, Slope
from sharpflow.theory.statements.quantities import Quantities
from sharpflow.theory.statements.quantities import symbol as positive

__all__ = ["Names"]


class Names:
    """The names that statements about ``loss`` and ``rule`` may use.

    Args:
        loss: with minima, or ``None`` for statements about every loss (or, without a rule, about none).
        rule: ``None`` only without a loss.
        rate: the rule's rate in its parameters, as positive symbols of their names; ``None``: not in one formula.
        declared: symbols of the reader's own, by name.
        define: what further names stand for.
        domain: intervals of declared symbols.
    """

    def __init__(
        self, loss: Loss | None, rule: Rule | None, /, *, rate: sp.Expr | None = None,
        declared: Mapping[str, sp.Symbol] | None = None, define: Mapping[str, sp.Expr] | None = None,
    ) -> None:  # fmt: skip
        if loss is not None and rule is None:
            raise InputError("a statement about a loss needs a rule, as gd-wd.")
        self.loss, self.rule, self.rate = loss, rule, rate
        self.declared = dict(declared or {})
        self.defined = dict(define or {})
        self._values: dict[sp.Symbol, sp.Expr] = {}

    @cached_property
    def geometry(self) -> Geometry | None:
        """Of a loss with minima."""
        return None if self.loss is None or self.loss.minima is None else geometry_of(self.loss)

    @property
    def chart(self) -> tuple[sp.Symbol, ...]:
        """The chart's coordinates."""
        return () if self.geometry is None else self.geometry.chart

    @property
    def domain(self) -> dict[sp.Symbol, tuple[Any, Any]]:
        """Where the chart's coordinates are."""
        return {} if self.geometry is None else dict(self.geometry.domain)

    @cached_property
    def table(self) -> dict[str, Meaning]:
        """Every name with a meaning, in the order in which they are listed."""
        found = [] if self.rule is None else list(Quantities(self.loss, self.rule, self.geometry).meanings())
        return {meaning.name: meaning for meaning in found}

    def symbols(self) -> dict[str, sp.Expr]:
        """The values that a reader puts for a name: the meanings, the reader's own symbols and definitions."""
        meant = {name: meaning.symbol for name, meaning in self.table.items() if "(" not in name}
        return {**meant, **self.declared, **self.defined}

    def takes_coordinate(self, function: str, argument: sp.Expr) -> sp.Expr:
        """The field that flow(q) stands for; the error names the coordinates there are."""
        name = f"{function}({argument})"
        if name not in self.table:
            known = ", ".join(map(str, self.chart)) or "none, as there is no loss with minima"
            raise InputError(f"{function}(...) takes a coordinate of the chart ({known}), not {argument}.")
        return self.table[name].symbol

    def value(self, expression: sp.Expr, /, *, clock: bool | None = None) -> sp.Expr:
        """The expression with every name and derivative in it replaced by what it means.

        Args:
            expression: names not replaced.
            clock: whether the rate is written in the rule's parameters; default: where one of these occurs.

        Raises:
            NoClosedForm: one of them has none here; the message says which and why.
        """
        found = self._value(sp.sympify(expression))
        if self.rate is not None and (self.has_parameters(found) if clock is None else clock):
            found = found.subs(positive("rate"), self.rate)
        return found

    def values(self, *expressions: sp.Expr) -> list[sp.Expr]:
        """Several expressions in the same symbols: the rate is in the parameters in all of them or in none."""
        found = [self.value(e, clock=False) for e in expressions]
        return [self.value(e, clock=True) for e in expressions] if any(map(self.has_parameters, found)) else found

    def has_parameters(self, e: sp.Expr, /) -> bool:
        """True where parameters that make up the rate occur."""
        return self.rate is not None and bool(self.rate.free_symbols & e.free_symbols)

    def _value(self, e: Any) -> Any:
        if isinstance(e, Meant):
            if e not in self._values:
                self._values[e] = self._derived(e)
            return self._values[e]
        if not e.args:
            return e
        if isinstance(e, LossAt):
            return self._loss_at(e)
        inner = [self._value(argument) for argument in e.args]
        if isinstance(e, Slope):
            return _plain(sp.diff(inner[0], inner[1]))
        if isinstance(e, Along):
            return self._moving(inner[0], self._velocities(inner[0]))
        if isinstance(e, Fast):
            oscillator = {self.table[n].symbol: self._value(self.table[f"fast({n})"].symbol) for n in ("X", "U")}
            return self._moving(inner[0], oscillator)
        return e.func(*inner)

    def _velocities(self, e: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
        """d/d tau of what e depends on.

        On every loss d zeta/d tau = -D g, g = grad log lambda_1, |g| = K, so that
        d lambda_1/d tau = lambda_1 <g, d zeta/d tau> = -D K^2 lambda_1,   dK/d tau = -D K dK/ds = -D B/K.
        """
        for s in sorted(e.free_symbols - set(self.chart), key=str):
            if s.name in ("X", "U", "g", "B", "Q"):
                raise NoClosedForm(f"nothing says how {s} moves along the flow")
        clock = {self.table["tau"].symbol: sp.Integer(1)}
        if self.chart:
            return clock | {q: self._value(self.table[f"flow({q})"].symbol) for q in self.chart}
        sharpness, k, b = (self.table[name].symbol for name in ("lambda_1", "K", "B"))
        drift = self._value(self.table["drift"].symbol)
        return clock | {sharpness: -drift * k**2 * sharpness, k: -drift * b / k}

    def _moving(self, e: sp.Expr, velocities: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
        """The derivative of e along velocities."""
        return _plain(sp.Add(*(sp.diff(e, q) * v for q, v in velocities.items() if e.has(q))))

    def _derived(self, name: Meant) -> sp.Expr:
        meaning = self.table[str(name)]
        assert meaning.value is not None
        try:
            return self._value(meaning.value())
        except (NoClosedForm, InputError) as reason:
            raise NoClosedForm(f"{name} is not derived here: {reason}") from reason

    def _loss_at(self, e: LossAt) -> sp.Expr:
        assert self.loss is not None
        variables, point = e.parts
        derivative = self.loss.expression
        for i in variables:
            derivative = sp.diff(derivative, self.loss.variables[i - 1])
        values = dict(zip(self.loss.variables, map(self._value, point), strict=True))
        found: sp.Expr = derivative.subs(values, simultaneous=True)
        return found

    def used(self, *expressions: sp.Expr) -> list[Meaning]:
        """The meanings that occur, those first that others rest on."""
        occurring = {str(s) for e in expressions for s in sp.sympify(e).atoms(Meant)}
        if any(sp.sympify(e).has(Along) for e in expressions):
            occurring |= {f"flow({q})" for q in self.chart}
        return [meaning for name, meaning in self.table.items() if name in occurring]


def _plain(derivative: sp.Expr) -> sp.Expr:
    """Without sign(x), which is |x|/x wherever |x| has a derivative."""
    found: sp.Expr = derivative.replace(sp.sign, lambda x: sp.Abs(x) / x)
    return found
