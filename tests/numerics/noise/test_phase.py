"""Heavy ball with noise: its energy is held down, and it then follows its noise flow."""

import numpy as np

from sharpflow.numerics.noise.phase import displacement, phase
from sharpflow.theory import rules

HEAVY = rules.get("heavy-ball")


def test_noise_of_any_size_cures_the_growth_of_energy():
    noise = np.array([0.0, 1e-16, 1e-6, 1e-2])
    run = phase(HEAVY, rate=1e-3, noise=noise, edge=3.0, mean_square=2 / 15, seeds=32)
    largest = np.median(run.amplitude, axis=1)
    assert largest[0] > 10 > largest[1] > largest[2]
    assert run.held().tolist() == [0, 1, 1, 1]
    # A^2 goes as the logarithm of 1/nu: one and a half to four times ten decades' worth of log(10)/2.
    assert 1.5 < (largest[1] ** 2 - largest[2] ** 2) / (10 * np.log(10) / 2) < 4
    moved, error = run.moved[3].mean(), run.moved[3].std(ddof=1) / 32**0.5
    # 5 standard errors (a false alarm once in 6e4 with 31 degrees of freedom), and 10 rate.
    assert abs(moved - displacement(HEAVY, 1e-2, 1.0)) < 5 * error + 10 * 1e-3
