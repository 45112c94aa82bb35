"""The flow's second route: the exact map of a concrete loss, expanded near Gamma, without geometry's formulas.

Put u = P(p) + delta xi w(p) + delta^2 sum_j Y_j n_j, with w an edge direction and n_j the other normal directions
(any length: directions of theta are all that matters), and effective_lr = (2 + delta U)/lambda_1. One step of the
exact map on directions is

    u+ = u - effective_lr |u|^2 grad L(u),        |G(theta)|^2 = |u|^2 |grad L(u)|^2,

whose right side is a concrete expression in delta. Its Taylor coefficients to order delta^2 are resolved in the basis
P, d_i P, w, n_j; that gives the map of (p, xi, U), to be composed with itself (xi changes sign in every step). The
Y_j are carried along and seen to drop out. With x = xi |w|/|P| = delta X the physical displacement,

    X' = X U,    U' = a - b X^2,    p' = delta c X^2          (per unit of T = delta t, two-step differences halved)

are *read off*, and averaged in `sharpflow.theory.edge.averaging`.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from sharpflow.theory.chart.geometry import Geometry, tidy
from sharpflow.theory.edge.averaging import Scaled, U, X
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.proving.zero import normal_form
from sharpflow.theory.sphere.reduction import Reduction

__all__ = ["NonsmoothOrbit", "ScaledMap", "expand", "expand_nonsmooth", "taylor_of"]

_XI = Scaled("xi", real=True)
_DELTA = Scaled("delta", positive=True)


@dataclass(frozen=True)
class ScaledMap:
    """The two-step map at leading order, read off a concrete loss.

    Attributes:
        one_step_sign: coefficient s in xi+ = s xi + O(delta); -1 at the edge.
        x_rate: dX/dT as an expression in X and U.
        u_rate: dU/dT in X, U and the chart.
        drift: d p/d tau as m expressions in X and the chart, tau = rate t.
        sharpness: lambda_1 as read off the order-delta term.
        one_step_square: coefficient of xi^2 in the one-step map of xi (a cubic term of L), which cancels over two
            steps.
        normal_terms: derivative of the three rates with respect to the Y_j; zero.
    """

    one_step_sign: sp.Expr
    x_rate: sp.Expr
    u_rate: sp.Expr
    drift: sp.Matrix
    sharpness: sp.Expr
    one_step_square: sp.Expr
    normal_terms: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class _Taylor:
    """Coefficients of |u|^2 grad L(u) in delta (orders 1 and 2), in the basis of Gamma at P."""

    normal: sp.Matrix
    normal_symbols: tuple[sp.Symbol, ...]
    first: sp.Matrix
    second: sp.Matrix


def taylor_of(geometry: Geometry) -> _Taylor:
    """|u|^2 grad L(u) along the curve u(delta), differentiated twice in delta as it stands."""
    loss, w = geometry.loss, geometry.edge_direction
    others = _other_normals(geometry)
    symbols = sp.symbols(f"Y1:{others.shape[1] + 1}", real=True) if others.shape[1] else ()
    curve = geometry.ray + _DELTA * _XI * w
    for y, column in zip(symbols, range(others.shape[1]), strict=True):
        curve += _DELTA**2 * y * others[:, column]
    values = dict(zip(loss.variables, curve, strict=True))
    # |u|^2 = |P|^2 + delta^2 xi^2 |w|^2 + ..., and the gradient starts at order delta: the correction is of order 3.
    scale = geometry.ray_squared
    first, second = [], []
    for entry in loss.gradient:
        along = entry.subs(values, simultaneous=True)
        derivative = sp.diff(along, _DELTA)
        first.append(normal_form(scale * derivative.subs(_DELTA, 0)))
        second.append(normal_form(scale * sp.diff(derivative, _DELTA).subs(_DELTA, 0) / 2))
    return _Taylor(others, tuple(symbols), sp.Matrix(first), sp.Matrix(second))


def _other_normals(geometry: Geometry) -> sp.Matrix:
    """A basis of the directions orthogonal to P, to Gamma and to the edge direction, D x (r - 1)."""
    if geometry.codimension == 1:
        return sp.zeros(geometry.loss.dimension, 0)
    rows = sp.Matrix.vstack(geometry.ray.T, geometry.tangents.T, geometry.edge_direction.T).applyfunc(normal_form)
    basis = rows.nullspace(simplify=normal_form)
    return sp.Matrix.hstack(*basis).applyfunc(normal_form)


def _along(vector: sp.Matrix, direction: sp.Matrix) -> sp.Expr:
    return normal_form(vector.dot(direction) / direction.dot(direction))


def _tangent_components(geometry: Geometry, vector: sp.Matrix) -> sp.Matrix:
    """c^i with tangent part of the vector = c^i d_i P (mod P)."""
    lower = geometry.tangents.T * vector / geometry.ray_squared
    return (geometry.inverse_metric * lower).applyfunc(normal_form)


def expand(geometry: Geometry, reduction: Reduction, /) -> ScaledMap:
    """The two-step map of a smooth rule at the edge of a concrete loss.

    Raises:
        InputError: the rule has no smooth step (see `expand_nonsmooth`), or its ``at_rate`` is wrong.
        InputError, NoClosedForm: from `Geometry`.
    """
    if reduction.schedule is None:
        raise InputError(f"rule {reduction.rule.name!r} is not smooth on Gamma: there is no oscillator to expand.")
    w, taylor = geometry.edge_direction, taylor_of(geometry)
    lam = sp.Symbol("lambda_1", positive=True)
    effective_lr = (2 + _DELTA * U) / lam
    sharpness = normal_form(_along(taylor.first, w) / _XI)
    # One step, orders delta and delta^2 of u+ (lambda_1 kept as a symbol until the end, to keep expressions short).
    first_w = _XI - 2 / lam * _along(taylor.first, w)
    second_w = -U / lam * _along(taylor.first, w) - 2 / lam * _along(taylor.second, w)
    xi_0 = tidy(first_w.subs(lam, sharpness))
    xi_1 = sp.expand(normal_form(second_w.subs(lam, sharpness)))
    moved = (_tangent_components(geometry, taylor.second) * (-2 / lam)).subs(lam, sharpness).applyfunc(normal_form)
    gradient_squared = normal_form(taylor.first.dot(taylor.first) / geometry.ray_squared)
    # Schedule: log(effective_lr+/effective_lr) to order delta^2; then U+ from
    # effective_lr+ lambda_1(p+) = 2 + delta U+.
    ratio = (reduction.schedule / reduction.effective_lr).subs(reduction.at_rate(_DELTA**2))
    g2 = sp.Symbol("g2", positive=True)
    ratio = ratio.subs({reduction.gradient_squared: _DELTA**2 * g2, reduction.effective_lr: effective_lr})
    growth = _second_order(ratio).subs(g2, gradient_squared).subs(lam, sharpness)
    log_change = sum(
        (m * sp.diff(sharpness, s) / sharpness for m, s in zip(moved, geometry.chart, strict=True)), sp.Integer(0)
    )
    u_1 = sp.expand(normal_form(2 * (growth + log_change)))
    # Compose two steps: xi+ = s xi + delta (A xi U + B xi^2), U+ = U + delta u_1(xi), p+ = p + delta^2 moved(xi).
    second_step = xi_1.subs({_XI: xi_0, U: U}, simultaneous=True)
    two_step_xi = sp.expand(normal_form(xi_0 / _XI * xi_1 + second_step))
    # X = xi |w|/|P|: the square of the ratio is all that is needed, no root.
    unit = normal_form(geometry.ray_squared / w.dot(w))
    u_mean = sp.expand((u_1 + u_1.subs(_XI, xi_0, simultaneous=True)) / 2)
    drift = ((moved + moved.subs(_XI, xi_0, simultaneous=True)) / 2).applyfunc(sp.expand)
    in_x = lambda e: normal_form(sp.expand(e).subs(_XI**2, X**2 * unit))  # noqa: E731
    x_rate = normal_form(two_step_xi / (2 * _XI)) * X
    rates = [x_rate, u_mean, *drift]
    return ScaledMap(
        one_step_sign=tidy(xi_0 / _XI),
        x_rate=tidy(x_rate),
        u_rate=in_x(u_mean),
        drift=drift.applyfunc(in_x),
        sharpness=sharpness,
        one_step_square=normal_form(xi_1.coeff(_XI, 2)),
        normal_terms=tuple(normal_form(sp.diff(rate, y)) for rate in rates for y in taylor.normal_symbols),
    )


def _second_order(ratio: sp.Expr) -> sp.Expr:
    """The delta^2 coefficient of log(ratio), whose lower ones vanish (checked)."""
    logarithm = sp.log(ratio)
    first = sp.diff(logarithm, _DELTA)
    lower = sp.simplify(logarithm.subs(_DELTA, 0)), sp.simplify(first.subs(_DELTA, 0))
    if lower != (0, 0):
        raise InputError(
            f"effective_lr changes by {lower} at orders below rate: the rule's at_rate does not scale it by rate."
        )
    return sp.simplify(sp.diff(first, _DELTA).subs(_DELTA, 0) / 2)


@dataclass(frozen=True)
class NonsmoothOrbit:
    """A rule whose step has fixed length: its orbits of period two, and the drift they carry.

    Attributes:
        first, second: X after one and two steps from X in (0, 1), in units of the step.
        drift: d p/d tau per step, averaged over the two steps, tau = rate t.
    """

    first: sp.Expr
    second: sp.Expr
    drift: sp.Matrix


def expand_nonsmooth(geometry: Geometry, reduction: Reduction, /) -> NonsmoothOrbit:
    """Two steps of a rule such as normalized GD from x = delta X, 0 < X < 1, on a concrete loss.

    The gradient is not differentiable at Gamma once divided by its norm, so the two signs of x are expanded apart: no
    multiplier of a linearised map exists, and none is claimed.
    """
    w, taylor = geometry.edge_direction, taylor_of(geometry)
    start, modulus, lam = sp.symbols("X modulus lambda_1", positive=True)
    sharpness = normal_form(_along(taylor.first, w) / _XI)
    length2 = normal_form(w.dot(w) / geometry.ray_squared)
    # |G| = delta lambda_1 |X| to leading order; share = step |G|/delta, a pure number where the step has fixed length.
    step = reduction.step.subs(reduction.at_rate(_DELTA**2)).subs(
        reduction.gradient_squared, (_DELTA * lam * modulus) ** 2
    )
    share = sp.simplify(step * lam * modulus)
    if share.free_symbols:
        raise NoClosedForm(f"rule {reduction.rule.name!r}: its step has length {share} times delta, not a fixed one.")
    # Tangent part of the second-order gradient, per X^2; a step moves p by -step times it.
    second = taylor.second.subs({y: 0 for y in taylor.normal_symbols})
    push = _tangent_components(geometry, second).applyfunc(lambda e: normal_form(sp.expand(e).coeff(_XI, 2) / length2))
    position, moved, orbit = start, sp.Integer(0), []
    for sign in (1, -1):
        size = sp.expand(sign * position)
        moved += size**2 * share / size
        position = sp.expand(position - sign * share)
        orbit.append(position)
    drift = (-push * sp.expand(moved) / (2 * sharpness)).applyfunc(tidy)
    return NonsmoothOrbit(first=orbit[0], second=orbit[1], drift=drift)
