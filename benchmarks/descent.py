"""Speed of gradient descent with weight decay on the ridge: the compiled scan against a NumPy loop, in one run.

    python -m benchmarks.descent

Prints the ratio (to be 150 or more) and exits with status 1 where it is less.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from sharpflow.numerics.descent.descent import descend, descend_batch
from sharpflow.theory import families, rules

WANTED = 150.0
RATE = 1e-5
STEPS = 4_000_000
LOOP_STEPS = 100_000


def best(function, repeats=5):
    """Seconds of the quickest of several calls, the first of which compiles and does not count."""
    function()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def numpy_loop(theta, effective_lr, steps):
    """The same map by hand: L = z^2 (2 + x^2 - y^2)/2 at unit vectors, its gradient projected by Euler's identity."""
    forget = (1 - RATE) ** 2
    for _ in range(steps):
        x, y, z = theta
        inner = 2 + x * x - y * y
        ambient = np.array([z * z * x, -z * z * y, z * inner])
        gradient = ambient - (ambient @ theta) * theta
        theta = theta - effective_lr * gradient
        theta = theta / np.sqrt(theta @ theta)
        effective_lr = effective_lr / (forget * (1 + effective_lr**2 * (gradient @ gradient)))
    return theta, effective_lr


def main():
    loss, rule = families.get("ridge").default(), rules.get("gd-wd")
    start = np.array([np.cos(0.35), np.sin(0.35), 2e-3])
    start /= np.linalg.norm(start)
    effective_lr = 2 / (2 + np.cos(0.7))
    by_hand = best(lambda: numpy_loop(start, effective_lr, LOOP_STEPS), repeats=3) / LOOP_STEPS
    reached = numpy_loop(start, effective_lr, 2000)[0]
    ratios = {}
    for form in ("sphere", "weights"):
        options = dict(start=start, effective_lr=effective_lr, rate=RATE, form=form)
        # 2000 steps: rounding has not grown yet, and both must be at the same place.
        np.testing.assert_allclose(descend(loss, rule, **options, records=400, every=5).points[-1], reached, atol=1e-10)
        compiled = best(lambda o=options: descend(loss, rule, **o, records=400, every=STEPS // 400)) / STEPS
        ratios[form] = by_hand / compiled
        print(
            f"{form:8s} {compiled * 1e9:8.1f} ns/step   NumPy {by_hand * 1e9:8.1f} ns/step   ratio {ratios[form]:.0f}"
        )
    count, each = 256, 40_000
    starts = np.repeat(start[None], count, axis=0)
    rates = np.geomspace(1e-6, 1e-4, count)
    batch = best(
        lambda: descend_batch(
            loss, rule, starts=starts, rates=rates, effective_lr=effective_lr, records=100, every=each // 100
        ),
        repeats=3,
    )
    print(f"vmap     {batch / (count * each) * 1e9:8.1f} ns/step and trajectory, {count} trajectories")
    good = max(ratios.values()) >= WANTED
    print(f"ratio {max(ratios.values()):.0f}, wanted {WANTED:.0f}: {'met' if good else 'missed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
