"""Two eigenvalues that cross on Gamma: where the gap closes, the flow of one eigenvalue is undefined."""

import sympy as sp

from sharpflow.theory.family import Family, Parameter
from sharpflow.theory.loss import Loss, Minima


def build(a: sp.Rational, b: sp.Rational) -> Loss:
    """L = (z^2 (a + (x^2 - y^2)/r^2) + b u^2)/(2 r^2): eigenvalues a + cos 2p and b."""
    x, y, z, u = sp.symbols("x y z u", real=True)
    p = sp.Symbol("p", real=True)
    r2 = x**2 + y**2 + z**2 + u**2
    return Loss(
        name="crossing",
        variables=(x, y, z, u),
        expression=(z**2 * (a + (x**2 - y**2) / r2) + b * u**2) / (2 * r2),
        minima=Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0, 0), start=(0.35,), domain=((-3, 3),)),
        expects_to_fail=frozenset({"simple_sharpness"}) if a - 1 <= b else frozenset(),  # a + cos 2p >= a - 1
    )


family = Family(
    name="crossing",
    title="two eigenvalues that cross on Gamma",
    build=build,
    parameters={
        "a": Parameter(default=3, low="5/2", high="16/5"),
        "b": Parameter(default="5/2", low="9/4", high="11/4"),
    },
)
