"""Where results come from, for manifests: the command, the versions, the machine, and the commit of the program."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["environment", "git_commit", "no_device", "provenance"]


def git_commit(source: Path | None = None, /) -> str | None:
    """The commit of the checkout that this program is run from, with ``-dirty`` where a tracked file was changed.

    ``None`` where it is installed and in no checkout: the commit of a project around it, or of the working folder, says
    nothing of this program. ``source`` is the folder of the checkout, by default the one that holds this package.
    """
    root = source.resolve() if source else Path(__file__).resolve().parents[1]  # of the checkout, also through a link
    # Inside a hook git is told of another repository by its environment.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=5, check=True, env=environment
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    top = git("rev-parse", "--show-toplevel")
    commit = git("rev-parse", "HEAD") if top and Path(top).resolve() == root else None
    if not commit:
        return None
    return f"{commit}-dirty" if git("status", "--porcelain", "--untracked-files=no") else commit


def provenance(command: Sequence[str] | None = None, /) -> dict[str, Any]:
    """``command`` (by default that of this process), ``versions`` and ``git``, as a manifest has them."""
    words = ["sharpflow", *sys.argv[1:]] if command is None else list(command)
    return {"command": words, "versions": environment(), "git": git_commit()}


def environment() -> dict[str, Any]:
    """Versions, machine, and the device JAX computes on."""
    import jax

    from sharpflow.version import __version__

    packages = ("sympy", "numpy", "scipy", "scikit-learn", "jax", "jaxlib", "diffrax", "matplotlib")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "device": jax.devices()[0].platform,
        "sharpflow": __version__,  # which also a checkout that is not installed has
    } | {name: metadata.version(name) for name in packages}


def no_device() -> str:
    """Advice where JAX is loaded and finds no device that $JAX_PLATFORMS asks for; else empty.

    JAX says so by various exceptions, from whatever it is asked first.
    """
    wish = os.environ.get("JAX_PLATFORMS")
    if not wish or "jax" not in sys.modules:
        return ""
    from sharpflow.numerics.config import device_error

    error = device_error()
    if error is None:
        return ""
    said = str(error).partition("(set JAX")[0].strip().rstrip(".")
    said = f" ({said[:200]})" if said else ""
    return f"JAX has no device for JAX_PLATFORMS={wish}{said}: unset it, or name a platform that is there, as cpu."
