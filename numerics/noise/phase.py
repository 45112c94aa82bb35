"""Heavy ball with label noise set off on the edge: how far noise holds the energy of its oscillation down.

Without noise E grows as dE/d tau = c <U^2>, and an orbit of energy E comes down to log|X| = -alpha E/growth or so.
Noise is a floor under |X|: an orbit that reaches it forgets its energy and begins anew from there, so that

    X_max^2 = 2 (growth/brake) log(1/X_min),  X_min^2 ~ sigma^2 = 2 alpha nu R/sqrt(rate) per unit of the fast time

R the residue of the stationary variance at the edge. The amplitude is capped at the root of a logarithm of 1/nu:
noise of any size holds the energy down, and the run tracks where it bears an amplitude of that size.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from sharpflow.numerics.flows.noise_flow import noise_flow
from sharpflow.numerics.noise.central import LOSSES, START
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective
from sharpflow.theory.noise.moments import noise_law
from sharpflow.theory.rule import Operations, Rule

__all__ = ["Phase", "displacement", "phase"]

# The displacement differs from its limit by less than any run resolves.
LEAST = 1e-5


@dataclass(frozen=True)
class Phase:
    """Runs on a grid of noises.

    Attributes:
        noise: (N,) nu.
        amplitude: (N, seeds) the largest |x| of a run over the equilibrium's root mean square at that point.
        moved: (N, seeds) of phi at the end.
        load: (N, seeds) mean of effective_lr lambda_1 over the second half.
    """

    noise: np.ndarray
    amplitude: np.ndarray
    moved: np.ndarray
    load: np.ndarray

    def held(self, largest: float = 10.0, /) -> np.ndarray:
        """(N,) the share of seeds whose oscillation stayed below ``largest`` times its equilibrium."""
        share: np.ndarray = np.mean(self.amplitude < largest, axis=1)
        return share


def phase(
    rule: Rule, /, *, rate: float, noise: np.ndarray, time: float = 1.0, seeds: int = 16, loss: str = "ridge",
    edge: float, mean_square: float, amplitude: float = 1.2, seed: int = 0,
) -> Phase:  # fmt: skip
    """A rule with label noise nu*rate from the edge, at each of ``noise`` (N,), by arrays.

    ``edge`` is e h at the edge of the rule and ``mean_square`` its <x^2>/rate where K^2 = 1, by which |x| is measured.
    """
    random, curve = generator(seed), LOSSES[loss]
    shape = (len(noise), seeds)
    h = float(curve(np.asarray(START))[0]) ** 2
    norm = np.sqrt(h / edge)
    x = amplitude * np.sqrt(mean_square * rate)
    w = np.stack([np.full(shape, norm * np.cos(START)), np.full(shape, norm * x), np.full(shape, norm * np.sin(START))])
    # x changes sign in each step at the edge, and so does momentum: x+ = x - m+ and m+ = -m make m = -2 x.
    across = np.zeros_like(w)
    across[1] = -2 * w[1]
    state = type("State", (), {})()
    for name in rule.state:
        setattr(state, name, across)
    scale = np.sqrt(noise * rate)[:, None]
    xi = np.zeros(shape)

    def gradient(w: np.ndarray) -> np.ndarray:
        plane = w[0] ** 2 + w[2] ** 2
        length = np.sqrt(plane + w[1] ** 2)
        a, slope = curve(np.arctan2(w[2], w[0]))
        share = w[1] / length
        turn, along = slope * share / plane, -a * share / length**2
        rows = np.stack([along * w[0] - turn * w[2], along * w[1] + a / length, along * w[2] + turn * w[0]])
        return rows * (a * share + scale * xi)

    p = rule.parameters(rate)
    ops = Operations(
        dot=lambda a, b: np.sum(a * b, axis=0), norm=lambda a: np.sqrt(np.sum(a * a, axis=0)), sqrt=np.sqrt
    )
    largest, load, steps = np.zeros(shape), np.zeros(shape), round(time / rate)
    for t in range(steps):
        xi = random.standard_normal(shape)
        w, state = rule.step(w, gradient, state, p, ops)
        squared = np.sum(w * w, axis=0)
        largest = np.maximum(largest, w[1] ** 2 / squared)
        if t >= steps // 2:
            load += curve(np.arctan2(w[2], w[0]))[0] ** 2 / squared / (steps - steps // 2)
    return Phase(
        np.asarray(noise), np.sqrt(largest / (mean_square * rate)) / np.sqrt(2), np.arctan2(w[2], w[0]) - START, load
    )


def displacement(rule: Rule, noise: float, time: float, /, *, loss: str = "ridge") -> float:
    """phi(time) - phi(0) of the noise flow from next to the edge; below ``LEAST`` noise as at that."""
    curve = {"ridge": lambda p: jnp.sqrt(2 + jnp.cos(2 * p)), "exponential": lambda p: 1.5 * jnp.exp(p / 2),
             "secant": lambda p: 1.2 / jnp.cos(p)}[loss]  # fmt: skip

    def residuals(w: jax.Array) -> jax.Array:
        return jnp.stack([curve(jnp.arctan2(w[2], w[0])) * w[1] / jnp.linalg.norm(w)])

    start = np.array([np.cos(START), 0.0, np.sin(START)])
    objective = Objective(lambda w: residuals(w) @ residuals(w) / 2, start, residuals, name=loss)
    h = float(LOSSES[loss](np.asarray(START))[0]) ** 2
    edge = float(
        sp.sympify(noise_law(rule).edge).subs({sp.Symbol(k, positive=True): v for k, v in rule.constants.items()})
    )
    nu = max(noise, LEAST)
    path = noise_flow(objective, noise=nu, effective_lr=0.999 * edge / h, time=time, rule=rule)
    return float(np.arctan2(path.end[2], path.end[0]) - START) if path.result.ok else float("nan")
