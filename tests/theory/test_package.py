"""The package itself: its names load on first use, and mean what they say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sharpflow import theory


def test_importing_loads_no_sympy():
    code = "import sys, theory; dir(theory); sys.exit(any(m in sys.modules for m in ('sympy', 'numpy', 'jax')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_using_it_loads_no_jax():
    code = (
        "import sys; from sharpflow.theory import families, geometry_of; "
        "geometry_of(families.get('ridge').default()).sharpness;"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", theory.__all__)
def test_every_public_name(name):
    value = getattr(theory, name)
    assert value.__name__ == name
    assert value.__doc__
    assert name in dir(theory)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'prove_everything'"):
        _ = theory.prove_everything
