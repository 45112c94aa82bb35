"""Networks written out in jax.numpy: layers, normalization, convolution."""
