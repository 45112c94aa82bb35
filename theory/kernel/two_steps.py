"""The map of gradient descent with weight decay at the edge, for the kernel: one exact step, and two of them.

With w = r (zeta + x v_1 + y n + s g/|g|), a = eta lambda_1/((1 - eps) r^2) and l = L/lambda_1, one step of the rule is

    x+ = (x - a l_x)/D,   y+ = (y - a l_y)/D,   s+ = (s - a l_s)/D,   D = 1 + a (x l_x + y l_y + s l_s),

rational functions. The last is compared with the series of `sharpflow.theory.edge.one_step` at x = delta X,
s = delta^2 S (1 - h x), y = delta^2 (y_2 + delta Z) with Z arbitrary, effective_lr*lambda_1 = 2 + delta U: what is
left is delta^3 times a polynomial over D, which is in the file (that of x has 1200 terms, and takes the kernel
minutes). The composition of the series with itself is compared with the two-step field in the same way. All jets are
universally quantified.
"""

from __future__ import annotations

import sympy as sp

from sharpflow.theory.edge.edge_law import EdgeLaw
from sharpflow.theory.edge.jets import MIXED, RATIO, generic_loss
from sharpflow.theory.edge.one_step import S, U, X
from sharpflow.theory.edge.series import DELTA, Series
from sharpflow.theory.kernel.export import Section
from sharpflow.theory.kernel.terms import Terms

__all__ = ["two_steps_section"]

_X, _Y, _S = sp.symbols("x y s", real=True)
_Z = sp.Symbol("Z", real=True)
# c_21 = m q, so that all is polynomial.
_Q = sp.Symbol("q", real=True)


def two_steps_section(law: EdgeLaw, /) -> Section:
    """Definitions of the loss and of the series of gradient descent with weight decay, and the theorems."""
    writer = _Section(law)
    writer.one_step()
    writer.two_steps()
    return Section("the map at the edge", "\n".join(writer.lines), tuple(writer.names), tuple(writer.covers))


def _series(series: Series, known: int) -> sp.Expr:
    return sp.Add(*(c.as_expr() * DELTA**k for k, c in enumerate(series.coefficients[:known])))


class _Section:
    def __init__(self, law: EdgeLaw) -> None:
        assert law.single is not None
        assert law.energy is not None
        self.single, self.field = law.single, law.energy.steps
        self.terms = Terms()
        self.lines: list[str] = []
        self.names: list[str] = []
        self.covers: list[tuple[str, str]] = []
        found = (self.single.x, self.single.u, self.single.s)
        self.series = [_series(f, k).subs(MIXED, RATIO * _Q).expand() for f, k in zip(found, (3, 3, 2), strict=True)]
        self.jets = sorted({s for e in self.series for s in e.free_symbols} - {X, U, S, DELTA}, key=str)

    def theorem(self, name: str, words: str, variables: list[sp.Symbol], supposed: str, left: str, right: str,
                proof: str) -> None:  # fmt: skip
        binders = " ".join(self.terms.name(v) for v in variables)
        self.names.append(name)
        self.lines.append(
            f"(* {words} *)\nTheorem {name} ({binders} : R){supposed} :\n  {left} =\n  {right}.\n"
            f"Proof.\n  {proof}\nQed.\n"
        )

    def one_step(self) -> None:
        """The exact step against the series."""
        t = self.terms
        loss = generic_loss().subs(MIXED, RATIO * _Q)
        jets = sorted(loss.free_symbols - {_X, _Y, _S}, key=str)
        names = " ".join(t.name(j) for j in jets)
        place = " ".join(t.name(v) for v in (_X, _Y, _S))
        slopes = [sp.diff(loss, v) for v in (_X, _Y, _S)]
        self.lines.append(f"Definition l ({names} {place} : R) : R := {t(loss)}.\n")
        for v, slope in zip((_X, _Y, _S), slopes, strict=True):
            n = t.name(v)
            moved = " ".join("t" if w == v else t.name(w) for w in (_X, _Y, _S))
            self.lines.append(f"Definition l_{n} ({names} {place} : R) : R := {t(slope)}.\n")
            self.names.append(f"l_{n}_is_a_derivative")
            self.lines.append(
                f"Theorem l_{n}_is_a_derivative ({names} {place} : R) :\n"
                f"  is_derive (fun t => l {names} {moved}) {n} (l_{n} {names} {place}).\n"
                f"Proof. unfold l, l_{n}. auto_derive; [exact I | field].\nQed.\n"
            )
        point = [DELTA * X, DELTA**2 * (-(X**2) * _Q / 2 + DELTA * _Z), DELTA**2 * S * (1 - self.bend * DELTA * X)]
        ring = sp.QQ[(DELTA, X, U, S, _Z, *jets)].ring
        at = dict(zip((_X, _Y, _S), point, strict=True))
        x, y, s, lx, ly, ls, a, b = (
            ring.from_expr(sp.expand(e)) for e in (
                *point, *(slope.subs(at, simultaneous=True) for slope in slopes),
                (2 + DELTA * U) * (1 + point[0] ** 2 + point[1] ** 2 + point[2] ** 2), 1 + self.slope * S * DELTA**2,
            )
        )  # fmt: skip
        whole = b + a * (x * lx + y * ly + s * ls)
        part = DELTA**2 * self.series[2].subs(DELTA, 0)
        left, rest = (s * b - a * ls - ring.from_expr(sp.expand(part)) * whole).div(ring.from_expr(DELTA**3))
        assert not rest
        text = [t(p) for p in point]
        for n, p in zip("xys", text, strict=True):
            self.lines.append(f"Definition at_{n} (delta X S Z q h : R) : R := {p}.\n".replace("delta", t.name(DELTA)))
        here = " ".join(f"(at_{n} {t.name(DELTA)} X S Z q h)" for n in "xys")
        delta = t.name(DELTA)
        values = {n: f"at_{n} {delta} X S Z q h" for n in "xys"}
        bottom = f"1 + K * S * {delta} ^ 2"
        top = f"(2 + {delta} * U) * (1 + " + " + ".join(f"{value} ^ 2" for value in values.values()) + ")"
        inner = " + ".join(f"{values[n]} * l_{n} {names} {here}" for n in "xys")
        slope = f"l_s {names} {here}"
        self.theorem(
            "one_step_of_s",
            f"(s - a l_s)/D, where one step of the rule takes s, is its series up to a multiple of {delta}^3 over D "
            f"(both sides times 1 + K S {delta}^2). effective_lr*lambda_1 = 2 + {delta} U says what a is.",
            [sp.Symbol("a"), DELTA, X, U, S, _Z, *jets], f"\n  (edge : a * ({bottom}) = {top})",
            f"({bottom}) * ({values['s']} - a * {slope})",
            f"({t(sp.expand(part))}) * (({bottom}) * (1 + a * ({inner}))) +\n  {delta} ^ 3 * ({t(left.as_expr())})",
            f"replace (({bottom}) * ({values['s']} - a * {slope}))\n"
            f"    with (({bottom}) * {values['s']} - a * ({bottom}) * {slope}) by ring.\n"
            f"  replace (({bottom}) * (1 + a * ({inner})))\n"
            f"    with ({bottom} + a * ({bottom}) * ({inner})) by ring.\n"
            "  rewrite edge. unfold at_x, at_y, at_s, l_x, l_y, l_s. field.",
        )  # fmt: skip

    @property
    def bend(self) -> sp.Symbol:
        return next(j for j in generic_loss().free_symbols if j.name == "h")

    @property
    def slope(self) -> sp.Symbol:
        return next(j for j in generic_loss().free_symbols if j.name == "K")

    def two_steps(self) -> None:
        """The series put into itself, against the flow of the two-step field over the time 2 delta."""
        t = self.terms
        jets = " ".join(t.name(j) for j in self.jets)
        variables = [X, U, S]
        for name, e in zip("XUS", self.series, strict=True):
            self.lines.append(f"Definition next_{name} ({jets} {t.name(DELTA)} X U S : R) : R := {t(e)}.\n")
        first = {v: e.subs(S, 0) for v, e in zip(variables, self.series, strict=True)}
        inside = " ".join(f"(next_{n} {jets} {t.name(DELTA)} X U 0)" for n in "XUS")
        zeroth = (X, U, sp.Integer(0))
        fields = ((self.field.x, self.field.x_next), (self.field.u, self.field.u_next), (self.field.s, None))
        for n, e, start, (v, after) in zip("XUS", self.series, zeroth, fields, strict=True):
            whole = sp.Poly(sp.expand(e.subs(first, simultaneous=True)), DELTA)
            told = [start, 2 * v] if after is not None else [2 * v]
            if after is not None:
                along = sp.diff(v, X) * self.field.x + sp.diff(v, U) * self.field.u
                told.append(2 * after + 2 * along)
            told = [sp.expand(sp.sympify(c).subs(MIXED, RATIO * _Q)) for c in told]
            rest = sp.expand(whole.as_expr() - sp.Add(*(c * DELTA**k for k, c in enumerate(told))))
            remainder = sp.Add(*(
                c * DELTA ** (k - len(told)) for (k,), c in sp.Poly(rest, DELTA).terms() if k >= len(told)
            ))  # fmt: skip
            shown = " + ".join(f"delta ^ {k} * ({t(c)})" if k else t(c) for k, c in enumerate(told))
            self.theorem(
                f"two_steps_of_{n}", f"Two steps of {n}, from S = 0, are the flow of the field over the time 2 delta.",
                [*self.jets, DELTA, X, U], "", f"next_{n} {jets} {t.name(DELTA)} {inside}",
                f"{shown} +\n  delta ^ {len(told)} * ({t(remainder)})",
                "unfold next_X, next_U, next_S. field.",
            )  # fmt: skip
        title = "two steps of the rule, run on rational numbers, end where the series do"
        self.covers.append((title, "two_steps_of_X"))
