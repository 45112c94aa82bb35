"""Two eigenvalues that cross on a sphere of minimizers, in R^5: the smallest loss with two eigenvalues at the edge.

L = (a z^2 + b u^2)/(2 r^2) + c (z^3 u + z u^3)/r^4 with a = 3 + (x^2 - y^2)/r^2, b = 2.6 + (0.8 y^2 + 0.6 x s)/r^2 of
w = (x, y, s, z, u), r = |w|. Gamma is z = u = 0, the eigenvalues there are a and b. For c = 0 the loss is even in u, so
that gradient descent with u = 0 never learns of the second eigenvalue: ``symmetric``; ``broken`` has c = 1/5.
``tilted`` adds 3e-4 s/r to that: no manifold of minimizers is left, and at rates of 1e-4 or so the slope moves theta as
much as the oscillation does.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.config import configure
from sharpflow.numerics.objective import Objective

__all__ = ["broken", "crossing", "symmetric", "tilted"]

configure()

# a > b here, and a falls along the flow until it meets b near flow time 0.7.
START = np.array([0.8, 0.48, 0.36, 0.0, 0.0])


def crossing(coupling: float, /, *, slope: float = 0.0) -> Objective:
    """The loss with c = ``coupling``, plus ``slope`` s/r."""

    def function(w: jax.Array) -> jax.Array:
        x, y, s, z, u = w / jnp.linalg.norm(w)
        a = 3 + x**2 - y**2
        b = 2.6 + 0.8 * y**2 + 0.6 * x * s
        return (a * z**2 + b * u**2) / 2 + coupling * (z**3 * u + z * u**3) + slope * s

    name = f"crossing({coupling:g})" if not slope else f"crossing({coupling:g}, {slope:g})"
    return Objective(function, START / np.linalg.norm(START), name=name)


symmetric = crossing(0.0)
broken = crossing(0.2)
tilted = crossing(0.2, slope=3e-4)
