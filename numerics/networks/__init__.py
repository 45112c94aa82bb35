"""Scale-invariant networks, one file a family: every trained weight is inside one homogeneous vector, and no epsilon.

A file here that defines ``NETWORK``, a `sharpflow.numerics.models.network.Network`, is found by itself. A SPEC such as
``sharpflow.numerics.networks.two_layer:batch`` names a small objective on the command line.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from sharpflow.theory.errors import InputError, known_names

if TYPE_CHECKING:
    from sharpflow.numerics.models.network import Network

__all__ = ["get", "names"]


@cache
def names() -> tuple[str, ...]:
    """Names of the families, as the command line spells them."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def get(name: str) -> Network:
    """The family of that name; raises `InputError` when there is none."""
    if name not in names():
        raise InputError(f"no network is called {name!r}; {known_names(name, names())}")
    network: Network = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").NETWORK
    return network
