"""Linear regression with batch normalization on small integer data, n = 4 examples and D = 4 features.

L(w) = mean squared error of gamma X_c w/rms(X_c w) against the centred target y_c, gamma^2 = Var(y): the batch norm
has its affine fixed to the target's scale. Gamma: the directions with X_c w positively proportional to y_c. The flow
solves to tan alpha(tau) = tan alpha_0 exp(-tau), alpha the angle to the minimum-norm interpolant.
"""

import random

import sympy as sp

from sharpflow.theory.errors import InputError
from sharpflow.theory.family import Family, Parameter
from sharpflow.theory.loss import Loss, Minima

# Contrasts as features, the fourth the sum of two: small enough to read, and all eigenvalues are rational. Other
# seeds draw at random.
DEFAULT_X = ((1, 2, 1, 2), (1, -2, -1, 0), (-1, 2, -1, 0), (-1, -2, 1, -2))
DEFAULT_Y = (1, 1, -1, -1)


def regression(features: sp.Matrix, target: sp.Matrix) -> Loss:
    """The loss of a data set: features n x D, target n x 1, centred here."""
    n, d = features.shape
    average = sp.ones(n, n) / n
    x_c, y_c = features - average * features, target - average * target
    if x_c.rank() != n - 1 or y_c.norm() == 0:
        raise InputError("the centred features must have rank n - 1, and the target must not be constant.")
    w = sp.Matrix(sp.symbols(f"w1:{d + 1}", real=True))
    gamma2 = (y_c.T * y_c)[0] / n
    output = x_c * w
    cosine = (output.T * y_c)[0] / sp.sqrt((output.T * output)[0] * (y_c.T * y_c)[0])
    # mean |gamma out/rms(out) - y_c|^2 = 2 gamma^2 (1 - cos angle(out, y_c))
    expression = 2 * gamma2 * (1 - cosine)
    kernel = x_c.nullspace()
    solution = x_c.pinv() * y_c
    chart = sp.symbols(f"p1:{len(kernel) + 1}", real=True) if len(kernel) > 1 else (sp.Symbol("p", real=True),)
    # X_c (w* + k) = y_c for every k in the kernel, and w* is orthogonal to it: |sum_i p_i k_i|/|w*| = tan(alpha).
    point = solution + sum((c * v for c, v in zip(chart, kernel, strict=True)), sp.zeros(d, 1))
    start = (sp.Rational(6, 5), sp.Rational(-7, 10), sp.Rational(2, 5))[: len(chart)]
    return Loss(
        name="bn-regression",
        variables=tuple(w),
        expression=expression,
        minima=Minima(chart=tuple(chart), point=tuple(point), start=start),
    )


def build(seed: sp.Integer) -> Loss:
    """Data set number ``seed``; 0 is the readable default."""
    if seed == 0:
        return regression(sp.Matrix(DEFAULT_X), sp.Matrix(DEFAULT_Y))
    generator = random.Random(int(seed))
    while True:
        features = sp.Matrix(4, 4, lambda i, j: generator.randint(-2, 2))
        target = sp.Matrix(4, 1, lambda i, j: generator.randint(-3, 3))
        average = sp.ones(4, 4) / 4
        if (features - average * features).rank() == 3 and len(set(target)) > 1:
            return regression(features, target)


family = Family(
    name="bn-regression",
    title="linear regression with batch normalization",
    build=build,
    parameters={"seed": Parameter(default=0, low=0, high=1000, denominator=1)},
)
