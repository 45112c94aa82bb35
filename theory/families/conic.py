"""A curved Gamma on the 2-sphere: the cone x z = a y^2 cuts it in a curve whose metric is not constant in the chart.

Here L has cubic terms normal to Gamma, which must drop out of the flow over two steps.
"""

import sympy as sp

from sharpflow.theory.family import Family, Parameter
from sharpflow.theory.loss import Loss, Minima


def build(a: sp.Rational) -> Loss:
    """L = (x z - a y^2)^2/(2 r^4), Gamma the directions (1, p, a p^2)."""
    x, y, z = sp.symbols("x y z", real=True)
    p = sp.Symbol("p", real=True)
    r2 = x**2 + y**2 + z**2
    return Loss(
        name="conic",
        variables=(x, y, z),
        expression=(x * z - a * y**2) ** 2 / (2 * r2**2),
        minima=Minima(chart=(p,), point=(1, p, a * p**2), start=(0.8,), domain=((-8, 8),)),
    )


family = Family(
    name="conic",
    title="curved Gamma on the 2-sphere, metric not constant",
    build=build,
    parameters={"a": Parameter(default=1, low="1/2", high=2)},
)
