"""Settings of JAX that every numeric module needs: precision, and compiled programs kept on disk."""

from __future__ import annotations

from functools import cache

import jax

from sharpflow.theory.cache import cache_folder

__all__ = ["configure", "device_error"]


@cache
def configure() -> None:
    """Set JAX up, once: float64 everywhere, and the persistent compilation cache where one can be written.

    float32 resolves 1e-7: at rate 1e-6 the weight-decay factor 1 - rate would hardly be representable. On a GPU the
    products of float32 matrices are float32 ones, too, where JAX would round them to 10 bits (TF32) unless the user has
    chosen otherwise ($JAX_DEFAULT_MATMUL_PRECISION).
    """
    jax.config.update("jax_enable_x64", True)
    # Programs are compiled ahead of their run here, which JAX refuses where $JAX_DISABLE_JIT is set.
    jax.config.update("jax_disable_jit", False)
    if jax.config.values["jax_default_matmul_precision"] is None:
        jax.config.update("jax_default_matmul_precision", "highest")
    place = cache_folder("xla")
    if place is not None:
        jax.config.update("jax_compilation_cache_dir", str(place))
        # Every program is small here; kept programs save whole seconds in the next process.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def device_error() -> Exception | None:
    """The exception, of various kinds, by which JAX says that it has none of the devices of $JAX_PLATFORMS."""
    try:
        jax.devices()
    except Exception as error:
        return error
    return None
