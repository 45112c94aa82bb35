"""Iterates by arrays for equilibria under noise and for exact identities: each returns measured numbers and errors."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from sharpflow.numerics.noise.central import LOSSES
from sharpflow.numerics.numbers import generator
from sharpflow.theory.rule import Operations, Rule

__all__ = [
    "Mean", "adamw_norm", "catapult_difference", "edge_gap", "muon_norm", "norm_under_noise", "schedule_difference",
]  # fmt: skip

_OPS = Operations(
    dot=lambda a, b: np.sum(a * b, axis=0), norm=lambda a: np.sqrt(np.sum(a * a, axis=0)), sqrt=np.sqrt
)  # fmt: skip


@dataclass(frozen=True)
class Mean:
    """A mean of independent numbers, its standard error, and the value expected."""

    value: float
    error: float
    expected: float

    @classmethod
    def of(cls, values: np.ndarray, expected: float) -> Mean:
        """Of independent values."""
        return cls(float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)), expected)

    def off(self, systematic: float) -> float:
        """|value - expected| over 5 standard errors and a relative systematic error: 1 is exceeded once in 2e6."""
        return abs(self.value - self.expected) / (5 * self.error + systematic * abs(self.expected))


def norm_under_noise(
    rule: Rule, /, *, rate: float = 1e-2, dimension: int = 30, seeds: int = 200, seed: int = 0
) -> tuple[Mean, Mean]:
    """|w|^4 and the squared angle of a step of a rule on pure noise, G ~ N(0, P), for 40 relaxations from |w| = 1."""
    random = generator(seed)
    w = random.standard_normal((dimension, seeds))
    w /= np.linalg.norm(w, axis=0)
    eta = 0.3
    p = SimpleNamespace(**{**rule.constants, "learning_rate": eta, "weight_decay": rate / eta})
    fourth, angle, steps = np.zeros(seeds), np.zeros(seeds), round(10 / rate)
    for t in range(steps):
        xi = random.standard_normal(w.shape)

        def gradient(w: np.ndarray, xi: np.ndarray = xi) -> np.ndarray:
            squared = np.sum(w * w, axis=0)
            found: np.ndarray = (xi - w * np.sum(xi * w, axis=0) / squared) / np.sqrt(squared)
            return found

        moved, _ = rule.step(w, gradient, SimpleNamespace(), p, _OPS)
        if t >= steps // 2:
            cosine = np.sum(w * moved, axis=0) / np.linalg.norm(w, axis=0) / np.linalg.norm(moved, axis=0)
            fourth += np.sum(moved * moved, axis=0) ** 2 / (steps - steps // 2)
            angle += np.arccos(cosine) ** 2 / (steps - steps // 2)
        w = moved
    decay = rate / eta
    noise = dimension - 1
    expected = eta * noise / (decay * (2 - rate))
    return Mean.of(fourth, expected), Mean.of(angle, float(np.arccos(1 - rate) ** 2))


def adamw_norm(*, beta: float = 0.9, memory: float = 0.999, rate: float = 2e-2, weights: int = 4000) -> Mean:
    """E|W|^2/d of AdamW with i.i.d. gradients, over its formula: expected 1."""
    random, eta, a = generator(0), 0.01, 1 - rate
    w, m, v = np.zeros(weights), np.zeros(weights), np.ones(weights)
    total, steps = np.zeros(weights), round(12 / rate)
    for t in range(steps):
        g = random.standard_normal(weights)
        m = beta * m + (1 - beta) * g
        v = memory * v + (1 - memory) * g * g
        w = a * w - eta * m / np.sqrt(v)
        if t >= steps // 4:
            total += w * w / (steps - steps // 4)
    size = (1 - beta) / (1 + beta)
    return Mean.of(total / (eta**2 * size * (1 + a * beta) / ((1 - a**2) * (1 - a * beta))), 1.0)


def muon_norm(*, beta: float = 0.9, rate: float = 2e-2, rows: int = 4, columns: int = 128, matrices: int = 40) -> Mean:
    """E|W|^2 of Muon with i.i.d. gradients over its formula with U^2 = d_out = rows: expected 1 for rows << columns."""
    random, eta, a = generator(0), 0.01, 1 - rate
    shape = (matrices, rows, columns)
    w, m = np.zeros(shape), np.zeros(shape)
    total, steps = np.zeros(matrices), round(12 / rate)
    for t in range(steps):
        m = beta * m + (1 - beta) * random.standard_normal(shape)
        values, vectors = np.linalg.eigh(m @ np.swapaxes(m, 1, 2))
        # (m m^T)^(-1/2) m, orthogonal rows
        w = a * w - eta * (vectors / np.sqrt(values)[:, None, :]) @ (np.swapaxes(vectors, 1, 2) @ m)
        if t >= steps // 4:
            total += np.sum(w * w, axis=(1, 2)) / (steps - steps // 4)
    return Mean.of(total / (eta**2 * rows * (1 + a * beta) / ((1 - a**2) * (1 - a * beta))), 1.0)


def edge_gap(rule: Rule, /, *, rate: float = 1e-3, strength: float = 1.0, seeds: int = 200, seed: int = 0) -> Mean:
    """2 - <effective_lr lambda_1> with noise along v_1 on a loss with K = 1 everywhere; expected e^2 s^2 5/(4 eps).

    e^2 s^2 = ``strength`` eps^(3/2), which makes the gap of the size of the oscillation's sqrt(eps).
    """
    random, amplitude = generator(seed), LOSSES["exponential"]
    p = rule.parameters(rate)
    phi = np.full(seeds, 0.6)
    norm = np.sqrt(amplitude(phi)[0] ** 2 / 2)
    w = np.stack([norm * np.cos(phi), 0.6 * np.sqrt(rate) * norm, norm * np.sin(phi)])
    deviation = np.sqrt(strength * rate**1.5)
    total, steps = np.zeros(seeds), round(4 / rate)
    for t in range(steps):
        squared = np.sum(w * w, axis=0)
        length = np.sqrt(squared)
        a, slope = amplitude(np.arctan2(w[2], w[0]))
        kick = deviation * squared * random.standard_normal(seeds)  # s = deviation/e, e = 1/|w|^2

        def gradient(w, a=a, slope=slope, length=length, kick=kick):  # type: ignore[no-untyped-def]
            plane = w[0] ** 2 + w[2] ** 2
            share = w[1] / length
            turn, along = slope * share / plane, -a * share / length**2
            rows = np.stack([along * w[0] - turn * w[2], along * w[1] + a / length, along * w[2] + turn * w[0]])
            rows = rows * (a * share)
            rows[1] += kick / length
            return rows

        w, _ = rule.step(w, gradient, SimpleNamespace(), p, _OPS)
        if t >= steps // 4:
            total += a**2 / squared / (steps - steps // 4)
    return Mean.of(2 - total, float(strength * np.sqrt(rate) * 5 / 4))


def schedule_difference(rule: Rule, /, *, steps: int = 60, rate: float = 1e-2) -> float:
    """The largest difference of directions between weight decay and its exponential schedule, on three losses."""
    p = SimpleNamespace(**{**rule.constants, "learning_rate": 0.3, "weight_decay": rate / 0.3})
    far = 0.0
    for amplitude in LOSSES.values():

        def gradient(w, amplitude=amplitude):  # type: ignore[no-untyped-def]
            plane, length = w[0] ** 2 + w[2] ** 2, np.sqrt(w @ w)
            a, slope = amplitude(np.arctan2(w[2], w[0]))
            share = w[1] / length
            turn, along = slope * share / plane, -a * share / length**2
            rows = np.array([along * w[0] - turn * w[2], along * w[1] + a / length, along * w[2] + turn * w[0]])
            return rows * (a * share)

        w = v = np.array([1.0, 0.4, 0.5])
        for t in range(steps):
            w, _ = rule.step(w, gradient, SimpleNamespace(), p, _OPS)
            v = v - 0.3 * (1 - rate) ** (-2 * t - 1) * gradient(v)
            far = max(far, float(np.linalg.norm(w / np.linalg.norm(w) - v / np.linalg.norm(v))))
    return far


def catapult_difference(*, width: int = 50, steps: int = 60, seed: int = 0) -> tuple[float, float]:
    """The largest relative difference of (f, k) between the vectors and the planar map, and eta k at the start."""
    random = generator(seed)
    u, v = random.standard_normal((2, width))
    root = np.sqrt(width)
    f, k = float(u @ v / root), float((u @ u + v @ v) / width)
    eta = 2.6 / k
    far, begin = 0.0, eta * k
    for _ in range(steps):
        own = u @ v / root
        u, v = u - eta * own * v / root, v - eta * own * u / root
        f, k = f * (1 - eta * k + eta**2 * f**2 / width), k + eta * f**2 / width * (eta * k - 4)
        far = max(far, abs(float(u @ v / root) - f) / (1 + abs(f)), abs(float((u @ u + v @ v) / width) - k) / k)
    return far, begin
