"""Gamma in its chart: tangent space, metric, Hessian, spherical sharpness and its logarithmic gradient.

With P(p) the chart's point (not normalised) and zeta = P/|P|:

    metric      G_ij = <d_i zeta, d_j zeta> = <d_i P, d_j P>/|P|^2 - <P, d_i P><P, d_j P>/|P|^4
    Hessian     H = Hess L(zeta) = |P|^2 Hess L(P)       (scale invariance: no root of |P|^2 is ever taken)
    sharpness   lambda_1 = the largest root of the characteristic polynomial of H on the complement of the kernel
                span{zeta, d_i zeta}
    gradient    g^i = G^ij d_j log lambda_1,  K^2 = |g|^2 = G^ij d_i log lambda_1 d_j log lambda_1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy as sp

from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.proving.zero import decide_zero, normal_form

__all__ = [
    "Geometry", "double_angles", "elementary", "geometry_of", "index_of_largest", "roots_of", "square_root", "tidy",
]  # fmt: skip

TIDY_SECONDS = 2.0
TIDY_OPERATIONS = 250


def tidy(expression: sp.Expr) -> sp.Expr:
    """The shortest of a few equal forms: normal, factored, trigonometrically simplified."""
    normal = normal_form(expression)
    candidates = [normal, sp.sympify(expression)]
    if sp.count_ops(normal) <= TIDY_OPERATIONS:
        try:
            with time_limit(TIDY_SECONDS):
                if normal.has(sp.sin, sp.cos):
                    candidates.append(sp.trigsimp(normal))
                    candidates += [sp.cancel(double_angles(normal)), sp.factor(double_angles(normal))]
                candidates.append(sp.factor(normal))
        except (TimeLimitExceeded, sp.PolynomialError):
            pass
    return min(candidates, key=lambda e: (sp.count_ops(e), len(str(e))))


def double_angles(e: sp.Expr) -> sp.Expr:
    """Squares of sines and cosines as cosines of the double angle: short where everything is even."""
    x = sp.Wild("x")
    halves = e.replace(sp.sin(x) ** 2, (1 - sp.cos(2 * x)) / 2).replace(sp.cos(x) ** 2, (1 + sp.cos(2 * x)) / 2)
    return halves.replace(sp.sin(x) * sp.cos(x), sp.sin(2 * x) / 2)


@dataclass(frozen=True)
class Geometry:
    """The geometry of a loss's manifold of minimizers; every attribute is computed once, when first asked for.

    Raises:
        InputError: the loss has no minima.
        NoClosedForm: the eigenvalues have none here (an irreducible factor of degree three or more).
    """

    loss: Loss

    def __post_init__(self) -> None:
        if self.loss.minima is None:
            raise InputError(f"loss {self.loss.name!r} has minima=None: give its Minima a chart to derive the flow.")

    @property
    def minima(self) -> Minima:
        """The chart."""
        assert self.loss.minima is not None
        return self.loss.minima

    @property
    def chart(self) -> tuple[sp.Symbol, ...]:
        """The m chart coordinates."""
        return self.minima.chart

    @property
    def codimension(self) -> int:
        """D - 1 - m, the number of directions of the sphere normal to Gamma, and the rank the Hessian should have."""
        return self.loss.dimension - 1 - len(self.chart)

    @cached_property
    def domain(self) -> dict[sp.Symbol, tuple[sp.Expr, sp.Expr]]:
        """Interval of each chart coordinate."""
        assert self.minima.domain is not None
        return dict(zip(self.chart, self.minima.domain, strict=True))

    @cached_property
    def start(self) -> dict[sp.Symbol, sp.Expr]:
        """The default start as rationals, where a choice must be made by numbers."""
        assert self.minima.start is not None
        return {s: sp.nsimplify(v, rational=True) for s, v in zip(self.chart, self.minima.start, strict=True)}

    @cached_property
    def ray(self) -> sp.Matrix:
        """P(p), a column of D expressions."""
        return sp.Matrix(self.minima.point)

    @cached_property
    def ray_squared(self) -> sp.Expr:
        """|P|^2."""
        return normal_form(self.ray.dot(self.ray))

    @cached_property
    def point(self) -> sp.Matrix:
        """zeta(p) = P/|P|, a column of D expressions."""
        return self.ray / sp.sqrt(tidy(self.ray_squared))

    @cached_property
    def tangents(self) -> sp.Matrix:
        """d_i P made orthogonal to P, D x m: |P| times the tangent vectors d_i zeta."""
        columns = []
        for s in self.chart:
            d = self.ray.diff(s)
            columns.append((d - self.ray * (self.ray.dot(d) / self.ray_squared)).applyfunc(normal_form))
        return sp.Matrix.hstack(*columns)

    @cached_property
    def metric(self) -> sp.Matrix:
        """G_ij, m x m."""
        return (self.tangents.T * self.tangents / self.ray_squared).applyfunc(normal_form)

    @cached_property
    def inverse_metric(self) -> sp.Matrix:
        """G^ij, m x m."""
        determinant = normal_form(self.metric.det(method="berkowitz"))
        if determinant == 0:
            raise InputError(
                f"loss {self.loss.name!r}: the metric of the chart is degenerate; Minima.point does not depend on "
                f"every one of ({', '.join(s.name for s in self.chart)}) independently."
            )
        return (self.metric.adjugate() / determinant).applyfunc(normal_form)

    @cached_property
    def gradient(self) -> sp.Matrix:
        """grad L at P(p); zero on Gamma."""
        return self._on_gamma(self.loss.gradient)

    @cached_property
    def hessian(self) -> sp.Matrix:
        """H = |P|^2 Hess L(P), D x D, the Hessian at the unit point."""
        return (self._on_gamma(self.loss.hessian) * self.ray_squared).applyfunc(normal_form)

    def _on_gamma(self, matrix: sp.Matrix) -> sp.Matrix:
        values = dict(zip(self.loss.variables, self.ray, strict=True))
        return matrix.applyfunc(lambda e: normal_form(e.subs(values, simultaneous=True)))

    @cached_property
    def coefficients(self) -> tuple[sp.Expr, ...]:
        """e_1 .. e_r, the elementary symmetric functions of the r = codimension eigenvalues normal to Gamma.

        By Newton's identities from the traces of powers of H (the kernel adds nothing to a trace).
        """
        return elementary(self.hessian, self.codimension)

    @cached_property
    def eigenvalues(self) -> tuple[sp.Expr, ...]:
        """The r eigenvalues of H normal to Gamma, the one that is largest at the start first."""
        r = self.codimension
        roots = self._roots_by_blocks()
        if len(roots) != r:
            roots = roots_of(self.coefficients)
        if len(roots) != r:
            raise NoClosedForm(
                f"the {r} eigenvalues of the Hessian of {self.loss.name!r} on Gamma have no closed form here."
            )
        return tuple(sorted(roots, key=lambda e: -float(sp.re(e.subs(self.start).evalf(20)))))

    def _roots_by_blocks(self) -> list[sp.Expr]:
        """Eigenvalues of the blocks of H that no entry couples, without the zeros: their polynomials factor at once."""
        roots: list[sp.Expr] = []
        for block in self.hessian.connected_components():
            coefficients = list(elementary(self.hessian.extract(block, block), len(block)))
            while coefficients and coefficients[-1] == 0:
                coefficients.pop()
            roots += roots_of(coefficients)
        return roots

    @property
    def sharpness(self) -> sp.Expr:
        """lambda_1 in the chart."""
        return self.eigenvalues[0]

    @property
    def gaps(self) -> tuple[sp.Expr, ...]:
        """lambda_1 - lambda_j, j = 2 .. r."""
        return tuple(tidy(self.sharpness - other) for other in self.eigenvalues[1:])

    @cached_property
    def log_sharpness_derivatives(self) -> sp.Matrix:
        """d_i log lambda_1, a column of m expressions (lower index)."""
        return sp.Matrix([normal_form(sp.diff(self.sharpness, s) / self.sharpness) for s in self.chart])

    @cached_property
    def log_sharpness_gradient(self) -> sp.Matrix:
        """g^i = G^ij d_j log lambda_1, a column of m chart components (upper index)."""
        return (self.inverse_metric * self.log_sharpness_derivatives).applyfunc(tidy)

    @cached_property
    def log_sharpness_gradient_squared(self) -> sp.Expr:
        """K^2 = |g|^2."""
        return tidy(self.log_sharpness_derivatives.dot(self.log_sharpness_gradient))

    @cached_property
    def edge_direction(self) -> sp.Matrix:
        """An eigenvector of H for lambda_1, a column of D expressions, not normalised.

        A column of prod_j (H - lambda_j) H over the other eigenvalues: it lies in the image of the projector on the
        edge direction.
        """
        matrix = self.hessian
        for other in self.eigenvalues[1:]:
            matrix = (self.hessian * matrix - other * matrix).applyfunc(normal_form)
        columns = [matrix[:, j] for j in range(matrix.shape[1])]
        at_start = [c.subs(self.start).evalf(20) for c in columns]
        best = max(range(len(columns)), key=lambda j: (round(float(at_start[j].norm()), 6), -j))
        column = columns[best]
        if all(decide_zero(e).status == "proved" for e in column):
            raise NoClosedForm(
                f"no eigenvector of {self.loss.name!r} for lambda_1: it is 0, or a multiple eigenvalue, all over Gamma."
            )
        # Divided by its largest entry at the start: short, and free of the roots that a unit vector would need.
        return (column / column[index_of_largest(at_start[best])]).applyfunc(normal_form)


def index_of_largest(column: sp.Matrix) -> int:
    """The first of the largest absolute values, to nine digits."""
    return max(range(len(column)), key=lambda i: (round(abs(complex(column[i])), 9), -i))


def elementary(matrix: sp.Matrix, count: int) -> tuple[sp.Expr, ...]:
    """e_1 .. e_count of the eigenvalues, by Newton's identities."""
    powers, power = [], matrix
    for k in range(count):
        powers.append(normal_form(power.trace()))
        if k + 1 < count:
            power = (power * matrix).applyfunc(normal_form)
    e: list[sp.Expr] = [sp.Integer(1)]
    for k in range(1, count + 1):
        total = sum(((-1) ** (i - 1) * e[k - i] * powers[i - 1] for i in range(1, k + 1)), sp.Integer(0))
        e.append(normal_form(total / k))
    return tuple(e[1:])


def roots_of(coefficients: Sequence[sp.Expr]) -> list[sp.Expr]:
    """Roots of mu^r - e_1 mu^(r-1) + e_2 mu^(r-2) - ... by factors of degree one and two; [] if there are others."""
    r = len(coefficients)
    if r < 2:
        return [tidy(e) for e in coefficients]
    mu = sp.Dummy("mu", real=True)
    polynomial = sum(
        ((-1) ** k * c * mu ** (r - k) for k, c in enumerate((sp.Integer(1), *coefficients))), sp.Integer(0)
    )
    _, factors = sp.factor_list(polynomial, mu)
    roots: list[sp.Expr] = []
    for factor, multiplicity in factors:
        p = sp.Poly(factor, mu)
        if p.degree() == 1:
            a, b = p.all_coeffs()
            roots += [tidy(-b / a)] * multiplicity
        elif p.degree() == 2:
            a, b, c = p.all_coeffs()
            discriminant = tidy(sp.cancel(b**2 - 4 * a * c))
            root = square_root(discriminant)
            roots += [tidy((-b + root) / (2 * a)), tidy((-b - root) / (2 * a))] * multiplicity
        else:
            return []
    return roots


def square_root(discriminant: sp.Expr) -> sp.Expr:
    """sqrt(A), without the root where A is visibly a square in the field."""
    if discriminant == 0:
        return sp.Integer(0)
    top, bottom = sp.fraction(sp.factor(discriminant))
    outside, inside = sp.Integer(1), sp.Integer(1)
    for part, sign in ((top, 1), (bottom, -1)):
        for factor in sp.Mul.make_args(part):
            base, exponent = factor.as_base_exp()
            if exponent.is_Integer and not base.is_number:
                outside *= base ** (sign * (exponent // 2))
                inside *= base ** (sign * (exponent % 2))
            else:
                inside *= factor**sign
    return outside * sp.sqrt(tidy(inside))


@lru_cache(maxsize=64)
def geometry_of(loss: Loss, /) -> Geometry:
    """The geometry of a loss, made once: its parts are computed when first asked for and kept."""
    return Geometry(loss)
