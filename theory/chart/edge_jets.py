"""The jets of a concrete loss that the energy law asks for, in the chart: of lambda_1 on Gamma, of L across it.

At zeta = P/|P|, with v_1 = w/|w| (w the edge direction) and g = grad_Gamma log lambda_1, K = |g|:

    K^2  = |g|^2,          bend = K^2 dK/ds along g/|g| = <g, grad_Gamma K^2>/2 = g^i d_i K^2/2
    c_3  = D^3 L(v_1, v_1, v_1)/lambda_1,          c_4 = D^4 L(v_1, v_1, v_1, v_1)/lambda_1
    mixed = sum_j D^3 L(v_1, v_1, n_j)^2/(lambda_1 mu_j) = b^T A^(-1) b/lambda_1

over the eigenvectors n_j other than v_1 of the Hessian's normal directions, with eigenvalues mu_j; on the right, for
any basis N of their span, A = N^T H N and b = N^T D^3 L(v_1, v_1, .).

L(c u) = L(u) makes D^k L(zeta) = |P|^k D^k L(P): no root of |P|^2 is ever taken, for the derivatives of odd order
enter squared.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from sharpflow.theory.chart.geometry import Geometry, tidy
from sharpflow.theory.edge.jets import EdgeJets
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.proving.zero import normal_form

__all__ = ["edge_jets"]


class _Along(sp.Symbol):
    """The parameter of a line: never equal to a coordinate of a chart, should one bear the same name."""

    __slots__ = ()


_T = _Along("t", real=True)


@lru_cache(maxsize=64)
def edge_jets(geometry: Geometry, /) -> EdgeJets:
    """The jets on Gamma, derived once for a geometry.

    Raises:
        NoClosedForm: lambda_1 or its eigenvector has none, or lambda_2 = 0 all over Gamma leaves no mixed term.
        InputError: from `Geometry`.
    """
    w, lam, scale = geometry.edge_direction, geometry.sharpness, geometry.ray_squared
    length2 = normal_form(w.dot(w))
    third, fourth = _derivatives_along(geometry, w)
    k2 = geometry.log_sharpness_gradient_squared
    return EdgeJets(
        log_gradient_squared=k2,
        bend=tidy(_along_gradient(geometry, k2) / 2),
        cubic_squared=tidy(scale**3 * third**2 / (length2**3 * lam**2)),
        quartic=tidy(scale**2 * fourth / (length2**2 * lam)),
        mixed=_mixed(geometry, w, length2),
        sharpness=lam,
    )


def _along_gradient(geometry: Geometry, e: sp.Expr) -> sp.Expr:
    """g^i d_i e, the derivative of a function on Gamma along g."""
    slopes = sp.Matrix([sp.diff(e, s) for s in geometry.chart])
    return normal_form(slopes.dot(geometry.log_sharpness_gradient))


def _derivatives_along(geometry: Geometry, w: sp.Matrix) -> tuple[sp.Expr, sp.Expr]:
    """D^3 L(P)[w, w, w] and D^4 L(P)[w, w, w, w]: derivatives of the one-variable function L(P + t w)."""
    derivative = sp.diff(_on_line(geometry, geometry.loss.expression, w), _T, 3)
    return _at_zero(derivative), _at_zero(sp.diff(derivative, _T))


def _mixed(geometry: Geometry, w: sp.Matrix, length2: sp.Expr) -> sp.Expr:
    """b^T A^(-1) b/lambda_1 in any basis N of the normal directions other than v_1."""
    others = _other_normals(geometry)
    if not others.shape[1]:
        return sp.Integer(0)
    # The gradient's second derivative along w is the row D^3 L(P)[w, w, .]: no tensor of third derivatives.
    row = sp.Matrix([_at_zero(sp.diff(_on_line(geometry, e, w), _T, 2)) for e in geometry.loss.gradient])
    b = (others.T * row).applyfunc(normal_form)
    if b.is_zero_matrix:
        return sp.Integer(0)
    a = (others.T * geometry.hessian * others).applyfunc(normal_form)
    determinant = normal_form(a.det(method="berkowitz"))
    if determinant == 0:
        raise NoClosedForm(f"loss {geometry.loss.name!r}: the Hessian vanishes in a direction normal to Gamma.")
    # |P|^3 from D^3 L and |w|^(-2) from w twice, both squared.
    factor = geometry.ray_squared**3 / (length2**2 * geometry.sharpness)
    return tidy(factor * (b.T * a.adjugate() * b)[0] / determinant)


def _other_normals(geometry: Geometry) -> sp.Matrix:
    """A basis of the directions orthogonal to P, to Gamma and to the edge direction, D x (r - 1)."""
    if geometry.codimension == 1:
        return sp.zeros(geometry.loss.dimension, 0)
    rows = sp.Matrix.vstack(geometry.ray.T, geometry.tangents.T, geometry.edge_direction.T).applyfunc(normal_form)
    return sp.Matrix.hstack(*rows.nullspace(simplify=normal_form)).applyfunc(normal_form)


def _on_line(geometry: Geometry, e: sp.Expr, w: sp.Matrix) -> sp.Expr:
    """An expression in the weights, at P + t w."""
    values = dict(zip(geometry.loss.variables, geometry.ray + _T * w, strict=True))
    return e.subs(values, simultaneous=True)


def _at_zero(e: sp.Expr) -> sp.Expr:
    return normal_form(e.subs(_T, 0))
