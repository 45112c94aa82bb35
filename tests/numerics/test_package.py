"""The package itself: lazy, and its cache harmless."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sharpflow import numerics


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_importing_loads_no_jax():
    done = run(
        "import sys; from sharpflow import numerics; dir(numerics); "
        "sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    )
    assert done.returncode == 0, done.stderr


def test_every_public_name_means_the_function_and_not_its_module():
    assert all(callable(getattr(numerics, name)) for name in numerics.__all__)


def test_a_cache_that_cannot_be_written_breaks_nothing(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    code = """
import jax
from sharpflow.numerics.config import configure
configure()
print(jax.config.jax_compilation_cache_dir, jax.numpy.ones(1).dtype)
"""
    done = run(code, SHARPFLOW_CACHE=str(blocked / "below"))
    assert done.stdout.split() == ["None", "float64"], done.stderr


@pytest.mark.deep
def test_products_in_float32_are_exact_unless_the_user_wants_others(monkeypatch):
    monkeypatch.delenv("JAX_DEFAULT_MATMUL_PRECISION", raising=False)
    code = """
import jax, jax.numpy as jnp
from sharpflow.numerics.config import configure
configure()
print(jax.jit(jnp.dot).lower(jnp.ones((2, 2), "float32"), jnp.ones((2, 2), "float32")).as_text())
"""
    # The program asks for it, on any device; only GPUs and TPUs listen.
    assert "precision = [HIGHEST, HIGHEST]" in run(code).stdout
    assert "HIGHEST" not in run(code, JAX_DEFAULT_MATMUL_PRECISION="tensorfloat32").stdout
