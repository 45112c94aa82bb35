"""What a step of gradient descent takes on ResNet-20 and VGG-11, parts of `benchmarks.experiments`."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.tables import row, rule

NETWORKS = ("resnet20", "vgg11")
FULL = 50_000
# Examples and pieces of a step.
SIZES = ((64, 1), (256, 4), (256, 16))
SIZES_ON_A_GPU = ((64, 1), (1000, 1), (FULL, 250), (FULL, 50), (FULL, 10))
HEADER = ("network", "weights", "examples", "pieces", "seconds a step", "examples a second", "memory of a step, MB")


def paper(_):
    """Networks of paper size on images of CIFAR's shape: seconds a step and memory, by examples in a piece."""
    from unittest import mock

    from sharpflow.numerics.models import layers

    yield row(*HEADER)
    yield rule(len(HEADER))
    ratio = {}
    for name in NETWORKS:
        for n, pieces in SIZES:
            trainer, program, memory = step_program(name, n, pieces)
            taken = seconds(program)
            ratio.setdefault(name, taken)
            yield measured(trainer, taken, memory)
        # Compiled for a full batch, not run: every piece takes as long as the pieces of 16 above.
        trainer, _, memory = step_program(name, FULL, 3125)
        whole = 3125 * taken / pieces
        yield row(name, trainer.dimension, FULL, 3125, f"({whole:.0f})", f"({n / taken:.0f})", f"{memory:.0f}")
    with mock.patch.object(layers, "convolve", library_convolution):
        _, program, memory = step_program("resnet20", 64, 1)
        taken = seconds(program)
    yield ""
    yield (
        f"With `jax.lax.conv_general_dilated` in the loop, as a user would write it, the step of the first row takes "
        f"{taken:.1f} s, {taken / ratio['resnet20']:.1f} times as long, and {memory:.0f} MB "
        f"(`numerics/models/convolution.py` "
        "says why)."
    )


def paper_gpu(_):
    """The same on a GPU, where a full batch of 50 000 is run and not extrapolated; and what float32 is there."""
    import jax

    device = jax.devices()[0]
    if device.platform != "gpu":
        raise SystemExit(f"--part paper-gpu needs a GPU, and JAX has {device.device_kind}")
    yield f"{device.device_kind}, JAX {jax.__version__}:"
    yield ""
    yield row(*HEADER)
    yield rule(len(HEADER))
    for name in NETWORKS:
        for n, pieces in SIZES_ON_A_GPU:
            trainer, program, memory = step_program(name, n, pieces)
            yield measured(trainer, seconds(program), memory)
    yield ""
    yield row(
        "products in float32", "gradient of resnet20, 64 images, off from float64 by", "seconds a step, 1000 images"
    )
    yield rule(3)
    for precision in ("highest", "tensorfloat32"):
        with jax.default_matmul_precision(precision):
            _, program, _ = step_program("resnet20", 1000, 1)
            yield row(precision, f"{gradient_error('resnet20', 64):.1e}", f"{seconds(program):.4f}")


def measured(trainer, taken, memory):
    """A row of the table."""
    one, pieces = trainer.tasks[0], trainer.full.pieces
    n = len(one.data.inputs)
    pace = f"{taken:.2f}" if taken > 0.1 else f"{taken:.4f}"
    return row(one.model.network.name, trainer.dimension, n, pieces, pace, f"{n / taken:.0f}", f"{memory:.0f}")


def library_convolution(x, kernel, /, *, stride=1):
    """What `sharpflow.numerics.models.convolution.convolve` is in place of."""
    import jax

    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def noise_task(name, n):
    """A network on ``n`` images of noise."""
    from sharpflow.numerics.data.examples import Examples
    from sharpflow.numerics.training.experiment import task

    images = np.random.default_rng(0).standard_normal((n, 32, 32, 3), dtype=np.float32)
    return task(name, Examples(images, np.arange(n) % 10, classes=10, name="noise"), norm="batch")


def step_program(name, n, pieces):
    """The trainer of a network on ``n`` images, one compiled step of gradient descent, and the memory of that in MB."""
    from sharpflow.numerics.training.recipe import Recipe
    from sharpflow.numerics.training.trainer import Trainer

    one = noise_task(name, n)
    trainer = Trainer([one], Recipe(0.05, 2e-3, steps=4, records=1, count=1, pieces=pieces))
    w = np.asarray(one.start, np.float32)[None]
    parameters = {k: np.float32(v) for k, v in (("learning_rate", 0.05), ("weight_decay", 2e-3))}
    executable, arrays = trainer._advance.prepare(w, trainer.data, parameters, np.int64(1))
    used = executable.memory_analysis()
    memory = (used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes) / 1e6
    return trainer, lambda: executable(*arrays), memory


def gradient_error(name, n):
    """|g32 - g64|/|g64| of the gradient at the start."""
    import jax

    one = noise_task(name, n)
    found = []
    for kind in (np.float32, np.float64):
        arrays = [np.asarray(a, kind) for a in (one.start, one.data.inputs, one.targets())]
        found.append(np.asarray(jax.jit(jax.grad(lambda *a: one.value(*a)))(*arrays), float))
    return float(np.linalg.norm(found[0] - found[1]) / np.linalg.norm(found[1]))


def seconds(program):
    """The least of three times, after one to warm up."""
    import jax

    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        jax.block_until_ready(program())
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])
