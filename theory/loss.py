"""A scale-invariant loss and its manifold of minimizers, as a user writes them down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from sharpflow.theory.errors import InputError

__all__ = ["HYPOTHESES", "Loss", "Minima"]

# What the theory supposes of a loss: the names that `Loss.expects_to_fail` may hold.
HYPOTHESES = ("scale_invariance", "smoothness", "minimizers", "minimal_kernel", "simple_sharpness")


@dataclass(frozen=True)
class Minima:
    """Gamma, the manifold of minimizers on the unit sphere, in a chart: zeta(p) = point(p)/|point(p)|.

    Args:
        chart: the m chart coordinates, real symbols.
        point: D expressions in the chart; need not be a unit vector, but must not vanish.
        start: default start in the chart, m numbers (default: off the middle of a bounded domain, where a symmetric
            loss would stand still; 1/2 away from a single end; else 1/2).
        domain: m open intervals ``(low, high)``; ``None`` (for one of them, or for all) is the whole line.
    """

    chart: tuple[sp.Symbol, ...]
    point: tuple[sp.Expr, ...]
    start: tuple[float, ...] | None = None
    domain: tuple[tuple[Any, Any], ...] | None = None

    def __post_init__(self) -> None:
        chart = tuple(_real(symbol, "a chart coordinate") for symbol in _sequence(self.chart, "chart"))
        if not chart:
            raise InputError("Minima.chart is empty: name at least one coordinate, or give the Loss minima=None.")
        _distinct(chart, "Minima.chart")
        point = tuple(
            _renamed(_expression(entry, f"Minima.point[{i}]"), chart)
            for i, entry in enumerate(_sequence(self.point, "Minima.point"))
        )
        unknown = sorted({s.name for entry in point for s in entry.free_symbols} - {s.name for s in chart})
        if unknown:
            raise InputError(
                f"Minima.point uses {', '.join(unknown)}, which is no chart coordinate; the chart is "
                f"({', '.join(s.name for s in chart)}). Add it to the chart or put a number in its place."
            )
        if all(entry == 0 for entry in point):
            raise InputError("Minima.point is the zero vector: it has no direction on the sphere.")
        domain = self._clean_domain(len(chart))
        object.__setattr__(self, "chart", chart)
        object.__setattr__(self, "point", point)
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "start", self._clean_start(chart, domain))

    def _clean_domain(self, m: int) -> tuple[tuple[sp.Expr, sp.Expr], ...]:
        raw: Sequence[Any] = (None,) * m if self.domain is None else _sequence(self.domain, "Minima.domain")
        if len(raw) != m:
            raise InputError(f"Minima.domain has {len(raw)} intervals for {m} chart coordinates; give one each.")
        domain = []
        for i, interval in enumerate(raw):
            ends = (-sp.oo, sp.oo) if interval is None else _sequence(interval, f"Minima.domain[{i}]")
            if len(ends) != 2:
                raise InputError(f"Minima.domain[{i}] has {len(ends)} entries; write (low, high).")
            low, high = (_bound(end, f"Minima.domain[{i}]") for end in ends)
            if not low < high:
                raise InputError(f"Minima.domain[{i}] = ({low}, {high}) is empty; write (low, high) with low < high.")
            domain.append((low, high))
        return tuple(domain)

    def _clean_start(
        self, chart: tuple[sp.Symbol, ...], domain: tuple[tuple[sp.Expr, sp.Expr], ...]
    ) -> tuple[float, ...]:
        if self.start is None:
            return tuple(_default_start(low, high) for low, high in domain)
        return check_start(self.start, chart, domain)

    def contains(self, point: Sequence[float]) -> bool:
        """True where chart coordinates lie in the (open) domain."""
        return all(
            math.isfinite(v) and float(low) < v < float(high)
            for v, (low, high) in zip(point, self.domain or (), strict=True)
        )

    def start_at(self, start: Sequence[float]) -> tuple[float, ...]:
        """``start`` checked against the chart and its domain; raises `InputError` where it does not fit."""
        assert self.domain is not None
        return check_start(start, self.chart, self.domain)


@dataclass(frozen=True)
class Loss:
    """L(w), w in R^D without 0, with L(c w) = L(w) for every c > 0.

    Scale invariance is not checked here but proved (or refuted, with a witness) by
    `sharpflow.theory.sphere.invariance`.

    Args:
        name: a short name, used in tables and file names.
        variables: the D coordinates of w, real symbols, in the order of every vector.
        expression: L, an expression in exactly these variables.
        minima: the minimizers in a chart, or ``None``: then only what needs no chart is claimed.
        expects_to_fail: names of hypotheses that are known to fail for this loss (``"simple_sharpness"``, ...): claims
            that need one of them are not applicable, by that name.
        note: one sentence on where the loss comes from.
    """

    name: str
    variables: tuple[sp.Symbol, ...]
    expression: sp.Expr
    minima: Minima | None = None
    expects_to_fail: frozenset[str] = field(default_factory=frozenset)
    note: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or not self.name.isprintable():
            raise InputError("Loss.name must be a non-empty string of one line.")
        variables = tuple(_real(symbol, "a variable") for symbol in _sequence(self.variables, "variables"))
        if len(variables) < 2:
            raise InputError(f"loss {self.name!r}: a scale-invariant loss needs at least two variables.")
        _distinct(variables, f"loss {self.name!r}: variables")
        expression = _renamed(_expression(self.expression, f"loss {self.name!r}: expression"), variables)
        unknown = sorted({s.name for s in expression.free_symbols} - {s.name for s in variables})
        if unknown:
            raise InputError(
                f"loss {self.name!r}: the expression uses {', '.join(unknown)}, not listed in variables "
                f"({', '.join(s.name for s in variables)}). List it, or put a number in its place."
            )
        if self.minima is not None:
            if not isinstance(self.minima, Minima):
                raise InputError(
                    f"loss {self.name!r}: minima must be a Minima or None, not {type(self.minima).__name__}."
                )
            if len(self.minima.point) != len(variables):
                raise InputError(
                    f"loss {self.name!r}: Minima.point has {len(self.minima.point)} entries for {len(variables)} "
                    "variables; give one for each, in the order of variables."
                )
            if len(self.minima.chart) >= len(variables) - 1:
                raise InputError(
                    f"loss {self.name!r}: a chart of dimension {len(self.minima.chart)} fills the unit sphere of "
                    f"dimension {len(variables) - 1}; the loss would be constant."
                )
            clash = sorted({s.name for s in self.minima.chart} & {s.name for s in variables})
            if clash:
                raise InputError(
                    f"loss {self.name!r}: {', '.join(clash)} is both a variable and a chart coordinate; rename one."
                )
        if isinstance(self.expects_to_fail, str):
            raise InputError(f"loss {self.name!r}: expects_to_fail must be a set of names, not a string.")
        strange = sorted(set(self.expects_to_fail) - set(HYPOTHESES))
        if strange:
            raise InputError(
                f"loss {self.name!r}: expects_to_fail names {', '.join(map(str, strange))}, which is no hypothesis; "
                f"there are {', '.join(HYPOTHESES)}."
            )
        object.__setattr__(self, "variables", variables)
        object.__setattr__(self, "expression", expression)
        object.__setattr__(self, "expects_to_fail", frozenset(self.expects_to_fail))

    @property
    def dimension(self) -> int:
        """D, the number of variables."""
        return len(self.variables)

    @cached_property
    def gradient(self) -> sp.Matrix:
        """grad L(w), a column of D expressions."""
        return sp.Matrix([sp.diff(self.expression, v) for v in self.variables])

    @cached_property
    def hessian(self) -> sp.Matrix:
        """Hess L(w), D x D."""
        return sp.hessian(self.expression, self.variables)

    def at(self, point: Sequence[Any]) -> sp.Expr:
        """L at a point of D numbers or expressions."""
        return self.expression.subs(dict(zip(self.variables, point, strict=True)), simultaneous=True)


def check_start(
    start: Sequence[float], chart: tuple[sp.Symbol, ...], domain: tuple[tuple[sp.Expr, sp.Expr], ...]
) -> tuple[float, ...]:
    """``start`` as m floats inside the domain; raises `InputError` otherwise."""
    names = ", ".join(s.name for s in chart)
    try:
        values = tuple(float(v) for v in _sequence(start, "start"))
    except (TypeError, ValueError) as error:
        raise InputError(f"start {start!r} is not a sequence of numbers; give {len(chart)} for ({names}).") from error
    if len(values) != len(chart):
        raise InputError(f"start has {len(values)} numbers; the chart ({names}) needs {len(chart)}.")
    for value, symbol, (low, high) in zip(values, chart, domain, strict=True):
        if not math.isfinite(value) or not float(low) < value < float(high):
            raise InputError(f"start {symbol.name} = {value:g} is off the chart, whose domain is ({low}, {high}).")
    return values


def _sequence(value: Any, what: str) -> tuple[Any, ...]:
    if isinstance(value, str):
        raise InputError(f"{what} must be a tuple, not the string {value!r}.")
    try:
        return tuple(value)
    except TypeError as error:
        raise InputError(f"{what} must be a tuple, not {type(value).__name__}; did you forget a comma?") from error


def _real(symbol: Any, what: str) -> sp.Symbol:
    if not isinstance(symbol, sp.Symbol):
        raise InputError(f"{what} must be a SymPy symbol, not {symbol!r}.")
    if symbol.is_real is False:
        raise InputError(f"{what}, {symbol.name}, is declared not real; weights are real.")
    if not symbol.name.isidentifier():
        raise InputError(
            f"{what} is called {symbol.name!r}; a name has letters, digits and underscores only, as in w_1."
        )
    return sp.Symbol(symbol.name, real=True)


def _distinct(symbols: tuple[sp.Symbol, ...], where: str) -> None:
    names = [s.name for s in symbols]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(f"{where}: {', '.join(twice)} is listed twice.")


def _expression(value: Any, what: str) -> sp.Expr:
    if isinstance(value, str):
        raise InputError(f"{what} is a string; write a SymPy expression (text is never evaluated as Python).")
    try:
        result = sp.sympify(value, strict=True)
    except sp.SympifyError as error:
        raise InputError(f"{what} is not a SymPy expression: {value!r}.") from error
    if not isinstance(result, sp.Expr) or result.is_Matrix:
        raise InputError(f"{what} is not a scalar expression: {value!r}.")
    if result.has(sp.I):
        raise InputError(f"{what} is complex (it contains I); a loss is real.")
    for bad in (sp.nan, sp.zoo, sp.oo, -sp.oo):
        if result.has(bad):
            raise InputError(f"{what} contains {bad}.")
    unknown = sorted({f.func.__name__ for f in result.atoms(AppliedUndef)})
    if unknown:
        raise InputError(f"{what} contains {', '.join(unknown)}(...), a function without a definition.")
    # Floats are read as the short decimals they were written as: 0.1 is 1/10, or no identity would be exact.
    return result.xreplace({number: sp.nsimplify(number, rational=True) for number in result.atoms(sp.Float)})


def _renamed(expression: sp.Expr, symbols: Sequence[sp.Symbol]) -> sp.Expr:
    """The expression in these very symbols: to SymPy, two of one name and different assumptions are different."""
    named = {s.name: s for s in symbols}
    return expression.xreplace({s: named[s.name] for s in expression.free_symbols if s.name in named})


def _bound(value: Any, what: str) -> sp.Expr:
    """The end of an interval: a real number or an infinity."""
    try:
        end = sp.sympify(value, strict=True)
    except sp.SympifyError as error:
        raise InputError(f"{what}: {value!r} is not a number; write a number, oo or -oo.") from error
    if not (isinstance(end, sp.Expr) and end.is_number and end.is_extended_real):
        raise InputError(f"{what}: {value!r} is not a real number; write a number, oo or -oo.")
    return end if end.is_infinite else sp.nsimplify(end, rational=True)


def _default_start(low: sp.Expr, high: sp.Expr) -> float:
    if low.is_finite and high.is_finite:
        return float((low + high) / 2) + 0.3 * float(high - low) / 2
    if low.is_finite:
        return float(low) + 0.5
    return float(high) - 0.5 if high.is_finite else 0.5
