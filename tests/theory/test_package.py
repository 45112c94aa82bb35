"""The package itself: its names load on first use, and mean what they say; where finished work is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sharpflow import theory
from sharpflow.theory.cache import cache_folder


def test_importing_loads_no_sympy():
    code = """
import sys
from sharpflow import theory
dir(theory)
sys.exit(any(name in sys.modules for name in ("sympy", "numpy", "jax")))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_using_it_loads_no_jax():
    code = (
        "import sys; from sharpflow.theory import families, sharpness_flow; "
        "sharpness_flow(families.get('ridge').default()).sharpness;"
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


def test_the_place_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARPFLOW_CACHE", "off")
    assert cache_folder("xla") is None
    monkeypatch.setenv("SHARPFLOW_CACHE", str(tmp_path / "kept"))
    assert cache_folder("xla") == tmp_path / "kept" / "xla"
    monkeypatch.delenv("SHARPFLOW_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("derivations") == tmp_path / "sharpflow" / "derivations"
    assert cache_folder("derivations").is_dir()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", _has_no_home)
    assert cache_folder("xla") is None


def _has_no_home(self):
    raise RuntimeError("Could not determine home directory.")


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SHARPFLOW_CACHE", str(tmp_path / "file" / "below"))
    assert cache_folder("xla") is None
