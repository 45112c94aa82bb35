"""What a step of gradient descent takes on ResNet-20 and VGG-11, a part of `benchmarks.experiments`."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.tables import row, rule


def paper(_):
    """Networks of paper size on images of CIFAR's shape: seconds a step and memory, by examples in a piece."""
    from unittest import mock

    from numerics import layers

    yield row(
        "network", "weights", "examples", "pieces", "seconds a step", "examples a second", "memory of a step, MB"
    )  # fmt: skip
    yield rule(7)
    ratio = {}
    for name in ("resnet20", "vgg11"):
        for n, pieces in ((64, 1), (256, 4), (256, 16)):
            trainer, program, memory = step_program(name, n, pieces)
            taken = seconds(program)
            ratio.setdefault(name, taken)
            yield row(name, trainer.dimension, n, pieces, f"{taken:.2f}", f"{n / taken:.0f}", f"{memory:.0f}")
        # Compiled for a full batch, not run: every piece takes as long as the pieces of 16 above.
        trainer, _, memory = step_program(name, 50_000, 3125)
        whole = 3125 * taken / pieces
        yield row(name, trainer.dimension, 50_000, 3125, f"({whole:.0f})", f"({n / taken:.0f})", f"{memory:.0f}")
    with mock.patch.object(layers, "convolve", library_convolution):
        _, program, memory = step_program("resnet20", 64, 1)
        taken = seconds(program)
    yield ""
    yield (
        f"With `jax.lax.conv_general_dilated` in the loop, as a user would write it, the step of the first row takes "
        f"{taken:.1f} s, {taken / ratio['resnet20']:.1f} times as long, and {memory:.0f} MB (`numerics/convolution.py` "
        "says why)."
    )


def library_convolution(x, kernel, /, *, stride=1):
    """What `numerics.convolution.convolve` is in place of."""
    import jax

    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def step_program(name, n, pieces):
    """The trainer of a network on ``n`` images, one compiled step of gradient descent, and the memory of that in MB."""
    from numerics.examples import Examples
    from numerics.network_task import task
    from numerics.training import Recipe, Trainer

    images = np.random.default_rng(0).standard_normal((n, 32, 32, 3)).astype(np.float32)
    one = task(name, Examples(images, np.arange(n) % 10, classes=10, name="noise"), norm="batch")
    trainer = Trainer([one], Recipe(0.05, 2e-3, steps=4, records=1, count=1, pieces=pieces))
    w = np.asarray(one.start, np.float32)[None]
    parameters = {k: np.float32(v) for k, v in (("learning_rate", 0.05), ("weight_decay", 2e-3))}
    executable, arrays = trainer._advance.prepare(w, trainer.data, parameters, np.int64(1))
    used = executable.memory_analysis()
    memory = (used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes) / 1e6
    return trainer, lambda: executable(*arrays), memory


def seconds(program):
    """The least of three times, after one to warm up."""
    import jax

    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        jax.block_until_ready(program())
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])
