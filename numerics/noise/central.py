"""Label noise on three losses in R^3 by arrays alone: many seeds at once, beside the derived law.

r(w) = a(phi) x/|w|, phi the angle of (w_0, s): scale-invariant, zero on the circle x = 0, where lambda(phi) =
a^2 is the one eigenvalue. The law is then d phi/d tau = -nu push(e, lambda) lambda'/lambda, d log e/d tau = growth
- nu shrink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp

from sharpflow.numerics.formulas import lambdify
from sharpflow.numerics.numbers import generator
from sharpflow.theory.noise.moments import CURVATURE, LR, NoiseLaw

__all__ = ["LOSSES", "Averages", "noisy_averages", "predicted"]

Amplitude = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
# a and a': a ridge, an exponential valley, and one that is steep at its ends as a regression's is.
LOSSES: dict[str, Amplitude] = {
    "ridge": lambda p: (np.sqrt(2 + np.cos(2 * p)), -np.sin(2 * p) / np.sqrt(2 + np.cos(2 * p))),
    "exponential": lambda p: (1.5 * np.exp(p / 2), 0.75 * np.exp(p / 2)),
    "secant": lambda p: (1.2 / np.cos(p), 1.2 * np.sin(p) / np.cos(p) ** 2),
}
START, LOAD = 0.6, 1.0  # phi, and e lambda, at the start


@dataclass(frozen=True)
class Averages:
    """Displacements over a run: means over seeds, their standard errors, and what the law says.

    Attributes:
        mean, error, law: (losses, 2) of phi and of log e.
        rate: of the run.
    """

    mean: np.ndarray
    error: np.ndarray
    law: np.ndarray
    rate: float

    @property
    def ratio(self) -> np.ndarray:
        """Measured over derived."""
        quotient: np.ndarray = self.mean / self.law
        return quotient


def predicted(law: NoiseLaw, noise: float, time: float, /, *, substeps: int = 200) -> np.ndarray:
    """(losses, 2) displacements of phi and log e by the derived law, by Runge and Kutta's steps."""
    numbers = {s: law.rule.constants[s.name] for s in law.variance.free_symbols if s.name in law.rule.constants}
    push, shrink, growth = (
        lambdify((LR, CURVATURE), sp.sympify(e).subs(numbers), library="numpy")
        for e in (law.push, law.shrink, law.growth)
    )
    out = []
    for amplitude in LOSSES.values():

        def field(y: np.ndarray, amplitude: Amplitude = amplitude) -> np.ndarray:
            a, slope = amplitude(y[0])
            e, h = np.exp(y[1]), a**2
            return np.array([-noise * push(e, h) * 2 * slope / a, growth(e, h) - noise * shrink(e, h)])

        begin = y = np.array([START, np.log(LOAD / amplitude(np.asarray(START))[0] ** 2)])
        step = time / substeps
        for _ in range(substeps):
            k1 = field(y)
            k2 = field(y + step / 2 * k1)
            k3 = field(y + step / 2 * k2)
            y = y + step / 6 * (k1 + 2 * k2 + 2 * k3 + field(y + step * k3))
        out.append(y - begin)
    return np.array(out)


def noisy_averages(
    law: NoiseLaw, /, *, rate: float, noise: float, time: float, seeds: int, seed: int = 0, deviation: float = 1.0
) -> Averages:
    """A rule with label noise of variance noise*rate from phi = 0.6, e lambda = 1, by its own update on arrays.

    ``deviation``: a factor of the standard deviation of the noise, for planted errors.
    """
    from types import SimpleNamespace

    from sharpflow.theory.rule import Operations

    random, rule = generator(seed), law.rule
    amplitudes = list(LOSSES.values())
    first = np.array([a(np.asarray(START))[0] ** 2 for a in amplitudes])
    norm = np.sqrt(first / LOAD)[:, None] * np.ones((1, seeds))  # effective_lr = 1/|w|^2 at learning rate 1
    w = np.stack([norm * np.cos(START), np.zeros_like(norm), norm * np.sin(START)])
    scale = deviation * np.sqrt(noise * rate)
    xi = np.empty(w.shape[1:])

    def gradient(w: np.ndarray) -> np.ndarray:
        plane = w[0] ** 2 + w[2] ** 2
        length = np.sqrt(plane + w[1] ** 2)
        phi = np.arctan2(w[2], w[0])
        a, slope = (
            np.stack(parts) for parts in zip(*(f(p) for f, p in zip(amplitudes, phi, strict=True)), strict=True)
        )
        share = w[1] / length
        # r = a share, and its derivatives along the radius and phi
        turn = slope * share / plane
        along = -a * share / length**2
        rows = np.stack([along * w[0] - turn * w[2], along * w[1] + a / length, along * w[2] + turn * w[0]])
        return rows * (a * share + scale * xi)

    p = rule.parameters(rate)
    ops = Operations(
        dot=lambda a, b: np.sum(a * b, axis=0), norm=lambda a: np.sqrt(np.sum(a * a, axis=0)), sqrt=np.sqrt
    )
    state = SimpleNamespace(**{name: np.zeros_like(w) for name in rule.state})
    start = np.sum(w * w, axis=0)
    for _ in range(round(time / rate)):
        xi[...] = random.standard_normal(xi.shape)
        w, state = rule.step(w, gradient, state, p, ops)
    moved = np.stack([np.arctan2(w[2], w[0]) - START, -np.log(np.sum(w * w, axis=0) / start)], axis=1)
    return Averages(moved.mean(axis=2), moved.std(axis=2, ddof=1) / np.sqrt(seeds), predicted(law, noise, time), rate)
