"""The Rayleigh quotient of diag(0, 0, 1, a): lambda_1 is constant on Gamma, so the flow must stand still."""

import sympy as sp

from sharpflow.theory.family import Family, Parameter
from sharpflow.theory.loss import Loss, Minima


def build(a: sp.Rational) -> Loss:
    """L = (z^2 + a u^2)/(2 r^2), Gamma the circle of unit vectors in the kernel."""
    x, y, z, u = sp.symbols("x y z u", real=True)
    p = sp.Symbol("p", real=True)
    return Loss(
        name="rayleigh",
        variables=(x, y, z, u),
        expression=(z**2 + a * u**2) / (2 * (x**2 + y**2 + z**2 + u**2)),
        minima=Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0, 0), start=(0.7,), domain=((-3, 3),)),
    )


family = Family(
    name="rayleigh",
    title="Rayleigh quotient, lambda_1 constant",
    build=build,
    parameters={"a": Parameter(default=2, low="3/2", high=4)},
)
