"""The value that gradient descent gives for a name in a statement, beside what is claimed and what is derived.

One run at `RATE` from the default start, over `TIME` of flow time; averages over the last whole period, where Gamma is
left at p: both formulas are evaluated there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sympy as sp

from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.identity import Identity
from sharpflow.theory.statements.nodes import Along, Meant

if TYPE_CHECKING:
    from sharpflow.theory.statements.names import Names
    from sharpflow.theory.statements.statement import Statement

__all__ = ["RATE", "TIME", "Measured", "measured"]

RATE, TIME = 1e-4, 1.0


@dataclass(frozen=True)
class Measured:
    """A number of gradient descent's, and both sides of the statement there; ``value`` is ``None`` if none was."""

    name: str
    value: float | None
    left: float | None = None
    right: float | None = None
    why: str = ""

    @property
    def sentence(self) -> str:
        """Measured ..., left ..., right ...; or why nothing was."""
        if self.value is None:
            return f"not measured: {self.why}"
        sides = ", ".join(
            f"{side} {number:.6g}"
            for side, number in (("left", self.left), ("right", self.right))
            if number is not None
        )
        return f"measured {self.name} = {self.value:.6g} at rate {RATE:g} after flow time {TIME:g}; {sides} there"


def measured(statement: Statement, names: Names, /) -> Measured | None:
    """The first side of the first relation that gradient descent gives a number for."""
    first = statement.links[0]
    for side in (first.lhs, first.rhs):
        name = _name(side)
        if name is None:
            continue
        try:
            value, place = _value(name, names)
        except (InputError, NoClosedForm) as reason:
            return Measured(name, None, why=str(reason))
        if value is None:
            return Measured(name, None, why="gradient descent gave no whole period there")
        left, right = (_at(names.value(e, clock=False), place) for e in (first.lhs, first.rhs))
        return Measured(name, value, left, right)
    return Measured("", None, why="no name alone on a side that gradient descent has a number for")


def _name(side: sp.Expr) -> str | None:
    if isinstance(side, Along) and side.args[0].is_Symbol:
        return f"flow({side.args[0]})"
    return str(side) if isinstance(side, Meant) else None


def _value(name: str, names: Names) -> tuple[float | None, dict[sp.Symbol, float]]:
    assert names.loss is not None
    assert names.rule is not None
    run = _run(Identity(names.loss), Identity(names.rule))
    if not run.result.ok:
        raise InputError(run.message or run.result.advice)
    place = dict(zip(names.chart, map(float, _coordinates(names, run.minima_points[-1])), strict=True))
    place[sp.Symbol("rate", positive=True)] = RATE
    parameters = names.rule.at_rate(RATE)
    place |= {sp.Symbol(k, positive=True): float(v) for k, v in {**parameters, **names.rule.constants}.items()}
    found: dict[str, Any] = {
        "mean_square": run.gd.mean_square_oscillation, "mean_edge": run.gd.mean_edge, "period": run.gd.period,
        "sharpness": run.gd.sharpness, "lambda_1": run.gd.sharpness, "edge": run.gd.mean_edge,
    }  # fmt: skip
    for i, q in enumerate(names.chart):
        if name == f"flow({q})":
            # Over the last tenth of the run, between points of Gamma.
            back = max(2, len(run.times) // 10)
            ends = [_coordinates(names, run.minima_points[k])[i] for k in (-1 - back, -1)]
            middle = _coordinates(names, run.minima_points[-1 - back // 2])
            place |= dict(zip(names.chart, map(float, middle), strict=True))
            return float((ends[1] - ends[0]) / (run.times[-1] - run.times[-1 - back])), place
    if name not in found:
        raise InputError(f"gradient descent is not asked for {name}")
    return (None if found[name] is None else float(found[name])), place


@lru_cache(maxsize=8)
def _run(loss: Identity[Any], rule: Identity[Any]) -> Any:
    from sharpflow.numerics.comparison.compare import compare

    return compare(loss.value, rule=rule.value, rate=RATE, time=TIME)


def _coordinates(names: Names, point: Any) -> Any:
    """The coordinates of a point of Gamma: the closest of the chart's, by Newton's method from a grid."""
    import numpy as np
    from scipy.optimize import least_squares

    geometry = names.geometry
    assert geometry is not None
    zeta = sp.lambdify(geometry.chart, list(geometry.point), "numpy")
    domain = [tuple(float(end) for end in geometry.domain[q]) for q in geometry.chart]
    start = np.array(names.loss.minima.start)  # type: ignore[union-attr]
    low, high = np.array(domain).T
    found = least_squares(
        lambda q: np.array(zeta(*q), dtype=float) - np.asarray(point), start, bounds=(low, high), xtol=1e-14, ftol=1e-14
    )
    return found.x


def _at(e: sp.Expr, place: dict[sp.Symbol, float]) -> float | None:
    value = e.subs(place).evalf(15)
    return float(value) if value.is_real else None
