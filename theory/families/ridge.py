"""A ridge on the 2-sphere: Gamma is the great circle z = 0, its sharpness a + cos 2p varies along it."""

import sympy as sp

from sharpflow.theory.family import Family, Parameter
from sharpflow.theory.loss import Loss, Minima


def build(a: sp.Rational) -> Loss:
    """L = z^2/(2 r^2) (a + (x^2 - y^2)/r^2)."""
    x, y, z = sp.symbols("x y z", real=True)
    p = sp.Symbol("p", real=True)
    r2 = x**2 + y**2 + z**2
    return Loss(
        name="ridge",
        variables=(x, y, z),
        expression=z**2 / (2 * r2) * (a + (x**2 - y**2) / r2),
        minima=Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0), start=(0.35,), domain=((-3, 3),)),
    )


family = Family(
    name="ridge",
    title="ridge on the 2-sphere, Gamma a great circle",
    build=build,
    parameters={"a": Parameter(default=2, low="3/2", high=4)},
)
