"""Scale-invariant networks, one file a family: every trained weight is inside one homogeneous vector, and no epsilon.

A file here that defines ``NETWORK``, a `sharpflow.numerics.models.network.Network`, is found by itself. A SPEC such as
``sharpflow.numerics.networks.two_layer:batch`` names a small objective on the command line; ``affine`` holds objectives
alone, with weights that are not scale-invariant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.theory.registry import Registry

if TYPE_CHECKING:
    from sharpflow.numerics.models.network import Network

__all__ = ["get", "names"]

_FOUND: Registry[Network] = Registry(__name__, "NETWORK", "network", besides=("affine",))
names, get = _FOUND.names, _FOUND.get
