"""Reasons why no flow leads along the minima from a point, seen before anything is integrated.

Quotients F = (grad L(theta + h v) - grad L(theta))/h and B = (grad L(theta) - grad L(theta - h v))/h: at a kink they
differ, and where they do not, L is smooth, and H v by JAX is theirs or wrong. And two eigenvalues that are one: a flow
of one eigenvalue is not defined there.
"""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.flows.chart_flow import GAP
from sharpflow.numerics.minima.rest import DENSE
from sharpflow.numerics.minima.retraction import analyse
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.spectrum.dense import eigenvalues
from sharpflow.theory.chart.smoothness import switches
from sharpflow.theory.loss import Loss

__all__ = ["no_second_derivative", "tie"]

Array = jax.Array

# Of a smooth L the quotients differ by h times its third derivative, and by rounding of grad L over h, 1e-11.
STEP = 1e-5
# Of the largest of them. A float32 inside of a loss leaves some per cent; a kink, half of them or all.
APART = 0.2
DIRECTIONS = 4


@lru_cache(maxsize=64)
def _quotients(objective: Objective) -> Compiled:
    """theta (D,), directions (N, D) -> H v by JAX, F and B, (N, 3, D)."""

    def look(theta: Array, directions: Array) -> Array:
        gradient = jax.grad(objective.function)

        def along(v: Array) -> Array:
            behind, here, ahead = jax.lax.map(lambda s: gradient(theta + s * v), STEP * jnp.array([-1.0, 0.0, 1.0]))
            return jnp.stack([jax.jvp(gradient, (theta,), (v,))[1], (ahead - here) / STEP, (here - behind) / STEP])

        out: Array = jax.lax.map(along, directions)
        return out

    return Compiled(look)


def no_second_derivative(subject: Loss | Objective, objective: Objective, theta: np.ndarray, /) -> str:
    """A sentence where L has no second derivative at a unit vector (D,), or JAX does not find it; else nothing."""
    if isinstance(subject, Loss) and not switches(subject.expression):
        return ""
    directions = generator(0).standard_normal((DIRECTIONS, len(theta)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    known, ahead, behind = np.moveaxis(np.asarray(_quotients(objective)(theta, directions)), 1, 0)
    size = max(float(np.abs(ahead).max()), float(np.abs(behind).max()))
    if not np.isfinite(size):
        return ""  # what is no number is told where it is met
    where = f"at the minimum, w = ({', '.join(f'{v:.4g}' for v in theta[:6])}{', ...' if len(theta) > 6 else ''})"
    if np.abs(ahead - behind).max() > APART * size:
        return f"the loss has a kink {where}: its second derivative does not exist there, and no edge or flow with it"
    whole = np.zeros(0)
    if objective.residuals is None and objective.dimension <= DENSE:
        whole = eigenvalues(objective, theta)  # equal numbers may be taken for others in one program only
    if not np.isfinite(whole).all() or not np.abs(2 * known - ahead - behind).max() <= 2 * APART * size:
        return (
            f"the second derivative that JAX gives is wrong {where}, though L is smooth there: that of eigenvalues or "
            "singular values that tie, or of the norm of what vanishes. Write the loss without them"
        )
    return ""


def tie(objective: Objective, zeta: np.ndarray, rank: int, /) -> str:
    """A sentence where lambda_1 and lambda_2 at a point of Gamma (D,) are one to a flow of one eigenvalue."""
    here = analyse(objective, zeta[None], rank=rank)
    first, second = float(here.sharpness[0]), float(here.second[0])
    if not first - second < GAP * first:
        return ""
    return (
        f"lambda_1 = {first:.9g} and lambda_2 = {second:.9g} meet at the start, and the flow of one eigenvalue is not "
        "defined there; gradient descent with weight decay on an Objective has one of several "
        "(Objective.from_loss makes one of a Loss)"
    )
