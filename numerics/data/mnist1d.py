"""Ten curves of length 12, stretched, scaled, shifted, made noisy and sheared into examples of length 40.

A curve is followed by zeros, 36 to 60 of them, and resampled to length 72; scaled by 1 + 0.4 u; rotated by 0 to 47
places; its zeros get noise of deviation 0.25 smoothed over 2 places, everything white noise of deviation 0.02; a line
of slope 0.75 u is taken off (u uniform in [-1/2, 1/2]); it is resampled to length 40, and the whole set brought to mean
0 and variance 1.

Source: Greydanus, Kobak 2024, arXiv:2011.14439, whose templates these are. The draws are our own, so that the examples
are distributed as those of the published set, and are not the same.
"""

from __future__ import annotations

import numpy as np

from sharpflow.numerics.data.examples import Examples, split
from sharpflow.numerics.numbers import check_whole, generator

__all__ = ["LENGTH", "mnist1d", "templates"]

LENGTH = 40
_STRETCHED, _PADDING, _SHIFT = 72, (36, 60), 48
_SCALE, _SMOOTH_NOISE, _WHITE_NOISE, _SHEAR = 0.4, 0.25, 0.02, 0.75
# One row a digit.
_CURVES = """
5 6   6.5 6.75 7   7    7    7 6.75 6.5 6   5
5 3   3   3.4  3.8 4.2  4.6  5 5.4  5.8 5   5
5 6   6.5 6.5  6   5.25 4.75 4 3.5  3.5 4   5
5 6   6.5 6.5  6   5    5    6 6.5  6.5 6   5
5 4.4 3.8 3.2  2.6 2.6  5    5 5    5   5   5
5 3   3   3    3   5    6    6.5 6.5 6  4.5 5
5 4   3.5 3.25 3   3    3    3 3.25 3.5 4   5
5 7   7   6.6  6.2 5.8  5.4  5 4.6  4.2 5   5
5 4   3.5 3.5  4   5    5    4 3.5  3.5 4   5
5 4   3.5 3.5  4   5    5    5 5    4.7 4.3 5
"""


def templates() -> np.ndarray:
    """The ten curves (10, 12), of deviation 1/6 each, beginning and ending at 0."""
    curves = np.array([line.split() for line in _CURVES.strip().split("\n")], dtype=float)
    result: np.ndarray = (curves - curves[:, :1]) / curves.std(axis=1, keepdims=True) / 6
    return result


def mnist1d(*, n: int = 4000, test: int = 1000, seed: int = 0) -> Examples:
    """``n`` examples x (n, 40) of ten classes to train on and ``test`` to test with, drawn by the seed."""
    check_whole("mnist1d: n", n, least=10)
    check_whole("mnist1d: test", test, least=0)
    random = generator(seed)
    labels = np.arange(n + test) % 10
    curves = templates()
    signals = np.stack([_example(curves[label], random) for label in labels])
    signals = (signals - signals.mean()) / signals.std()
    return split(signals, labels, n=n, test=test, seed=seed, classes=10, name="mnist1d")


def _resampled(curve: np.ndarray, length: int) -> np.ndarray:
    """The piecewise linear function through ``curve``, at equal distances from its first point to its last."""
    result: np.ndarray = np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(curve)), curve)
    return result


def _example(curve: np.ndarray, random: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    padded = np.concatenate([curve, np.zeros(random.integers(_PADDING[0], _PADDING[1], endpoint=True))])
    # Where there is signal: the curve itself may pass through zero, but not between two of its points that are kept.
    inside = np.concatenate([np.ones(len(curve)), np.zeros(len(padded) - len(curve))])
    signal, inside = _resampled(padded, _STRETCHED), _resampled(inside, _STRETCHED) > 0
    signal = signal * (1 + _SCALE * random.uniform(-0.5, 0.5))
    shift = random.integers(_SHIFT)
    signal, inside = np.roll(signal, shift), np.roll(inside, shift)
    signal = np.where(inside, signal, gaussian_filter(_SMOOTH_NOISE * random.standard_normal(_STRETCHED), 2))
    signal = signal + _WHITE_NOISE * random.standard_normal(_STRETCHED)
    signal = signal - _SHEAR * random.uniform(-0.5, 0.5) * np.linspace(-0.5, 0.5, _STRETCHED)
    return _resampled(signal, LENGTH)
