"""An update rule near the edge of stability, reduced to what is slow: X, U and the position along Gamma.

At zeta on Gamma the rule is run once on series in delta = sqrt(rate), with

    theta = zeta + delta X v_1 + ...,    effective_lr*lambda_1 = edge + delta U.

Whatever else the rule and the loss carry (the displacement along the other normal directions, momentum) is damped: in
the linearised step its multipliers are neither 1 nor -1, so that it follows X, U and the position s along Gamma as a
power series, which is solved for order by order (a centre manifold). Nothing is averaged here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from sharpflow.theory.edge.frame import NORM, Edge, Frame, find_edge, run_rule
from sharpflow.theory.edge.jets import CURVATURE, JETS, RATIO, JetVector, K
from sharpflow.theory.edge.series import NotEnoughOrders, Series, SeriesRing
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import norm_squared_at

__all__ = ["EdgeMap", "S", "U", "X", "one_step"]

X = sp.Symbol("X", real=True)
U = sp.Symbol("U", real=True)
S = sp.Symbol("S", real=True)
# x and effective_lr are needed to this order, and so many more are tried where a rule divides by powers of delta.
ORDER, MORE = 3, 6


@dataclass(frozen=True, eq=False)
class EdgeMap:
    """One step at the edge on the centre manifold, as series in delta with coefficients in X, U, S.

    Attributes:
        frame, edge: of what.
        x, u, s: the new X, U and s/delta^2, where the old s is delta^2 S.
        slaved: names and series of what follows X, U and s.
        damping: the linearised step of what is slaved.
        slow: d log/d tau of each slow scalar of the state, by the symbol of its ratio to the start.
        after: what is slaved, after the step.
    """

    frame: Frame
    edge: Edge
    ring: SeriesRing
    x: Series
    u: Series
    s: Series
    slaved: dict[str, Series]
    damping: sp.Matrix
    slow: dict[sp.Symbol, sp.Expr]
    after: dict[str, Series]


class _Reduction:
    """The step in the coordinates (X, U, S; slaved), and the solution for the slaved."""

    def __init__(self, frame: Frame, edge: Edge, order: int) -> None:
        if edge.value is None:
            raise InputError(f"rule {frame.rule.name!r} is not smooth on Gamma: there is no edge.")
        self.frame, self.edge = frame, edge
        self.names = ["y", *(f"{name}.{part}" for name in frame.vectors for part in ("radial", "x", "y", "s"))]
        self.ring = SeriesRing((RATIO, *frame.units), (*(jet for jet in JETS if jet != RATIO), X, U, S), order)
        self.x, self.u, self.s = (self.ring.element(v) for v in (X, U, S))
        self.sharpness = self.ring.element(edge.sharpness)
        self.value = self.ring.element(edge.value)
        e = sp.Symbol("effective_lr", positive=True)
        self.lr = e
        if frame.on_weights:
            if frame.vectors and frame.scalars:
                raise NoClosedForm(f"rule {frame.rule.name!r} carries both vectors and slow scalars: not covered.")
            squared = sp.Symbol("norm_squared", positive=True)
            inverse = norm_squared_at(frame.effective_lr.subs(NORM, sp.sqrt(squared)), squared, e)
            if inverse is None:
                raise NoClosedForm(
                    f"rule {frame.rule.name!r}: effective_lr = {frame.effective_lr}, r = |w|, does not determine |w|."
                )
            self.norm_squared = sp.simplify(inverse)

    def step(self, values: dict[str, Series]) -> dict[str, Series]:
        """New X, U, s/delta^2 and slaved, from X, U, S and the slaved values."""
        ring, frame = self.ring, self.frame
        xi = ring.power(1, X)
        foot = ring.power(2, S)
        along = foot * (1 - ring.constant(CURVATURE) * xi)
        sharp = (1 + foot * K) * self.sharpness
        lr = (ring.power(1, U) + self.value) / sharp
        length = (1 + xi * xi + values["y"] * values["y"] + along * along).sqrt()
        if frame.on_weights:
            slow = {sp.Symbol(name, positive=True): ring.read(value) for name, value in frame.scalars.items()}
            length = length / ring.read(self.norm_squared, slow | {self.lr: lr}).sqrt()
        one = 1 / length
        w = JetVector(one, xi * one, values["y"] * one, along * one)
        states: dict[str, Any] = {
            name: JetVector(*(values[f"{name}.{part}"] for part in ("radial", "x", "y", "s"))) for name in frame.vectors
        }
        states |= {name: ring.read(value) for name, value in frame.scalars.items()}
        if "effective_lr" in frame.rule.state:
            states["effective_lr"] = lr
        moved, new = run_rule(frame, ring, self.sharpness, w, states)
        result = {"y": moved.y / moved.radial}
        for name in frame.vectors:
            vector = getattr(new, name)
            result |= {f"{name}.{part}": getattr(vector, part) for part in ("radial", "x", "y", "s")}
        x = moved.x / moved.radial
        along = moved.s / moved.radial
        along = along * (1 + ring.constant(CURVATURE) * x)
        if frame.on_weights:
            squared = sp.Symbol("norm_squared", positive=True)
            slow = {sp.Symbol(name, positive=True): getattr(new, name) for name in frame.scalars}
            lr = ring.read(frame.effective_lr.subs(NORM, sp.sqrt(squared)), slow | {squared: moved.dot(moved)})
        else:
            lr = new.effective_lr if "effective_lr" in frame.rule.state else lr
        edge = lr * (1 + along * K) * self.sharpness - self.value
        if edge[0]:
            raise InputError(
                f"rule {frame.rule.name!r}: effective_lr changes by a factor of order one in one step: its at_rate "
                "does not scale it by rate."
            )
        for name, value in frame.scalars.items():
            result[f"{name} ratio"] = getattr(new, name) / ring.read(value)
        return result | {"X": x.shift(-1), "U": edge.shift(-1), "S": along.shift(-2)}

    def solve(self) -> EdgeMap:
        ring = self.ring
        values = {name: ring.zero for name in self.names}
        damping = self._damping()
        center = self._center(damping)
        for name, share in zip(self.names, center, strict=True):
            values[name] = ring.power(1, sp.simplify(share) * X)
        # The x component of the state moves together with x; what is damped is its distance from that.
        reduced = damping.slaved - center * damping.back
        for order in range(1, ORDER + 1):
            found = self.step(values)
            at = {X: found["X"], U: found["U"], S: found["S"]}
            residual = []
            for name in self.names:
                value = values[name].substitute(at)
                residual.append((found[name] - value)[order])
            update = self._homological(residual, reduced, found["S"][0] - self.s)
            for name, change in zip(self.names, update, strict=True):
                values[name] = values[name] + ring.power(order, change)
        found = self.step(values)
        _ = found["X"][2], found["U"][2], found["S"][1]  # known, or more orders are asked for
        return EdgeMap(
            self.frame,
            self.edge,
            ring,
            found["X"],
            found["U"],
            found["S"],
            values,
            reduced,
            self._slow(found),
            {name: found[name] for name in self.names},
        )

    def _slow(self, found: dict[str, Series]) -> dict[sp.Symbol, sp.Expr]:
        """d log(scalar)/d tau of each slow scalar."""
        rates = {}
        for name in self.frame.scalars:
            ratio = found[f"{name} ratio"]
            if ratio[0] != 1 or ratio[1]:
                raise InputError(
                    f"rule {self.frame.rule.name!r}: its state {name} does not change slowly (by 1 + O(rate) a step)."
                )
            rates[self.frame.scalar_units[name]] = sp.factor(ratio[2].as_expr())
        return rates

    @dataclass(frozen=True)
    class _Linear:
        slaved: sp.Matrix
        back: sp.Matrix
        forth: sp.Matrix

    def _damping(self) -> _Linear:
        """The linearised step at the edge: of the slaved, on x from them, on them from x."""
        frame = self.frame
        inputs = sp.symbols(f"q0:{len(self.names) + 1}", real=True)
        ring = SeriesRing(frame.units, (*inputs, *JETS), 3)
        values = {name: ring.power(1, q) for name, q in zip(("x", *self.names), inputs, strict=True)}
        radius = ring.constant(NORM if frame.on_weights else 1)
        zero = ring.zero
        w = JetVector(radius, values["x"] * radius, values["y"] * radius, zero)
        states: dict[str, Any] = {
            name: JetVector(*(values[f"{name}.{part}"] for part in ("radial", "x", "y", "s"))) for name in frame.vectors
        }
        states |= {name: ring.read(value) for name, value in frame.scalars.items()}
        if "effective_lr" in frame.rule.state:
            states["effective_lr"] = ring.constant(NORM)
        moved, new = run_rule(frame, ring, self.edge.sharpness, w, states)
        results = [moved.x / moved.radial, moved.y / moved.radial]
        for name in frame.vectors:
            results += [getattr(getattr(new, name), part) for part in ("radial", "x", "y", "s")]
        lines = sp.Matrix([[sp.factor(sp.diff(r[1].as_expr(), q)) for q in inputs] for r in results])
        return self._Linear(lines[1:, 1:], lines[:1, 1:], lines[1:, :1])

    def _center(self, linear: _Linear) -> sp.Matrix:
        """The slaved per X along the multiplier -1: (1, v) with M (1, v) = -(1, v)."""
        matrix = linear.slaved + sp.eye(len(self.names))
        if sp.simplify(matrix.det()) == 0:
            raise NoClosedForm(f"rule {self.frame.rule.name!r}: a damped direction has the multiplier -1 at the edge.")
        return (-matrix.LUsolve(linear.forth)).applyfunc(sp.factor)

    def _homological(self, residual: list[Any], damping: sp.Matrix, moved: Any) -> list[Any]:
        """V with V(-X, U, S + moved(X)) - A V(X, U, S) = residual; all polynomials in X, U, S."""
        ring = self.ring
        places = [ring.symbols.index(v) for v in (X, U, S)]
        table: dict[tuple[int, int, int], list[Any]] = {}
        for row, element in enumerate(residual):
            for exponents, number in element.terms():
                key = tuple(exponents[i] for i in places)
                rest = tuple(0 if i in places else e for i, e in enumerate(exponents))
                entry = ring.polynomials({rest: number})
                column = table.setdefault(key, [ring.polynomials.zero] * len(residual))
                column[row] = column[row] + entry
        solution = [ring.polynomials.zero] * len(residual)
        inverse: dict[int, sp.Matrix] = {}
        while table:
            key = max(table, key=lambda k: k[2])
            column = table.pop(key)
            if not any(column):
                continue
            sign = (-1) ** key[0]
            if sign not in inverse:
                matrix = sign * sp.eye(len(residual)) - damping
                if sp.simplify(matrix.det()) == 0:
                    raise NoClosedForm(f"rule {self.frame.rule.name!r}: a damped direction has multiplier {sign} too.")
                inverse[sign] = matrix.inv().applyfunc(sp.factor)
            rows = inverse[sign]
            value = []
            for i in range(len(residual)):
                total = ring.polynomials.zero
                for j in range(len(residual)):
                    if rows[i, j] != 0 and column[j]:
                        total = total + ring.element(rows[i, j]) * column[j]
                value.append(total)
            monomial = ring.element(X ** key[0] * U ** key[1] * S ** key[2])
            solution = [s + v * monomial for s, v in zip(solution, value, strict=True)]
            # (S + moved)^k = S^k + lower powers of S, which belong to entries still to come.
            if key[2]:
                power = sp.expand((S + moved.as_expr()) ** key[2] - S ** key[2]) * (-X) ** key[0] * U ** key[1]
                for (i, j, k), factor in sp.Poly(power, X, U, S).terms():
                    column = table.setdefault((i, j, k), [ring.polynomials.zero] * len(residual))
                    lifted = ring.element(factor)
                    table[i, j, k] = [c - v * lifted for c, v in zip(column, value, strict=True)]
        return solution


def one_step(rule: Rule, /) -> EdgeMap:
    """The rule at its edge, on the centre manifold.

    Raises:
        InputError: the rule is not smooth on Gamma, or its at_rate is wrong.
        NoClosedForm: a series is not rational, or something besides x has a multiplier of modulus one.
    """
    frame = Frame(rule)
    edge = find_edge(frame)
    for order in range(ORDER, ORDER + MORE):
        try:
            return _Reduction(frame, edge, order).solve()
        except NotEnoughOrders:
            continue
    raise NoClosedForm(f"rule {rule.name!r}: it divides by so high a power of delta that its expansion was given up.")
