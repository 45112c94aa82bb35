import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow.numerics.config import configure
from sharpflow.numerics.models.convolution import convolve

configure()

RANDOM = np.random.default_rng(0)


def direct(x, kernel, stride):
    """A second path: one multiplication for each output pixel, from the definition."""
    (n, height, width, _), size = x.shape, kernel.shape[0]
    rows, columns = -(-height // stride), -(-width // stride)
    above = max((rows - 1) * stride + size - height, 0) // 2
    left = max((columns - 1) * stride + size - width, 0) // 2
    padded = np.pad(x, ((0, 0), (above, size), (left, size), (0, 0)))
    out = np.zeros((n, rows, columns, kernel.shape[-1]))
    for p in range(rows):
        for q in range(columns):
            seen = padded[:, p * stride : p * stride + size, q * stride : q * stride + size]
            out[:, p, q] = np.einsum("nijc,ijco->no", seen, kernel)
    return out


def library(x, kernel, stride):
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


CASES = [(3, 1, (6, 5)), (3, 2, (6, 5)), (3, 2, (5, 8)), (1, 2, (4, 4)), (2, 1, (5, 4)), (5, 3, (7, 9))]


@pytest.mark.parametrize(("size", "stride", "sides"), CASES)
def test_it_is_the_convolution(size, stride, sides):
    x, kernel = RANDOM.standard_normal((2, *sides, 3)), RANDOM.standard_normal((size, size, 3, 4))
    ours = np.asarray(convolve(jnp.asarray(x), jnp.asarray(kernel), stride=stride))
    # Sums of size^2 * 3 products of order 1.
    np.testing.assert_allclose(ours, direct(x, kernel, stride), atol=1e-13)
    np.testing.assert_allclose(ours, np.asarray(library(x, kernel, stride)), atol=1e-13)


def test_its_derivatives_are_those_of_the_library():
    x, kernel = jnp.asarray(RANDOM.standard_normal((2, 5, 6, 3))), jnp.asarray(RANDOM.standard_normal((3, 3, 3, 4)))
    directions = (
        jnp.asarray(RANDOM.standard_normal((2, *x.shape))),
        jnp.asarray(RANDOM.standard_normal((2, 3, 3, 3, 4))),
    )

    def loss(convolution):
        return lambda x, kernel: jnp.sum(jnp.sin(convolution(x, kernel)))

    def along(function):
        """Gradient and Hessian product, for two directions at once, in a loop as gradient descent has it."""
        grad = jax.grad(function, (0, 1))

        def products(total):
            return jax.vmap(lambda a, b: jax.jvp(grad, (x + 0 * total, kernel), (a, b)))(*directions)

        def body(_, carry):
            return products(jnp.sum(carry[0][0]))

        zero = jax.tree.map(jnp.zeros_like, products(0.0))
        return jax.lax.fori_loop(0, 1, body, zero)

    ours = jax.jit(lambda: along(loss(lambda a, k: convolve(a, k, stride=2))))()
    theirs = jax.jit(lambda: along(loss(lambda a, k: library(a, k, 2))))()
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_gpu_keeps_the_convolution_of_its_library():
    x, kernel = jnp.zeros((2, 4, 4, 3)), jnp.zeros((3, 3, 3, 4))
    traced = jax.jit(convolve).trace(x, kernel)
    programs = {platform: traced.lower(lowering_platforms=(platform,)).as_text() for platform in ("cpu", "cuda")}
    assert "stablehlo.convolution" in programs["cuda"]
    assert "stablehlo.convolution" not in programs["cpu"]
