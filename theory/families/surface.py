"""A surface Gamma on the 3-sphere (the great sphere u = 0), in the gnomonic chart (1, p, q)."""

import sympy as sp

from sharpflow.theory.family import Family, Parameter
from sharpflow.theory.loss import Loss, Minima


def build(a: sp.Rational, b: sp.Rational) -> Loss:
    """L = u^2/(2 r^2) (a + (x^2 - y^2 + b y z)/r^2)."""
    x, y, z, u = sp.symbols("x y z u", real=True)
    p, q = sp.symbols("p q", real=True)
    r2 = x**2 + y**2 + z**2 + u**2
    return Loss(
        name="surface",
        variables=(x, y, z, u),
        expression=u**2 / (2 * r2) * (a + (x**2 - y**2 + b * y * z) / r2),
        minima=Minima(chart=(p, q), point=(1, p, q, 0), start=(0.4, -0.8), domain=((-6, 6), (-6, 6))),
    )


family = Family(
    name="surface",
    title="surface Gamma on the 3-sphere",
    build=build,
    parameters={"a": Parameter(default=3, low="5/2", high=5), "b": Parameter(default=1, low=-1, high=1)},
)
