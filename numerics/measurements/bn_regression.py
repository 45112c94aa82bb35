"""Linear regression with batch normalization: L(w) = |gamma X_c w/rms(X_c w) - y_c|^2/(2n), gamma = rms(y_c).

Gamma: the directions with X_c w positively proportional to y_c. Written as w = s (w* + k), w* the minimum-norm
interpolant and X_c k = 0, the angle alpha of w to w* has |grad_Gamma log lambda_1| = 2 tan(alpha), and the flow of
gradient descent with weight decay is tan(alpha(tau)) = tan(alpha_0) exp(-tau). Without any flow: grad L has no
kernel component, so weight decay alone multiplies that of w, by exactly 1 - rate at each step.

Source of the flow: Lyu, Li, Arora 2022, arXiv:2206.07085.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.config import configure
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.theory.errors import InputError

__all__ = ["BatchNormRegression", "bn_regression_objective"]

configure()


@dataclass(frozen=True, eq=False)
class BatchNormRegression:
    """The loss of a data set, with what is known of its minima.

    Attributes:
        features, target: X_c (n, D) and y_c (n,), centred.
        objective: the loss; residuals (gamma X_c w/rms(X_c w) - y_c)/sqrt(n).
        interpolant: w* (D,), the minimum-norm solution of X_c w = y_c.
        kernel: (D, D) orthogonal projector on the kernel of X_c.
    """

    features: np.ndarray
    target: np.ndarray
    objective: Objective
    interpolant: np.ndarray
    kernel: np.ndarray

    def point(self, tan_alpha: float, /, *, seed: int = 0) -> np.ndarray:
        """The unit vector (D,) on Gamma at angle alpha to the interpolant, in a kernel direction drawn by the seed."""
        direction = self.kernel @ generator(seed).standard_normal(len(self.interpolant))
        unit = self.interpolant / np.linalg.norm(self.interpolant)
        vector = unit + tan_alpha * direction / np.linalg.norm(direction)
        result: np.ndarray = vector / np.linalg.norm(vector)
        return result

    def tan_alpha(self, w: np.ndarray, /) -> np.ndarray:
        """tan of the angle between w (..., D) and its part off the kernel; on Gamma the angle to the interpolant."""
        inside = w @ self.kernel
        result: np.ndarray = np.linalg.norm(inside, axis=-1) / np.linalg.norm(w - inside, axis=-1)
        return result


def bn_regression_objective(
    features: np.ndarray, target: np.ndarray, /, *, name: str = "bn-regression"
) -> BatchNormRegression:
    """The loss of features (n, D) and target (n,), centred here.

    Raises:
        InputError: shapes do not fit, the centred features have a rank under n - 1, no kernel is left, or the
            target is constant.
    """
    x, y = np.asarray(features, dtype=float), np.asarray(target, dtype=float)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise InputError(f"features must be (n, D) and target (n,), not {x.shape} and {y.shape}.")
    x, y = x - x.mean(axis=0), y - y.mean()
    n, d = x.shape
    # numpy's own threshold for the rank: the largest singular value times max(n, D) machine epsilons.
    if np.linalg.matrix_rank(x) != n - 1 or d < n:
        raise InputError(f"the centred features ({n} x {d}) must have rank n - 1 = {n - 1} and a kernel: take D >= n.")
    if not np.any(np.abs(y) > 1e-12 * max(1.0, float(np.abs(target).max()))):
        raise InputError("the target is constant: there is nothing to regress on.")
    scale = float(np.sqrt(np.mean(y**2)))

    def residuals(w: jax.Array) -> jax.Array:
        output = jnp.asarray(x) @ w
        # Normalization written out: framework kernels have had wrong third derivatives.
        return (scale * output / jnp.sqrt(jnp.mean(output**2)) - jnp.asarray(y)) / np.sqrt(n)

    def function(w: jax.Array) -> jax.Array:
        r = residuals(w)
        return r @ r / 2

    pseudo_inverse = np.linalg.pinv(x)
    interpolant = pseudo_inverse @ y
    kernel = np.eye(d) - pseudo_inverse @ x
    # |X_c w| = 0 at a kernel vector: start well off it, at tan(alpha) = 1 in a fixed direction.
    direction = kernel @ np.random.default_rng(0).standard_normal(d)
    start = interpolant / np.linalg.norm(interpolant) + direction / np.linalg.norm(direction)
    objective = Objective(function=function, start=start, residuals=residuals, name=name)
    return BatchNormRegression(x, y, objective, interpolant, kernel)
