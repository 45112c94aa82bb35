"""The value that gradient descent gives for a name in a statement, beside what is claimed and what is derived.

One run at `RATE` from the default start, over `TIME` of flow time; averages over the last whole period, where Gamma is
left at p: both formulas are evaluated there. Velocities are differences over the last tenth of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
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
        moving = side.atoms(Along)
        asked = {str(s) for s in side.atoms(Meant)} & ({*FOUND, "velocity"} | {f"flow({q})" for q in names.chart})
        if not moving and not asked:
            continue
        name = sp.sstr(side)
        try:
            seen = _Seen(names)
            values = {e: seen.along(e) for e in moving}
            values |= {s: seen.value(str(s)) for s in side.atoms(Meant) if str(s) in asked}
        except (InputError, NoClosedForm) as reason:
            return Measured(name, None, why=str(reason))
        if any(v is None for v in values.values()):
            return Measured(name, None, why="gradient descent gave no whole period there")
        place = seen.moved if moving or asked & MOVING or any(n.startswith("flow(") for n in asked) else seen.last
        value = _at(names.value(side.xreplace({e: sp.Float(v) for e, v in values.items()}), clock=False), place)
        if value is None:
            continue
        left, right = (_at(names.value(e, clock=False), place) for e in (first.lhs, first.rhs))
        return Measured(name, value, left, right)
    return Measured("", None, why="no name on a side that gradient descent has a number for")


# Names that one run has a number for, besides those of the chart's coordinates.
MOVING = {"drift", "speed", "velocity"}
FOUND = (
    *("mean_square", "mean_edge", "edge", "period", "sharpness", "lambda_1", "effective_lr", "excess_loss"),
    *("drift", "speed"),
)


class _Seen:
    """One run of gradient descent, at its end and over the last tenth of its flow time."""

    def __init__(self, names: Names) -> None:
        assert names.loss is not None
        assert names.rule is not None
        self.names, self.run = names, _run(Identity(names.loss), Identity(names.rule))
        if not self.run.result.ok:
            raise InputError(self.run.message or self.run.result.advice)
        self.back = max(2, len(self.run.times) // 10)
        self.span = float(self.run.times[-1] - self.run.times[-1 - self.back])

    def place(self, k: int) -> dict[sp.Symbol, float]:
        """Where record k is on Gamma, and the parameters of the run."""
        names = self.names
        assert names.rule is not None
        found = dict(zip(names.chart, map(float, _coordinates(names, self.run.minima_points[k])), strict=True))
        parameters = {**names.rule.at_rate(RATE), **names.rule.constants, "rate": RATE}
        return found | {sp.Symbol(name, positive=True): float(v) for name, v in parameters.items()}

    @cached_property
    def last(self) -> dict[sp.Symbol, float]:
        """The end of the run."""
        return self.place(-1)

    @cached_property
    def moved(self) -> dict[sp.Symbol, float]:
        """The middle of the last tenth, which a velocity over it is that of."""
        return self.place(-1 - self.back // 2)

    def along(self, e: sp.Expr) -> float | None:
        """The quotient of differences of e over the last tenth, for de/d tau."""
        inner = self.names.value(e.args[0], clock=False)
        ends = [_at(inner, self.place(k)) for k in (-1 - self.back, -1)]
        return None if ends[0] is None or ends[1] is None else (ends[1] - ends[0]) / self.span

    def value(self, name: str) -> float | None:
        """The number for a name; ``None`` where there was no whole period."""
        run, gd = self.run, self.run.gd
        if name.startswith("flow(") or name == "velocity":
            q = self.names.chart[0] if name == "velocity" else sp.Symbol(name[5:-1], real=True)
            return self.along(Along(q))
        if name == "speed":
            ends = run.minima_points[-1] - run.minima_points[-1 - self.back]
            return float((ends @ ends) ** 0.5 / self.span)
        if name == "drift":  # d log lambda_1/d tau = -D K^2
            assert self.names.geometry is not None
            k2 = _at(self.names.geometry.log_sharpness_gradient_squared, self.moved)
            fall = float(run.sharpness[-1 - self.back] / run.sharpness[-1])
            return None if not k2 else float(sp.log(fall)) / self.span / k2
        if name == "excess_loss":  # less what it is on Gamma
            assert self.names.loss is not None
            point = dict(zip(self.names.loss.variables, map(float, run.minima_points[-1]), strict=True))
            return float(run.gd_loss[-self.back :].mean() - self.names.loss.expression.subs(point))
        found = {
            "mean_square": gd.mean_square_oscillation, "period": gd.period,
            "mean_edge": gd.mean_edge, "edge": gd.mean_edge, "sharpness": gd.sharpness, "lambda_1": gd.sharpness,
            "effective_lr": None if gd.mean_edge is None else gd.mean_edge / gd.sharpness,
        }[name]  # fmt: skip
        return None if found is None else float(found)


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
