"""(x * W)_{pq} = sum_ij x_{p+i, q+j} W_ij on images, as a matrix product where XLA's convolution is slow.

Inside a loop XLA's CPU backend takes the derivative of a convolution along its weights by a naive one of its own, 65
times slower than outside (JAX 0.10, two cores, 64 images of 32 x 32 x 16), and gradient descent is a loop. As a product
of the patches of x with W every derivative is a matrix product; the patches take 9 times the memory of x. Other
backends keep their convolution.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["convolve"]

Array = jax.Array


def convolve(x: Array, kernel: Array, /, *, stride: int = 1) -> Array:
    """x * W, (n, height/stride, width/stride, out), of images x (n, height, width, in) and W (size, size, in, out).

    Zeros are added around the images, so that each pixel (at stride 1) has its output: the padding called SAME.
    """

    def direct(x: Array, kernel: Array) -> Array:
        return jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def product(x: Array, kernel: Array) -> Array:
        size, _, channels, outputs = kernel.shape
        return _patches(x, size, stride) @ kernel.reshape(size * size * channels, outputs)

    out: Array = jax.lax.platform_dependent(x, kernel, cpu=product, default=direct)
    return out


def _patches(x: Array, size: int, stride: int) -> Array:
    """(n, height/stride, width/stride, size*size*channels): what each output sees, row by row."""
    (rows, above), (columns, left) = (_padding(sides, size, stride) for sides in x.shape[1:3])
    x = jnp.pad(x, ((0, 0), above, left, (0, 0)))
    span = [(count - 1) * stride + 1 for count in (rows, columns)]
    return jnp.concatenate(
        [x[:, i : i + span[0] : stride, j : j + span[1] : stride] for i in range(size) for j in range(size)], axis=-1
    )


def _padding(side: int, size: int, stride: int) -> tuple[int, tuple[int, int]]:
    """How many outputs a side has, and the zeros before and after it; the odd one comes after."""
    outputs = -(-side // stride)
    zeros = max((outputs - 1) * stride + size - side, 0)
    return outputs, (zeros // 2, zeros - zeros // 2)
