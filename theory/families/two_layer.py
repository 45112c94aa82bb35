"""A two-layer linear network with scalar output, normalised: f(x) = u (v . x)/(u^2 + |v|^2), fitted to one example.

The weights (u, v1, v2) of both layers form one scale-invariant vector. The example is x = (1, 0), y = t; Gamma is
u v1 = t r^2, and the sharpness 1 - v2^2 - 4 t^2 falls until the layers are balanced, u = v1.
"""

import sympy as sp

from sharpflow.theory.family import Family, Parameter
from sharpflow.theory.loss import Loss, Minima


def build(t: sp.Rational) -> Loss:
    """L = (u v1/r^2 - t)^2/2, Gamma the directions (e^p, e^-p, sqrt(1/t - 2 cosh 2p))."""
    u, v1, v2 = sp.symbols("u v1 v2", real=True)
    p = sp.Symbol("p", real=True)
    # v2^2 = 1/t - 2 cosh 2p stays positive for |p| < arcosh(1/(2t))/2; the chart ends where it vanishes.
    end = sp.Rational(sp.floor(1000 * sp.acosh(1 / (2 * t)) / 2), 1000)
    return Loss(
        name="two-layer",
        variables=(u, v1, v2),
        expression=(u * v1 / (u**2 + v1**2 + v2**2) - t) ** 2 / 2,
        minima=Minima(
            chart=(p,),
            point=(sp.exp(p), sp.exp(-p), sp.sqrt(1 / t - sp.exp(2 * p) - sp.exp(-2 * p))),
            start=(float(end) * 0.75,),
            domain=((-end, end),),
        ),
    )


family = Family(
    name="two-layer",
    title="normalised two-layer scalar network",
    build=build,
    parameters={"t": Parameter(default="1/4", low="3/20", high="2/5")},
)
